"""What loans owe their borrowers goes back: overpaid, goods returned, beyond the cap, taken back.

How it goes: to the payments of the loan that it came by, the newest first, each as one refund; what
none of them can take (a payment older than a year, all of it gone back, collected by a partner) is
left to a person, who transfers it by bank. The loan's own event is booked when the money is back.

    CreditTooSmall  409  so much is not owed, or is on its way back already

Nothing is sent here: `refunds` does that, and people by `transfers`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import Conflict
from kernel.ids import new_number
from kernel.logs import log
from kernel.runtime import Runtime
from servicing import authority
from servicing.operations import lock_loan, raise_alert
from servicing.payments import watch
from servicing.payments.model import (
    REFUND_PENDING,
    DifferenceKind,
    Part,
    RefundState,
    Source,
    spread,
)
from servicing.payments.tables import PayDifference, Payment, Refund
from servicing.tables import Loan, LoanEvent

ACT: Final = "refund"
MACHINE: Final = "machine:refunds"

_REASON: Final = "分期多付款项，原路退回"
_MACHINE_ROLE: Final = "machine"
_LATELY: Final = timedelta(days=30)
_BATCH: Final = 50


class CreditTooSmall(Conflict):
    """The loan owes its borrower less, or it is on its way back already."""

    code = "credit-too-small"
    message_zh = "可退金额不足，或款项已在退回途中"


def return_small_credits(runtime: Runtime) -> int:
    """Send back every credit that the machine may by itself, small ones first.

    Staff hear of the others, once a day each.

    Returns:
        How many loans' credits were sent on their way.
    """
    now = runtime.clock.now()
    pending = _pending_fen().correlate(Loan).scalar_subquery()
    with runtime.database.write() as session:
        found = session.scalars(
            select(Loan.id)
            .where(Loan.credit_fen > 0, Loan.credit_fen > func.coalesce(pending, 0))
            .order_by(Loan.credit_fen, Loan.id)
            .limit(_BATCH)
        ).all()
        return sum(_return_small(session, loan_id, now) for loan_id in found)


def _return_small(session: Session, loan_id: int, now: datetime) -> bool:
    loan = lock_loan(session, loan_id=loan_id)
    fen = open_credit_fen(session, loan)
    # However it was split, all that the loan owed lately counts, not the rest of it.
    whole = loan.credit_fen + _arrived_lately_fen(session, loan_id, now)
    if authority.may_do_alone(ACT, {_MACHINE_ROLE}, whole, on=business_date(now)):
        send_back(session, loan_id=loan_id, fen=fen, by=MACHINE, now=now)
        return True
    raise_alert(
        session,
        key=f"credit-waits/{loan_id}/{loan.credit_fen}/{business_date(now)}",
        kind="credit-waits",
        severity="medium",
        customer_id=loan.customer_id,
        loan_id=loan_id,
        details={"loan_no": loan.loan_no, "amount_fen": fen},
        now=now,
    )
    return False


def open_credit_fen(session: Session, loan: Loan) -> int:
    """Return what a loan owes its borrower and is not on its way back yet, fen."""
    return max(0, loan.credit_fen - pending_fen(session, loan_id=loan.id))


def pending_fen(session: Session, *, loan_id: int) -> int:
    """Return what of a loan's credit is on its way back, or waits to be sent, fen."""
    return int(session.scalar(_pending_fen().where(Loan.id == loan_id)) or 0)


def open_credit_of(session: Session, *, loan_id: int) -> int:
    """Return the same of a loan by its id."""
    return open_credit_fen(session, session.get_one(Loan, loan_id))


def given_lately_fen(session: Session, *, loan_id: int, by: str, now: datetime) -> int:
    """Return what somebody sent back of a loan within 30 days; amounts are not split into small."""
    found = select(func.sum(Refund.amount_fen)).where(
        Refund.credit_loan_id == loan_id,
        Refund.asked_by == by,
        Refund.created_at > now - _LATELY,
        Refund.state != RefundState.CLOSED,
    )
    return int(session.scalar(found) or 0)


def _arrived_lately_fen(session: Session, loan_id: int, now: datetime) -> int:
    found = select(func.sum(Refund.amount_fen)).where(
        Refund.credit_loan_id == loan_id,
        Refund.created_at > now - _LATELY,
        Refund.state.in_((RefundState.SUCCEEDED, RefundState.TRANSFERRED)),
    )
    return int(session.scalar(found) or 0)


