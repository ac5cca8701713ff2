"""Checks that nothing approves by absence, and that supporting evidence alone never declines.

A supporting dimension (a link to bad customers, a face score) may ask for a review. What comes from
such dimensions alone is supporting too.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from risk.features.catalogue import Catalogue
from risk.models.card import Scorecard
from risk.models.trees import BoostedTrees
from risk.strategy.checking import ends_of, placed, rules_of
from risk.strategy.language import (
    AllOf,
    AnyOf,
    Arithmetic,
    Branch,
    Card,
    Compute,
    Condition,
    Constant,
    Expression,
    FinalRules,
    IsMissing,
    Model,
    Not,
    OnMissing,
    Operator,
    Outcome,
    Policy,
    RuleSet,
    Stage,
    Strategy,
    Table,
)
from risk.strategy.problems import Code, Problem, Problems
from risk.strategy.walking import (
    atoms_of,
    names_in,
    names_read,
    outputs_of,
    pushed_down,
)


def check_safety(strategy: Strategy, catalogue: Catalogue, problems: Problems) -> None:
    """Note approvals by absence and declines by supporting evidence alone."""
    _check_approvals(strategy, problems)
    support = {each.name for each in catalogue.dimensions if each.is_supporting}
    _SupportCheck(strategy, support, problems).run()


def approved_by_absence(
    strategy: Strategy, *, models: Mapping[str, Scorecard | BoostedTrees]
) -> tuple[Problem, ...]:
    """Say where a strategy could approve on a score that needs nothing to be known.

    Args:
        strategy: Read and checked.
        models: What it calls, by name; one that is not there needs something.
    """
    needless = {
        stage.output
        for stage in strategy.stages.values()
        if isinstance(stage, Model)
        and stage.model in models
        and _needs_nothing(models[stage.model])
    }
    problems = Problems()
    if needless:
        _check_approvals(strategy, problems, needless)
    return tuple(problems)


def _needs_nothing(model: Scorecard | BoostedTrees) -> bool:
    return model.missing_at_most >= len(model.features)


def _check_approvals(
    strategy: Strategy, problems: Problems, needless: AbstractSet[str] = frozenset()
) -> None:
    filled = _filled(strategy, needless)
    for path, stage in placed(strategy):
        if isinstance(stage, FinalRules):
            for where, rule in rules_of(path, stage):
                for name in _absences(rule.when, filled):
                    problems.add(f"{where}.when", Code.APPROVES_BY_ABSENCE, name=name)


def _absences(condition: Condition, filled: AbstractSet[str]) -> Iterator[str]:
    """Name what makes a condition true by being missing."""
    for atom, is_negated in atoms_of(pushed_down(condition)):
        if isinstance(atom, IsMissing) and not is_negated:
            yield atom.name
        yield from (name for name in names_in(atom) if name in filled)


def _filled(strategy: Strategy, needless: AbstractSet[str]) -> set[str]:
    """Name derived values and outputs that a missing value can bring about."""
    filled = {name for name, value in strategy.derived if _has_default(value)} | needless
    for name, value in strategy.derived:
        if filled & set(names_in(value)):
            filled.add(name)
    found = -1
    while found < len(filled):
        found = len(filled)
        for stage in strategy.stages.values():
            filled |= set(_filled_by(stage, filled))
            filled |= set(_filled_on_the_way(strategy, stage, filled))
    return filled


def _has_default(value: Expression) -> bool:
    if not isinstance(value, Arithmetic):
        return False
    is_default = value.operator is Operator.FIRST_OF and any(
        isinstance(operand, Constant) for operand in value.operands
    )
    return is_default or any(map(_has_default, value.operands))


def _filled_by(stage: Stage, filled: AbstractSet[str]) -> Iterator[str]:
    if isinstance(stage, Compute):
        for name, value in stage.sets:
            if _has_default(value) or filled & set(names_in(value)):
                yield name
    if isinstance(stage, Card):
        needs_nothing = _needs_nothing(stage.scorecard)
        if needs_nothing or filled & set(names_read(stage)):
            yield stage.output


def _filled_on_the_way(strategy: Strategy, stage: Stage, filled: AbstractSet[str]) -> Iterator[str]:
    """Name outputs that are set because something is missing, or because it kept out of a row."""
    goes_on = isinstance(stage, Branch) or (
        isinstance(stage, Table) and stage.policy is Policy.FIRST
    )
    is_doubtful = False
    for when, outputs in _ways(strategy, stage):
        if is_doubtful or any(_absences(when, filled)):
            yield from outputs
        is_doubtful |= goes_on and any(_absences(Not(when), filled))


def _ways(strategy: Strategy, stage: Stage) -> Iterator[tuple[Condition, tuple[str, ...]]]:
    """Walk the ways through a stage with the outputs that they set."""
    for _, when, effect in ends_of("", stage):
        yield when, tuple(name for name, _ in effect.sets)
    if isinstance(stage, Branch):
        cases = [(case.when, case.stages) for case in stage.cases]
        for condition, stages in (*cases, (AllOf(()), stage.otherwise)):
            outputs = (name for each in stages for name in outputs_of(strategy.stages[each]))
            yield condition, tuple(outputs)


class _SupportCheck:
    """Finds declines that rest on supporting names alone.

    Attributes:
        alone: Names that come from supporting dimensions and nothing else.
        touched: Names in which a supporting dimension has a part.
    """

    def __init__(self, strategy: Strategy, support: set[str], problems: Problems) -> None:
        self.strategy = strategy
        self.problems = problems
        self.alone = set(support)
        self.touched = set(support)
        self._spread()

    def run(self) -> None:
        for n, required in enumerate(self.strategy.required):
            if required.missing is OnMissing.DECLINE and required.name in self.touched:
                self._note(f"$.required[{n}]")
        for path, stage in placed(self.strategy):
            for where in self._declines(path, stage):
                self._note(where)

    def _note(self, path: str) -> None:
        self.problems.add(path, Code.SUPPORT_DECLINES)

    def _spread(self) -> None:
        """Follow supporting names into derived values and outputs."""
        for name, value in self.strategy.derived:
            self._take(name, names_in(value))
        setters: dict[str, list[Stage]] = {}
        for stage in self.strategy.stages.values():
            for output in outputs_of(stage):
                setters.setdefault(output, []).append(stage)
        for _ in self.strategy.outputs:
            for output, stages in setters.items():
                if not any(isinstance(stage, Model) for stage in stages):
                    self._take(output, (name for stage in stages for name in names_read(stage)))

    def _take(self, name: str, sources: Iterable[str]) -> None:
        read = set(sources)
        if read and read <= self.alone:
            self.alone.add(name)
        if read & self.touched:
            self.touched.add(name)

    def _declines(self, path: str, stage: Stage) -> Iterator[str]:
        """Find where a stage would decline by supporting names alone."""
        for where, rule in rules_of(path, stage):
            if rule.effect.outcome is Outcome.DECLINE and not self._is_firm(rule.when, stage):
                yield f"{where}.outcome"
            if rule.missing is OnMissing.DECLINE and self.touched & set(names_in(rule.when)):
                yield f"{where}.missing"
        for where, condition, effect in ends_of(path, stage):
            if effect.outcome is Outcome.DECLINE and not self._is_firm(condition, stage):
                yield where
        if self.touched & set(names_read(stage)):
            yield from self._declines_by_default(path, stage)

    def _declines_by_default(self, path: str, stage: Stage) -> Iterator[str]:
        """Find what declines where a stage that supporting names touch does not go through."""
        if isinstance(stage, FinalRules):
            if stage.otherwise.outcome is Outcome.DECLINE:
                yield f"{path}.otherwise"
        elif not isinstance(stage, RuleSet) and stage.missing is OnMissing.DECLINE:
            yield f"{path}.missing"

    def _is_firm(self, condition: Condition, stage: Stage) -> bool:
        """Judge a condition; a row that catches the rest rests on all that the table reads."""
        if condition == AllOf(()):
            return not set(names_read(stage)) <= self.alone
        if not self.alone & set(names_in(condition)):
            return True
        return _is_firm(pushed_down(condition), self.alone)


def _is_firm(condition: Condition, alone: AbstractSet[str]) -> bool:
    """Say whether a pushed-down condition can only hold with the help of a firm name."""
    match condition:
        case AllOf(parts):
            return any(_is_firm(part, alone) for part in parts)
        case AnyOf(parts):
            return all(_is_firm(part, alone) for part in parts)
        case IsMissing() | Not(IsMissing()):
            return False
        case _:
            return not set(names_in(condition)) <= alone
