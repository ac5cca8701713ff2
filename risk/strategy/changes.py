"""Which single change of an applicant's data would have led to a better outcome.

It answers "why not" for staff and for appeals; it recommends nothing. Every answer is tried out on
the strategy itself, so no answer can be wrong, while some may stay unfound.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from risk.features.catalogue import Kind
from risk.features.values import CLEAN, LAST_DAY, LIMIT, is_missing, shown
from risk.strategy.compiler import Compiled
from risk.strategy.decision import Circumstances, Decision, HitKind
from risk.strategy.language import Compare, OneOf, Outcome, Strategy
from risk.strategy.walking import atoms_of, conditions_of, pushed_down

_HALVINGS: Final = 80
# From LIMIT on a number is no value, and a value that is not there is no advice.
_LARGEST: Final = math.nextafter(LIMIT, 0)
_FIRST_STEP: Final = 2.0**-20

Try: TypeAlias = Callable[[float | str], Outcome | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value that would have helped.

    Attributes:
        name: Of a dimension or counter.
        value: The nearest that was found.
        outcome: What would have been decided with it.
    """

    name: str
    value: float | str | bool | None
    outcome: Outcome


def helpful_changes(
    compiled: Compiled, row: Mapping[str, object], around: Circumstances
) -> tuple[Change, ...]:
    """Find for every input the nearest value that leads to a better outcome, the best first.

    Args:
        compiled: The product that decided.
        row: Its raw values.
        around: Its circumstances.
    """
    strategy = compiled.strategy
    decided = compiled.decide(row, around)
    found = []
    for name in strategy.inputs:
        kind = strategy.kinds[name]

        def better(value: float | str, name: str = name) -> Outcome | None:
            trial = compiled.decide({**row, name: value}, around)
            is_better = trial.outcome < decided.outcome and _gaps(trial) <= _gaps(decided)
            return trial.outcome if is_better else None

        for value in _candidates(strategy, name, CLEAN[kind](row.get(name)), better):
            outcome = better(value)
            if outcome is not None:
                found.append(Change(name=name, value=shown(kind, value), outcome=outcome))
    return tuple(sorted(found, key=lambda change: change.outcome))


def _gaps(decision: Decision) -> int:
    """Count what could not be told: a change that only makes more of it is none."""
    return sum(hit.kind is HitKind.MISSING for hit in decision.hits)


def _candidates(strategy: Strategy, name: str, start: Any, better: Try) -> Iterator[float | str]:
    """Find what to try for an input; a value that is not negative stays so."""
    kind = strategy.kinds[name]
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
            yield from _nearest(origin, sign, end, better, is_whole=is_whole)


def _nearest(
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
    plain = float(rounded(far))
    yield plain if better(plain) is not None else far


def _texts(strategy: Strategy, name: str) -> Iterator[str]:
    """Name the texts that the strategy compares a name with."""
    for stage in strategy.stages.values():
        for condition in conditions_of(stage):
            for atom, _ in atoms_of(pushed_down(condition)):
                if atom.name == name and isinstance(atom, Compare) and isinstance(atom.value, str):
                    yield atom.value
                if atom.name == name and isinstance(atom, OneOf):
                    yield from map(str, atom.values)
