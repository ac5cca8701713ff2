"""What an event would do to a loan, or did: the same replay that posting would store, or stored."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import NotFound
from servicing.archive import kind_of
from servicing.caps import actual_cost
from servicing.engine.events import Event
from servicing.engine.state import LoanState
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


class EventNotFound(NotFound):
    """The loan has no such event, or it is the disbursement, before which there was nothing."""

    code = "event-not-found"
    message_zh = "没有找到该笔记录"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an event would do, before it happens; fen, annual cost as a share.

    Attributes:
        extra_fen: What the borrower would still have to pay more than now; negative if less.
        cost_before: What the loan costs a year if the rest is paid as planned, from the real
            flows; `cost_after` the same with the event.
    """

    kind: str
    plan_before: tuple[PlannedRow, ...]
    plan_after: tuple[PlannedRow, ...]
    remaining_before_fen: int
    remaining_after_fen: int
    extra_fen: int
    cost_before: Decimal
    cost_after: Decimal

    @property
    def gap_interest_fen(self) -> int:
        """What the first instalment whose due date moves costs more for its other length."""
        for before, after in zip(self.plan_before, self.plan_after, strict=False):
            if before.due_on != after.due_on:
                return after.interest_fen - before.interest_fen
        return 0

    def shown(self) -> dict[str, Any]:
        """Write down what somebody is shown, JSON-able, to be compared with a later preview."""
        return {
            "kind": self.kind,
            "remaining_before_fen": self.remaining_before_fen,
            "remaining_after_fen": self.remaining_after_fen,
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
    seen = with_events(session, loan_id=loan_id, events=events, closed_to=closed_to)
    return _compare(event, *seen)


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
    closed_to = business_date(told[seq].recorded_at)
    before, after = (
        standing(terms, known[:count], closed_to=closed_to).state for count in (seq - 1, seq)
    )
    return _compare(known[seq - 1], before, after)


def _compare(event: Event, before: LoanState, after: LoanState) -> Preview:
    owed = [state.outstanding.total_fen for state in (before, after)]
    return Preview(
        kind=kind_of(event),
        plan_before=planned_rows(before),
        plan_after=planned_rows(after),
        remaining_before_fen=owed[0],
        remaining_after_fen=owed[1],
        extra_fen=owed[1] - owed[0],
        cost_before=actual_cost(before).nominal,
        cost_after=actual_cost(after).nominal,
    )


def _listed(row: PlannedRow) -> list[Any]:
    return [row.n, row.due_on.isoformat(), row.principal_fen, row.interest_fen, row.fee_fen]
