"""Writes conditions and arithmetic as Python text for the compiled form.

Only `repr` of checked constants and names of our own making enter the text, never what a user
wrote. A missing number is NaN and a missing text None, so that most comparisons are false of the
missing by themselves. Of every condition two texts are made: when it is certainly true and when it
is certainly false; where neither holds, it is unknown.
"""

from collections.abc import Mapping
from typing import Final

from risk.features.catalogue import Kind
from risk.features.values import LIMIT
from risk.models.writing import Text, quoted
from risk.strategy.language import (
    AllOf,
    AnyOf,
    Atom,
    Between,
    Compare,
    Condition,
    Constant,
    Expression,
    HasText,
    InList,
    IsMissing,
    Name,
    Not,
    OneOf,
    Operator,
    Part,
    Relation,
)
from risk.strategy.walking import lists_in

_SIGNS: Final = {
    Relation.BELOW: "<",
    Relation.AT_MOST: "<=",
    Relation.ABOVE: ">",
    Relation.AT_LEAST: ">=",
    Relation.EQUALS: "==",
    Relation.DIFFERS: "!=",
}
_OPPOSITE: Final = {
    Relation.BELOW: Relation.AT_LEAST,
    Relation.AT_MOST: Relation.ABOVE,
    Relation.ABOVE: Relation.AT_MOST,
    Relation.AT_LEAST: Relation.BELOW,
    Relation.EQUALS: Relation.DIFFERS,
    Relation.DIFFERS: Relation.EQUALS,
}
_SYMBOLS: Final = {
    Operator.ADD: " + ",
    Operator.SUBTRACT: " - ",
    Operator.MULTIPLY: " * ",
    Operator.LEAST: "<=",
    Operator.GREATEST: ">=",
}


class ConditionWriter:
    """Writes conditions over variables.

    Args:
        text: Where look-ups in lists are written ahead of the condition.
        variables: The variable of each name.
        kinds: The kind of each name.
    """

    def __init__(self, text: Text, variables: Mapping[str, str], kinds: Mapping[str, Kind]) -> None:
        self._text = text
        self._variables = variables
        self._kinds = kinds
        self._found: dict[InList, str] = {}

    def look_up(self, *conditions: Condition) -> None:
        """Write the look-ups in lists that conditions need; they hold until the next call."""
        self._found = {}
        for condition in conditions:
            for atom in lists_in(condition):
                if atom not in self._found:
                    self._found[atom] = self._looked_up(atom)

    def true_of(self, condition: Condition) -> str:
        """Write when a condition is certainly true."""
        return self._holds(condition, wanted=True)

    def false_of(self, condition: Condition) -> str:
        """Write when a condition is certainly false."""
        return self._holds(condition, wanted=False)

    def _holds(self, condition: Condition, *, wanted: bool) -> str:
        match condition:
            case AllOf(()):
                return str(wanted)
            case AllOf(parts):
                return self._joined(parts, wanted=wanted, word=" and " if wanted else " or ")
            case AnyOf(parts):
                return self._joined(parts, wanted=wanted, word=" or " if wanted else " and ")
            case Not(part):
                return self._holds(part, wanted=not wanted)
            case _:
                return self._atom(condition, wanted=wanted)

    def _joined(self, parts: tuple[Condition, ...], *, wanted: bool, word: str) -> str:
        return "(" + word.join(self._holds(part, wanted=wanted) for part in parts) + ")"

    def _atom(self, atom: Atom, *, wanted: bool) -> str:
        variable = self._variables[atom.name]
        is_text = self._kinds[atom.name] is Kind.TEXT
        match atom:
            case IsMissing():
                missing = (f"{variable} is None", f"{variable} is not None")
                strange = (f"{variable} != {variable}", f"{variable} == {variable}")
                return (missing if is_text else strange)[not wanted]
            case InList():
                return f"{self._found[atom]} is {wanted}"
            case Compare(_, relation, value):
                relation = relation if wanted else _OPPOSITE[relation]
                return self._comparison(variable, relation, value, is_text=is_text)
            case Between(_, low, high):
                return _between(variable, low, high, wanted=wanted)
            case _:
                there = f"{variable} is not None" if is_text else f"{variable} == {variable}"
                return f"({there} and {'' if wanted else 'not '}{_known(atom, variable)})"

    def _comparison(
        self, variable: str, relation: Relation, value: float | str | Name, *, is_text: bool
    ) -> str:
        other = self._variables[value.name] if isinstance(value, Name) else quoted(value)
        if relation is Relation.DIFFERS and not is_text:
            return f"({variable} < {other} or {variable} > {other})"
        sides = [variable, *([other] if isinstance(value, Name) else [])]
        needs_both = is_text and (relation is Relation.DIFFERS or len(sides) > 1)
        known = [f"{side} is not None and " for side in sides] if needs_both else []
        return f"({''.join(known)}{variable} {_SIGNS[relation]} {other})"

    def _looked_up(self, atom: InList) -> str:
        found, variable = self._text.fresh(), self._variables[atom.name]
        call = f"holds({atom.list_name!r}, {str(atom.match)!r}, {variable})"
        self._text.line(f"{found} = None if {variable} is None else {call}")
        return found


