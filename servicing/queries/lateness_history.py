"""How late loans and customers were day by day, as the books said on each day.

It is kept as changes and is the same for ever; what a past day looks like by what is known later is
not told here.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Final

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from kernel.clock import business_date, end_of_day
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.lateness import change_row, named_now, passed
from servicing.queries.history import find_loan, loan_events, terms_of, told
from servicing.queries.lateness import (
    InstalmentLateness,
    LatenessChangeView,
    LatenessView,
    first_open,
    floors_of,
    instalments_of,
    stood,
    worst_of,
)
from servicing.tables import LatenessChange, Loan

_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatenessDay:
    """What a loan was called on one day, and which of its instalments were late.

    Attributes:
        five_class: None, like the stage, if nothing was owed.
    """

    on: date
    late_since: date | None
    days_past_due: int
    bucket: str
    five_class: str | None
    ecl_stage: int | None
    instalments: tuple[InstalmentLateness, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatenessSpan:
    """Days, both included, on which a loan was called the same."""

    first_on: date
    last_on: date
    late_since: date | None
    bucket: str
    five_class: str
    ecl_stage: int

    @property
    def days(self) -> int:
        """How many they are."""
        return (self.last_on - self.first_on).days + 1

    @property
    def days_past_due(self) -> tuple[int, int]:
        """How late it was on the first and the last of them."""
        if self.late_since is None:
            return 0, 0
        return (self.first_on - self.late_since).days, (self.last_on - self.late_since).days


_CHANGE: Final = tuple(field.name for field in fields(LatenessChangeView))


def lateness_history(session: Session, *, loan_id: int) -> tuple[LatenessChangeView, ...]:
    """List since when a loan was called what, the oldest first; before that it was on time."""
    rows = session.scalars(
        select(LatenessChange)
        .where(LatenessChange.loan_id == loan_id)
        .order_by(LatenessChange.from_on, LatenessChange.id)
    )
    return tuple(
        LatenessChangeView(**{name: getattr(row, name) for name in _CHANGE}) for row in rows
    )


def lateness_days(
    session: Session, *, loan_id: int, first_on: date, last_on: date, limit: int
) -> tuple[LatenessDay, ...]:
    """List day by day what a loan was called, as the books said on each.

    There is none before it was paid out, nor after the day on which nothing was owed any more.

    Raises:
        LoanNotFound: There is none.
    """
    loan = find_loan(session, loan_id=loan_id)
    first_on = max(first_on, loan.disbursed_on)
    last_on = min(last_on, loan.settled_on or last_on)
    if last_on < first_on:
        return ()
    last_on = min(last_on, first_on + timedelta(days=limit - 1))
    changes = deque(_changes(session, loan, last_on))
    states = _known_then(session, loan, first_on, last_on)
    named, state, days = None, states[first_on], []
    for day in _each(first_on, last_on):
        while changes and changes[0].from_on <= day:
            named = changes.popleft()
        state = states.get(day, state)
        days.append(_day(state, named, day))
    return tuple(days)


def customer_lateness_days(
    session: Session,
    *,
    customer_id: int,
    first_on: date,
    last_on: date,
    limit: int,
    seen: ColumnElement[bool] | None = None,
) -> tuple[tuple[date, LatenessView], ...]:
    """List day by day how late a customer was, by the worst of the loans that are seen.

    There is none before the first of them was paid out.
    """
    loans = session.scalars(
        select(Loan).where(Loan.customer_id == customer_id, true() if seen is None else seen)
    ).all()
    first_on = max(first_on, min((loan.disbursed_on for loan in loans), default=date.max))
    if last_on < first_on:
        return ()
    last_on = min(last_on, first_on + timedelta(days=limit - 1))
    changes = {loan.id: _changes(session, loan, last_on) for loan in loans}
    return tuple(
        (
            day,
            worst_of(
                (
                    stood(_last(changes[loan.id], day), day)
                    for loan in loans
                    if loan.disbursed_on <= day
                ),
                day,
            ),
        )
        for day in _each(first_on, last_on)
    )


def lateness_spans(session: Session, *, loan_id: int, on: date) -> tuple[LatenessSpan, ...]:
    """List the same in spans, from when it was paid out until it was owed no more, oldest first.

    Raises:
        LoanNotFound: There is none.
    """
    loan = find_loan(session, loan_id=loan_id)
    end = min(on + _A_DAY, loan.settled_on or date.max)
    changes = [row for row in _changes(session, loan, on) if row.from_on < end]
    starts: dict[date, LatenessChangeView | None] = {loan.disbursed_on: None}
    starts |= {row.from_on: row for row in changes}
    days = sorted(starts)
    return tuple(
        _span(starts[day], day, until - _A_DAY)
        for day, until in zip(days, (*days[1:], end), strict=True)
        if day < until
    )


def _each(first_on: date, last_on: date) -> Iterator[date]:
    return (first_on + timedelta(days=n) for n in range((last_on - first_on).days + 1))


def _last(changes: Sequence[LatenessChangeView], on: date) -> LatenessChangeView | None:
    return next((row for row in reversed(changes) if row.from_on <= on), None)


def _changes(session: Session, loan: Loan, on: date) -> list[LatenessChangeView]:
    """List since when a loan was called what, days up to one that are not closed yet among them."""
    kept = lateness_history(session, loan_id=loan.id)
    return sorted((*kept, *_to_come(session, loan, on)), key=lambda row: row.from_on)


def _span(change: LatenessChangeView | None, first_on: date, last_on: date) -> LatenessSpan:
    named = stood(change, first_on)
    return LatenessSpan(
        first_on=first_on,
        last_on=last_on,
        late_since=named.late_since,
        bucket=named.bucket,
        five_class=named.five_class,
        ecl_stage=named.ecl_stage,
    )


def _to_come(session: Session, loan: Loan, on: date) -> Iterator[LatenessChangeView]:
    """Tell how a loan's standing changes on days that are not closed yet, if nothing happens."""
    if loan.state != "active" or loan.closed_to >= on:
        return
    before = named_now(loan)
    for day, named in passed(
        before,
        first_open=first_open(session, [loan.id]).get(loan.id),
        floors=floors_of(session, loan_ids=[loan.id]).get(loan.id, ()),
        after=loan.closed_to,
        on=on,
    ):
        if not named.is_as(before):
            row = change_row(loan.id, named, from_on=day)
            yield LatenessChangeView(**{name: row[name] for name in _CHANGE})
        before = named


