"""What is booked together with an event, so that it can be seen before it happens.

Posting books more than was asked for: what the cap takes off before money that ends a loan, what it
gives back after, what goes with an event that is taken back, and what offers do then. Each is
decided where it is posted; here the same decisions are lined up, and nothing is written.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.orm import Session

from servicing.engine.events import Cancellation, ChargeBack, Event, Prepayment, Reversal
from servicing.operations.posting import is_paid_in, refuse_excess
from servicing.operations.repayments import guarding, reversed_with
from servicing.operations.settlements import following
from servicing.queries.history import find_loan, loan_events, read_events, standing, terms_of
from servicing.settling import beyond_cap, plan_within_cap

_TAKEN_BACK: Final = (Reversal, ChargeBack)


def booked_together(session: Session, *, loan_id: int, event: Event) -> tuple[Event, ...]:
    """List all that posting an event would book, in order; their ids go on from what is known.

    Raises:
        EventRefused: It cannot happen to the loan as it stands.
        LoanNotFound: There is no such loan.
        PaymentTooLarge: It is money beyond what is owed.
    """
    loan = find_loan(session, loan_id=loan_id)
    terms, known = terms_of(loan), read_events(session, loan_id=loan_id)
    told = list(known)
    if isinstance(event, Reversal):
        seqs = reversed_with(loan_events(session, loan_id=loan_id), int(event.of))
        _tell(told, [replace(event, of=str(seq)) for seq in seqs])
    else:
        if is_paid_in(event):
            _tell(told, guarding(terms, told, event))
        before = standing(terms, told, closed_to=loan.closed_to)
        _tell(told, [event])
        after = standing(terms, told, closed_to=loan.closed_to)
        refuse_excess(event, before.state, after.state)
        if isinstance(event, Prepayment):
            on = max(each.counts_on for each in told)
            _tell(told, plan_within_cap(terms, told, on))
    if is_paid_in(event) or isinstance(event, _TAKEN_BACK):
        for offer_events in following(session, loan_id=loan_id, events=told):
            _tell(told, offer_events)
    if is_paid_in(event) or isinstance(event, Cancellation):
        on = max(each.counts_on for each in told)
        _tell(told, beyond_cap(terms, told, on))
    return tuple(told[len(known) :])


def _tell(told: list[Event], events: Sequence[Event]) -> None:
    """Let events happen after those that were told."""
    told += [replace(event, id=str(len(told) + n)) for n, event in enumerate(events, 1)]
