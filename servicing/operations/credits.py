"""Credits and returns: goodwill, payments that were taken back, overpayments that went back.

How money moves outside is decided in servicing.payments.

    CreditRefused  409  there is no such payment to take back, or nothing overpaid to refund
"""

from datetime import date
from functools import partial
from typing import Unpack

from sqlalchemy.orm import Session

from kernel.errors import Conflict
from servicing.engine.book import Kind
from servicing.engine.events import ChargeBack, CreditBalanceRefund, Payment
from servicing.operations.posting import is_paid_in
from servicing.operations.requests import Asked, look_at, post_request
from servicing.operations.settlements import follow_loan


class CreditRefused(Conflict):
    """Only a payment is taken back, and only what was overpaid is refunded."""

    code = "credit-refused"
    message_zh = "没有这笔可撤回的还款，或应退客户的金额没有这么多"


def give_goodwill(session: Session, *, amount_fen: int, **asked: Unpack[Asked]) -> int:
    """Settle a part of what is owed at our own expense, the oldest instalment first.

    Raises:
        PaymentTooLarge: More than is owed.
    """
    event = Payment(id="", on=asked["on"], amount_fen=amount_fen, kind=Kind.GOODWILL_CREDIT)
    return post_request(
        session,
        action="give-goodwill",
        details={"amount_fen": amount_fen},
        rule=lambda: event,
        is_priced=False,
        **asked,
    )


def charging_back(
    session: Session, *, loan_id: int, seq: int, amount_fen: int, on: date
) -> ChargeBack:
    """Return the event by which the payer's bank takes a payment back: principal is owed again.

    Raises:
        CreditRefused: Event `seq` is no payment that stands.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    if not any(is_paid_in(event) and event.id == str(seq) for event in look.happened):
        raise CreditRefused(f"event {seq} of loan {loan_id} is no payment")
    return ChargeBack(id="", on=on, of=str(seq), amount_fen=amount_fen)


def charge_back(session: Session, *, seq: int, amount_fen: int, **asked: Unpack[Asked]) -> int:
    """Book a payment that was taken back; errors of `charging_back` and of requests.

    A settlement that it had completed asks for all of the debt again.
    """
    done = post_request(
        session,
        action="charge-back",
        details={"seq": seq, "amount_fen": amount_fen},
        rule=partial(
            charging_back,
            session,
            loan_id=asked["loan_id"],
            seq=seq,
            amount_fen=amount_fen,
            on=asked["on"],
        ),
        is_priced=False,
        **asked,
    )
    follow_loan(session, loan_id=asked["loan_id"], on=asked["on"], now=asked["now"])
    return done


def refunding(session: Session, *, loan_id: int, amount_fen: int, on: date) -> CreditBalanceRefund:
    """Return the event by which what was overpaid has gone back to where it came from.

    Raises:
        CreditRefused: So much was not overpaid.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    if not 0 < amount_fen <= look.state.overpaid_fen:
        raise CreditRefused(f"loan {loan_id} owes {look.state.overpaid_fen} fen to the borrower")
    return CreditBalanceRefund(id="", on=on, amount_fen=amount_fen)


def refund_credit(session: Session, *, amount_fen: int, **asked: Unpack[Asked]) -> int:
    """Book that an overpayment went back; errors of `refunding` and of requests."""
    return post_request(
        session,
        action="refund-credit",
        details={"amount_fen": amount_fen},
        rule=partial(
            refunding,
            session,
            loan_id=asked["loan_id"],
            amount_fen=amount_fen,
            on=asked["on"],
        ),
        is_priced=False,
        **asked,
    )
