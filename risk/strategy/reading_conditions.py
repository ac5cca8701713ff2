"""Reads conditions, table cells and expressions out of the document.

Names and kinds are checked here, constants are cleaned; whether a condition can ever hold is
checked in `risk.strategy.checking`.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Final, TypeAlias

from risk.features.catalogue import Kind
from risk.strategy.language import (
    AllOf,
    AnyOf,
    Arithmetic,
    Atom,
    Between,
    Compare,
    Condition,
    Constant,
    Expression,
    HasText,
    InList,
    IsMissing,
    Match,
    Name,
    Not,
    OneOf,
    Operator,
    Part,
    Relation,
)
from risk.strategy.nodes import Node
from risk.strategy.problems import Code
from risk.strategy.scope import Scope

MAX_DEPTH: Final = 20

_ORDERED: Final = frozenset({Kind.NUMBER, Kind.DAY})
_NUMBERS: Final = frozenset({Kind.NUMBER})


class Is(StrEnum):
    """What a condition may say of a field."""

    BELOW = "below"
    AT_MOST = "at_most"
    ABOVE = "above"
    AT_LEAST = "at_least"
    EQUALS = "equals"
    DIFFERS = "differs"
    BETWEEN = "between"
    ONE_OF = "one_of"
    NONE_OF = "none_of"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    IN_LIST = "in_list"
    NOT_IN_LIST = "not_in_list"
    MISSING = "missing"
    PRESENT = "present"


Reader: TypeAlias = Callable[[Node, Scope, str, Kind, Is], Condition]


def read_condition(node: Node, scope: Scope, depth: int = 0) -> Condition:
    """Read a condition: `all`, `any`, `not`, or what is said of a field."""
    if depth > MAX_DEPTH:
        node.fail(Code.TOO_DEEP, limit=MAX_DEPTH)
    if not isinstance(node.value, dict):
        node.fail(Code.NOT_AN_OBJECT)
    inner = partial(read_condition, scope=scope, depth=depth + 1)
    if "all" in node.value:
        node.keys("all")
        return AllOf(node.at("all").each(inner))
    if "any" in node.value:
        node.keys("any")
        return AnyOf(node.at("any").each(inner))
    if "not" in node.value:
        node.keys("not")
        return Not(inner(node.at("not")))
    node.keys("field is", "value list match")
    name, kind = scope.read(node.at("field"))
    return _said(node, scope, name, kind)


def read_cell(node: Node, scope: Scope, name: str) -> Condition | None:
    """Read a table cell: null, a constant, a list, `{from, below}`, or `{is, …}`."""
    kind = scope.kinds[name]
    if node.value is None:
        return None
    if isinstance(node.value, list):
        return OneOf(name, _constants(node, scope, name, kind))
    if not isinstance(node.value, dict):
        return Compare(name, Relation.EQUALS, _constant(node, scope, name, kind))
    if "is" in node.value:
        node.keys("is", "value list match")
        return _said(node, scope, name, kind)
    node.keys("", "from below")
    ends = [node.at(key) if node.has(key) else None for key in ("from", "below")]
    return _between(node, name, kind, *ends)


def read_expression(node: Node, scope: Scope, depth: int = 0) -> Expression:
    """Read arithmetic: a number, a name, or one operator with its operands."""
    if depth > MAX_DEPTH:
        node.fail(Code.TOO_DEEP, limit=MAX_DEPTH)
    if isinstance(node.value, str):
        return Name(scope.read(node, _NUMBERS)[0])
    if not isinstance(node.value, dict):
        return Constant(float(node.constant(Kind.NUMBER)))
    if len(node.value) != 1:
        node.fail(Code.EMPTY)
    key = next(iter(node.value))
    operator = Node(key, node.path, node.problems).as_word(Operator)
    inner = node.at(key)
    if operator is Operator.DAYS_SINCE:
        return Arithmetic(operator, (Name(scope.read(inner, {Kind.DAY})[0]),))
    operands = inner.each(partial(read_expression, scope=scope, depth=depth + 1))
    _check_operands(inner, operator, operands)
    return Arithmetic(operator, operands)


def _check_operands(node: Node, operator: Operator, operands: tuple[Expression, ...]) -> None:
    pairs = {Operator.SUBTRACT, Operator.DIVIDE, Operator.ROUND_DOWN}
    if operator in pairs and len(operands) != len(("left", "right")):
        node.fail(Code.ROW_WIDTH, found=len(operands), expected=2)
    if operator is Operator.ROUND_DOWN:
        step = operands[1]
        if not isinstance(step, Constant) or step.value <= 0:
            node.items()[1].fail(Code.NOT_A_NUMBER)


def _said(node: Node, scope: Scope, name: str, kind: Kind) -> Condition:
    word = node.word("is", Is)
    return _READERS[word](node, scope, name, kind, word)


def _said_in_order(node: Node, scope: Scope, name: str, kind: Kind, word: Is) -> Condition:
    if kind not in _ORDERED:
        node.fail(Code.KIND_DIFFERS, name=name, kind=kind)
    return _said_equal(node, scope, name, kind, word)


def _said_equal(node: Node, scope: Scope, name: str, kind: Kind, word: Is) -> Condition:
    node.keys("is value", "field")
    value = node.at("value")
    if isinstance(value.value, dict):
        value.keys("field")
        other = scope.read(value.at("field"), {kind})[0]
        return Compare(name, Relation(word), Name(other))
    return Compare(name, Relation(word), _constant(value, scope, name, kind))


def _said_between(node: Node, _: Scope, name: str, kind: Kind, __: Is) -> Condition:
    node.keys("is value", "field")
    ends = node.at("value").items()
    if len(ends) != len(("low", "high")):
        node.at("value").fail(Code.ROW_WIDTH, found=len(ends), expected=2)
    return _between(node, name, kind, *(end if end.value is not None else None for end in ends))


def _between(node: Node, name: str, kind: Kind, low: Node | None, high: Node | None) -> Condition:
    if kind not in _ORDERED:
        node.fail(Code.KIND_DIFFERS, name=name, kind=kind)
    if low is None and high is None:
        node.fail(Code.EMPTY)
    ends = [None if end is None else float(end.constant(kind)) for end in (low, high)]
    if None not in ends and ends[0] >= ends[1]:  # type: ignore[operator] # neither is None
        node.fail(Code.CONTRADICTION, name=name)
    return Between(name, *ends)


def _said_one_of(node: Node, scope: Scope, name: str, kind: Kind, word: Is) -> Condition:
    node.keys("is value", "field")
    found = OneOf(name, _constants(node.at("value"), scope, name, kind))
    return found if word is Is.ONE_OF else Not(found)


def _said_text(node: Node, _: Scope, name: str, kind: Kind, word: Is) -> Condition:
    node.keys("is value", "field")
    if kind is not Kind.TEXT:
        node.fail(Code.KIND_DIFFERS, name=name, kind=kind)
    return HasText(name, Part(word), node.text("value"))


def _said_in_list(node: Node, _: Scope, name: str, kind: Kind, word: Is) -> Condition:
    node.keys("is list match", "field")
    if kind is not Kind.TEXT:
        node.fail(Code.KIND_DIFFERS, name=name, kind=kind)
    found = InList(name, node.name("list"), node.word("match", Match))
    return found if word is Is.IN_LIST else Not(found)


def _said_missing(node: Node, _: Scope, name: str, __: Kind, word: Is) -> Condition:
    node.keys("is", "field")
    found: Atom = IsMissing(name)
    return found if word is Is.MISSING else Not(found)


def _constants(node: Node, scope: Scope, name: str, kind: Kind) -> tuple[float | str, ...]:
    return node.each(partial(_constant, scope=scope, name=name, kind=kind))


def _constant(node: Node, scope: Scope, name: str, kind: Kind) -> float | str:
    value = node.constant(kind)
    dimension = scope.dimension(name)
    if dimension is not None and dimension.choices and value not in dimension.choices:
        node.fail(Code.CHOICE_UNKNOWN, name=name, value=value)
    return value


_READERS: Final[Mapping[Is, Reader]] = {
    Is.BELOW: _said_in_order,
    Is.AT_MOST: _said_in_order,
    Is.ABOVE: _said_in_order,
    Is.AT_LEAST: _said_in_order,
    Is.EQUALS: _said_equal,
    Is.DIFFERS: _said_equal,
    Is.BETWEEN: _said_between,
    Is.ONE_OF: _said_one_of,
    Is.NONE_OF: _said_one_of,
    Is.STARTS_WITH: _said_text,
    Is.ENDS_WITH: _said_text,
    Is.CONTAINS: _said_text,
    Is.IN_LIST: _said_in_list,
    Is.NOT_IN_LIST: _said_in_list,
    Is.MISSING: _said_missing,
    Is.PRESENT: _said_missing,
}
