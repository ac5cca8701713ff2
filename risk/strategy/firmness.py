"""Whether anybody could be declined on supporting values alone: asked before anything is published.

A link to bad customers or a face score may weigh in, and may ask for a review. Looked through here
is what a file would lead to that holds nothing but such values: no rule, row or leaf may decline
on it, and no card or model may be filled by it so that something behind declines. Nor may what
stands beside a supporting value be true of everybody. `risk.strategy.safety` asks less, so that
what was published once stays readable; the engine itself sends to a person what would not be
declined without supporting values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product as crossed
from typing import Final

from risk.models.card import Scorecard
from risk.models.trees import BoostedTrees
from risk.strategy.checking import placed, rules_of
from risk.strategy.language import (
    ATOMS,
    AllOf,
    AnyOf,
    Arithmetic,
    Branch,
    Card,
    Compare,
    Compute,
    Condition,
    Constant,
    Effect,
    Expression,
    FinalRules,
    IsMissing,
    Model,
    Name,
    Not,
    OnMissing,
    Operator,
    Outcome,
    Policy,
    RuleSet,
    Stage,
    Strategy,
    Table,
    Tree,
)
from risk.strategy.problems import Code, Problem, Problems
from risk.strategy.regions import EVERYTHING, Box, Span, box_of
from risk.strategy.walking import names_in, names_read, outputs_of, paths_of, pushed_down

Models = Mapping[str, Scorecard | BoostedTrees]

_MOST_WAYS: Final = 256


def declined_alone(strategy: Strategy, *, models: Models) -> tuple[Problem, ...]:
    """Say where a strategy could decline on supporting values alone; empty if nowhere.

    Args:
        strategy: Read and checked.
        models: What it calls, by name; one that is not there counts as firm.
    """
    problems = Problems()
    found = _File(strategy, models)
    for path, stage in placed(strategy):
        for where in found.declines(path, stage):
            problems.add(where, Code.SUPPORT_DECLINES)
    return tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Where a stage may end, and what that rests on."""

    path: str
    when: Condition
    names: frozenset[str]
    can_be: bool
    effect: Effect


