"""Rows on which a strategy is tried before it is published: its own constants and odd values.

They stand on, just below and just above what the document compares with, so that every edge is
met; a share is missing or no value at all. Nothing of them is stored.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from risk.features.catalogue import Kind
from risk.features.values import number
from risk.models.card import Scorecard
from risk.models.generated import scorer_of
from risk.models.trees import BoostedTrees
from risk.strategy.language import Strategy
from risk.strategy.scoring import asking

_ODD: Final[tuple[Any, ...]] = (None, math.nan, math.inf, 1e30, "0.5", True, "", -1, 0)
_ODD_SHARE: Final = 0.1
_DAYS: Final = ("2019-12-31", "2024-02-29", "2026-11-01", 738_000.0)


def trial_rows(
    strategy: Strategy, document: Mapping[str, Any], *, count: int
) -> list[dict[str, Any]]:
    """Make rows for a strategy, the same at every call."""
    chance = random.Random(strategy.digest)  # noqa: S311 -- no secret
    constants = list(_constants(document))
    numbers = sorted({float(each) for each in constants if not isinstance(each, str)})
    texts = sorted({each for each in constants if isinstance(each, str)})
    near = [each for edge in numbers for each in _around(edge)]
    choices: dict[Kind, Sequence[Any]] = {
        Kind.NUMBER: [*near, 1.0],
        Kind.TEXT: [*texts, "x"],
        Kind.TRUTH: (True, False),
        Kind.DAY: _DAYS,
    }

    def value(name: str) -> Any:
        is_odd = chance.random() < _ODD_SHARE
        return chance.choice(_ODD if is_odd else choices[strategy.kinds[name]])

    return [{name: value(name) for name in strategy.inputs} for _ in range(count)]


def trial_scores(
    strategy: Strategy,
    models: Mapping[str, Scorecard | BoostedTrees],
    rows: Sequence[Mapping[str, Any]],
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Score each row by each model: as it is, and as if supporting values were missing."""
    scorers = {name: (model.features, scorer_of(model)) for name, model in models.items()}
    said, firm = [], []
    for row in rows:
        ask, ask_firm = asking(strategy, row, scorers)
        said.append({name: number(ask(name)) for name in scorers})
        firm.append({name: number((ask_firm or ask)(name)) for name in scorers})
    return said, firm


def _around(edge: float) -> tuple[float, float, float]:
    return math.nextafter(edge, -math.inf), edge, math.nextafter(edge, math.inf)


def _constants(part: Any) -> Iterator[float | str]:
    """Find every number and text of a document."""
    if isinstance(part, Mapping):
        for inner in part.values():
            yield from _constants(inner)
    elif isinstance(part, list | tuple):
        for inner in part:
            yield from _constants(inner)
    elif isinstance(part, int | float | str) and not isinstance(part, bool):
        yield part
