"""How late a loan is: days past due, buckets and classes, by rules that are data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from servicing.engine.state import LoanRow, LoanState


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A class of lateness, days, both ends included; open if there is no last."""

    name: str
    first: int
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """How late something is.

    Attributes:
        days_past_due: Since the oldest due date of what is owed; 0 if nothing is late.
        delinquent_days: The same less days of grace and of pauses.
        delinquent_since: From when on it counted, without pauses.
        range_name: The class, None if there is none.
    """

    days_past_due: int
    delinquent_days: int
    delinquent_since: date | None
    overdue_fen: int
    range_name: str | None


def lateness(state: LoanState, ranges: Sequence[Range] = ()) -> Lateness:
    """Say how late a loan is; days of grace come off, as its terms say."""
    late = _late_rows(state)
    if not late:
        return _NOT_LATE
    return _since(state, late[0].due_on, sum(_owed(row) for row in late), ranges, state.grace_days)


def row_lateness(state: LoanState, ranges: Sequence[Range] = ()) -> tuple[Lateness, ...]:
    """Say how late each overdue instalment is; grace is the loan's, an instalment has none."""
    return tuple(_since(state, row.due_on, _owed(row), ranges, 0) for row in _late_rows(state))


_NOT_LATE = Lateness(
    days_past_due=0, delinquent_days=0, delinquent_since=None, overdue_fen=0, range_name=None
)


def _late_rows(state: LoanState) -> list[LoanRow]:
    first = 1 - state.first_day_late
    return [row for row in state.rows if _owed(row) > 0 and (state.on - row.due_on).days >= first]


def _owed(row: LoanRow) -> int:
    return row.outstanding.total_fen


def _since(
    state: LoanState, due_on: date, owed_fen: int, ranges: Sequence[Range], grace: int
) -> Lateness:
    past = (state.on - due_on).days + state.first_day_late
    delinquent = max(0, past - grace - paused_days(state))
    return Lateness(
        days_past_due=past,
        delinquent_days=delinquent,
        delinquent_since=date.fromordinal(due_on.toordinal() + grace),
        overdue_fen=owed_fen,
        range_name=range_of(delinquent, ranges),
    )


def paused_days(state: LoanState) -> int:
    """Count the days up to now on which the counter stood still."""
    days: set[int] = set()
    for first, last in state.lateness_pauses:
        end = state.on if last is None else min(last, state.on)
        days.update(range(first.toordinal(), end.toordinal()))
    return len(days)


def range_of(days: int, ranges: Sequence[Range]) -> str | None:
    """Return the class that a number of days falls into."""
    for candidate in ranges:
        if candidate.first <= days and (candidate.last is None or days <= candidate.last):
            return candidate.name
    return None
