"""Whether the price that a strategy sets stays within what its products may cost.

What an output can come to is bounded from constants, arithmetic and the catalogue's ranges, without
looking at conditions. What cannot be bounded so is refused: `least` and `greatest` bound anything.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from risk.strategy.checking import ends_of, placed
from risk.strategy.language import (
    PRICE,
    Compute,
    Constant,
    Expression,
    Name,
    Operator,
    Strategy,
)
from risk.strategy.problems import Code, Problem, Problems
from risk.strategy.walking import outputs_of, stages_run

# Both ends included.
Range = tuple[float, float]
PriceRange = tuple[Decimal, Decimal]

_ANY: Final[Range] = (-math.inf, math.inf)
_STEP: Final = Decimal("0.000001")


def mispriced(strategy: Strategy, *, sold: Mapping[str, PriceRange]) -> tuple[Problem, ...]:
    """Say where a product could be priced outside of its range; empty if nowhere.

    Args:
        strategy: Read and checked.
        sold: What each product may cost a year, the least first; others may cost anything.
    """
    problems = Problems()
    for product, (least, most) in sold.items():
        if product in strategy.products:
            for path, (low, high) in _priced(strategy, product):
                if not (_decimal(low) >= least and _decimal(high) <= most):
                    problems.add(
                        path,
                        Code.PRICE_OUTSIDE,
                        product=product,
                        found=_said(low, high),
                        allowed=_said(float(least), float(most)),
                    )
    return tuple(problems)


def _priced(strategy: Strategy, product: str) -> Iterator[tuple[str, Range]]:
    """Walk the places of a product that set the price, with what they can set it to."""
    reach = _Reach(strategy, product)
    for path, stage in placed(strategy):
        if stage.id in reach.stages and PRICE in outputs_of(stage):
            for where, found in reach.set_by(stage.id, PRICE):
                yield f"{path}{where}", found


class _Reach:
    """What the names of a product can come to."""

    def __init__(self, strategy: Strategy, product: str) -> None:
        self.strategy = strategy
        self.stages = frozenset(stages_run(strategy, strategy.products[product]))
        self._derived = dict(strategy.derived)
        self._asked: set[str] = set()

    def set_by(self, stage_id: str, output: str) -> Iterator[tuple[str, Range]]:
        """Walk where in a stage an output is set, and what to."""
        stage = self.strategy.stages[stage_id]
        ends = [(path, dict(effect.sets)) for path, _, effect in ends_of("", stage)]
        for path, sets in ends:
            value = sets.get(output)
            if isinstance(value, int | float):
                yield path, (value, value)
        if isinstance(stage, Compute):
            for n, (name, expression) in enumerate(stage.sets):
                if name == output:
                    yield f".set[{n}].value", self.of(expression)
        elif not ends:
            yield ".output", _ANY

    def of(self, value: Expression) -> Range:
        """Bound an expression."""
        if isinstance(value, Constant):
            return value.value, value.value
        if isinstance(value, Name):
            return self._named(value.name)
        parts = [self.of(operand) for operand in value.operands]
        found = _BOUNDS.get(value.operator, _unbounded)(parts)
        return _ANY if any(map(math.isnan, found)) else found

    def _named(self, name: str) -> Range:
        if name in self._asked:
            return _ANY  # an output that is made of itself
        self._asked.add(name)
        try:
            if name in self._derived:
                return self.of(self._derived[name])
            if name in self.strategy.outputs:
                return self._output(name)
            domain = self.strategy.domains.get(name)
            return _ANY if domain is None or domain.choices else (domain.low, domain.high)
        finally:
            self._asked.discard(name)

    def _output(self, name: str) -> Range:
        setters = [each for each in self.stages if name in outputs_of(self.strategy.stages[each])]
        found = [value for each in setters for _, value in self.set_by(each, name)]
        return _joined(found) if found else _ANY


def _joined(parts: list[Range]) -> Range:
    return min(low for low, _ in parts), max(high for _, high in parts)


def _corners(parts: list[Range], of: Callable[[float, float], float]) -> Range:
    found = parts[0]
    for other in parts[1:]:
        ends = [of(one, two) for one in found for two in other]
        if any(map(math.isnan, ends)):
            return _ANY
        found = min(ends), max(ends)
    return found


def _quotient(parts: list[Range]) -> Range:
    low, high = parts[1]
    return _ANY if low <= 0 <= high else _corners(parts, lambda one, two: one / two)


def _rounded(parts: list[Range]) -> Range:
    (low, high), (_, step) = parts
    return low - step, high


def _unbounded(_: list[Range]) -> Range:
    return _ANY


_BOUNDS: Final[Mapping[Operator, Callable[[list[Range]], Range]]] = {
    Operator.ADD: lambda parts: (sum(low for low, _ in parts), sum(high for _, high in parts)),
    Operator.SUBTRACT: lambda parts: (parts[0][0] - parts[1][1], parts[0][1] - parts[1][0]),
    Operator.MULTIPLY: lambda parts: _corners(parts, lambda one, two: one * two),
    Operator.DIVIDE: _quotient,
    Operator.LEAST: lambda parts: (min(low for low, _ in parts), min(high for _, high in parts)),
    Operator.GREATEST: lambda parts: (max(low for low, _ in parts), max(high for _, high in parts)),
    Operator.ROUND_DOWN: _rounded,
    Operator.FIRST_OF: _joined,
}


def _decimal(value: float) -> Decimal:
    """Write a price as loans keep it."""
    written = Decimal(str(value))
    return written.quantize(_STEP) if written.is_finite() else written


def _said(low: float, high: float) -> str:
    ends = [
        str(end).replace("inf", "∞") if math.isinf(end) else f"{end:.4%}" for end in (low, high)
    ]
    return ends[0] if low == high else "～".join(ends)
