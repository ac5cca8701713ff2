"""The NumPy form of a strategy: the same decisions on whole columns, for backtests.

It gives outcomes, outputs and who hit what, not the values read; those come from the other forms
for the few rows that somebody looks at. Of every condition two masks are made: where it is
certainly true and where it is certainly false.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from risk.features.catalogue import Kind
from risk.features.values import CLEAN, LAST_DAY, LIMIT, Domain
from risk.models.arrays import card_scores
from risk.strategy.decision import HitKind, Lists
from risk.strategy.language import (
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
    Rule,
    RuleSet,
    Strategy,
    Table,
    Tree,
    TreeNode,
)
from risk.strategy.walking import names_in, names_read

Mask: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Column: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCircumstances:
    """What decisions on many rows see besides their columns.

    Attributes:
        on: The business date, or one ordinal per row.
        score: Calls a model by name: an array of shape (n_rows,), NaN where there is no score.
        firm_score: The same as if supporting values were missing; None where they say no other.
        snoozed: By rule, for whom it is silenced.
    """

    on: date | Floats
    lists: Lists
    score: Callable[[str], Floats]
    firm_score: Callable[[str], Floats] | None = None
    snoozed: Mapping[str, Mask] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDecision:
    """What a strategy decided on many rows.

    Attributes:
        outcome: int8 array of shape (n_rows,) of `Outcome`.
        outputs: By name, float64 with NaN or object with None where never set.
        hits: By rule and kind, for whom it stands in the evidence; left out where for nobody.
    """

    outcome: NDArray[np.int8]
    outputs: Mapping[str, Column]
    hits: Mapping[tuple[str, HitKind], Mask]


def decide_batch(
    strategy: Strategy,
    columns: Mapping[str, Column],
    *,
    product: str,
    rows: int,
    around: BatchCircumstances,
) -> BatchDecision:
    """Decide on many rows at once.

    Args:
        strategy: Read and checked.
        columns: Arrays of shape (n_rows,) by name: float64 (NaN = missing; a truth is 1 or 0, a
            day its ordinal), or objects as they came in. A column that is not there is missing.
        product: Which of the strategy's products.
        rows: How many there are.
        around: The day, lists, scores and snoozes.

    Raises:
        KeyError: The strategy has no such product.
    """
    with np.errstate(all="ignore"):
        run = _Run(strategy, columns, rows, around)
        run.check_required()
        run.run(strategy.products[product], np.ones(rows, dtype=np.bool_))
        _floor(run, columns, product)
    outputs = {name: run.values[name] for name in strategy.outputs}
    return BatchDecision(outcome=run.outcome, outputs=outputs, hits=run.hits)


def _floor(run: "_Run", columns: Mapping[str, Column], product: str) -> None:
    """Send to a person who would not be declined if supporting values were missing."""
    declined = np.flatnonzero(run.outcome == Outcome.DECLINE)
    support = [name for name in run.strategy.inputs if name in run.strategy.support]
    if not len(declined) or not (support or run.around.firm_score):
        return
    cut = {name: column[declined] for name, column in columns.items() if name not in support}
    firm = _Run(run.strategy, cut, len(declined), _cut(run.around, declined))
    firm.check_required()
    firm.run(run.strategy.products[product], np.ones(len(declined), dtype=np.bool_))
    where = np.zeros(run.rows, dtype=np.bool_)
    where[declined[firm.outcome < Outcome.DECLINE]] = True
    run.note(SUPPORT_ALONE, HitKind.FLOORED, where)
    run.outcome[where] = Outcome.REVIEW


def _cut(around: BatchCircumstances, places: NDArray[np.intp]) -> BatchCircumstances:
    """Take the circumstances of some rows, as if supporting values were missing."""
    score = around.firm_score or around.score
    return BatchCircumstances(
        on=around.on if isinstance(around.on, date) else around.on[places],
        lists=around.lists,
        score=lambda name: score(name)[places],
        snoozed={rule: mask[places] for rule, mask in around.snoozed.items()},
    )


class _Run:
    def __init__(
        self,
        strategy: Strategy,
        columns: Mapping[str, Column],
        rows: int,
        around: BatchCircumstances,
    ) -> None:
        self.strategy: Final = strategy
        self.around: Final = around
        self.rows: Final = rows
        self.today: Final = (
            float(around.on.toordinal()) if isinstance(around.on, date) else around.on
        )
        kinds = strategy.kinds
        self.values: dict[str, Column] = {
            name: within(_cleaned(kinds[name], columns.get(name), rows), strategy.domains.get(name))
            for name in strategy.inputs
        }
        for name, kind in strategy.outputs.items():
            self.values[name] = _nothing(kind, rows)
        for name, expression in strategy.derived:
            self.values[name] = self.amount(expression)
        fixed = [name for name in self.values if name not in strategy.outputs]
        self.whole: Final = {name for name in fixed if not self.missing(name).any()}
        self.outcome = np.zeros(rows, dtype=np.int8)
        self.hits: dict[tuple[str, HitKind], Mask] = {}

    def missing(self, name: str) -> Mask:
        column = self.values[name]
        if column.dtype == object:
            return self.each(column, lambda value: value is None)
        return np.isnan(column)

    # --- the order of things -------------------------------------------------

    def check_required(self) -> None:
        for required in self.strategy.required:
            where = self.missing(required.name)
            self.miss(f"required.{required.name}", required.missing, where)

    def run(self, stages: Iterable[str], where: Mask) -> None:
        for name in stages:
            stage = self.strategy.stages[name]
            _STAGES[type(stage)](self, stage, where & (self.outcome < Outcome.DECLINE))

    # --- evidence ------------------------------------------------------------

    def note(self, rule: str, kind: HitKind, where: Mask) -> None:
        if where.any():
            before = self.hits.get((rule, kind))
            self.hits[rule, kind] = where if before is None else before | where

    def escalate(self, outcome: Outcome, where: Mask) -> None:
        np.maximum(self.outcome, where * np.int8(outcome), out=self.outcome)

    def hit(self, rule: str, effect: Effect, where: Mask) -> None:
        for output, value in effect.sets:
            self.values[output][where] = value
        if effect.outcome is None:
            self.note(rule, HitKind.TAKEN, where)
        else:
            self.note(rule, HitKind.HIT, where)
            self.escalate(effect.outcome, where)

    def miss(self, rule: str, policy: OnMissing, where: Mask) -> None:
        outcome = ON_MISSING[policy]
        if outcome is not None:
            self.note(rule, HitKind.MISSING, where)
            self.escalate(outcome, where)

    # --- conditions ----------------------------------------------------------

    def truth(self, condition: Condition) -> tuple[Mask, Mask]:
        """Return where a condition is true and where it is false."""
        if isinstance(condition, Not):
            true, false = self.truth(condition.part)
            return false, true
        if isinstance(condition, AllOf | AnyOf):
            is_all = isinstance(condition, AllOf)
            first = np.full(self.rows, is_all, dtype=np.bool_)
            true, false = first, ~first
            for part in condition.parts:
                part_true, part_false = self.truth(part)
                true = true & part_true if is_all else true | part_true
                false = false | part_false if is_all else false & part_false
            return true, false
        return self.atom(condition)

    def atom(self, atom: Atom) -> tuple[Mask, Mask]:
        if isinstance(atom, IsMissing):
            gone = self.missing(atom.name)
            return gone, ~gone
        true = self.said(atom)
        if isinstance(atom, InList):
            return true == 1, true == 0
        if all(name in self.whole for name in names_in(atom)):
            return true, ~true
        known = np.ones(self.rows, dtype=np.bool_)
        for name in names_in(atom):
            known &= ~self.missing(name)
        return true & known, ~true & known

    def said(self, atom: Atom) -> Column:
        """Return where an atom holds of what is there; of the missing it may say anything."""
        column = self.values[atom.name]
        match atom:
            case Compare(_, relation, value):
                other = self.values[value.name] if isinstance(value, Name) else value
                found = _RELATIONS[relation](column, other)
            case Between(_, low, high):
                found = (True if low is None else low <= column) & (
                    True if high is None else column < high
                )
            case OneOf(_, values) if column.dtype != object:
                found = np.isin(column, values)
            case OneOf(_, values):
                found = self.each(column, frozenset(values).__contains__)
            case HasText(_, part, text):
                found = self.each(column, lambda value: _PARTS[part](value or "", text))
            case _:
                return self.listed(atom, column)
        return _mask(found)

    def each(self, column: Column, holds: Callable[[Any], bool]) -> Mask:
        return np.fromiter(map(holds, column), np.bool_, self.rows)

    def listed(self, atom: Any, column: Column) -> NDArray[np.int8]:
        """Look every different text up once: 1 on the list, 0 not, -1 unknown."""
        found: dict[object, int] = {None: -1}
        for value in set(column) - {None}:
            held = self.around.lists.holds(atom.list_name, atom.match, value)
            found[value] = -1 if held is None else int(held)
        return np.fromiter(map(found.__getitem__, column), np.int8, self.rows)

    # --- arithmetic ----------------------------------------------------------

    def amount(self, expression: Expression) -> Floats:
        if isinstance(expression, Constant):
            return np.full(self.rows, expression.value)
        if isinstance(expression, Name):
            return self.values[expression.name]
        first, *rest = map(self.amount, expression.operands)
        if expression.operator is Operator.DAYS_SINCE:
            return self.today - first
        found = reduce(_OPERATORS[expression.operator], rest, first)
        if expression.operator in _CHOOSING:
            return found
        return np.where(np.abs(found) < LIMIT, found, np.nan)

    # --- stages --------------------------------------------------------------

    def rule_set(self, stage: RuleSet, where: Mask) -> None:
        for rule in stage.rules:
            self.rule(rule, where)

    def rule(self, rule: Rule, where: Mask) -> Mask:
        if rule.effective_from is not None:
            where = where & (rule.effective_from.toordinal() <= self.today)
        if rule.effective_to is not None:
            where = where & (self.today < rule.effective_to.toordinal())
        true, false = self.truth(rule.when)
        true, unknown = where & true, where & ~true & ~false
        snoozed = self.around.snoozed.get(rule.id) if rule.may_snooze else None
        if snoozed is not None:
            counts = true if rule.missing is OnMissing.IGNORE else true | unknown
            self.note(rule.id, HitKind.SNOOZED, counts & snoozed)
            true, unknown = true & ~snoozed, unknown & ~snoozed
        self.hit(rule.id, rule.effect, true)
        self.miss(rule.id, rule.missing, unknown)
        return true

    def table(self, stage: Table, where: Mask) -> None:
        is_first = stage.policy is Policy.FIRST
        is_unique = stage.policy is Policy.UNIQUE
        doubtful = np.zeros(self.rows, dtype=np.bool_)
        for row in stage.rows:
            true, false = self.truth(row.when)
            true, unknown = where & true, where & ~true & ~false
            self.hit(row.id, row.effect, true)
            if is_unique:
                where, doubtful = where & ~true, doubtful | unknown
            else:
                self.miss(row.id, stage.missing, unknown)
            if is_first:
                where = where & false
        if is_unique:
            self.miss(stage.id, stage.missing, where & doubtful)

    def card(self, stage: Card, where: Mask) -> None:
        total = card_scores(stage.scorecard, [self.values[name] for name in names_read(stage)])
        self.put(stage.output, total, where)
        self.miss(stage.id, stage.missing, where & np.isnan(total))

    def model(self, stage: Model, where: Mask) -> None:
        score = _cleaned(Kind.NUMBER, self.around.score(stage.model), self.rows)
        self.put(stage.output, score, where)
        self.miss(stage.id, stage.missing, where & np.isnan(score))

    def tree(self, stage: Tree, where: Mask) -> None:
        self.tree_node(stage, stage.root, where)

    def tree_node(self, tree: Tree, node: TreeNode, where: Mask) -> None:
        if not isinstance(node, Fork):
            self.hit(node.id, node.effect, where)
            return
        true, false = self.truth(node.when)
        self.miss(tree.id, tree.missing, where & ~true & ~false)
        self.tree_node(tree, node.then, where & true)
        self.tree_node(tree, node.otherwise, where & false)

    def branch(self, stage: Branch, where: Mask) -> None:
        for case in stage.cases:
            true, false = self.truth(case.when)
            self.miss(case.id, stage.missing, where & ~true & ~false)
            self.note(case.id, HitKind.TAKEN, where & true)
            self.run(case.stages, where & true)
            where = where & false
        self.run(stage.otherwise, where)

    def compute(self, stage: Compute, where: Mask) -> None:
        for output, expression in stage.sets:
            amount = self.amount(expression)
            self.put(output, amount, where)
            self.miss(f"{stage.id}.{output}", stage.missing, where & np.isnan(amount))

    def final(self, stage: FinalRules, where: Mask) -> None:
        approved = np.zeros(self.rows, dtype=np.bool_)
        for rule in stage.rules:
            approved |= self.rule(rule, where)
        rest = where & ~approved & (self.outcome == Outcome.APPROVE)
        self.hit(f"{stage.id}.otherwise", stage.otherwise, rest)

    def put(self, output: str, found: Floats, where: Mask) -> None:
        self.values[output] = np.where(where, found, self.values[output])


def _nothing(kind: Kind, rows: int) -> Column:
    if kind is Kind.TEXT:
        return np.full(rows, None, dtype=object)
    return np.full(rows, np.nan)


def _cleaned(kind: Kind, column: Column | None, rows: int) -> Column:
    """Make odd values missing."""
    if column is None:
        return _nothing(kind, rows)
    if column.dtype != np.float64 or kind is Kind.TEXT:
        found = map(CLEAN[kind], column.tolist())
        return np.fromiter(found, object if kind is Kind.TEXT else np.float64, rows)
    if kind is Kind.NUMBER:
        is_odd = ~(np.abs(column) < LIMIT)
    elif kind is Kind.TRUTH:
        is_odd = (column != 0) & (column != 1)
    else:
        is_odd = ~((column >= 1) & (column <= LAST_DAY) & (np.floor(column) == column))
    return np.where(is_odd, np.nan, column) if is_odd.any() else column


def within(column: Column, domain: Domain | None) -> Column:
    """Make missing what a dimension cannot hold."""
    if domain is None:
        return column
    if column.dtype == object:
        kept = (value if value in domain.choices else None for value in column)
        return np.fromiter(kept, object, len(column))
    is_odd = (column < domain.low) | (column > domain.high)
    return np.where(is_odd, np.nan, column) if is_odd.any() else column


def _mask(found: Any) -> Mask:
    """Comparisons of objects give objects; everything else gives masks already."""
    return np.asarray(found).astype(np.bool_)


def _least(left: Floats, right: Floats) -> Floats:
    return np.where(np.isnan(left) | np.isnan(right), np.nan, np.where(left <= right, left, right))


def _greatest(left: Floats, right: Floats) -> Floats:
    return np.where(np.isnan(left) | np.isnan(right), np.nan, np.where(left >= right, left, right))


_CHOOSING: Final = frozenset({Operator.FIRST_OF, Operator.LEAST, Operator.GREATEST})
_OPERATORS: Final[Mapping[Operator, Callable[[Floats, Floats], Floats]]] = {
    Operator.ADD: np.add,
    Operator.SUBTRACT: np.subtract,
    Operator.MULTIPLY: np.multiply,
    Operator.DIVIDE: lambda left, right: np.where(right == 0, np.nan, left / right),
    Operator.LEAST: _least,
    Operator.GREATEST: _greatest,
    Operator.ROUND_DOWN: lambda left, step: left // step * step,
    Operator.FIRST_OF: lambda left, right: np.where(np.isnan(left), right, left),
}
_RELATIONS: Final[Mapping[Relation, Callable[[Any, Any], Any]]] = {
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
_STAGES: Final[Mapping[type, Callable[[_Run, Any, Mask], None]]] = {
    RuleSet: _Run.rule_set,
    Table: _Run.table,
    Card: _Run.card,
    Model: _Run.model,
    Tree: _Run.tree,
    Branch: _Run.branch,
    Compute: _Run.compute,
    FinalRules: _Run.final,
}
