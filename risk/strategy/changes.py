"""Which smallest single change would have led to a better outcome: a value, a score, or a rule.

It answers "why not" for staff and for appeals; it recommends nothing. Every answer is tried out on
the strategy itself, models scored anew, so no answer can be wrong, while some may stay unfound.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from risk.features.catalogue import Kind
from risk.features.values import CLEAN, LAST_DAY, LIMIT, is_missing, shown
from risk.models.card import Scorecard
from risk.models.generated import Scorer
from risk.models.trees import LEAF, BoostedTrees
from risk.strategy.compiler import Compiled
from risk.strategy.decision import Circumstances, Decision, HitKind
from risk.strategy.interpreter import interpret
from risk.strategy.language import (
    Between,
    Card,
    Compare,
    Condition,
    Model,
    OneOf,
    Outcome,
    Strategy,
)
from risk.strategy.parts import parts_of, without
from risk.strategy.scoring import asking
from risk.strategy.walking import atoms_of, conditions_of, pushed_down

_HALVINGS: Final = 80
# From LIMIT on a number is no value, and a value that is not there is no advice.
_LARGEST: Final = math.nextafter(LIMIT, 0)
_FIRST_STEP: Final = 2.0**-20
_MOST_EDGES: Final = 2_000
_DECIMALS: Final = 6
# A rounder value may be this much farther off than the nearest one.
_ROUNDER: Final = 1.1

Try: TypeAlias = Callable[[float | str], Outcome | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value that would have helped.

    Attributes:
        name: Of a dimension or counter.
        value: The nearest that was found.
        outcome: What would have been decided with it.
        was: What it was; None where missing.
        distance: How far that is, as a share of the larger of both; 1 for what is no number.
    """

    name: str
    value: float | str | bool | None
    outcome: Outcome
    was: float | str | bool | None = field(default=None, compare=False)
    distance: float = field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreChange:
    """A score that would have helped: how much was lacking.

    Attributes:
        stage: The card or model.
        output: What it set.
    """

    stage: str
    output: str
    was: float
    value: float
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """A rule, a row or a required field without which it would have come out better."""

    rule: str
    title: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """All single changes that were found, the best and nearest of each kind first."""

    fields: tuple[Change, ...]
    scores: tuple[ScoreChange, ...]
    rules: tuple[RuleChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A model that the strategy calls, and its function."""

    model: Scorecard | BoostedTrees
    scorer: Scorer


NO_CALLS: Final[Mapping[str, Called]] = MappingProxyType({})


def why_not(
    compiled: Compiled,
    row: Mapping[str, object],
    around: Circumstances,
    *,
    calls: Mapping[str, Called] = NO_CALLS,
) -> WhyNot:
    """Find every single change that would have led to a better outcome.

    Args:
        compiled: The product that decided.
        row: Its raw values, those of the models too.
        around: Its circumstances.
        calls: The models by name; without them their scores stay as they are.
    """
    return WhyNot(
        fields=helpful_changes(compiled, row, around, calls=calls),
        scores=helpful_scores(compiled, row, around),
        rules=helpful_removals(compiled, row, around),
    )


def helpful_changes(
    compiled: Compiled,
    row: Mapping[str, object],
    around: Circumstances,
    *,
    calls: Mapping[str, Called] = NO_CALLS,
) -> tuple[Change, ...]:
    """Find for every input the nearest value that leads to a better outcome, the best first.

    Args: As `why_not` takes them.
    """
    strategy = compiled.strategy
    decided = compiled.decide(row, around)
    features = [name for called in calls.values() for name in called.model.features]
    found = []
    for name in dict.fromkeys((*strategy.inputs, *features)):
        kind = strategy.kinds.get(name, Kind.NUMBER)

        def better(value: float | str, name: str = name) -> Outcome | None:
            trial = {**row, name: value}
            return _better(compiled.decide(trial, _scored(strategy, trial, around, calls)), decided)

        start = CLEAN[kind](row.get(name))
        edges = _edges(strategy, name, calls)
        for value in _candidates(strategy, name, start, edges, better):
            outcome = better(value)
            if outcome is not None:
                found.append(_change(name, kind, start, value, outcome))
    return tuple(sorted(found, key=lambda change: (change.outcome, change.distance)))


def helpful_scores(
    compiled: Compiled, row: Mapping[str, object], around: Circumstances
) -> tuple[ScoreChange, ...]:
    """Find for each card or model that scored the nearest score with a better outcome.

    A card's score moves by whole points, as if its base did.
    """
    strategy, product = compiled.strategy, compiled.product
    decided = compiled.decide(row, around)
    found = []
    for stage in strategy.stages.values():
        was = decided.outputs.get(stage.output) if isinstance(stage, (Card, Model)) else None
        if not isinstance(stage, (Card, Model)) or was is None:
            continue

        def better(value: float | str, stage: Card | Model = stage, was: float = was) -> Any:
            other, seen = _as_if(strategy, around, stage, was, float(value))
            return _better(interpret(other, row, product=product, around=seen).decision, decided)

        is_whole, edges = isinstance(stage, Card), _edges(strategy, stage.output, NO_CALLS)
        for sign in (1, -1):
            near = _nearest(was, sign, sign * _LARGEST, better, edges, is_whole=is_whole)
            for value, outcome in ((each, better(each)) for each in near):
                found.append(
                    ScoreChange(
                        stage=stage.id, output=stage.output, was=was, value=value, outcome=outcome
                    )
                )
    return tuple(sorted(found, key=lambda each: (each.outcome, abs(each.value - each.was))))


def helpful_removals(
    compiled: Compiled, row: Mapping[str, object], around: Circumstances
) -> tuple[RuleChange, ...]:
    """Find the rules, rows and required fields that alone stood in the way."""
    strategy, product = compiled.strategy, compiled.product
    decided = compiled.decide(row, around)
    titles = {part.id: part.title for part in parts_of(strategy, product=product)}
    found = []
    for rule in dict.fromkeys(hit.rule for hit in decided.hits if hit.outcome == decided.outcome):
        other = without(strategy, rule)
        if other is not None:
            trial = interpret(other, row, product=product, around=around).decision
            if trial.outcome < decided.outcome:
                title = titles.get(rule, "")
                found.append(RuleChange(rule=rule, title=title, outcome=trial.outcome))
    return tuple(sorted(found, key=lambda each: each.outcome))


def _scored(
    strategy: Strategy,
    row: Mapping[str, object],
    around: Circumstances,
    calls: Mapping[str, Called],
) -> Circumstances:
    """Let the models score a changed row."""
    if not calls:
        return around
    scorers = {name: (called.model.features, called.scorer) for name, called in calls.items()}
    score, firm_score = asking(strategy, row, scorers)
    return replace(around, score=score, firm_score=firm_score)


def _as_if(
    strategy: Strategy, around: Circumstances, stage: Card | Model, was: float, value: float
) -> tuple[Strategy, Circumstances]:
    """Let a card or a model come to another score."""
    if isinstance(stage, Model):
        said = around.score
        model = stage.model
        score = lambda name: value if name == model else said(name)  # noqa: E731
        seen = replace(around, score=score, firm_score=None)
        return strategy, seen
    card = replace(stage.scorecard, base=stage.scorecard.base + int(value - was))
    stages = {**strategy.stages, stage.id: replace(stage, scorecard=card)}
    return replace(strategy, stages=stages), around


def _better(trial: Decision, decided: Decision) -> Outcome | None:
    is_better = trial.outcome < decided.outcome and _gaps(trial) <= _gaps(decided)
    return trial.outcome if is_better else None


def _gaps(decision: Decision) -> int:
    """Count what could not be told: a change that only makes more of it is none."""
    return sum(hit.kind is HitKind.MISSING for hit in decision.hits)


def _change(name: str, kind: Kind, start: Any, value: float | str, outcome: Outcome) -> Change:
    distance = 1.0
    if kind is Kind.NUMBER and not is_missing(start) and not isinstance(value, str):
        distance = abs(value - start) / max(abs(value), abs(start), math.ulp(0.0))
    return Change(
        name=name,
        value=shown(kind, value),
        outcome=outcome,
        was=shown(kind, start),
        distance=distance,
    )


def _candidates(
    strategy: Strategy, name: str, start: Any, edges: tuple[float, ...], better: Try
) -> Iterator[float | str]:
    """Find what to try for an input; a value that is not negative stays so."""
    kind = strategy.kinds.get(name, Kind.NUMBER)
    if kind is Kind.TEXT:
        yield from [value for value in _texts(strategy, name) if better(value) is not None][:1]
    elif kind is Kind.TRUTH:
        yield from (0.0, 1.0)
    else:
        is_whole = kind is Kind.DAY
        origin = start if not is_missing(start) else float(is_whole)
        if is_missing(start) and better(origin) is not None:
            yield origin
            return
        lowest = 1.0 if is_whole else min(0.0, math.copysign(_LARGEST, origin))
        for sign, end in ((1, LAST_DAY if is_whole else _LARGEST), (-1, lowest)):
            yield from _nearest(origin, sign, end, better, edges, is_whole=is_whole)


def _nearest(
    start: float,
    sign: int,
    end: float,
    better: Try,
    edges: tuple[float, ...],
    *,
    is_whole: bool,
) -> Iterator[float]:
    """Find the nearest value towards an end that helps: at an edge, or by halves between them."""
    found = [
        *_at_edges(start, sign, end, better, edges, is_whole=is_whole),
        *_by_halves(start, sign, end, better, is_whole=is_whole),
    ]
    if found:
        far = min(found, key=lambda value: abs(value - start))
        yield far if far in edges else _rounder(start, far, sign, better)


def _at_edges(
    start: float,
    sign: int,
    end: float,
    better: Try,
    edges: tuple[float, ...],
    *,
    is_whole: bool,
) -> Iterator[float]:
    """Try what the strategy and its models compare with, and what is just beyond that."""
    ahead = sorted((edge for edge in edges if sign * (edge - start) >= 0), key=lambda e: sign * e)
    for edge in ahead[:_MOST_EDGES]:
        beyond = edge + sign if is_whole else math.nextafter(edge, sign * math.inf)
        for value in (edge, beyond):
            if value != start and sign * (end - value) >= 0 and better(value) is not None:
                yield value
                return


def _by_halves(
    start: float, sign: int, end: float, better: Try, *, is_whole: bool
) -> Iterator[float]:
    """Go towards an end in doubling steps until something helps, then come back by halves."""
    near, far, step = start, start, 1.0 if is_whole else _FIRST_STEP
    while far == start or better(far) is None:
        if far == end:
            return
        near, far, step = far, start + sign * step, step * 2
        far = min(far, end) if sign > 0 else max(far, end)
    rounded = math.ceil if sign > 0 else math.floor
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        middle = float(rounded(middle)) if is_whole else middle
        if middle in {near, far}:
            break
        near, far = (near, middle) if better(middle) is not None else (middle, far)
    yield far


def _rounder(start: float, far: float, sign: int, better: Try) -> float:
    """Prefer a whole number where the value was one, else as few decimals as stay near."""
    rounded: Callable[[float], int] = math.ceil if sign > 0 else math.floor
    whole = float(rounded(far))
    if start.is_integer() and better(whole) is not None:
        return whole
    for decimals in range(_DECIMALS + 1):
        unit = float(10**decimals)
        plain = float(rounded(far * unit)) / unit
        if abs(plain - start) <= _ROUNDER * abs(far - start) and better(plain) is not None:
            return plain
    return far


def _edges(strategy: Strategy, name: str, calls: Mapping[str, Called]) -> tuple[float, ...]:
    """Name the numbers at which something that reads a name may change."""
    found: set[float] = set()
    for stage in strategy.stages.values():
        for condition in conditions_of(stage):
            found.update(_edges_in(condition, name))
        if isinstance(stage, Card):
            found.update(_edges_of_card(stage.scorecard, name))
    for called in calls.values():
        if isinstance(called.model, Scorecard):
            found.update(_edges_of_card(called.model, name))
        elif name in called.model.features:
            found.update(_edges_of_trees(called.model, called.model.features.index(name)))
    return tuple(sorted(found))


def _edges_in(condition: Condition, name: str) -> Iterator[float]:
    for atom, _ in atoms_of(pushed_down(condition)):
        if atom.name != name:
            continue
        match atom:
            case Compare(value=float(value)):
                yield value
            case Between(low=low, high=high):
                yield from (end for end in (low, high) if end is not None)
            case OneOf(values=values):
                yield from (value for value in values if isinstance(value, float))


def _edges_of_card(card: Scorecard, name: str) -> Iterator[float]:
    for each in card.characteristics:
        if each.name == name:
            yield from each.edges
            yield from (value for value, _ in each.specials)


def _edges_of_trees(model: BoostedTrees, place: int) -> Iterator[float]:
    for tree in model.trees:
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
            if feature == place != LEAF:
                yield threshold


def _texts(strategy: Strategy, name: str) -> Iterator[str]:
    """Name the texts that the strategy compares a name with."""
    for stage in strategy.stages.values():
        for condition in conditions_of(stage):
            for atom, _ in atoms_of(pushed_down(condition)):
                if atom.name == name and isinstance(atom, Compare) and isinstance(atom.value, str):
                    yield atom.value
                if atom.name == name and isinstance(atom, OneOf):
                    yield from map(str, atom.values)
