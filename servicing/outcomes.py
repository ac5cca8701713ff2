"""What a loan comes to, and whether that is bad: the house's definition. Pure.

A loan reaches an outcome on a day and at an age in whole months, its months on book. When it is
looked at, and who is told, is not decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from servicing.engine.periods import month_after

LATE_DAYS: Final = 30
VERY_LATE_DAYS: Final = 90
WATCHED_MONTHS: Final = 12
"""For so long after its disbursement a loan that gets very late counts as bad; then it is good."""


class Outcome(StrEnum):
    """What a loan can come to, the same in tables and in what risk is told."""

    FIRST_PAYMENT_DEFAULT = "first_payment_default"  # its first instalment gets 30 days late
    LATE_30 = "late_30"
    LATE_90 = "late_90"
    SETTLED_CLEAN = "settled_clean"  # paid whole, and never 30 days late
    SETTLED_LATE = "settled_late"
    WATCHED = "watched"  # twelve months on book
    WRITTEN_OFF = "written_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A loan's life so far, as it is known now; None is what did not happen.

    Attributes:
        closed_to: The last business date that was closed for it.
        first_late_on: When its first instalment was 30 days late.
        late_30_on: When the first of any was.
        late_90_on: Likewise for 90 days.
        off_books_on: When the claim was charged or written off.
    """

    disbursed_on: date
    closed_to: date
    first_late_on: date | None
    late_30_on: date | None
    late_90_on: date | None
    settled_on: date | None
    off_books_on: date | None

    def reached(self) -> dict[Outcome, date]:
        """Say what it has come to, and when."""
        settled = Outcome.SETTLED_CLEAN if self.late_30_on is None else Outcome.SETTLED_LATE
        watched_on = month_after(self.disbursed_on, WATCHED_MONTHS)
        days = {
            Outcome.FIRST_PAYMENT_DEFAULT: self.first_late_on,
            Outcome.LATE_30: self.late_30_on,
            Outcome.LATE_90: self.late_90_on,
            Outcome.WATCHED: watched_on if watched_on <= self.closed_to else None,
            Outcome.WRITTEN_OFF: self.off_books_on,
            settled: self.settled_on if self.off_books_on is None else None,
        }
        return {outcome: on for outcome, on in days.items() if on is not None}


def is_bad(months: Mapping[Outcome, int]) -> bool | None:
    """Judge what a loan has come to, each at so many months on book; None while it is open."""
    late_at = months.get(Outcome.LATE_90)
    if (
        Outcome.FIRST_PAYMENT_DEFAULT in months
        or Outcome.WRITTEN_OFF in months
        or (late_at is not None and late_at < WATCHED_MONTHS)
    ):
        return True
    ended = {Outcome.SETTLED_CLEAN, Outcome.SETTLED_LATE, Outcome.WATCHED}
    return False if months.keys() & ended else None


def months_on_book(disbursed_on: date, on: date) -> int:
    """Count the whole months from disbursement to a day."""
    months = (on.year - disbursed_on.year) * 12 + on.month - disbursed_on.month
    return months if month_after(disbursed_on, months) <= on else months - 1


def late_on(due_on: date | None, days: int) -> date | None:
    """Name the day on which what fell due was so late."""
    return None if due_on is None else due_on + timedelta(days=days)
