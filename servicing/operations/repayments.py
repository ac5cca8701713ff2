"""Repayments and prepayments as events of a loan.

How a payment reached us and whether it is genuine is decided in servicing.payments; how it is
spread over a loan, in the engine.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from servicing.engine.events import Event, Payment, Prepayment
from servicing.engine.profile import Excess
from servicing.engine.terms import Terms
from servicing.operations.posting import lock_loan, post_event
from servicing.operations.settlements import follow_loan
from servicing.queries.history import LoanEventView, read_events, terms_of
from servicing.settling import beyond_cap, early_ending, plan_within_cap, planned_ending
from servicing.tables import Instalment

BORROWER = "borrower"
_GUARD = "machine:cost-guard"


def post_repayment(
    session: Session,
    *,
    loan_id: int,
    amount_fen: int,
    value_date: date,
    key: str,
    now: datetime,
    actor: str = BORROWER,
) -> int:
    """Let a payment settle what is owed, the oldest instalment first.

    If it makes the sum of a settlement offer full, the rest is waived. Safe to repeat with the same
    key. Returns the number of its event.

    Args:
        session: The write session in which the payment itself is recorded.
        loan_id: The loan it is for; its row is locked.
        amount_fen: What was paid, > 0.
        value_date: Business date of the provider's success time.
        key: The payment's key, such as its transaction number.
        now: The instant of posting.
        actor: Who took the money in: the borrower paid to us, or a partner collected it.

    Raises:
        PaymentTooLarge: More than the loan still owes; nothing is posted.
        KeyReused: The key stands for another payment.
    """
    event = Payment(id="", on=value_date, amount_fen=amount_fen)
    _keep_to_cap(session, event, loan_id=loan_id, key=key, now=now)
    seq = post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)
    follow_loan(session, loan_id=loan_id, on=value_date, now=now)
    give_back_beyond_cap(session, loan_id=loan_id, key=key, now=now)
    return seq


def post_prepayment(
    session: Session,
    *,
    loan_id: int,
    amount_fen: int,
    value_date: date,
    key: str,
    now: datetime,
    effect: Excess = Excess.REDUCE_TERM,
    actor: str = BORROWER,
) -> int:
    """Pay what is due, the interest to the day, then principal; what is left is planned anew.

    An amount that a settlement quote named settles the loan. Arguments and errors are those of
    `post_repayment`; `effect` says what becomes smaller if something is left.

    Raises:
        EventRefused: The amount does not cover what comes before principal.
    """
    event = Prepayment(id="", on=value_date, amount_fen=amount_fen, effect=effect)
    _keep_to_cap(session, event, loan_id=loan_id, key=key, now=now)
    seq = post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)
    _keep_plan_to_cap(session, loan_id=loan_id, key=key, now=now)
    follow_loan(session, loan_id=loan_id, on=value_date, now=now)
    give_back_beyond_cap(session, loan_id=loan_id, key=key, now=now)
    return seq


def give_back_beyond_cap(session: Session, *, loan_id: int, key: str, now: datetime) -> None:
    """End a loan of which not a fen more may be asked, and owe back what was paid beyond the cap.

    Called after whatever brings money or ends the loan, in its transaction, which holds the loan's
    lock; safe to repeat. It counts from the last thing that happened to the loan, however early
    what came last counts.
    """
    if _least_ending_fen(session, loan_id) > 0:
        return
    loan = lock_loan(session, loan_id=loan_id)
    known = read_events(session, loan_id=loan_id)
    on = max(event.counts_on for event in known)
    for n, event in enumerate(beyond_cap(terms_of(loan), known, on), 1):
        post_event(
            session, loan_id=loan_id, event=event, key=f"{key}/back/{n}", actor=_GUARD, now=now
        )


def _keep_plan_to_cap(session: Session, *, loan_id: int, key: str, now: datetime) -> None:
    """Give up what a prepayment makes a flat product cost above the cap; safe to repeat."""
    loan = lock_loan(session, loan_id=loan_id)
    known = read_events(session, loan_id=loan_id)
    on = max(event.counts_on for event in known)
    for event in plan_within_cap(terms_of(loan), known, on):
        post_event(
            session, loan_id=loan_id, event=event, key=f"{key}/back/plan", actor=_GUARD, now=now
        )


def reversed_with(events: Sequence[LoanEventView], seq: int) -> tuple[int, ...]:
    """List which events are taken back if one is, itself among them, in that order.

    What the cap had booked with it goes with it: what came of it before it, what made room for it
    after it.
    """
    key = next(event.key for event in events if event.seq == seq)
    gone = {event.payload["of"] for event in events if event.kind == "reversal"}
    return tuple(
        event.seq
        for event in reversed(events)
        if event.seq == seq
        or (
            event.actor == _GUARD
            and event.key.startswith((f"{key}/cap/", f"{key}/back/"))
            and str(event.seq) not in gone
        )
    )


def _least_ending_fen(session: Session, loan_id: int) -> int:
    """Return what less than cannot end a loan: the cap gives back no more than all cost paid."""
    paid_cost = Instalment.paid_interest_fen + Instalment.paid_fee_fen + Instalment.paid_penalty_fen
    least = select(func.sum(Instalment.open_principal_fen - paid_cost))
    return int(session.scalar(least.where(Instalment.loan_id == loan_id)) or 0)


def guarding(
    terms: Terms, known: Sequence[Event], event: Payment | Prepayment
) -> tuple[Event, ...]:
    """List what is booked before money that ends a loan: the fee for it, what the cap takes off.

    A repayment that pays the whole plan is not asked for it: it does so only if it was told what
    the cap takes off (`planned_credit_fen`) and leaves just that out.
    """
    if any(later.counts_on > event.on for later in known):
        return ()
    ending = early_ending if isinstance(event, Prepayment) else planned_ending
    ends = ending(terms, known, event.on)
    short_fen = ends.total_fen - event.amount_fen
    if short_fen > 0 or (short_fen < 0 and isinstance(event, Payment)):
        return ()
    return ends.before


def _keep_to_cap(
    session: Session, event: Payment | Prepayment, *, loan_id: int, key: str, now: datetime
) -> None:
    """Book what comes before money that ends a loan."""
    loan = lock_loan(session, loan_id=loan_id)
    if event.amount_fen < _least_ending_fen(session, loan_id):
        return
    before = guarding(terms_of(loan), read_events(session, loan_id=loan_id), event)
    for n, each in enumerate(before, 1):
        post_event(
            session, loan_id=loan_id, event=each, key=f"{key}/cap/{n}", actor=_GUARD, now=now
        )
