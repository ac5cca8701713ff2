"""`fenqi bench rules`: thirty rules with evidence and missing checks, in the generated function.

The yardstick is the same rules as plain closures, which is what one would write by hand. Both keep
the values that a hit read; only the generated one also tells missing from false.
"""

import math
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cli.bench.credit import CreditWorld
from cli.bench.figures import ROUNDS, Asked, Figure, WrongAnswer, middle, surroundings
from risk.strategy.compiler import Compiled, compile_strategy
from risk.strategy.language import Compare, Relation, RuleSet
from risk.strategy.reading import read_strategy
from risk.strategy.walking import atoms_of, pushed_down

BUDGET_US: Final = 2.0

_ROWS: Final = 400
_REPEATS: Final = 50
_RULES: Final = 30
_TODAY: Final = 740_000
_QUIET: Final = 10  # the tenth percentile: the rest is other work's doing

Row = Mapping[str, float]
Closure = Callable[[Row], dict[str, float] | None]

_RELATIONS: Final[Mapping[Relation, Callable[[Any, Any], bool]]] = {
    Relation.ABOVE: operator.gt,
    Relation.BELOW: operator.lt,
}


def measure(asked: Asked) -> Figure:
    """Time both on the same rows, in turns."""
    world = CreditWorld()
    compiled = _thirty_rules(world)
    names, drawn = compiled.strategy.inputs, (world.values() for _ in range(asked.scale or _ROWS))
    rows = [{name: values.get(name, math.nan) for name in names} for values in drawn]
    closures = _closures(compiled)
    _check(compiled, closures, rows)
    values = [tuple(row[name] for name in names) for row in rows]
    nobody: frozenset[str] = frozenset()

    def by_function() -> None:
        function = compiled.function
        for each in values:
            function(each, _TODAY, nobody, None, None)

    def by_closures() -> None:
        for row in rows:
            hits = []
            for rule, closure in closures:
                read = closure(row)
                if read is not None:
                    hits.append((rule, "review", read))

    found: dict[str, list[float]] = {"function": [], "closures": []}
    for _ in range(ROUNDS):
        found["function"].append(_quiet(by_function, len(rows)))
        found["closures"].append(_quiet(by_closures, len(rows)))
    figure, yardstick = middle(found["function"]), middle(found["closures"])
    details = {
        "rules": len(closures),
        "rows": len(rows),
        "closures_us": yardstick,
        "rounds": found,
        "budget_us": BUDGET_US,
        "is_within_budget": figure <= BUDGET_US,
    }
    return Figure(
        name="rules",
        figure=figure,
        unit="µs/decision",
        yardstick="the same rules as plain closures over a dictionary",
        ratio=round(yardstick / figure, 4),
        p99_ms=None,
        details=details | surroundings(),
    )


def _thirty_rules(world: CreditWorld) -> Compiled:
    """Compile rules alone: no card, no model, no statutory pack."""
    document = world.own_rules(_RULES)
    return compile_strategy(
        read_strategy(document, world.catalogue), product=document["products"][0]["product"]
    )


def _closures(compiled: Compiled) -> list[tuple[str, Closure]]:
    stages = compiled.strategy.stages.values()
    rules = [rule for stage in stages if isinstance(stage, RuleSet) for rule in stage.rules]
    return [(rule.id, _closure(rule.when)) for rule in rules]


def _closure(condition: Any) -> Closure:
    parts = [
        (atom.name, _RELATIONS[atom.relation], atom.value)
        for atom, _ in atoms_of(pushed_down(condition))
        if isinstance(atom, Compare)
    ]

    def holds(row: Row) -> dict[str, float] | None:
        for name, relation, value in parts:
            if not relation(row[name], value):
                return None
        return {name: row[name] for name, _, _ in parts}

    return holds


def _check(
    compiled: Compiled, closures: Sequence[tuple[str, Closure]], rows: Sequence[Row]
) -> None:
    """Make sure that both hit the same rules, and that some are hit.

    Raises:
        WrongAnswer: They do not, or none is.
    """
    total = 0
    for row in rows:
        values = tuple(row[name] for name in compiled.strategy.inputs)
        raw = compiled.function(values, _TODAY, frozenset(), None, None)
        own = {rule for rule, _ in closures}
        hit = {each[0] for each in raw[1] if each[0] in own}
        expected = {rule for rule, closure in closures if closure(row) is not None}
        total += len(hit)
        if hit != expected:
            raise WrongAnswer(f"the function hit {sorted(hit)}, the closures {sorted(expected)}")
    if not total:
        raise WrongAnswer("no rule was hit")


def _quiet(work: Callable[[], None], rows: int) -> float:
    """Return the microseconds a row took when least disturbed."""
    taken = []
    for _ in range(_REPEATS):
        started = time.perf_counter_ns()
        work()
        taken.append(time.perf_counter_ns() - started)
    return round(sorted(taken)[len(taken) // _QUIET] / rows / 1_000, 3)
