"""What staff may do to a running loan beside its plan: waive, reverse, charge, pause.

Who may, and whether a second person must agree, is decided where the request comes in; what may
happen to the loan, in the engine.
"""

from datetime import date, datetime
from typing import Unpack

from sqlalchemy import update
from sqlalchemy.orm import Session

from kernel.errors import Invalid
from servicing.engine.events import Charge, InterestPause, PenaltyPause, Reversal, Waiver
from servicing.engine.parts import Component
from servicing.operations.posting import post_event
from servicing.operations.requests import Asked, post_request
from servicing.operations.settlements import follow_loan
from servicing.queries.history import loan_events
from servicing.tables import LoanFreeze


class ReversalRefused(Invalid):
    """The disbursement cannot be reversed, nor what never happened."""

    code = "reversal-refused"
    message_zh = "该笔记录不能冲正"


def waive(
    session: Session,
    *,
    loan_id: int,
    component: Component,
    amount_fen: int,
    on: date,
    key: str,
    actor: str,
    now: datetime,
) -> int:
    """Give up a part of what is owed, the oldest instalment first; returns the event's number.

    Raises:
        EventRefused: Nothing of the component is owed.
    """
    event = Waiver(id="", on=on, component=component, amount_fen=amount_fen)
    return post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)


def reversal(session: Session, *, loan_id: int, seq: int, on: date) -> Reversal:
    """Return the event that takes another back.

    Raises:
        ReversalRefused: It is the disbursement, or there is no such event.
    """
    known = {event.seq: event.kind for event in loan_events(session, loan_id=loan_id)}
    if known.get(seq, "disbursement") == "disbursement":
        raise ReversalRefused(f"event {seq} of loan {loan_id} cannot be reversed")
    return Reversal(id="", on=on, of=str(seq))


def reverse(
    session: Session, *, loan_id: int, seq: int, on: date, key: str, actor: str, now: datetime
) -> int:
    """Take back an event as if it had never happened; what came after it is told anew.

    The entries that it made are booked back, and those that change are corrected. A freeze that it
    was is lifted, and an offer that it came from follows.

    Raises:
        ReversalRefused: It is the disbursement, or there is no such event.
        EventRefused: It cannot be taken back as the loan stands.
    """
    event = reversal(session, loan_id=loan_id, seq=seq, on=on)
    done = post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)
    session.execute(
        update(LoanFreeze)
        .where(
            LoanFreeze.loan_id == loan_id,
            LoanFreeze.event_seq == seq,
            LoanFreeze.lifted_at.is_(None),
        )
        .values(lifted_by=actor, lifted_at=now)
    )
    follow_loan(session, loan_id=loan_id, on=on, now=now)
    return done


def charge(session: Session, *, amount_fen: int, due_on: date, **asked: Unpack[Asked]) -> int:
    """Charge a fee that falls due on a day; returns the event's number.

    Raises:
        CostAboveCap: With it, the loan would cost more a year than is allowed.
    """
    event = Charge(id="", on=asked["on"], amount_fen=amount_fen, due_on=due_on)
    details = {"amount_fen": amount_fen, "due_on": due_on.isoformat()}
    return post_request(session, action="charge", details=details, rule=lambda: event, **asked)


def pause_interest(
    session: Session,
    *,
    loan_id: int,
    first_on: date,
    last_on: date | None,
    on: date,
    key: str,
    actor: str,
    now: datetime,
) -> int:
    """Let no interest run from a first to a last day, both included."""
    event = InterestPause(id="", on=on, first_on=first_on, last_on=last_on)
    return post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)


def pause_penalty(
    session: Session,
    *,
    loan_id: int,
    first_on: date,
    last_on: date | None,
    on: date,
    key: str,
    actor: str,
    now: datetime,
) -> int:
    """Let no penalty run from a first to a last day, both included."""
    event = PenaltyPause(id="", on=on, first_on=first_on, last_on=last_on)
    return post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)