def _known_then(
    session: Session, loan: Loan, first_on: date, last_on: date
) -> Mapping[date, LoanState]:
    """Replay a loan to the first day and to each day on which something became known or counted.

    Between them nothing but the number of days changes. What came with the loan from elsewhere is
    taken as known from the beginning.
    """
    events, terms = loan_events(session, loan_id=loan.id), terms_of(loan)
    turns = {first_on}
    for event in events:
        turns |= {
            day
            for day in (business_date(event.recorded_at), event.value_date)
            if first_on < day <= last_on
        }
    states = {}
    for day in turns:
        known_at = max(end_of_day(day), events[0].recorded_at)
        known = [event for event in events if event.recorded_at <= known_at]
        states[day] = replay(terms, told(known), day)
    return states


def _day(state: LoanState, named: LatenessChangeView | None, day: date) -> LatenessDay:
    is_owed = state.outstanding.total_fen > 0
    named_then = stood(named, day)
    return LatenessDay(
        on=day,
        late_since=named_then.late_since,
        days_past_due=named_then.days_past_due,
        bucket=named_then.bucket,
        five_class=named_then.five_class if is_owed else None,
        ecl_stage=named_then.ecl_stage if is_owed else None,
        instalments=tuple(each for each in instalments_of(state, day) if each.days_past_due),
    )
