"""What staff may do to a loan: waive, reverse, charge, pause, extend, each with its preview.

Who may, and whether a second person must agree, is decided where the request comes in; what may
happen to the loan, in the engine. A preview is the same replay that posting would store.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from kernel import idempotency
from kernel.errors import Conflict, Invalid
from servicing.archive import kind_of
from servicing.caps import actual_cost
from servicing.engine.events import (
    Charge,
    Event,
    ExtraTerms,
    InterestPause,
    PenaltyPause,
    Reversal,
    Waiver,
)
from servicing.engine.parts import Component
from servicing.operations.change_costs import require_confirmed_change, require_within_cap
from servicing.operations.posting import lock_loan, post_event
from servicing.queries.history import (
    PlannedRow,
    find_loan,
    loan_events,
    planned_rows,
    read_events,
    standing,
    terms_of,
    with_event,
)

_EXTENSION = "extra-terms"


class ExtensionRefused(Conflict):
    """A loan is extended once, before it is late, by no more than it was first agreed for."""

    code = "extension-refused"
    message_zh = "该分期不符合展期条件"


class ReversalRefused(Invalid):
    """The disbursement cannot be reversed, nor what never happened."""

    code = "reversal-refused"
    message_zh = "该笔记录不能冲正"


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


def preview_event(session: Session, *, loan_id: int, event: Event) -> Preview:
    """Say what an event would do to a loan; nothing is written.

    Raises:
        EventRefused: It cannot happen to the loan as it stands.
        EventNotBookable: The book does not take events of this kind.
        LoanNotFound: There is no such loan.
    """
    before, after = with_event(session, loan_id=loan_id, event=event)
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


def reverse(
    session: Session, *, loan_id: int, seq: int, on: date, key: str, actor: str, now: datetime
) -> int:
    """Take back an event as if it had never happened; what came after it is told anew.

    The entries that it made are booked back, and those that change are corrected.

    Raises:
        ReversalRefused: It is the disbursement, or there is no such event.
        EventRefused: It cannot be taken back as the loan stands.
    """
    known = {event.seq: event.kind for event in loan_events(session, loan_id=loan_id)}
    if known.get(seq, "disbursement") == "disbursement":
        raise ReversalRefused(f"event {seq} of loan {loan_id} cannot be reversed")
    event = Reversal(id="", on=on, of=str(seq))
    return post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)


def charge(
    session: Session,
    *,
    loan_id: int,
    amount_fen: int,
    due_on: date,
    on: date,
    key: str,
    actor: str,
    now: datetime,
) -> int:
    """Charge a fee that falls due on a day; returns the event's number.

    Raises:
        CostAboveCap: With it, the loan would cost more a year than is allowed.
    """
    event = Charge(id="", on=on, amount_fen=amount_fen, due_on=due_on)
    payload = {"loan_id": loan_id, "amount_fen": amount_fen, "due_on": due_on.isoformat()}
    claimed = idempotency.claim(session, action="charge", key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["seq"])
    lock_loan(session, loan_id=loan_id)
    require_within_cap(session, loan_id=loan_id, event=event)
    seq = post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)
    claimed.keep({"seq": seq})
    return seq


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


def extend(
    session: Session,
    *,
    loan_id: int,
    extra_terms: int,
    disclosure_id: int,
    on: date,
    key: str,
    actor: str,
    now: datetime,
) -> int:
    """Spread what is not due yet over more instalments (展期), free of charge.

    Raises:
        CostNotConfirmed: The borrower has not confirmed the cost table of just this.
        ExtensionRefused: It was extended before, is late, is paid, or would more than double.
        CostAboveCap: The loan would cost more a year than is allowed.
    """
    payload = {"loan_id": loan_id, "extra_terms": extra_terms}
    claimed = idempotency.claim(session, action="extend", key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["seq"])
    loan = lock_loan(session, loan_id=loan_id)
    event = extension(session, loan_id=loan_id, extra_terms=extra_terms, on=on)
    require_confirmed_change(session, loan=loan, event=event, disclosure_id=disclosure_id)
    seq = post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)
    claimed.keep({"seq": seq})
    return seq


def extension(session: Session, *, loan_id: int, extra_terms: int, on: date) -> ExtraTerms:
    """Return the event that extends a loan, for preview or posting.

    Raises:
        ExtensionRefused: As for `extend`.
    """
    loan = find_loan(session, loan_id=loan_id)
    if any(event.kind == _EXTENSION for event in loan_events(session, loan_id=loan_id)):
        raise ExtensionRefused(f"loan {loan_id} was extended before")
    if not 1 <= extra_terms <= loan.terms:
        raise ExtensionRefused(f"loan {loan_id} cannot have {extra_terms} terms more")
    events = read_events(session, loan_id=loan_id)
    state = standing(terms_of(loan), events, closed_to=loan.closed_to).state
    dates = [row.due_on for row in state.rows if row.outstanding.total_fen]
    later = [day for day in dates if day > on]
    if not later or dates[0] < on:
        raise ExtensionRefused(f"loan {loan_id} is late or has nothing to spread")
    return ExtraTerms(id="", on=on, from_due_on=later[0], extra=extra_terms)
