"""Bins whose bad rate only rises or only falls, and the weight of evidence of each.

Numbers are cut into quantiles, then neighbours that break the direction are pooled (pool adjacent
violators), then those that are too small or hardly differ. Codes that stand alone, such as -9, and
missing values keep bins of their own. Texts become codes in the order of their bad rates first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from risk.training.measures import Floats

_PRE_BINS: Final = 50
_LEAST_SHARE: Final = 0.03
_MOST_BINS: Final = 10
_PRIOR: Final = 0.5  # added to both counts of a bin, so that no weight is infinite
_LEAST_CODE_ROWS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Bins of one column with their weights of evidence.

    Attributes:
        edges: Rising upper bounds, exclusive; the last bin has none.
        woe: One more than edges: log of the share of all bad over the share of all good.
        specials: Weights of codes that stand alone.
        missing: Weight of missing values; the worst of all where none was seen, since absence must
            not help.
        direction: 1 if more is worse, -1 if more is better.
        value: Information value of all bins.
    """

    edges: tuple[float, ...]
    woe: tuple[float, ...]
    specials: Mapping[float, float]
    missing: float
    direction: int
    value: float

    def weights(self, column: Floats) -> Floats:
        """Turn a column into weights of evidence."""
        places = np.searchsorted(np.array(self.edges), column, side="right")
        found = np.array(self.woe)[np.minimum(places, len(self.edges))]
        for code, weight in self.specials.items():
            found[column == code] = weight
        found[np.isnan(column)] = self.missing
        return found


def fit_bins(column: Floats, y: Floats, *, specials: Sequence[float] = ()) -> Bins:
    """Fit bins on numbers.

    Args:
        column: NaN = missing.
        y: 1 where bad, 0 where good.
        specials: Codes with bins of their own.
    """
    is_plain = ~np.isnan(column) & ~np.isin(column, list(specials))
    x, told = column[is_plain], y[is_plain]
    edges, counts, bad = _monotone(x, told, rows=len(y))
    totals = _Totals(bad=float(y.sum()), good=float(len(y) - y.sum()))
    woe = [totals.woe(b, n - b) for n, b in zip(counts, bad, strict=True)]
    codes = {
        float(code): totals.woe(*_of(column == code, y)) for code in specials if code in column
    }
    is_missing = np.isnan(column)
    worst = max([*woe, *codes.values()], default=0.0)
    missing = totals.woe(*_of(is_missing, y)) if is_missing.any() else worst
    pieces = [(b, n - b) for n, b in zip(counts, bad, strict=True)]
    pieces += [_of(column == code, y) for code in codes]
    pieces += [_of(is_missing, y)] if is_missing.any() else []
    return Bins(
        edges=tuple(edges),
        woe=tuple(woe),
        specials=codes,
        missing=missing,
        direction=-1 if woe and woe[0] > woe[-1] else 1,
        value=sum(totals.information(*piece) for piece in pieces),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Numbers for texts, in the order of their bad rates; rare and unknown ones share a number."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    other: float = 0.0

    def column(self, texts: NDArray[Any]) -> Floats:
        """Turn texts into their numbers; None into NaN."""
        found = (np.nan if t is None else self.numbers.get(t, self.other) for t in texts.tolist())
        return np.fromiter(found, np.float64, len(texts))


def fit_codes(texts: NDArray[Any], y: Floats) -> Codes:
    """Number texts by their bad rates."""
    rates, mean = {}, float(y.mean())
    for text in {each for each in texts.tolist() if each is not None}:
        told = y[texts == text]
        if len(told) >= _LEAST_CODE_ROWS:
            rates[text] = float(told.mean())
    ordered = sorted(rates, key=lambda text: (rates[text], text))
    below = sum(rate < mean for rate in rates.values())
    # What is rare stands among the others where the mean does.
    return Codes(
        numbers={text: float(n + (n >= below)) for n, text in enumerate(ordered)},
        other=float(below),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Totals:
    bad: float
    good: float

    def woe(self, bad: float, good: float) -> float:
        shares = ((bad + _PRIOR) / (self.bad + _PRIOR), (good + _PRIOR) / (self.good + _PRIOR))
        return float(np.log(shares[0] / shares[1]))

    def information(self, bad: float, good: float) -> float:
        return (bad / self.bad - good / self.good) * self.woe(bad, good)


def _of(where: NDArray[np.bool_], y: Floats) -> tuple[float, float]:
    bad = float(y[where].sum())
    return bad, float(where.sum()) - bad


def _monotone(x: Floats, y: Floats, *, rows: int) -> tuple[list[float], Floats, Floats]:
    """Cut into quantiles and pool in the better of both directions; edges, counts, bad counts."""
    if not len(x):
        return [], np.array([0.0]), np.array([0.0])
    edges = np.unique(np.quantile(x, np.linspace(0, 1, _PRE_BINS + 1)[1:-1], method="higher"))
    edges = edges[edges > x.min()]
    places = np.searchsorted(edges, x, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1).astype(np.float64)
    bad = np.bincount(places, weights=y, minlength=len(edges) + 1).astype(np.float64)
    tried = [_pooled(edges, counts, bad, sign, _LEAST_SHARE * rows) for sign in (1, -1)]
    return max(tried, key=lambda each: _spread(each[1], each[2]))


def _pooled(
    edges: Floats, counts: Floats, bad: Floats, sign: int, least: float
) -> tuple[list[float], Floats, Floats]:
    """Pool neighbours until odds go one way, no bin is too small, and there are few enough."""
    uppers = [*edges.tolist(), np.inf]
    pieces = [list(each) for each in zip(counts.tolist(), bad.tolist(), uppers, strict=True)]
    stack: list[list[float]] = []
    for piece in pieces:
        stack.append(piece)
        while len(stack) > 1 and _breaks(stack[-2], stack[-1], sign, least):
            _pool(stack, len(stack) - 2)
    while len(stack) > 1 and (place := _to_pool(stack, sign, least)) is not None:
        _pool(stack, place)
    return (
        [upper for _, _, upper in stack[:-1]],
        np.array([count for count, _, _ in stack]),
        np.array([gone for _, gone, _ in stack]),
    )


def _pool(stack: list[list[float]], place: int) -> None:
    """Put a bin and the one behind it together."""
    left, right = stack[place], stack.pop(place + 1)
    stack[place] = [left[0] + right[0], left[1] + right[1], right[2]]


def _to_pool(stack: list[list[float]], sign: int, least: float) -> int | None:
    """Say which bin must still be pooled with the one behind it, if any."""
    if stack[-1][0] < least:
        return len(stack) - 2
    for place in range(len(stack) - 1):
        if _breaks(stack[place], stack[place + 1], sign, least):
            return place
    if len(stack) > _MOST_BINS:
        return int(np.argmin(np.abs(np.diff([_odds(piece) for piece in stack]))))
    return None


def _breaks(left: list[float], right: list[float], sign: int, least: float) -> bool:
    return sign * (_odds(right) - _odds(left)) <= 0 or left[0] < least


def _odds(piece: list[float]) -> float:
    """Odds as the weight of evidence takes them, so that it goes the same way."""
    count, gone, _ = piece
    return (gone + _PRIOR) / (count - gone + _PRIOR)


def _spread(counts: Floats, bad: Floats) -> float:
    """Return how far rates spread, weighted by rows: what pooling the wrong way destroys."""
    mean = bad.sum() / counts.sum()
    return float((counts * (bad / counts - mean) ** 2).sum())
