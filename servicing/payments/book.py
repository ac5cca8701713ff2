"""The one door through which payments touch the loan book: lock, quote, post, keep, give back.

It decides nothing about orders, refunds or differences, and it makes no entry of its own but
those for money that no debt took.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from servicing.engine.events import CreditBalanceRefund, Payment
from servicing.engine.payments import EventRefused
from servicing.operations import (
    CLEARING,
    FUNDING,
    PAY_FEE,
    REFUND_PAYABLE,
    REPOSTED,
    SUSPENSE,
    lock_loan,
    post_entry,
    post_event,
    post_prepayment,
    post_repayment,
    require_payable,
    reverse,
)
from servicing.payments.ports import Purpose
from servicing.payments.tables import Payment as PaymentRow
from servicing.payments.tables import Refund
from servicing.queries import (
    LoanEventView,
    LoanNotFound,
    loan_events,
    loan_of,
    planned_credit_fen,
    repayment_quote,
    settlement_quote,
)
from servicing.tables import Loan

_PAID_IN: Final = ("repayment", "prepayment")
PAYOUT: Final = "platform-payout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a loan asks for now.

    Attributes:
        lines: Fen by number of the instalment, oldest first; none where the loan is to be settled,
            there the day's own quote decides, nor for an amount of the payer's own.
    """

    loan_no: str
    amount_fen: int
    lines: Mapping[int, int]


def lock(session: Session, *, loan_id: int) -> None:
    """Lock a loan for writing."""
    lock_loan(session, loan_id=loan_id)


def locked_quote(
    session: Session,
    *,
    loan_id: int,
    customer_id: int,
    purpose: Purpose,
    on: date,
    terms: int | None = None,
    amount_fen: int = 0,
) -> Asked:
    """Lock a customer's loan and say what it asks for, or what settles it.

    Args:
        session: A write session.
        loan_id: The loan.
        customer_id: Whose it must be.
        purpose: What is to be paid.
        on: The business date.
        terms: Of how many of its oldest instalments that are due, at least one; None takes all.
        amount_fen: What the payer chose, for an amount of their own.

    Raises:
        AmountRefused: The payer's own amount is nothing, or more than the loan needs.
        LoanNotFound: No such loan, or another's.
        NoEarlySettlement: The product does not let it be settled early.
    """
    if session.scalar(select(Loan.customer_id).where(Loan.id == loan_id)) != customer_id:
        raise LoanNotFound(f"no loan {loan_id} of this customer")
    lock_loan(session, loan_id=loan_id)
    loan = loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
    if purpose is Purpose.SETTLE:
        settling = settlement_quote(session, loan_id=loan_id, customer_id=customer_id, on=on)
        return Asked(loan_no=loan.loan_no, amount_fen=settling.amount_fen, lines={})
    if purpose is Purpose.OWN:
        require_payable(session, loan=loan, amount_fen=amount_fen, on=on)
        return Asked(loan_no=loan.loan_no, amount_fen=amount_fen, lines={})
    quote = repayment_quote(loan, on=on)
    chosen = quote.lines if terms is None else quote.lines[: max(terms, 1)]
    return Asked(
        loan_no=loan.loan_no,
        amount_fen=sum(line.outstanding_fen for line in chosen),
        lines={line.n: line.outstanding_fen for line in chosen},
    )


def still_owed(
    session: Session,
    *,
    loan_id: int,
    customer_id: int,
    purpose: Purpose,
    asked: Mapping[int, int],
    on: date,
) -> int:
    """Say how much a locked loan can take of what was asked for, fen.

    Args:
        session: The write session that holds the loan's lock.
        loan_id: Whose instalments.
        customer_id: Whose loan.
        purpose: To settle, it is what settles the loan on the day of the payment; for an amount of
            the payer's own, all that is left of the plan; else what is still open on the
            instalments that were asked for.
        asked: Fen by number of the instalment.
        on: The business date of the payment.
    """
    if purpose is Purpose.SETTLE:
        return settlement_quote(session, loan_id=loan_id, customer_id=customer_id, on=on).amount_fen
    loan = loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
    if purpose is Purpose.OWN and loan.remaining_fen:
        return loan.remaining_fen - planned_credit_fen(session, loan_id=loan_id, on=on)
    owed = sum(min(asked.get(line.n, 0), line.outstanding_fen) for line in loan.plan)
    if owed and owed == loan.remaining_fen:
        return owed - planned_credit_fen(session, loan_id=loan_id, on=on)
    return owed


def post(
    session: Session,
    *,
    loan_id: int,
    payment_id: int,
    purpose: Purpose,
    amount_fen: int,
    value_date: date,
    now: datetime,
) -> None:
    """Let the loan take a payment: event, allocation, ledger, RepaymentPosted.

    Money that was to settle, and came a day too late to do so, repays all the principal that it
    covers; what is left falls due next. Too little even for the cost to its day, it is allocated
    like any other money.
    """
    given: dict[str, Any] = {
        "loan_id": loan_id,
        "amount_fen": amount_fen,
        "value_date": value_date,
        "key": f"payment/{payment_id}",
        "now": now,
    }
    if purpose is Purpose.SETTLE:
        with suppress(EventRefused), session.begin_nested():
            post_prepayment(session, **given)
            return
    post_repayment(session, **given)


def keep_excess(
    session: Session,
    *,
    loan_id: int,
    payment_id: int,
    amount_fen: int,
    value_date: date,
    now: datetime,
) -> None:
    """Enter money that no debt took as owed to its payer."""
    post_entry(
        session,
        loan_id=loan_id,
        kind="overpayment",
        key=f"overpayment/{payment_id}",
        effective_on=value_date,
        postings={CLEARING: amount_fen, REFUND_PAYABLE: -amount_fen},
        now=now,
    )