def plan_back(session: Session, *, loan_id: int, fen: int, now: datetime) -> tuple[Part, ...]:
    """Say where an amount would go back to; nothing is written."""
    return tuple(spread(fen, _sources(session, loan_id), now=now))


def send_back(
    session: Session, *, loan_id: int, fen: int, by: str, now: datetime
) -> tuple[str, ...]:
    """Start sending back what a loan owes its borrower; returns the numbers of the refunds.

    Args:
        session: A write session; the loan is locked.
        loan_id: The loan.
        fen: How much, > 0, at most what it owes and is not on its way.
        by: Who asked for it.
        now: The instant.

    Raises:
        CreditTooSmall: Said above.
        LoanNotFound: There is no such loan.
    """
    loan = lock_loan(session, loan_id=loan_id)
    if not 0 < fen <= open_credit_fen(session, loan):
        raise CreditTooSmall(f"loan {loan_id} owes {loan.credit_fen} fen to its borrower")
    parts = plan_back(session, loan_id=loan_id, fen=fen, now=now)
    rows = [_row(part, loan_id, by, now) for part in parts]
    session.add_all(rows)
    session.flush()
    for row in rows:
        if row.state == RefundState.MANUAL:
            watch.alert_refund(session, row, loan.customer_id, loan_id, row.state, now=now)
    log.info("credit goes back", loan_id=loan_id, refunds=len(rows))
    return tuple(row.out_refund_no for row in rows)


def _row(part: Part, loan_id: int, by: str, now: datetime) -> Refund:
    return Refund(
        payment_id=part.payment_id,
        credit_loan_id=loan_id,
        out_refund_no=new_number("RF", on=business_date(now)),
        amount_fen=part.fen,
        reason=_REASON,
        state=RefundState.READY if part.payment_id is not None else RefundState.MANUAL,
        last_code=part.why,
        next_try_at=now,
        created_at=now,
        asked_by=by,
    )


def try_other_way(session: Session, refund: Refund, *, loan_id: int, now: datetime) -> None:
    """Send what the platform would not send to the loan's other payments, or leave it to people."""
    fen = min(refund.amount_fen, open_credit_fen(session, lock_loan(session, loan_id=loan_id)))
    if fen:
        send_back(session, loan_id=loan_id, fen=fen, by=refund.asked_by, now=now)


def _pending_fen() -> Select[int | None]:
    """Select what is on its way back of the credit of a loan."""
    return select(func.sum(Refund.amount_fen)).where(
        Refund.credit_loan_id == Loan.id, Refund.state.in_(REFUND_PENDING)
    )


def _sources(session: Session, loan_id: int) -> Sequence[Source]:
    """List the payments of a loan that came through the platform, with what is left of each."""
    payments = session.scalars(select(Payment).where(Payment.loan_id == loan_id)).all()
    return [source_of(session, payment) for payment in payments]


def source_of(session: Session, payment: Payment) -> Source:
    """Say what of a payment has not gone back yet, by us, past us, or through the payer's bank."""
    refunds = session.scalars(select(Refund).where(Refund.payment_id == payment.id)).all()
    standing = [row for row in refunds if row.state in _TAKES]
    there = session.scalars(
        select(PayDifference.there_fen).where(
            PayDifference.transaction_id == payment.transaction_id,
            PayDifference.kind == DifferenceKind.REFUNDED_THERE,
        )
    ).all()
    gone = sum(row.amount_fen for row in standing) + sum(fen or 0 for fen in there)
    return Source(
        payment_id=payment.id,
        success_at=payment.success_at,
        left_fen=payment.amount_fen - gone - _charged_back_fen(session, payment),
        parts=len(standing) + len(there),
        is_barred=any(row.state in (RefundState.CLOSED, RefundState.ABNORMAL) for row in refunds),
    )


_TAKES: Final = (
    *(RefundState.READY, RefundState.PROCESSING),
    *(RefundState.SUCCEEDED, RefundState.ABNORMAL),
)


def _charged_back_fen(session: Session, payment: Payment) -> int:
    rows = session.scalars(
        select(LoanEvent).where(
            LoanEvent.loan_id == payment.loan_id,
            LoanEvent.kind.in_(("charge-back", "repayment", "prepayment")),
        )
    ).all()
    numbers = {str(row.seq) for row in rows if row.key == f"payment/{payment.id}"}
    return sum(
        row.payload["amount_fen"]
        for row in rows
        if row.kind == "charge-back" and row.payload["of"] in numbers
    )
