"""Compiles one product of a strategy into one Python function.

The function takes the inputs as a tuple and returns plain tuples, so that a decision of thirty
rules takes about two microseconds; `Compiled.decide` wraps it for everyone else. It checks every
value itself, so that no caller can slip a string, a NaN or 1e30 past it.

    FormsDiffer  500  two forms of one strategy decided differently on a row
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from kernel.errors import FenqiError
from risk.features.values import CLEAN, NAN, day, is_missing, number, text, truth
from risk.models.writing import loaded
from risk.strategy.decision import Circumstances, Decision, Hit, HitKind, readable
from risk.strategy.emitting_stages import ProductWriter
from risk.strategy.language import SUPPORT_ALONE, Outcome, Strategy

# (outcome, hits, outputs, points), each hit (rule, outcome, reason, kind, values).
Raw: TypeAlias = tuple[
    int, list[tuple[Any, ...]], tuple[Any, ...], dict[str, tuple[int | None, ...]]
]
Function: TypeAlias = Callable[..., Raw]
Score: TypeAlias = Callable[[str], float | None]

# All that the generated text can name.
_WORLD: Final[Mapping[str, object]] = MappingProxyType(
    {
        "type": type,
        "float": float,
        "bool": bool,
        "str": str,
        "NAN": NAN,
        "number": number,
        "truth": truth,
        "day": day,
        "text": text,
    }
)


class FormsDiffer(FenqiError):
    """Two forms of one strategy decided differently on a row: never publish it."""

    code = "strategy-forms-differ"
    message_zh = "策略的三种执行形式结果不一致，不能发布"


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """One product of a strategy, ready to run.

    Attributes:
        source: The generated text, for reading.
        function: `(values, today, snoozed, holds, score)` to raw tuples; `values` in the order of
            the strategy's inputs, `today` an ordinal.
    """

    strategy: Strategy
    product: str
    source: str
    function: Function

    def decide(self, row: Mapping[str, object], around: Circumstances) -> Decision:
        """Decide on one row of raw values; what is not there is missing."""
        return self.decide_values(tuple(map(row.get, self.strategy.inputs)), around)

    def decide_values(self, values: tuple[object, ...], around: Circumstances) -> Decision:
        """Decide on raw values in the order of the strategy's inputs."""
        raw = self._run(values, around, around.score)
        decided = self.decision(raw)
        if decided.outcome is Outcome.DECLINE and (self._support or around.firm_score):
            return self._floored(values, around, decided)
        return decided

    def _run(self, values: tuple[object, ...], around: Circumstances, score: Score) -> Raw:
        today = around.on.toordinal()
        return self.function(values, today, around.snoozed, around.lists.holds, score)

    def _floored(
        self, values: tuple[object, ...], around: Circumstances, decided: Decision
    ) -> Decision:
        """Send to a person what would not be declined if supporting values were missing."""
        firm = list(values)
        for place, _ in self._support:
            firm[place] = None
        score = around.firm_score or around.score
        if firm == list(values) and score is around.score:
            return decided
        if self._run(tuple(firm), around, score)[0] == Outcome.DECLINE:
            return decided
        seen = {name: self._clean(name, values[place]) for place, name in self._support}
        there = {name: value for name, value in seen.items() if not is_missing(value)}
        said = readable(there, self.strategy.kinds)
        hit = Hit(SUPPORT_ALONE, Outcome.REVIEW, SUPPORT_ALONE, HitKind.FLOORED, said)
        return decided._replace(outcome=Outcome.REVIEW, hits=(*decided.hits, hit))

    def _clean(self, name: str, raw: object) -> float | str | None:
        value = CLEAN[self.strategy.kinds[name]](raw)
        domain = self.strategy.domains.get(name)
        if is_missing(value) or domain is None or domain.admits(value):  # type: ignore[arg-type]
            return value
        return None

    @cached_property
    def _support(self) -> tuple[tuple[int, str], ...]:
        """Where supporting dimensions stand among the inputs."""
        inputs = enumerate(self.strategy.inputs)
        return tuple((place, name) for place, name in inputs if name in self.strategy.support)

    def decision(self, raw: Raw) -> Decision:
        """Turn what the function returns into a decision."""
        outcome, hits, outputs, points = raw
        kinds = self.strategy.kinds
        named = dict(zip(self.strategy.outputs, outputs, strict=True))
        found = tuple(
            Hit(rule, _outcome(asked), reason, HitKind(kind), readable(values, kinds))
            for rule, asked, reason, kind, values in hits
        )
        return Decision(Outcome(outcome), found, readable(named, kinds), points)


def compile_strategy(strategy: Strategy, *, product: str) -> Compiled:
    """Generate and compile the function of one product.

    Args:
        strategy: Read and checked.
        product: Which of its products.

    Raises:
        KeyError: The strategy has no such product.
    """
    source = ProductWriter(strategy, product).source()
    function = loaded(source, name="decide", world=_WORLD)
    return Compiled(strategy=strategy, product=product, source=source, function=function)


def _outcome(asked: int | None) -> Outcome | None:
    return None if asked is None else Outcome(asked)
