"""Champion and challenger: who is decided by which, and when a challenger must stop. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

PERMILLE: Final = 1_000
LONGEST_MS: Final = 5_000
"""Longer decisions are counted as this long."""

_BYTES: Final = 8
_NO_SHARES: Final = ("least_decisions", "least_granted", "least_outcomes", "p99_ms_most")


class Arm(StrEnum):
    """Which of the two strategies decides."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


def is_share(rail: str) -> bool:
    """Say whether a rail bounds a share, not a count or a time."""
    return rail not in _NO_SHARES


def is_challenged(subject: str, *, salt: str, share_permille: int) -> bool:
    """Say whether a subject falls to the challenger: always the same for the same salt."""
    head = hashlib.sha256(f"{salt}:{subject}".encode()).digest()[:_BYTES]
    return int.from_bytes(head, "big") % PERMILLE < share_permille


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an arm has done since the start.

    Attributes:
        errors: Decisions that it could not make; the champion made them instead.
        p99_ms: Of making a decision, without storing it; None before there is any.
        known: Decisions of which it is known what came; `bad` of them went bad. What goes bad is
            known within weeks, what goes well after a year.
    """

    decisions: int
    approved: int
    reviewed: int
    errors: int
    p99_ms: float | None
    known: int = 0
    bad: int = 0

    def share(self, count: int) -> float:
        """Divide by all that it was asked."""
        return count / max(self.decisions + self.errors, 1)

    @property
    def early_bad(self) -> float:
        """The share of all that it approved that is known to have gone bad by now."""
        return self.bad / max(self.approved, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A guard rail that a figure lies beyond.

    Attributes:
        rail: Its name in `Rails`.
        found: The figure: a share, or milliseconds.
        bound: What was agreed.
    """

    rail: str
    found: float
    bound: float

    def __str__(self) -> str:
        figure, _, end = self.rail.rpartition("_")
        side = "below" if end == "least" else "above"
        if figure == "p99_ms":
            return f"p99 {self.found:g} ms {side} {self.bound:g} ms"
        return f"{figure.replace('_', ' ')} {self.found:.1%} {side} {self.bound:.1%}"


WATCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "outcomes": (
        *("approve_share_least", "approve_share_most"),
        *("approve_share_gap_most", "decline_share_most"),
    ),
    "errors": ("error_share_most",),
    "time": ("p99_ms_most",),
    "bad": ("early_bad_share_most", "early_bad_gap_most", "bad_share_most"),
}
"""What has to be watched of a challenger, and by which rails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rails:
    """Bounds of a challenger's figures; the first that is broken ends it.

    What is left out is bounded by the house's own judgement: without being asked, a challenger
    stops that approves, declines, breaks, dawdles or loses money clearly unlike its champion.

    Attributes:
        least_decisions: Nothing is said of fewer; errors count as well.
        approve_share_gap_most: How far its approve share may lie from the champion's, either way.
        least_granted: Nothing is said of what came of fewer approvals, of either arm.
        early_bad_share_most: Of all that it approved, what is known to have gone bad.
        early_bad_gap_most: How much more of it than of the champion's in the same time.
        least_outcomes: Nothing is said of the share among known outcomes by fewer.
        bad_share_most: Of the known outcomes; open by default, for what goes bad is known first.
    """

    least_decisions: int = 200
    approve_share_least: float = 0.2
    approve_share_most: float = 0.9
    approve_share_gap_most: float = 0.1
    decline_share_most: float = 0.7
    review_share_most: float = 0.3
    error_share_most: float = 0.01
    p99_ms_most: float = 100.0
    least_granted: int = 200
    early_bad_share_most: float = 0.05
    early_bad_gap_most: float = 0.02
    least_outcomes: int = 100
    bad_share_most: float = 1.0

    def breaches(self, reading: Reading, champion: Reading) -> tuple[Breach, ...]:
        """Say which bounds a challenger's reading breaks, with the figures."""
        if not self.is_enough(reading):
            return ()
        figures = self.figures(reading, champion)
        return tuple(
            Breach(rail=rail, found=found, bound=bound)
            for rail, found in figures.items()
            for bound in (getattr(self, rail),)
            if (found < bound if rail.endswith("_least") else found > bound)
        )

    def is_enough(self, reading: Reading) -> bool:
        """Say whether there are decisions enough to judge by."""
        return reading.decisions + reading.errors >= self.least_decisions

    def figures(self, reading: Reading, champion: Reading) -> dict[str, float]:
        """Give the figure that each rail bounds; none where it cannot be told yet."""
        approved = reading.share(reading.approved)
        found = {
            "approve_share_least": approved,
            "approve_share_most": approved,
            "decline_share_most": reading.share(
                reading.decisions - reading.approved - reading.reviewed
            ),
            "review_share_most": reading.share(reading.reviewed),
            "error_share_most": reading.share(reading.errors),
        }
        if self.is_enough(champion):
            gap = abs(approved - champion.share(champion.approved))
            found["approve_share_gap_most"] = gap
        if reading.p99_ms is not None:
            found["p99_ms_most"] = reading.p99_ms
        if reading.approved >= self.least_granted:
            found["early_bad_share_most"] = reading.early_bad
            if champion.approved >= self.least_granted:
                found["early_bad_gap_most"] = reading.early_bad - champion.early_bad
        if reading.known >= self.least_outcomes:
            found["bad_share_most"] = reading.bad / reading.known
        return found

    def is_open(self, rail: str) -> bool:
        """Say whether a rail bounds nothing: no share, or no time that is measured, lies beyond."""
        bound: float = getattr(self, rail)
        if rail == "p99_ms_most":
            return bound >= LONGEST_MS
        return is_share(rail) and bound == (0 if rail.endswith("_least") else 1)

    def unguarded(self) -> tuple[str, ...]:
        """Name what no rail watches; a challenger must be watched in all of it."""
        return tuple(what for what, rails in WATCHED.items() if all(map(self.is_open, rails)))

    def document(self) -> dict[str, Any]:
        """Write them as JSON."""
        return asdict(self)


def rails_from(document: Mapping[str, Any]) -> Rails:
    """Read them from JSON.

    Raises:
        ValueError: A bound is unknown or no number in its range.
    """
    try:
        rails = Rails(**document)
        counts = (rails.least_decisions, rails.least_granted, rails.least_outcomes)
        shares = [value for name, value in document.items() if is_share(name)]
        is_odd = not all(0 <= share <= 1 for share in shares)
        is_odd = is_odd or min(counts) < 1
        is_odd = is_odd or rails.p99_ms_most <= 0
    except TypeError as error:
        raise ValueError("a guard rail is unknown or no number") from error
    if is_odd:
        raise ValueError("a guard rail lies outside of its range")
    return rails
