"""What models are asked: a row within what its dimensions may hold, and the same without support.

A supporting dimension (a link to bad customers, a face score) never declines alone, so a decline is
tried once more as if such values were missing, for models too.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from risk.features.values import admitted
from risk.models.generated import Scorer
from risk.strategy.language import Strategy

Ask: TypeAlias = Callable[[str], float | None]
# The function of each model with the names that it reads, by the model's name.
Scorers: TypeAlias = Mapping[str, tuple[Iterable[str], Scorer]]


def asking(strategy: Strategy, row: Mapping[str, Any], scorers: Scorers) -> tuple[Ask, Ask | None]:
    """Return what asks the models, and what asks them without supporting values if there are any.

    Args:
        strategy: What its dimensions may hold, and which of them are supporting.
        row: Raw values by name, those of the models too.
        scorers: See there.
    """
    if not scorers:
        return _nobody, None
    read = admitted(row, strategy.domains)
    firm = without_support(strategy, read)
    return _ask(scorers, read), None if firm is read else _ask(scorers, firm)


def without_support(strategy: Strategy, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take supporting values out of a row; the row itself if it has none."""
    there = [name for name in strategy.support if row.get(name) is not None]
    return {**row, **dict.fromkeys(there)} if there else row


def _ask(scorers: Scorers, row: Mapping[str, Any]) -> Ask:
    def ask(name: str) -> float | None:
        features, scorer = scorers[name]
        return scorer(tuple(map(row.get, features)))

    return ask


def _nobody(_name: str) -> None:
    return None
