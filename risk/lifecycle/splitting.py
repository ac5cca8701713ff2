"""Champion and challenger: who is decided by which, and when a challenger must stop. Pure."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

PERMILLE: Final = 1_000
_BYTES: Final = 8


class Arm(StrEnum):
    """Which of the two strategies decides."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


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
        known: Decisions of which it is known what came; `bad` of them went bad.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rails:
    """Bounds of a challenger's figures; the first that is broken ends it.

    Attributes:
        least_decisions: Nothing is said of fewer; errors count as well.
        least_outcomes: Nothing is said of what came of fewer.
        bad_share_most: Of the known outcomes.
    """

    least_decisions: int = 200
    approve_share_least: float = 0.0
    approve_share_most: float = 1.0
    review_share_most: float = 1.0
    error_share_most: float = 0.01
    p99_ms_most: float = 100.0
    least_outcomes: int = 100
    bad_share_most: float = 1.0

    def broken(self, reading: Reading) -> tuple[str, ...]:
        """Say which bounds a reading breaks, with the figures."""
        if reading.decisions + reading.errors < self.least_decisions:
            return ()
        return tuple(self._broken(reading))

    def _broken(self, reading: Reading) -> Iterator[str]:
        approved, reviewed = reading.share(reading.approved), reading.share(reading.reviewed)
        wrong = reading.share(reading.errors)
        if approved < self.approve_share_least:
            yield f"approve share {approved:.1%} below {self.approve_share_least:.1%}"
        if approved > self.approve_share_most:
            yield f"approve share {approved:.1%} above {self.approve_share_most:.1%}"
        if reviewed > self.review_share_most:
            yield f"review share {reviewed:.1%} above {self.review_share_most:.1%}"
        if wrong > self.error_share_most:
            yield f"error share {wrong:.1%} above {self.error_share_most:.1%}"
        if reading.p99_ms is not None and reading.p99_ms > self.p99_ms_most:
            yield f"p99 {reading.p99_ms:g} ms above {self.p99_ms_most:g} ms"
        if reading.known >= self.least_outcomes:
            went_bad = reading.bad / reading.known
            if went_bad > self.bad_share_most:
                yield f"bad share {went_bad:.1%} above {self.bad_share_most:.1%}"

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
        shares = [value for name, value in document.items() if "share" in name]
        is_odd = not all(0 <= share <= 1 for share in shares)
        is_odd = is_odd or min(rails.least_decisions, rails.least_outcomes) < 1
        is_odd = is_odd or rails.p99_ms_most <= 0
    except TypeError as error:
        raise ValueError("a guard rail is unknown or no number") from error
    if is_odd:
        raise ValueError("a guard rail lies outside of its range")
    return rails
