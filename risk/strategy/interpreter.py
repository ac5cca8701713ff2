"""The plain reading of a strategy: slow, obvious, and the reference for the other two forms.

It also tells why not: for every rule that was looked at, whether each statement held, and the
values read. The compiled form and the batch form must not share code with it.

A condition is true, false or unknown (None), by the logic of Kleene: what is missing makes a
statement unknown, and the unknown spreads unless the rest decides already.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Final, TypeAlias

from risk.features.values import CLEAN, is_missing, number
from risk.models.card import Characteristic
from risk.strategy.decision import Circumstances, Decision, Hit, HitKind, readable
from risk.strategy.language import (
    DATA_MISSING,
    ON_MISSING,
    SUPPORT_ALONE,
    AllOf,
    AnyOf,
    Atom,
    Between,
    Branch,
    Card,
    Compare,
    Compute,
    Condition,
    Constant,
    Effect,
    Expression,
    FinalRules,
    Fork,
    HasText,
    InList,
    IsMissing,
    Model,
    Name,
    Not,
    OneOf,
    OnMissing,
    Operator,
    Outcome,
    Part,
    Policy,
    Relation,
    Row,
    Rule,
    RuleSet,
    Strategy,
    Table,
    Tree,
    counts_on,
)
from risk.strategy.walking import names_in, unique, with_sources

Value: TypeAlias = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One thing said of one name, with what was read."""

    atom: Atom
    holds: bool | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A rule, row, fork or case that was looked at."""

    rule: str
    holds: bool | None
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """A decision with the way to it.

    Attributes:
        path: Ids of the stages that ran, in order.
        checks: All that was looked at, in order.
    """

    decision: Decision
    path: tuple[str, ...]
    checks: tuple[Check, ...]


def interpret(
    strategy: Strategy, row: Mapping[str, object], *, product: str, around: Circumstances
) -> Interpretation:
    """Decide on one row.

    What would be declined is looked at once more as if supporting values were missing: if it would
    not be declined then, a person decides.

    Args:
        strategy: Read and checked.
        row: Raw values by name; what is not there is missing.
        product: Which of the strategy's products.
        around: The day, lists, scores and snoozes.

    Raises:
        KeyError: The strategy has no such product.
    """
    found = _interpreted(strategy, row, product, around)
    if found.decision.outcome is not Outcome.DECLINE:
        return found
    support = [name for name in strategy.inputs if name in strategy.support]
    firm_row = {**row, **dict.fromkeys(support)}
    firm_around = replace(around, score=around.firm_score or around.score)
    firm = _interpreted(strategy, firm_row, product, firm_around).decision
    if firm.outcome is Outcome.DECLINE:
        return found
    run = _Run(strategy, row, around)
    names = [name for name in support if run.values[name] is not None]
    run.note(SUPPORT_ALONE, Outcome.REVIEW, SUPPORT_ALONE, HitKind.FLOORED, names)
    hits = (*found.decision.hits, *run.hits)
    decision = found.decision._replace(outcome=Outcome.REVIEW, hits=hits)
    return replace(found, decision=decision)


def _interpreted(
    strategy: Strategy, row: Mapping[str, object], product: str, around: Circumstances
) -> Interpretation:
    run = _Run(strategy, row, around)
    run.check_required()
    run.run(strategy.products[product])
    return run.result()


class _Run:
    def __init__(
        self, strategy: Strategy, row: Mapping[str, object], around: Circumstances
    ) -> None:
        self.strategy: Final = strategy
        self.around: Final = around
        self.values: dict[str, Value] = {
            name: self.cleaned(name, row.get(name)) for name in strategy.inputs
        }
        self.values |= dict.fromkeys(strategy.outputs)
        self.derived: Final = dict(strategy.derived)
        for name, expression in strategy.derived:
            self.values[name] = self.amount(expression)
        self.outcome: Outcome = Outcome.APPROVE
        self.hits: list[Hit] = []
        self.points: dict[str, tuple[int | None, ...]] = {}
        self.path: list[str] = []
        self.checks: list[Check] = []

    def cleaned(self, name: str, raw: object) -> Value:
        """Read a value; what is none, or none that its dimension may hold, is missing."""
        value = _or_none(CLEAN[self.strategy.kinds[name]](raw))
        domain = self.strategy.domains.get(name)
        is_odd = value is not None and domain is not None and not domain.admits(value)
        return None if is_odd else value

    # --- the order of things -------------------------------------------------

    def check_required(self) -> None:
        for required in self.strategy.required:
            if self.values[required.name] is None:
                self.miss(f"required.{required.name}", required.missing, (required.name,))

    def run(self, stages: Iterable[str]) -> None:
        for name in stages:
            if self.outcome is Outcome.DECLINE:
                return
            self.path.append(name)
            stage = self.strategy.stages[name]
            _STAGES[type(stage)](self, stage)

    def result(self) -> Interpretation:
        kinds = self.strategy.kinds
        outputs = readable({name: self.values[name] for name in self.strategy.outputs}, kinds)
        return Interpretation(
            decision=Decision(self.outcome, tuple(self.hits), outputs, self.points),
            path=tuple(self.path),
            checks=tuple(self.checks),
        )

    # --- evidence ------------------------------------------------------------

    def hit(self, rule: str, effect: Effect, names: Iterable[str]) -> None:
        for output, value in effect.sets:
            self.values[output] = value
        if effect.outcome is None:
            self.note(rule, None, None, HitKind.TAKEN, names)
        else:
            self.note(rule, effect.outcome, effect.reason, HitKind.HIT, names)
            self.outcome = max(self.outcome, effect.outcome)

    def miss(self, rule: str, policy: OnMissing, names: Iterable[str]) -> None:
        outcome = ON_MISSING[policy]
        if outcome is not None:
            sources = with_sources(names, self.derived)
            self.note(rule, outcome, DATA_MISSING, HitKind.MISSING, sources)
            self.outcome = max(self.outcome, outcome)

    def note(
        self,
        rule: str,
        outcome: Outcome | None,
        reason: str | None,
        kind: HitKind,
        names: Iterable[str],
    ) -> None:
        read = {name: self.values[name] for name in unique(names)}
        self.hits.append(Hit(rule, outcome, reason, kind, readable(read, self.strategy.kinds)))

    def look(self, rule: str, condition: Condition) -> bool | None:
        statements: list[Statement] = []
        holds = self.truth(condition, statements)
        self.checks.append(Check(rule=rule, holds=holds, statements=tuple(statements)))
        return holds

    # --- conditions ----------------------------------------------------------

    def truth(self, condition: Condition, statements: list[Statement]) -> bool | None:
        match condition:
            case AllOf(parts):
                found = [self.truth(part, statements) for part in parts]
                return False if False in found else (None if None in found else True)
            case AnyOf(parts):
                found = [self.truth(part, statements) for part in parts]
                return True if True in found else (None if None in found else False)
            case Not(part):
                inner = self.truth(part, statements)
                return None if inner is None else not inner
            case _:
                holds = self.atom(condition)
                read = {name: self.values[name] for name in names_in(condition)}
                values = readable(read, self.strategy.kinds)
                statements.append(Statement(atom=condition, holds=holds, values=values))
                return holds

    def atom(self, atom: Atom) -> bool | None:
        value = self.values[atom.name]
        if isinstance(atom, IsMissing):
            return value is None
        if isinstance(atom, Compare) and isinstance(atom.value, Name):
            other = self.values[atom.value.name]
            known = value is not None and other is not None
            return _RELATIONS[atom.relation](value, other) if known else None
        return None if value is None else self.known_atom(atom, value)

    def known_atom(
        self, atom: Compare | Between | OneOf | HasText | InList, value: Any
    ) -> bool | None:
        match atom:
            case Compare(_, relation, constant):
                return _RELATIONS[relation](value, constant)
            case Between(_, low, high):
                return (low is None or low <= value) and (high is None or value < high)
            case HasText(_, part, text):
                return _PARTS[part](value, text)
            case InList(_, list_name, match):
                return self.around.lists.holds(list_name, match, value)
            case _:
                return value in atom.values

    # --- arithmetic ----------------------------------------------------------

    def amount(self, expression: Expression) -> float | None:
        if isinstance(expression, Constant):
            return expression.value
        if isinstance(expression, Name):
            found = self.values[expression.name]
            return found if isinstance(found, float) else None
        values = [self.amount(operand) for operand in expression.operands]
        numbers = [value for value in values if value is not None]
        if expression.operator is Operator.FIRST_OF:
            return numbers[0] if numbers else None
        is_whole = len(numbers) == len(values)
        return self.result_of(expression.operator, numbers) if is_whole else None

    def result_of(self, operator: Operator, numbers: list[float]) -> float | None:
        if operator is Operator.DAYS_SINCE:
            return self.around.on.toordinal() - numbers[0]
        if operator is Operator.DIVIDE and numbers[1] == 0:
            return None
        return _or_none(number(reduce(_OPERATORS[operator], numbers)))  # type: ignore[return-value]

    # --- stages --------------------------------------------------------------

    def rule_set(self, stage: RuleSet) -> None:
        for rule in stage.rules:
            self.rule(rule)

    def rule(self, rule: Rule) -> bool:
        if not counts_on(rule.effective_from, rule.effective_to, self.around.on):
            return False
        holds = self.look(rule.id, rule.when)
        names = tuple(names_in(rule.when))
        if rule.may_snooze and rule.id in self.around.snoozed:
            outcome = rule.effect.outcome if holds else ON_MISSING[rule.missing]
            if holds is not False and outcome is not None:
                self.note(rule.id, outcome, rule.effect.reason, HitKind.SNOOZED, names)
        elif holds:
            self.hit(rule.id, rule.effect, names)
        elif holds is None:
            self.miss(rule.id, rule.missing, names)
        return bool(holds)

    def table(self, stage: Table) -> None:
        looks: list[tuple[Row, bool | None]] = []
        for row in stage.rows:
            holds = self.look(row.id, row.when)
            looks.append((row, holds))
            if stage.policy is Policy.FIRST and holds is not False:
                break
        for row, holds in looks:
            names = tuple(names_in(row.when))
            if holds:
                self.hit(row.id, row.effect, names)
            elif holds is None and stage.policy is not Policy.UNIQUE:
                self.miss(row.id, stage.missing, names)
        found = [holds for _, holds in looks]
        if stage.policy is Policy.UNIQUE and True not in found and None in found:
            self.miss(stage.id, stage.missing, stage.columns)

    def card(self, stage: Card) -> None:
        card = stage.scorecard
        points = tuple(_points(each, self.values[each.name]) for each in card.characteristics)
        self.points[stage.id] = points
        missing = [self.values[name] for name in card.features].count(None)
        if None in points or missing > card.missing_at_most:
            self.values[stage.output] = None
            self.miss(stage.id, stage.missing, card.features)
        else:
            self.values[stage.output] = float(card.base + sum(filter(None, points)))

    def model(self, stage: Model) -> None:
        score = _or_none(number(self.around.score(stage.model)))
        self.values[stage.output] = score
        if score is None:
            self.miss(stage.id, stage.missing, (stage.output,))

    def tree(self, stage: Tree) -> None:
        node = stage.root
        names: list[str] = []
        while isinstance(node, Fork):
            holds = self.look(stage.id, node.when)
            names += names_in(node.when)
            if holds is None:
                self.miss(stage.id, stage.missing, names)
                return
            node = node.then if holds else node.otherwise
        self.hit(node.id, node.effect, names)

    def branch(self, stage: Branch) -> None:
        for case in stage.cases:
            holds = self.look(case.id, case.when)
            names = tuple(names_in(case.when))
            if holds is None:
                self.miss(case.id, stage.missing, names)
                return
            if holds:
                self.note(case.id, None, None, HitKind.TAKEN, names)
                self.run(case.stages)
                return
        self.run(stage.otherwise)

    def compute(self, stage: Compute) -> None:
        for output, expression in stage.sets:
            amount = self.amount(expression)
            self.values[output] = amount
            if amount is None:
                self.miss(f"{stage.id}.{output}", stage.missing, tuple(names_in(expression)))

    def final(self, stage: FinalRules) -> None:
        approvals = [self.rule(rule) for rule in stage.rules]
        if self.outcome is Outcome.APPROVE and not any(approvals):
            names = (name for rule in stage.rules for name in names_in(rule.when))
            self.hit(f"{stage.id}.otherwise", stage.otherwise, names)


def _or_none(value: Value) -> Value:
    return None if is_missing(value) else value


def _points(characteristic: Characteristic, value: Value) -> int | None:
    if value is None:
        return characteristic.missing
    for special, points in characteristic.specials:
        if value == special:
            return points
    edges = enumerate(characteristic.edges)
    place = next((n for n, edge in edges if float(value) < edge), len(characteristic.edges))
    return characteristic.points[place]


_RELATIONS: Final[Mapping[Relation, Callable[[Any, Any], bool]]] = {
    Relation.BELOW: lambda left, right: left < right,
    Relation.AT_MOST: lambda left, right: left <= right,
    Relation.ABOVE: lambda left, right: left > right,
    Relation.AT_LEAST: lambda left, right: left >= right,
    Relation.EQUALS: lambda left, right: left == right,
    Relation.DIFFERS: lambda left, right: left != right,
}
_PARTS: Final[Mapping[Part, Callable[[str, str], bool]]] = {
    Part.STARTS_WITH: str.startswith,
    Part.ENDS_WITH: str.endswith,
    Part.CONTAINS: str.__contains__,
}
_OPERATORS: Final[Mapping[Operator, Callable[[float, float], float]]] = {
    Operator.ADD: lambda left, right: left + right,
    Operator.SUBTRACT: lambda left, right: left - right,
    Operator.MULTIPLY: lambda left, right: left * right,
    Operator.DIVIDE: lambda left, right: left / right,
    Operator.LEAST: min,
    Operator.GREATEST: max,
    Operator.ROUND_DOWN: lambda left, step: left // step * step,
}
_STAGES: Final[Mapping[type, Callable[[_Run, Any], None]]] = {
    RuleSet: _Run.rule_set,
    Table: _Run.table,
    Card: _Run.card,
    Model: _Run.model,
    Tree: _Run.tree,
    Branch: _Run.branch,
    Compute: _Run.compute,
    FinalRules: _Run.final,
}
