"""What a bench is asked for and what it answers; no bench of its own."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

ROUNDS: Final = 3


class NotMeasured(Exception):
    """The bench could not run here; the message says why in one line."""


class WrongAnswer(Exception):
    """What was measured did not do its work, so that its figure would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How to measure.

    Attributes:
        seconds: Length of a round.
        scale: Size of the book, or None for the bench's own.
        database: URL of a PostgreSQL server to use instead of a throw-away one, or "".
    """

    seconds: int
    scale: int | None
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What came out; `ratio` is to the yardstick of the same run.

    Attributes:
        p99_ms: Of the figure's own work, or None where one piece of it is not timed.
        details: Whatever else helps to judge the figure.
    """

    name: str
    figure: float
    unit: str
    yardstick: str
    ratio: float
    p99_ms: float | None
    details: Mapping[str, Any]


def middle(values: Sequence[float]) -> float:
    """Return the median, rounded for reading."""
    return round(median(values), 2)


def surroundings() -> dict[str, Any]:
    """Say on what machine and beside how much other work it was measured."""
    return {"cpus": os.cpu_count(), "load_average": [round(load, 2) for load in os.getloadavg()]}
