"""Payments that arrived through WeChat Pay, and what of them goes back."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated

from apiflask import APIBlueprint
from sqlalchemy import ColumnElement, Select, select

from kernel.errors import NotFound
from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.paging import CursorUnknown, cursor_of, cut, place_of
from servicing.api.scopes import Scope
from servicing.api.shapes import Fen, LoanNo, PageQuery, Shape, Text, such
from servicing.payments import queries as payments
from servicing.payments.tables import Payment
from servicing.queries import partners
from servicing.queries.history import LoanNotFound
from servicing.tables import Loan

blueprint = APIBlueprint("api_payments", __name__, tag="Payments")

_MOST_ID = 2**53


class PaymentNotFound(NotFound):
    """No such payment, or of a loan that the caller does not see."""

    code = "payment-not-found"
    message_zh = "没有找到这笔付款记录"


class PaymentAnswer(Shape):
    """Money that arrived: what the loan took, and what goes back; fen."""

    payment_id: int
    loan_no: LoanNo
    transaction_id: str
    channel: Annotated[str, such("wechat_jsapi")]
    amount_fen: Fen
    posted_fen: Fen
    excess_fen: Fen
    value_date: date
    success_at: datetime


class PaymentQuery(PageQuery):
    """Which payments."""

    loan_no: Text | None = None


class PaymentPage(Shape):
    """Some payments."""

    payments: tuple[PaymentAnswer, ...]
    next_cursor: str | None


class RefundAnswer(Shape):
    """Money that goes back to where it came from, fen."""

    refund_id: int
    out_refund_no: str
    amount_fen: Fen
    state: Annotated[str, such("succeeded")]
    created_at: datetime
    settled_at: datetime | None


class RefundsAnswer(Shape):
    """All refunds of a payment."""

    refunds: tuple[RefundAnswer, ...]


@serve(
    blueprint,
    get(
        "/payments",
        Scope.PAYMENTS_READ,
        PaymentPage,
        query=PaymentQuery,
        refuses=(LoanNotFound, CursorUnknown),
    ),
)
def list_payments(call: Call, query: PaymentQuery) -> PaymentPage:
    """List payments, the oldest first, of one loan or of all."""
    (after,) = place_of(query.cursor)
    condition: ColumnElement[bool] = Payment.loan_id.in_(_seen_loans(call))
    if query.loan_no is not None:
        loan = partners.seen_loan(call.session, sight=call.sight, loan_no=query.loan_no)
        condition = Payment.loan_id == loan.id
    found = payments.payments_after(
        call.session, condition=condition, after=after, limit=query.limit + 1
    )
    page, last = cut(found, query.limit)
    return PaymentPage(
        payments=_answers(call, page), next_cursor=cursor_of(last.id) if last else None
    )


@serve(
    blueprint,
    get(
        "/payments/<int:payment_id>", Scope.PAYMENTS_READ, PaymentAnswer, refuses=(PaymentNotFound,)
    ),
)
def read_payment(call: Call, payment_id: int) -> PaymentAnswer:
    """Read one payment."""
    return _answers(call, [_seen(call, payment_id)])[0]


@serve(
    blueprint,
    get(
        "/payments/<int:payment_id>/refunds",
        Scope.PAYMENTS_READ,
        RefundsAnswer,
        refuses=(PaymentNotFound,),
    ),
)
def read_refunds(call: Call, payment_id: int) -> RefundsAnswer:
    """Read what of a payment goes back, and how far it has come."""
    _seen(call, payment_id)
    return RefundsAnswer(
        refunds=tuple(
            RefundAnswer(
                refund_id=refund.id,
                out_refund_no=refund.out_refund_no,
                amount_fen=refund.amount_fen,
                state=refund.state,
                created_at=refund.created_at,
                settled_at=refund.settled_at,
            )
            for refund in payments.refunds_of_payment(call.session, payment_id=payment_id)
        )
    )


def _seen_loans(call: Call) -> Select[int]:
    return select(Loan.id).where(call.sight.loans())


def _seen(call: Call, payment_id: int) -> payments.PaymentView:
    if payment_id < _MOST_ID:
        seen = Payment.loan_id.in_(_seen_loans(call))
        found = payments.payments_after(
            call.session,
            condition=(Payment.id == payment_id) & seen,
            after=payment_id - 1,
            limit=1,
        )
        if found:
            return found[0]
    raise PaymentNotFound("no such payment")


def _answers(call: Call, page: Sequence[payments.PaymentView]) -> tuple[PaymentAnswer, ...]:
    numbers = partners.loan_numbers(call.session, loan_ids=[row.loan_id for row in page])
    return tuple(
        PaymentAnswer(
            payment_id=row.id,
            loan_no=numbers[row.loan_id],
            transaction_id=row.transaction_id,
            channel=row.channel,
            amount_fen=row.amount_fen,
            posted_fen=row.posted_fen,
            excess_fen=row.excess_fen,
            value_date=row.value_date,
            success_at=row.success_at,
        )
        for row in page
    )
