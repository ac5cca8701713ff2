"""What an event would do to a loan, or did: the same replay that posting would store, or stored."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import NotFound
from servicing.archive import kind_of
from servicing.bookkeeping import Standing, on_books_fen
from servicing.caps import actual_cost
from servicing.engine.book import Kind
from servicing.engine.events import Event
from servicing.engine.state import LoanState
from servicing.operations.posting import is_paid_in
from servicing.operations.together import booked_together
from servicing.queries.history import (
    PlannedRow,
    find_loan,
    loan_events,
    planned_rows,
    read_events,
    standing,
    terms_of,
    with_events,
)

_MOVES_DATES: Final = ("moved-due-date", "payment-holiday")


class EventNotFound(NotFound):
    """The loan has no such event, or it is the disbursement, before which there was nothing."""

    code = "event-not-found"
    message_zh = "没有找到该笔记录"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an event would do, before it happens; fen, annual cost as a share.

    Attributes:
        on: From when it counts.
        paid_fen: What the borrower pays by it.
        extra_fen: What the borrower would still have to pay more than now; negative if less.
        credit_before_fen: What is owed to the borrower; `credit_after_fen` the same with the event.
        on_books_before_fen: What of the claim is on the books: principal, and income that was
            recognised; `on_books_after_fen` the same with the event.
        off_books_before_fen: What is still owed of a claim that was charged off;
            `off_books_after_fen` the same with the event.
        recovered_before_fen: What came in on a claim that was given up; `recovered_after_fen` the
            same with the event.
        open_before_n: The first instalment to come of which something is owed, None if there is
            none; `open_after_n` the same with the event.
        cost_before: What the loan costs a year if the rest is paid as planned, from the real
            flows; `cost_after` the same with the event.
    """

    kind: str
    on: date
    paid_fen: int
    plan_before: tuple[PlannedRow, ...]
    plan_after: tuple[PlannedRow, ...]
    remaining_before_fen: int
    remaining_after_fen: int
    extra_fen: int
    credit_before_fen: int
    credit_after_fen: int
    on_books_before_fen: int
    on_books_after_fen: int
    off_books_before_fen: int
    off_books_after_fen: int
    recovered_before_fen: int
    recovered_after_fen: int
    open_before_n: int | None
    open_after_n: int | None
    cost_before: Decimal
    cost_after: Decimal

    @property
    def changes_fen(self) -> int:
        """What changes of the debt and of what is owed to the borrower; negative in their favour.

        In all, whether it was owed or is given back.
        """
        return self.extra_fen - (self.credit_after_fen - self.credit_before_fen)

    @property
    def recovers_fen(self) -> int:
        """What comes in on a claim that was given up; negative if it is taken back."""
        return self.recovered_after_fen - self.recovered_before_fen

    @property
    def gap_interest_fen(self) -> int:
        """What the first instalment whose due date moves costs more for its other length.

        Nothing where it is not for that alone that it moves.
        """
        if self.kind not in _MOVES_DATES:
            return 0
        for before, after in zip(self.plan_before, self.plan_after, strict=False):
            if before.due_on != after.due_on:
                return after.interest_fen - before.interest_fen
        return 0

    def shown(self) -> dict[str, Any]:
        """Write down what somebody is shown, JSON-able, to be compared with a later preview."""
        return {
            "kind": self.kind,
            "on": self.on.isoformat(),
            "paid_fen": self.paid_fen,
            "remaining_before_fen": self.remaining_before_fen,
            "remaining_after_fen": self.remaining_after_fen,
            "extra_fen": self.extra_fen,
            "gap_interest_fen": self.gap_interest_fen,
            "credit_before_fen": self.credit_before_fen,
            "credit_after_fen": self.credit_after_fen,
            "on_books_before_fen": self.on_books_before_fen,
            "on_books_after_fen": self.on_books_after_fen,
            "off_books_before_fen": self.off_books_before_fen,
            "off_books_after_fen": self.off_books_after_fen,
            "recovered_before_fen": self.recovered_before_fen,
            "recovered_after_fen": self.recovered_after_fen,
            "open_before_n": self.open_before_n,
            "open_after_n": self.open_after_n,
            "cost_before": f"{self.cost_before:.6f}",
            "cost_after": f"{self.cost_after:.6f}",
            "plan_before": [_listed(row) for row in self.plan_before],
            "plan_after": [_listed(row) for row in self.plan_after],
        }