def _between(variable: str, low: float | None, high: float | None, *, wanted: bool) -> str:
    if wanted:
        start = "" if low is None else f"{quoted(low)} <= "
        return f"{start}{variable}" + ("" if high is None else f" < {quoted(high)}")
    below = [] if low is None else [f"{variable} < {quoted(low)}"]
    above = [] if high is None else [f"{variable} >= {quoted(high)}"]
    return "(" + " or ".join(below + above) + ")"


def _known(atom: OneOf | HasText, variable: str) -> str:
    """Write what a statement says of a value that is there."""
    if isinstance(atom, OneOf):
        return f"{variable} in {{{', '.join(map(quoted, atom.values))}}}"
    if atom.part is Part.CONTAINS:
        return f"{atom.text!r} in {variable}"
    method = "startswith" if atom.part is Part.STARTS_WITH else "endswith"
    return f"{variable}.{method}({atom.text!r})"


class AmountWriter:
    """Writes arithmetic as one step a line; a step that leaves the range of values is missing."""

    def __init__(self, text: Text, variables: Mapping[str, str]) -> None:
        self._text = text
        self._variables = variables

    def amount(self, expression: Expression) -> str:
        """Write the steps of an expression and return what holds its value."""
        if isinstance(expression, Constant):
            return quoted(expression.value)
        if isinstance(expression, Name):
            return self._variables[expression.name]
        values = [self.amount(operand) for operand in expression.operands]
        return self._step(expression.operator, values)

    def _step(self, operator: Operator, values: list[str]) -> str:
        found = self._text.fresh()
        first, *rest = values
        match operator:
            case Operator.DAYS_SINCE:
                self._text.line(f"{found} = today - {first}")
            case Operator.FIRST_OF:
                self._text.line(f"{found} = {first}")
                for other in rest:
                    self._text.line(f"if {found} != {found}: {found} = {other}")
            case Operator.LEAST | Operator.GREATEST:
                self._text.line(f"{found} = {first}")
                for other in rest:
                    chosen = f"{found} if {found} {_SYMBOLS[operator]} {other} else {other}"
                    both = f"{found} == {found} and {other} == {other}"
                    self._text.line(f"{found} = ({chosen}) if {both} else NAN")
            case Operator.DIVIDE:
                self._kept(found, f"{first} / {rest[0]} if {rest[0]} != 0.0 else NAN")
            case Operator.ROUND_DOWN:
                self._kept(found, f"{first} // {rest[0]} * {rest[0]}")
            case _:
                self._kept(found, _SYMBOLS[operator].join(values))
        return found

    def _kept(self, found: str, value: str) -> None:
        self._text.line(f"{found} = {value}")
        self._text.line(f"if not {-LIMIT!r} < {found} < {LIMIT!r}: {found} = NAN")
