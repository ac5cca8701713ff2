"""What risk tells the areas above."""

from dataclasses import dataclass
from typing import Any

from kernel.outbox import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeStopped(Event):
    """A guard rail ended a challenge: the champion decides for everybody again.

    `broken` says for people why, in codes: each a `rail` with what was `found` and its `bound`, or
    the rail `other-champion` alone.
    """

    challenge_id: int
    strategy: str
    version: int
    why: str
    broken: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyEnding(Event):
    """A strategy in force ends within a week, on an ISO day, and nothing follows it."""

    strategy: str
    version: int
    ends_on: str
