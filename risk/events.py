"""What risk tells the areas above."""

from dataclasses import dataclass

from kernel.outbox import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeStopped(Event):
    """A guard rail ended a challenge: the champion decides for everybody again."""

    challenge_id: int
    strategy: str
    version: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyEnding(Event):
    """A strategy in force ends within a week, on an ISO day, and nothing follows it."""

    strategy: str
    version: int
    ends_on: str
