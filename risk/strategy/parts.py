"""The parts of a strategy that may stand in the evidence, and the strategy without one of them.

Coverage, marginal hits and "which rule changed it" all ask for these. It runs nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from risk.strategy.language import (
    ON_MISSING,
    Branch,
    Card,
    Compute,
    FinalRules,
    Model,
    OnMissing,
    Outcome,
    Policy,
    Rule,
    RuleSet,
    Stage,
    Strategy,
    Table,
    Tree,
)
from risk.strategy.walking import paths_of


class PartKind(StrEnum):
    """What a part is."""

    REQUIRED = "required"
    RULE = "rule"
    ROW = "row"
    LEAF = "leaf"
    CASE = "case"
    STAGE = "stage"  # a card, a model, a tree or table as a whole: it can only miss
    SET = "set"  # an output that is computed: it can only miss
    OTHERWISE = "otherwise"


# These are taken or hit; the others are seen in the evidence only where something is missing.
TAKEN: Final = frozenset(
    {PartKind.RULE, PartKind.ROW, PartKind.LEAF, PartKind.CASE, PartKind.OTHERWISE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part.

    Attributes:
        id: As it stands in hits.
        stage: Where it stands; empty for required fields.
        outcome: What it asks for if it holds; None if it only sets or leads.
        missing: What it asks for if it cannot be told; None if nothing.
    """

    id: str
    kind: PartKind
    stage: str
    title: str
    outcome: Outcome | None
    missing: Outcome | None


def parts_of(strategy: Strategy, *, product: str) -> tuple[Part, ...]:
    """List the parts that a product can come to, in the order of the strategy, each once.

    Raises:
        KeyError: The strategy has no such product.
    """
    found = [_required(each.name, each.missing) for each in strategy.required]
    found += _of_stages(strategy, strategy.products[product])
    return tuple({part.id: part for part in found}.values())


def _required(name: str, missing: OnMissing) -> Part:
    return Part(
        id=f"required.{name}",
        kind=PartKind.REQUIRED,
        stage="",
        title=name,
        outcome=None,
        missing=ON_MISSING[missing],
    )


def _of_stages(strategy: Strategy, names: Iterable[str]) -> Iterator[Part]:
    for name in names:
        stage = strategy.stages[name]
        yield from _of_stage(stage)
        if isinstance(stage, Branch):
            for case in stage.cases:
                yield from _of_stages(strategy, case.stages)
            yield from _of_stages(strategy, stage.otherwise)


def _of_stage(stage: Stage) -> Iterator[Part]:
    match stage:
        case RuleSet(rules=rules):
            yield from (_rule(stage.id, rule) for rule in rules)
        case FinalRules(rules=rules, otherwise=otherwise):
            yield from (_rule(stage.id, rule) for rule in rules)
            yield _part(stage, PartKind.OTHERWISE, f"{stage.id}.otherwise", otherwise.outcome)
        case Table():
            yield from _of_table(stage)
        case Tree(root=root):
            leaves = (leaf for _, leaf in paths_of(root))
            yield from (_part(stage, PartKind.LEAF, x.id, x.effect.outcome) for x in leaves)
            yield _part(stage, PartKind.STAGE, stage.id, None, stage.missing)
        case Branch(cases=cases, missing=missing):
            yield from (_part(stage, PartKind.CASE, x.id, None, missing) for x in cases)
        case Compute(sets=sets, missing=missing):
            for output, _ in sets:
                yield _part(stage, PartKind.SET, f"{stage.id}.{output}", None, missing)
        case Card() | Model():
            yield _part(stage, PartKind.STAGE, stage.id, None, stage.missing)


def _of_table(table: Table) -> Iterator[Part]:
    """A row that is unknown counts by itself, but for `unique`, where the table as a whole does."""
    is_unique = table.policy is Policy.UNIQUE
    of_row = None if is_unique else table.missing
    for row in table.rows:
        yield _part(table, PartKind.ROW, row.id, row.effect.outcome, of_row)
    if is_unique:
        yield _part(table, PartKind.STAGE, table.id, None, table.missing)


def _rule(stage: str, rule: Rule) -> Part:
    return Part(
        id=rule.id,
        kind=PartKind.RULE,
        stage=stage,
        title=rule.title,
        outcome=rule.effect.outcome,
        missing=ON_MISSING[rule.missing],
    )


def _part(
    stage: Stage,
    kind: PartKind,
    part: str,
    outcome: Outcome | None,
    missing: OnMissing | None = None,
) -> Part:
    return Part(
        id=part,
        kind=kind,
        stage=stage.id,
        title=stage.title,
        outcome=outcome,
        missing=None if missing is None else ON_MISSING[missing],
    )


def without(strategy: Strategy, part: str) -> Strategy | None:
    """Return the strategy as it would be without a rule, a row or a required field.

    It is for asking what that part changes, never for publishing: it was not checked, and keeps
    the identity of the whole. A leaf, a case or a stage cannot be taken out alone: None.
    """
    required = tuple(each for each in strategy.required if f"required.{each.name}" != part)
    if len(required) < len(strategy.required):
        return replace(strategy, required=required)
    for name, stage in strategy.stages.items():
        changed = _stage_without(stage, part)
        if changed is not None:
            return replace(strategy, stages={**strategy.stages, name: changed})
    return None


def _stage_without(stage: Stage, part: str) -> Stage | None:
    match stage:
        case RuleSet(rules=rules) if any(rule.id == part for rule in rules):
            return replace(stage, rules=tuple(rule for rule in rules if rule.id != part))
        case Table(rows=rows) if any(row.id == part for row in rows):
            return replace(stage, rows=tuple(row for row in rows if row.id != part))
        case _:
            return None
