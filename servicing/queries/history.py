"""A loan's terms, events and plans as they were kept, and the loan as of any day as known then.

What they mean is computed by the engine; nothing here is read from the projection.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import NotFound
from servicing.archive import event_from_json, terms_from_json
from servicing.bookkeeping import Standing, standing_of
from servicing.engine.events import Event
from servicing.engine.replay import replay
from servicing.engine.retelling import Retold, replay_back, retell
from servicing.engine.state import LoanState
from servicing.engine.terms import Terms
from servicing.model import LoanStatus, loan_status
from servicing.recognition import last_month_end, month_ends
from servicing.tables import Loan, LoanEvent, PlanVersion


class LoanNotFound(NotFound):
    """No such loan, or not this customer's."""

    code = "loan-not-found"
    message_zh = "没有找到这笔分期"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanEventView:
    """One event of a loan: what, from when it counts, since when and from whom we know it."""

    seq: int
    kind: str
    value_date: date
    payload: dict[str, Any]
    key: str
    actor: str
    recorded_at: datetime


_EVENTS: Final = select(*(getattr(LoanEvent, field.name) for field in fields(LoanEventView)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """One row of a plan that was in force; fen."""

    n: int
    due_on: date
    principal_fen: int
    interest_fen: int
    fee_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersionView:
    """A plan and the event since which it was in force; the last one is."""

    version: int
    from_seq: int
    recorded_at: datetime
    rows: tuple[PlannedRow, ...]


def find_loan(session: Session, *, loan_id: int) -> Loan:
    """Return a loan.

    Raises:
        LoanNotFound: There is none.
    """
    loan = session.get(Loan, loan_id)
    if loan is None:
        raise LoanNotFound(f"no loan {loan_id}")
    return loan


def terms_of(loan: Loan) -> Terms:
    """Return what was agreed."""
    return terms_from_json(loan.agreed)


def read_events(
    session: Session, *, loan_id: int, known_at: datetime | None = None
) -> tuple[Event, ...]:
    """Return a loan's events for the engine, in the order in which they became known."""
    return told(loan_events(session, loan_id=loan_id, known_at=known_at))


def told(views: Sequence[LoanEventView]) -> tuple[Event, ...]:
    """Return events for the engine."""
    return tuple(
        event_from_json(view.kind, view.payload, event_id=str(view.seq), on=view.value_date)
        for view in views
    )


def loan_as_of(
    session: Session, *, loan_id: int, on: date, known_at: datetime | None = None
) -> LoanState:
    """Return a loan as of a business date, as it was known at an instant.

    A past day and instant give the same answer for ever: events are only appended.

    Args:
        session: A read session.
        loan_id: Whose.
        on: The business date; what counts later is left out.
        known_at: What was recorded after it is left out; None for all that is known.

    Raises:
        LoanNotFound: There is none.
    """
    terms = terms_of(find_loan(session, loan_id=loan_id))
    return replay_back(terms, read_events(session, loan_id=loan_id, known_at=known_at), on)


def status_as_of(state: LoanState) -> LoanStatus:
    """Say where a loan stood that was replayed."""
    if not state.disbursed:
        return LoanStatus.APPROVED
    return loan_status(
        owes=state.outstanding.total_fen > 0,
        is_charged_off=state.charged_off_on is not None,
        is_written_off=state.written_off_on is not None,
        is_cancelled=state.cancelled_on is not None,
    )


def standing(terms: Terms, events: Sequence[Event], *, closed_to: date) -> Standing:
    """Return a loan as it stands in the books: closed to a day, with all that happened since."""
    state = replay(terms, events, _stands_on(events, closed_to))
    return standing_of(terms, state, events, closed_to=closed_to)


def standings(
    terms: Terms, known: Sequence[Event], event: Event, *, closed_to: date
) -> tuple[Standing, Standing, tuple[Retold, ...]]:
    """Return a loan as it stands in the books, as it would if something happened, and since when.

    Raises:
        EventRefused: It cannot happen to the loan as it stands.
    """
    told = (*known, event)
    after_on = _stands_on(told, closed_to)
    both = retell(
        terms,
        known,
        event,
        before_on=_stands_on(known, closed_to),
        after_on=after_on,
        stops=month_ends(last_month_end(event.counts_on), after_on),
    )
    before = standing_of(terms, both.before, known, closed_to=closed_to)
    return before, standing_of(terms, both.after, told, closed_to=closed_to), both.days


def _stands_on(events: Sequence[Event], closed_to: date) -> date:
    return max([closed_to, *(event.counts_on for event in events)])


def with_event(
    session: Session, *, loan_id: int, event: Event, closed_to: date | None = None
) -> tuple[LoanState, LoanState]:
    """Return a loan as it stands in the books, and as it would stand if something happened.

    Arguments and errors are those of `with_events`.
    """
    both = with_events(session, loan_id=loan_id, events=(event,), closed_to=closed_to)
    return both[0].state, both[1].state


def with_events(
    session: Session, *, loan_id: int, events: Sequence[Event], closed_to: date | None = None
) -> tuple[Standing, Standing]:
    """Return a loan as it stands in the books, and as it would stand after some events.

    Both are seen as of the day to which it is closed, unless another is named, and no earlier than
    the events count.

    Raises:
        EventRefused: They cannot happen to the loan as it stands.
        LoanNotFound: There is no such loan.
    """
    loan = find_loan(session, loan_id=loan_id)
    known = read_events(session, loan_id=loan_id)
    told = _followed(known, events)
    seen_on = _stands_on(events, closed_to or loan.closed_to)
    before, after = (standing(terms_of(loan), each, closed_to=seen_on) for each in (known, told))
    return before, after


def states_with(
    session: Session, *, loan_id: int, events: Sequence[Event], on: date
) -> tuple[LoanState, LoanState]:
    """Return a loan as of a day, and as of the same day after some events.

    Raises:
        EventRefused: They cannot happen to the loan.
        LoanNotFound: There is no such loan.
    """
    terms = terms_of(find_loan(session, loan_id=loan_id))
    known = read_events(session, loan_id=loan_id)
    return replay(terms, known, on), replay(terms, _followed(known, events), on)


def _followed(known: Sequence[Event], events: Sequence[Event]) -> tuple[Event, ...]:
    """Return events followed by others, whose ids go on from them."""
    new = (replace(event, id=str(len(known) + n)) for n, event in enumerate(events, 1))
    return (*known, *new)


def loan_events(
    session: Session, *, loan_id: int, known_at: datetime | None = None
) -> tuple[LoanEventView, ...]:
    """List a loan's events in the order in which they became known."""
    query = _EVENTS.where(LoanEvent.loan_id == loan_id).order_by(LoanEvent.seq)
    if known_at is not None:
        query = query.where(LoanEvent.recorded_at <= known_at)
    return tuple(LoanEventView(**row) for row in session.execute(query).mappings())


def plan_versions(session: Session, *, loan_id: int) -> tuple[PlanVersionView, ...]:
    """List every plan that was in force, the first first."""
    versions = session.scalars(
        select(PlanVersion).where(PlanVersion.loan_id == loan_id).order_by(PlanVersion.version)
    )
    return tuple(
        PlanVersionView(
            version=version.version,
            from_seq=version.from_seq,
            recorded_at=version.recorded_at,
            rows=tuple(_planned(row) for row in version.rows),
        )
        for version in versions
    )


def planned_rows(state: LoanState) -> tuple[PlannedRow, ...]:
    """Return the plan of a loan as it is replayed."""
    return tuple(
        PlannedRow(
            n=row.n,
            due_on=row.due_on,
            principal_fen=row.due.principal_fen,
            interest_fen=row.due.interest_fen,
            fee_fen=row.due.fee_fen,
        )
        for row in state.rows
    )


def _planned(row: Sequence[Any]) -> PlannedRow:
    n, due_on, principal, interest, fee = row
    return PlannedRow(
        n=n,
        due_on=date.fromisoformat(due_on),
        principal_fen=principal,
        interest_fen=interest,
        fee_fen=fee,
    )
