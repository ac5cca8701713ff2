"""Cuts the rows of a backtest into groups: texts by value, numbers into fifths. Pure."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from risk.lifecycle.history import History
from risk.strategy.batch import Column, Mask

_SHOWN_AT_MOST: Final = 20
_FIFTHS: Final = 5
_OTHERS: Final = "其他"
_NOTHING: Final = "缺失"


def segments_of(
    history: History, approved: Mask, before: Mask | None
) -> dict[str, list[dict[str, Any]]]:
    """Say by segment how many are approved and how many of them went bad.

    Args:
        history: Its `segments` are cut.
        approved: By the draft.
        before: By what it would replace.
    """
    return {
        name: [_segment(history, label, where, approved, before) for label, where in _cut(column)]
        for name, column in history.segments.items()
    }


def _segment(
    history: History, label: str, where: Mask, approved: Mask, before: Mask | None
) -> dict[str, Any]:
    found = {"value": label, "rows": int(where.sum())} | _approval(history, where, approved)
    if before is not None:
        old = _approval(history, where, before)
        found |= {f"against_{name}": value for name, value in old.items()}
    return found


def _approval(history: History, where: Mask, approved: Mask) -> dict[str, Any]:
    bad = history.is_bad[where & approved]
    known = int((~np.isnan(bad)).sum())
    return {
        "approve_share": round(len(bad) / max(int(where.sum()), 1), 6),
        "known": known,
        "bad_rate": round(float(np.nansum(bad)) / known, 6) if known else None,
    }


def _cut(column: Column) -> Iterator[tuple[str, Mask]]:
    """Name groups; the missing stand last."""
    yield from _by_value(column) if column.dtype == object else _in_fifths(column)


def _in_fifths(column: Column) -> Iterator[tuple[str, Mask]]:
    known = column[~np.isnan(column)]
    if len(known):
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _FIFTHS + 1)))
        inner = np.searchsorted(edges[1:-1], column, side="right")
        for place in range(max(len(edges) - 1, 1)):
            low, high = edges[place], edges[min(place + 1, len(edges) - 1)]
            yield f"{low:g}–{high:g}", ~np.isnan(column) & (inner == place)
    if len(known) < len(column):
        yield _NOTHING, np.isnan(column)


def _by_value(column: Column) -> Iterator[tuple[str, Mask]]:
    texts: NDArray[np.str_] = np.array([_NOTHING if v is None else str(v) for v in column])
    values, counts = np.unique(texts, return_counts=True)
    frequent = values[np.argsort(-counts, kind="stable")[:_SHOWN_AT_MOST]]
    for value in frequent.tolist():
        yield value, texts == value
    if len(values) > len(frequent):
        yield _OTHERS, ~np.isin(texts, frequent)