def give_back(
    session: Session, refund: Refund, *, value_date: date, by: str, now: datetime
) -> None:
    """Enter that a refund's money is with its payer again.

    What a loan owed its borrower is an event of that loan; what no loan took is an entry of ours.

    Raises:
        EventRefused: The loan was given up since.
    """
    if refund.credit_loan_id is not None:
        give_credit_back(
            session,
            loan_id=refund.credit_loan_id,
            fen=refund.amount_fen,
            key=f"refund/{refund.out_refund_no}",
            value_date=value_date,
            by=by,
            now=now,
        )
        return
    payment = refund.payment_id and session.get_one(PaymentRow, refund.payment_id)
    post_entry(
        session,
        loan_id=payment.loan_id if payment else None,
        kind="refund",
        key=f"refund/{refund.out_refund_no}",
        effective_on=value_date,
        postings={REFUND_PAYABLE: refund.amount_fen, CLEARING: -refund.amount_fen},
        now=now,
    )


def give_credit_back(
    session: Session,
    *,
    loan_id: int,
    fen: int,
    key: str,
    value_date: date,
    by: str,
    now: datetime,
) -> None:
    """Let a loan owe its borrower so much less; what it did not owe is principal again.

    Raises:
        EventRefused: The loan was given up since.
    """
    event = CreditBalanceRefund(id="", on=value_date, amount_fen=fen)
    post_event(session, loan_id=loan_id, event=event, key=key, actor=by, now=now)


def pay_by_bank(session: Session, refund: Refund, *, on: date, now: datetime) -> None:
    """Enter that such money left our bank, and not our account at the platform."""
    post_entry(
        session,
        loan_id=None,
        kind="refund-by-bank",
        key=refund.out_refund_no,
        effective_on=on,
        postings={CLEARING: refund.amount_fen, FUNDING: -refund.amount_fen},
        now=now,
    )


def enter_suspense(session: Session, *, name: str, fen: int, on: date, now: datetime) -> None:
    """Enter money that the bill has and we know no reason for; negative, money that it lacks."""
    if fen:
        post_entry(
            session,
            loan_id=None,
            kind="suspense",
            key=name,
            effective_on=on,
            postings={CLEARING: fen, SUSPENSE: -fen},
            now=now,
        )


def leave_suspense(
    session: Session, *, name: str, to: str, fen: int, on: date, now: datetime
) -> None:
    """Enter that such money went to another account; negative takes it from there."""
    post_entry(
        session,
        loan_id=None,
        kind="suspense-cleared",
        key=name,
        effective_on=on,
        postings={SUSPENSE: fen, to: -fen},
        now=now,
    )


def post_unasked(
    session: Session, *, loan_id: int, key: str, amount_fen: int, value_date: date, now: datetime
) -> None:
    """Let a loan take money that no order of ours asked for."""
    post_repayment(
        session, loan_id=loan_id, amount_fen=amount_fen, value_date=value_date, key=key, now=now
    )


def standing_payment(session: Session, *, loan_id: int, payment_id: int) -> LoanEventView | None:
    """Return the event by which a loan holds a payment, or what is left of it; None if none."""
    known = loan_events(session, loan_id=loan_id)
    gone = {event.payload["of"] for event in known if event.kind == "reversal"}
    name = f"payment/{payment_id}"
    held = [
        event
        for event in known
        if event.kind in _PAID_IN
        and (event.key == name or event.key.startswith(f"{name}{REPOSTED}"))
        and str(event.seq) not in gone
    ]
    return held[-1] if held else None


def take_off(
    session: Session,
    *,
    loan_id: int,
    payment_id: int,
    fen: int,
    key: str,
    on: date,
    by: str,
    now: datetime,
) -> None:
    """Take so much of a payment off a loan as if it had never been paid.

    What is left of it is posted anew for the day of the payment.

    Raises:
        ReversalRefused: The loan does not hold it.
        EventRefused: The loan cannot do without it as it stands.
    """
    event = standing_payment(session, loan_id=loan_id, payment_id=payment_id)
    seq = 0 if event is None else event.seq
    reverse(session, loan_id=loan_id, seq=seq, on=on, key=key, actor=by, now=now)
    if event is None or fen == event.payload["amount_fen"]:
        return
    rest = Payment(id="", on=event.value_date, amount_fen=event.payload["amount_fen"] - fen)
    name = f"payment/{payment_id}{REPOSTED}{key}"
    post_event(session, loan_id=loan_id, event=rest, key=name, actor=by, now=now)


def pay_fee(session: Session, *, on: date, fen: int, now: datetime) -> None:
    """Enter what the platform kept of a day's trades by contract."""
    if fen:
        post_entry(
            session,
            loan_id=None,
            kind="payment-fee",
            key=on.isoformat(),
            effective_on=on,
            postings={PAY_FEE: fen, CLEARING: -fen},
            now=now,
        )


def pay_out(session: Session, *, on: date, fen: int, now: datetime) -> None:
    """Enter what the platform paid out to our bank on a day; below 0 it came back."""
    if fen:
        post_entry(
            session,
            loan_id=None,
            kind=PAYOUT,
            key=on.isoformat(),
            effective_on=on,
            postings={FUNDING: fen, CLEARING: -fen},
            now=now,
        )


def owner_of(session: Session, *, loan_id: int) -> int:
    """Return whose loan it is.

    Raises:
        LoanNotFound: There is none.
    """
    customer_id = session.scalar(select(Loan.customer_id).where(Loan.id == loan_id))
    if customer_id is None:
        raise LoanNotFound(f"no loan {loan_id}")
    return customer_id
