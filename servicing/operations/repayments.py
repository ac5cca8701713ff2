"""Repayments and prepayments as events of a loan.

How a payment reached us and whether it is genuine is decided in servicing.payments; how it is
spread over a loan, in the engine.
"""

from datetime import date, datetime

from sqlalchemy.orm import Session

from servicing.engine.events import Payment, Prepayment
from servicing.engine.profile import Excess
from servicing.operations.posting import post_event
from servicing.operations.settlements import follow_loan

_PAYER = "borrower"


def post_repayment(
    session: Session, *, loan_id: int, amount_fen: int, value_date: date, key: str, now: datetime
) -> None:
    """Let a payment settle what is owed, the oldest instalment first.

    If it makes the sum of a settlement offer full, the rest is waived. Safe to repeat with the same
    key.

    Args:
        session: The write session in which the payment itself is recorded.
        loan_id: The loan it is for; its row is locked.
        amount_fen: What was paid, > 0.
        value_date: Business date of the provider's success time.
        key: The payment's key, such as its transaction number.
        now: The instant of posting.

    Raises:
        PaymentTooLarge: More than the loan still owes; nothing is posted.
        KeyReused: The key stands for another payment.
    """
    event = Payment(id="", on=value_date, amount_fen=amount_fen)
    post_event(session, loan_id=loan_id, event=event, key=key, actor=_PAYER, now=now)
    follow_loan(session, loan_id=loan_id, on=value_date, now=now)


def post_prepayment(
    session: Session,
    *,
    loan_id: int,
    amount_fen: int,
    value_date: date,
    key: str,
    now: datetime,
    effect: Excess = Excess.REDUCE_TERM,
) -> None:
    """Pay what is due, the interest to the day, then principal; what is left is planned anew.

    An amount that a settlement quote named settles the loan. Arguments and errors are those of
    `post_repayment`; `effect` says what becomes smaller if something is left.

    Raises:
        EventRefused: The amount does not cover what comes before principal.
    """
    event = Prepayment(id="", on=value_date, amount_fen=amount_fen, effect=effect)
    post_event(session, loan_id=loan_id, event=event, key=key, actor=_PAYER, now=now)
    follow_loan(session, loan_id=loan_id, on=value_date, now=now)