def preview_event(
    session: Session, *, loan_id: int, event: Event, closed_to: date | None = None
) -> Preview:
    """Say what an event would do to a loan, with all that is booked with it; nothing is written.

    Args:
        session: A session.
        loan_id: The loan.
        event: What would happen.
        closed_to: The day to which the loan is taken to be closed; None for that to which it is.

    Raises:
        EventRefused: It cannot happen to the loan as it stands.
        EventNotBookable: The book does not take events of this kind.
        LoanNotFound: There is no such loan.
        PaymentTooLarge: It is money beyond what is owed.
    """
    events = booked_together(session, loan_id=loan_id, event=event)
    before, after = with_events(session, loan_id=loan_id, events=events, closed_to=closed_to)
    return _compare(event, before, after)


def review_event(session: Session, *, loan_id: int, seq: int) -> Preview:
    """Say what an event that happened did to a loan, as it was known when it was posted.

    Raises:
        EventNotFound: The loan has no event of that number.
        LoanNotFound: There is no such loan.
    """
    terms = terms_of(find_loan(session, loan_id=loan_id))
    told = {event.seq: event for event in loan_events(session, loan_id=loan_id)}
    if seq not in told or seq == 1:
        raise EventNotFound(f"event {seq} of loan {loan_id} changed nothing that was before")
    known = read_events(session, loan_id=loan_id)
    closed_to = max(business_date(told[seq].recorded_at), known[seq - 1].counts_on)
    before, after = (
        standing(terms, known[:count], closed_to=closed_to) for count in (seq - 1, seq)
    )
    return _compare(known[seq - 1], before, after)


def _compare(event: Event, before: Standing, after: Standing) -> Preview:
    owed = [standing.state.outstanding.total_fen for standing in (before, after)]
    off_books = [_off_books_fen(standing) for standing in (before, after)]
    return Preview(
        kind=kind_of(event),
        on=event.on,
        paid_fen=event.amount_fen if is_paid_in(event) else 0,
        plan_before=planned_rows(before.state),
        plan_after=planned_rows(after.state),
        remaining_before_fen=owed[0],
        remaining_after_fen=owed[1],
        extra_fen=owed[1] - owed[0],
        credit_before_fen=before.state.overpaid_fen,
        credit_after_fen=after.state.overpaid_fen,
        on_books_before_fen=on_books_fen(before),
        on_books_after_fen=on_books_fen(after),
        off_books_before_fen=off_books[0],
        off_books_after_fen=off_books[1],
        recovered_before_fen=recovered_fen(before.state),
        recovered_after_fen=recovered_fen(after.state),
        open_before_n=_open_n(before.state, event.on),
        open_after_n=_open_n(after.state, event.on),
        cost_before=actual_cost(before.state).nominal,
        cost_after=actual_cost(after.state).nominal,
    )


def _open_n(state: LoanState, on: date) -> int | None:
    open_rows = (row.n for row in state.rows if row.due_on > on and row.outstanding.total_fen)
    return next(open_rows, None)


def _off_books_fen(standing: Standing) -> int:
    state = standing.state
    is_kept = state.charged_off_on is not None and state.written_off_on is None
    return state.outstanding.total_fen if is_kept else 0


def recovered_fen(state: LoanState) -> int:
    """Return what came in on a claim that was given up, fen."""
    recovered = (record for record in state.records if record.kind is Kind.RECOVERY)
    return sum(record.amount_fen for record in recovered if not record.is_reversed)


def _listed(row: PlannedRow) -> list[Any]:
    return [row.n, row.due_on.isoformat(), row.principal_fen, row.interest_fen, row.fee_fen]
