"""Makes facts about payments true in the book, once each, whoever brings them.

    PaymentMismatch  409  the platform's fact is not about our order
    OrderNotFound    404  no such order, or another's

It calls no provider: notify and query bring the facts, operations and jobs bring those.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import Conflict, NotFound
from kernel.ids import new_number
from kernel.logs import log
from servicing.payments import book
from servicing.payments.model import OrderEvent, OrderState, RefundState, order_after
from servicing.payments.ports import PaymentFact, Purpose, TradeState
from servicing.payments.tables import Payment, PaymentOrder, Refund

_NO_LONGER_OWED = "该期账款已结清，款项原路退回"

SETTLED = Counter("fenqi_payments_settled_total", "Facts about payments, settled", ["outcome"])


class PaymentMismatch(Conflict):
    """Appid, merchant, amount or transaction is not that of our order.

    Args:
        out_trade_no: Our order.
        wrong: What differs.
        told_fen: What the platform says was paid, if it says so.
    """

    code = "payment-mismatch"
    message_zh = "支付结果与订单不一致"

    def __init__(self, out_trade_no: str, wrong: Sequence[str], told_fen: int | None) -> None:
        super().__init__(f"order {out_trade_no}: {', '.join(wrong)} differ")
        self.out_trade_no = out_trade_no
        self.wrong = tuple(wrong)
        self.told_fen = told_fen


class OrderNotFound(NotFound):
    """No such payment order, or another customer's."""

    code = "payment-order-not-found"
    message_zh = "没有找到这笔付款"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a fact.

    Attributes:
        outcome: posted, refunding (all or part goes back), repeated, or not-paid.
        posted_fen: What the loan took.
        excess_fen: What goes back.
    """

    outcome: str
    out_trade_no: str
    posted_fen: int = 0
    excess_fen: int = 0


def settle_payment(session: Session, *, fact: PaymentFact, now: datetime) -> Settled:
    """Make a fact about a payment true in the book, once, however often and from where it comes.

    Locks the loan, then the order. The value date is the day of the provider's success time. What
    is still owed under the order's quote is posted; the rest goes back to its source.

    Args:
        session: A write session.
        fact: From a notify that passed its checks, or from a query.
        now: The instant of the request or job.

    Raises:
        OrderNotFound: We have no such order.
        PaymentMismatch: The fact is not about our order; nothing is posted.
    """
    loan_id = session.scalar(
        select(PaymentOrder.loan_id).where(PaymentOrder.out_trade_no == fact.out_trade_no)
    )
    if loan_id is None:
        raise OrderNotFound("the platform names an order that is not ours")
    book.lock(session, loan_id=loan_id)
    order = locked_order(session, fact.out_trade_no)
    _check(order, fact)
    if fact.trade_state != TradeState.SUCCESS or fact.success_at is None:
        return _counted(Settled(outcome="not-paid", out_trade_no=fact.out_trade_no))
    if order.state == OrderState.PAID:
        return _counted(Settled(outcome="repeated", out_trade_no=fact.out_trade_no))
    order.state = order_after(order.state, OrderEvent.MONEY_ARRIVED)
    order.transaction_id = fact.transaction_id
    order.success_at = fact.success_at
    return _counted(_take(session, order, fact.success_at, now))


def _check(order: PaymentOrder, fact: PaymentFact) -> None:
    is_paid = fact.trade_state == TradeState.SUCCESS
    faults = {
        "appid": fact.appid != order.appid,
        "mchid": fact.mchid != order.mchid,
        "amount": is_paid and fact.total_fen != order.amount_fen,
        "transaction": order.transaction_id not in (None, fact.transaction_id) and is_paid,
        "success time": is_paid and fact.success_at is None,
    }
    wrong = [name for name, is_wrong in faults.items() if is_wrong]
    if wrong:
        SETTLED.labels("mismatch").inc()
        log.error("payment mismatch", out_trade_no=order.out_trade_no, wrong=wrong)
        raise PaymentMismatch(order.out_trade_no, wrong, fact.total_fen)


def _take(session: Session, order: PaymentOrder, success_at: datetime, now: datetime) -> Settled:
    value_date = business_date(success_at)
    purpose = Purpose(order.quote.get("purpose", Purpose.DUE))
    owed = book.still_owed(
        session,
        loan_id=order.loan_id,
        customer_id=order.customer_id,
        purpose=purpose,
        asked={int(line["n"]): int(line["fen"]) for line in order.quote["lines"]},
        on=value_date,
    )
    posted = min(order.amount_fen, owed)
    payment = Payment(
        order_id=order.id,
        customer_id=order.customer_id,
        loan_id=order.loan_id,
        transaction_id=order.transaction_id,
        amount_fen=order.amount_fen,
        posted_fen=posted,
        excess_fen=order.amount_fen - posted,
        value_date=value_date,
        success_at=success_at,
        recorded_at=now,
    )
    session.add(payment)
    session.flush()
    if posted:
        book.post(
            session,
            loan_id=order.loan_id,
            payment_id=payment.id,
            purpose=purpose,
            amount_fen=posted,
            value_date=value_date,
            now=now,
        )
    if payment.excess_fen:
        _send_back(session, payment, value_date, now)
    return Settled(
        outcome="refunding" if payment.excess_fen else "posted",
        out_trade_no=order.out_trade_no,
        posted_fen=posted,
        excess_fen=payment.excess_fen,
    )


def _send_back(session: Session, payment: Payment, value_date: date, now: datetime) -> None:
    book.keep_excess(
        session,
        loan_id=payment.loan_id,
        payment_id=payment.id,
        amount_fen=payment.excess_fen,
        value_date=value_date,
        now=now,
    )
    session.add(
        Refund(
            payment_id=payment.id,
            out_refund_no=new_number("RF", on=business_date(now)),
            amount_fen=payment.excess_fen,
            reason=_NO_LONGER_OWED,
            state=RefundState.READY,
            next_try_at=now,
            created_at=now,
        )
    )


def _counted(settled: Settled) -> Settled:
    SETTLED.labels(settled.outcome).inc()
    return settled


def locked_order(session: Session, number: str) -> PaymentOrder:
    """Lock an order for writing, reading it afresh.

    Raises:
        OrderNotFound: There is none.
    """
    order = session.scalar(
        select(PaymentOrder)
        .where(PaymentOrder.out_trade_no == number)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if order is None:
        raise OrderNotFound("no such payment order")
    return order