@dataclass(slots=True)
class _File:
    """A file of which only supporting values are there.

    Attributes:
        there: Names that may have a value all the same.
        touched: Names in which a supporting value has a part.
        led: What the branches read that lead to a stage.
    """

    strategy: Strategy
    models: Models
    there: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    led: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.there |= self.strategy.support
        self.touched |= self.strategy.support
        for stage_ids in self.strategy.products.values():
            self._lead(stage_ids, frozenset())
        size = -1
        while size < len(self.there) + len(self.touched):
            size = len(self.there) + len(self.touched)
            self._spread()

    def declines(self, path: str, stage: Stage) -> Iterator[str]:
        """Walk what declines in a stage."""
        led = self.led.get(stage.id, frozenset())
        for end in self._ends(path, stage):
            if end.effect.outcome is Outcome.DECLINE and self._rests_on_support(end, led):
                yield end.path
        for where, rule in rules_of(path, stage):
            if rule.missing is OnMissing.DECLINE and self._is_touched({*names_in(rule.when), *led}):
                yield f"{where}.missing"
        if isinstance(stage, FinalRules):
            if stage.otherwise.outcome is Outcome.DECLINE and self._is_touched(led):
                yield f"{path}.otherwise"
        elif not isinstance(stage, RuleSet):
            is_touched = self._is_touched({*self._read(stage), *led})
            if stage.missing is OnMissing.DECLINE and is_touched:
                yield f"{path}.missing"

    def _rests_on_support(self, end: _End, led: frozenset[str]) -> bool:
        names = end.names | led
        if not self._is_touched(names):
            return False
        alone = self.there & self.touched
        return end.can_be or (bool(names & alone) and not self._is_refutable(end.when, alone))

    def _is_touched(self, names: set[str] | frozenset[str]) -> bool:
        return bool(self.touched & names)

    def _read(self, stage: Stage) -> tuple[str, ...]:
        model = self.models.get(stage.model) if isinstance(stage, Model) else None
        return names_read(stage) if model is None else model.features

    # --- where names come from ---

    def _lead(self, stage_ids: tuple[str, ...], above: frozenset[str]) -> None:
        for stage_id in stage_ids:
            self.led[stage_id] = self.led.get(stage_id, frozenset()) | above
            stage = self.strategy.stages[stage_id]
            if isinstance(stage, Branch):
                inside = above | frozenset(names_read(stage))
                for inner in (*(case.stages for case in stage.cases), stage.otherwise):
                    self._lead(inner, inside)

    def _spread(self) -> None:
        for name, value in self.strategy.derived:
            self._take(name, is_there=self._has_value(value), sources=set(names_in(value)))
        for stage in self.strategy.stages.values():
            sources = {*self._read(stage), *self.led.get(stage.id, ())}
            for output in outputs_of(stage):
                self._take(output, is_there=self._sets(stage, output), sources=sources)

    def _take(self, name: str, *, is_there: bool, sources: set[str]) -> None:
        if is_there:
            self.there.add(name)
        if self._is_touched(sources):
            self.touched.add(name)

    def _sets(self, stage: Stage, output: str) -> bool:
        """Say whether a stage may set an output."""
        match stage:
            case Card(scorecard=card):
                return self._is_filled(card)
            case Model(model=name):
                return name in self.models and self._is_filled(self.models[name])
            case Compute(sets=sets):
                return any(name == output and self._has_value(value) for name, value in sets)
            case _:
                ends = self._ends("", stage)
                return any(end.can_be and output in dict(end.effect.sets) for end in ends)

    def _is_filled(self, model: Scorecard | BoostedTrees) -> bool:
        """Say whether a model gives a score."""
        absent = [name for name in model.features if name not in self.there]
        if isinstance(model, Scorecard):
            holes = {each.name for each in model.characteristics if each.missing is None}
            if holes & set(absent):
                return False
        return len(absent) <= model.missing_at_most

    def _has_value(self, value: Expression) -> bool:
        match value:
            case Constant():
                return True
            case Name(name):
                return name in self.there
            case Arithmetic(Operator.FIRST_OF, operands):
                return any(map(self._has_value, operands))
            case Arithmetic(_, operands):
                return all(map(self._has_value, operands))

    # --- what may hold ---

    def _ends(self, path: str, stage: Stage) -> Iterator[_End]:
        """Walk where a stage may end with an effect; rows of a first table stand behind others."""
        for where, rule in rules_of(path, stage):
            yield self._end(f"{where}.outcome", rule.when, rule.effect)
        if isinstance(stage, Tree):
            for conditions, leaf in paths_of(stage.root):
                yield self._end(f"{path}.root", AllOf(conditions), leaf.effect)
        if isinstance(stage, Table):
            behind: list[Condition] = []
            for n, row in enumerate(stage.rows):
                yield self._end(f"{path}.rows[{n}]", row.when, row.effect, *behind)
                if stage.policy is Policy.FIRST:
                    behind.append(Not(row.when))

    def _end(self, path: str, when: Condition, effect: Effect, *behind: Condition) -> _End:
        whole = AllOf((when, *behind))
        return _End(
            path=path,
            when=whole,
            names=frozenset(names_in(whole)),
            can_be=self._can_hold(pushed_down(whole)),
            effect=effect,
        )

    def _can_hold(self, condition: Condition) -> bool:
        """Say whether a pushed-down condition may certainly be true on such a file."""
        match condition:
            case AllOf(parts):
                return all(map(self._can_hold, parts))
            case AnyOf(parts):
                return any(map(self._can_hold, parts))
            case IsMissing():
                return True
            case Not(part):
                return set(names_in(part)) <= self.there
            case _:
                return set(names_in(condition)) <= self.there

    # --- what is true of everybody ---

    def _is_refutable(self, condition: Condition, alone: set[str]) -> bool:
        """Say whether something firm that is known can make a condition false.

        What has too many ways to look through counts as refutable.
        """
        ways = self._ways(pushed_down(Not(condition)), alone)
        return ways is None or any(box.contradiction() is None for box in ways)

    def _ways(self, condition: Condition, alone: set[str]) -> list[Box] | None:
        """List in which ways firm values can make a pushed-down condition true; None if many."""
        match condition:
            case AllOf(parts) | AnyOf(parts):
                found = [self._ways(part, alone) for part in parts]
            case _:
                return self._way(condition, alone)
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        if isinstance(condition, AnyOf):
            every = [box for each in known for box in each]
            return every if len(every) <= _MOST_WAYS else None
        size = 1
        for each in known:
            size *= len(each)
        return _met(known) if size <= _MOST_WAYS else None

    def _way(self, condition: Condition, alone: set[str]) -> list[Box]:
        atom = condition.part if isinstance(condition, Not) else condition
        names = set(names_in(atom))
        if isinstance(atom, IsMissing) or names <= alone:
            return []
        if not isinstance(atom, ATOMS) or (isinstance(atom, Compare) and len(names) > 1):
            return [EVERYTHING]
        domain = self.strategy.domains.get(atom.name)
        box = box_of((condition,), self.strategy.kinds)
        if domain is None or domain.choices or not isinstance(box.regions.get(atom.name), Span):
            return [box]
        span = Span((((domain.low, 0), (domain.high, 1)),), has_missing=False)
        return [box.meet(Box({atom.name: span}, frozenset()))]


def _met(parts: list[list[Box]]) -> list[Box]:
    found = []
    for chosen in crossed(*parts):
        box = EVERYTHING
        for each in chosen:
            box = box.meet(each)
        found.append(box)
    return found
