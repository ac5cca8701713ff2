"""What others may read about payments, as frozen views; it shows no openid and asks no provider."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from servicing.payments.model import NEEDS_PERSON
from servicing.payments.tables import Payment, PaymentOrder, Refund
from servicing.payments.transfers import may_be_transferred
from servicing.tables import Loan

_REFUNDS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One payment order; money in fen, `state` is one of model.OrderState."""

    out_trade_no: str
    loan_id: int
    channel: str
    amount_fen: int
    state: str
    refused_code: str | None
    transaction_id: str | None
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    success_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentView:
    """Money that arrived; money in fen.

    Attributes:
        posted_fen: What the loan took.
        excess_fen: What goes, or went, back.
        value_date: The business date on which it counts.
    """

    id: int
    loan_id: int
    out_trade_no: str
    transaction_id: str
    channel: str
    amount_fen: int
    posted_fen: int
    excess_fen: int
    value_date: date
    success_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundView:
    """Money that goes back; `state` is one of model.RefundState.

    Attributes:
        payment_id: None where a difference of the bill goes back, or no payment can take it.
        loan_id: The loan whose overpayment it gives back; None where no loan took the money.
    """

    id: int
    payment_id: int | None
    out_refund_no: str
    amount_fen: int
    reason: str
    state: str
    tries: int
    last_code: str | None
    created_at: datetime
    settled_at: datetime | None
    loan_id: int | None = None
    asked_by: str = ""
    transfer_ref: str | None = None

    @property
    def may_be_transferred(self) -> bool:
        """Whether a person has to send it by bank."""
        return may_be_transferred(self.state, self.loan_id)


def attempts_of(session: Session, *, customer_id: int, limit: int = 50) -> tuple[AttemptView, ...]:
    """List a customer's payment orders, the newest first."""
    rows = session.scalars(
        select(PaymentOrder)
        .where(PaymentOrder.customer_id == customer_id)
        .order_by(PaymentOrder.id.desc())
        .limit(limit)
    )
    names = AttemptView.__dataclass_fields__
    return tuple(AttemptView(**{name: getattr(row, name) for name in names}) for row in rows)


def payments_of(session: Session, *, customer_id: int, limit: int = 50) -> tuple[PaymentView, ...]:
    """List a customer's payments, the newest first."""
    newest = (Payment.success_at.desc(), Payment.id.desc())
    return _payments(session, Payment.customer_id == customer_id, newest, limit)


def payments_after(
    session: Session, *, condition: ColumnElement[bool], after: int, limit: int
) -> tuple[PaymentView, ...]:
    """List the payments of which a condition holds, by id, after one."""
    return _payments(session, and_(Payment.id > after, condition), (Payment.id.asc(),), limit)


def _payments(
    session: Session,
    condition: ColumnElement[bool],
    order: Sequence[ColumnElement[Any]],
    limit: int,
) -> tuple[PaymentView, ...]:
    rows = session.execute(
        select(Payment, PaymentOrder.out_trade_no, PaymentOrder.channel)
        .join(PaymentOrder, PaymentOrder.id == Payment.order_id)
        .where(condition)
        .order_by(*order)
        .limit(limit)
    ).all()
    return tuple(
        PaymentView(
            id=row.id,
            loan_id=row.loan_id,
            out_trade_no=out_trade_no,
            transaction_id=row.transaction_id,
            channel=channel,
            amount_fen=row.amount_fen,
            posted_fen=row.posted_fen,
            excess_fen=row.excess_fen,
            value_date=row.value_date,
            success_at=row.success_at,
        )
        for row, out_trade_no, channel in rows
    )


def refunds_of_payment(session: Session, *, payment_id: int) -> tuple[RefundView, ...]:
    """List what of a payment goes back, the newest first."""
    return _refunds(session, Payment.id == payment_id, _REFUNDS)


def refunds_of(session: Session, *, customer_id: int, limit: int = 50) -> tuple[RefundView, ...]:
    """List a customer's refunds, the newest first."""
    theirs = select(Loan.id).where(Loan.customer_id == customer_id)
    condition = or_(Payment.customer_id == customer_id, Refund.credit_loan_id.in_(theirs))
    return _refunds(session, condition, limit)


def refunds_needing_a_person(session: Session, *, limit: int = 100) -> tuple[RefundView, ...]:
    """List refunds that a person has to send, the newest first."""
    is_closed_credit = (Refund.state == "closed") & Refund.credit_loan_id.is_not(None)
    return _refunds(session, Refund.state.in_(NEEDS_PERSON) & ~is_closed_credit, limit)


def _refunds(
    session: Session, condition: ColumnElement[bool], limit: int
) -> tuple[RefundView, ...]:
    rows = session.scalars(
        select(Refund)
        .outerjoin(Payment, Payment.id == Refund.payment_id)
        .where(condition)
        .order_by(Refund.id.desc())
        .limit(limit)
    ).all()
    return tuple(
        RefundView(
            id=row.id,
            payment_id=row.payment_id,
            out_refund_no=row.out_refund_no,
            amount_fen=row.amount_fen,
            reason=row.reason,
            state=row.state,
            tries=row.tries,
            last_code=row.last_code,
            created_at=row.created_at,
            settled_at=row.settled_at,
            loan_id=row.credit_loan_id,
            asked_by=row.asked_by,
            transfer_ref=row.transfer_ref,
        )
        for row in rows
    )
