"""Opens payment orders, closes them and asks how they went. Settling is settlement's business.

    NothingDue          409  nothing is owed on the loan
    AlreadyPaid         409  the attempt, or the one before it, turned out to be paid
    OrderOver           409  the attempt was closed or has expired; a new one is needed
    AttemptInFlight     409  another attempt for the same loan is being opened right now
    PaymentNotPossible  503  the platform said no
    PaymentUncertain    503  the platform does not answer; the same key may be tried again

The provider is never called inside a transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from kernel import idempotency
from kernel.clock import business_date
from kernel.errors import Conflict, Unavailable
from kernel.ids import new_number
from kernel.logs import log
from kernel.runtime import Runtime
from servicing.payments import book
from servicing.payments.model import (
    IN_FLIGHT,
    ORDER_LIFETIME,
    OrderEvent,
    OrderState,
    next_query_at,
    order_after,
)
from servicing.payments.ports import (
    NewOrder,
    PaymentFact,
    PayParams,
    PayProvider,
    PayRefused,
    PayUnknown,
    Purpose,
    TradeState,
)
from servicing.payments.settlement import (
    OrderNotFound,
    PaymentMismatch,
    Settled,
    locked_order,
    settle_payment,
)
from servicing.payments.tables import PaymentOrder
from servicing.payments.watch import alert_mismatch, alert_refunded_elsewhere

WECHAT_JSAPI = "wechat_jsapi"

_OPENID = "payment_order.openid"
_FIRST_QUERY_AFTER = timedelta(seconds=30)
_ROUNDS = 3
_BATCH = 100
_IS_IN_FLIGHT = PaymentOrder.state.in_(IN_FLIGHT)


class NothingDue(Conflict):
    """The loan asks for nothing."""

    code = "nothing-due"
    message_zh = "这笔分期目前没有需要偿还的款项"


class AlreadyPaid(Conflict):
    """The money is here already."""

    code = "payment-already-made"
    message_zh = "您刚才的付款已经成功，无需重复支付"


class OrderOver(Conflict):
    """The attempt cannot be paid any more."""

    code = "payment-order-over"
    message_zh = "这次付款已关闭，请返回重新发起"


class AttemptInFlight(Conflict):
    """Somebody else opens an attempt for the same loan at this moment."""

    code = "payment-attempt-in-flight"
    message_zh = "这笔分期正在另一处发起付款，请稍后再试"


class PaymentNotPossible(Unavailable):
    """The platform refused the order."""

    code = "payment-not-possible"
    message_zh = "暂时无法发起支付，请稍后再试或联系客服"


class PaymentUncertain(Unavailable):
    """The platform gave no answer that can be relied on; nothing is lost."""

    code = "payment-uncertain"
    message_zh = "支付结果确认中，请稍后再试，请勿重复付款"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """A payment order for its payer; `state` is one of model.OrderState."""

    out_trade_no: str
    loan_id: int
    state: str
    amount_fen: int
    success_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    key: str
    customer_id: int
    loan_id: int
    openid: str
    channel: str
    purpose: Purpose
    terms: int | None
    amount_fen: int

    def payload(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "key"}


# -- opening ------------------------------------------------------------------------------------


def open_payment_order(
    runtime: Runtime,
    *,
    key: str,
    customer_id: int,
    loan_id: int,
    openid: str,
    channel: str = WECHAT_JSAPI,
    purpose: Purpose = Purpose.DUE,
    terms: int | None = None,
    amount_fen: int = 0,
) -> PayParams:
    """Open an attempt to pay what a loan asks for now, or to settle it; safe to repeat.

    The attempt before it is closed first, whatever its channel. A crash at any point leaves at
    most a row that the same key, or the poll, takes up under the same number.

    Args:
        runtime: Database, clock, cipher and the PayProvider.
        key: The caller's, one for each time that a borrower presses the button.
        customer_id: Whose loan it must be.
        loan_id: What is paid.
        openid: Who pays; the page runs in their WeChat.
        channel: How it is paid.
        purpose: To pay what is due, an amount of the payer's own, or to settle the loan today.
        terms: How many of the oldest instalments that are asked for; None pays all of them.
        amount_fen: The payer's own amount.

    Raises:
        AmountRefused: The payer's own amount is nothing, or more than the loan needs.
        LoanNotFound: No such loan, or another's.
        NoEarlySettlement: The product does not let the loan be settled early.
        NothingDue, AlreadyPaid, OrderOver, AttemptInFlight: Said above.
        PaymentNotPossible, PaymentUncertain: Said above.
        KeyReused: The key stands for another attempt.
    """
    asked = _Request(
        key=key,
        customer_id=customer_id,
        loan_id=loan_id,
        openid=openid,
        channel=channel,
        purpose=purpose,
        terms=terms,
        amount_fen=amount_fen,
    )
    now = runtime.clock.now()
    number = _known_number(runtime, asked, now)
    for _ in range(_ROUNDS):
        if number is not None:
            return _present(runtime, number, now)
        _close_earlier(runtime, asked, now)
        number = _create_row(runtime, asked, now)
    if number is None:
        raise AttemptInFlight(f"another attempt for loan {loan_id} is in flight")
    return _present(runtime, number, now)


def _known_number(runtime: Runtime, asked: _Request, now: datetime) -> str | None:
    with runtime.database.read() as session:
        known = session.scalar(select(PaymentOrder.id).where(PaymentOrder.key == asked.key))
    if known is None:
        return None
    with runtime.database.write() as session:
        return _number(_claim(session, asked, now))


def _claim(session: Session, asked: _Request, now: datetime) -> idempotency.Claim:
    return idempotency.claim(
        session, action="open-payment-order", key=asked.key, payload=asked.payload(), now=now
    )


def _number(claimed: idempotency.Claim) -> str | None:
    return None if claimed.answer is None else str(claimed.answer["out_trade_no"])


def _close_earlier(runtime: Runtime, asked: _Request, now: datetime) -> None:
    with runtime.database.read() as session:
        numbers = session.scalars(
            select(PaymentOrder.out_trade_no)
            .where(
                PaymentOrder.loan_id == asked.loan_id, PaymentOrder.key != asked.key, _IS_IN_FLIGHT
            )
            .order_by(PaymentOrder.id)
        ).all()
    for number in numbers:
        if close_order(runtime, out_trade_no=number, now=now) is OrderState.PAID:
            raise AlreadyPaid(f"order {number} was paid before it could be closed")


def _create_row(runtime: Runtime, asked: _Request, now: datetime) -> str | None:
    """Write the order under the loan's lock; None when another attempt came first."""
    provider = runtime.get(PayProvider)
    on = business_date(now)
    with runtime.database.write() as session:
        quote = book.locked_quote(
            session,
            loan_id=asked.loan_id,
            customer_id=asked.customer_id,
            purpose=asked.purpose,
            on=on,
            terms=asked.terms,
            amount_fen=asked.amount_fen,
        )
        if _has(session, PaymentOrder.key == asked.key):
            return _number(_claim(session, asked, now))
        if _has(session, PaymentOrder.loan_id == asked.loan_id, _IS_IN_FLIGHT):
            return None
        claimed = _claim(session, asked, now)
        if quote.amount_fen <= 0:
            raise NothingDue(f"loan {asked.loan_id} asks for nothing")
        lines = [{"n": n, "fen": fen} for n, fen in quote.lines.items()]
        number = new_number("PO", on=on)
        session.add(
            PaymentOrder(
                out_trade_no=number,
                key=asked.key,
                customer_id=asked.customer_id,
                loan_id=asked.loan_id,
                channel=asked.channel,
                appid=provider.appid,
                mchid=provider.mchid,
                openid_enc=runtime.cipher.encrypt(asked.openid, context=_OPENID),
                amount_fen=quote.amount_fen,
                quote={"on": on.isoformat(), "purpose": asked.purpose, "lines": lines},
                description=f"分期还款-{quote.loan_no}",
                state=OrderState.CREATED,
                created_at=now,
                expires_at=now + ORDER_LIFETIME,
                next_query_at=now + _FIRST_QUERY_AFTER,
            )
        )
        claimed.keep({"out_trade_no": number})
    return number


def _has(session: Session, *conditions: ColumnElement[bool]) -> bool:
    return session.scalar(select(PaymentOrder.id).where(*conditions).limit(1)) is not None


def _present(runtime: Runtime, number: str, now: datetime) -> PayParams:
    """Give the page what it needs, registering the order with the provider if that is to do."""
    order = _order(runtime, number)
    if order.state == OrderState.CREATED and now < order.expires_at:
        order = _register(runtime, order, now)
    if order.state == OrderState.PAID:
        raise AlreadyPaid(f"order {number} is paid")
    if order.state != OrderState.OPEN or order.prepay_id is None or now >= order.expires_at:
        raise OrderOver(f"order {number} is {order.state} or has expired")
    return runtime.get(PayProvider).build_jsapi_params(
        prepay_id=order.prepay_id, out_trade_no=number, amount_fen=order.amount_fen, now=now
    )


def _register(runtime: Runtime, order: PaymentOrder, now: datetime) -> PaymentOrder:
    provider, number = runtime.get(PayProvider), order.out_trade_no
    new = NewOrder(
        out_trade_no=number,
        openid=runtime.cipher.decrypt(order.openid_enc, context=_OPENID),
        amount_fen=order.amount_fen,
        description=order.description,
        expires_at=order.expires_at,
    )
    try:
        prepay_id = _create_with_provider(runtime, new, now)
    except PayRefused as error:
        return _refused(runtime, number, error, now)
    except PayUnknown as error:
        raise PaymentUncertain(f"order {number}: {error.code}") from error
    with runtime.database.write() as session:
        known = locked_order(session, number)
        if known.state in IN_FLIGHT:
            known.state = order_after(known.state, OrderEvent.REGISTERED)
            known.prepay_id = prepay_id
    if known.state in (OrderState.CLOSED, OrderState.FAILED):
        # Another attempt closed this one while the provider was making it.
        _close_quietly(provider, number)
    return known


def _create_with_provider(runtime: Runtime, new: NewOrder, now: datetime) -> str:
    """Register; after an unknown answer ask what is true, then repeat the same number once."""
    provider = runtime.get(PayProvider)
    try:
        return provider.create_jsapi_order(new)
    except PayUnknown:
        fact = provider.query(out_trade_no=new.out_trade_no)
        if fact is not None and fact.trade_state == TradeState.SUCCESS:
            settle_fact(runtime, fact, now=now)
            raise AlreadyPaid(f"order {new.out_trade_no} is paid") from None
        return provider.create_jsapi_order(new)


def _refused(runtime: Runtime, number: str, error: PayRefused, now: datetime) -> PaymentOrder:
    """Find out whether a refused number is paid, known, or of no use."""
    log.warning("payment order refused", out_trade_no=number, refusal=error.code)
    try:
        fact = runtime.get(PayProvider).query(out_trade_no=number)
    except (PayRefused, PayUnknown) as unknown:
        raise PaymentUncertain(f"order {number}: {unknown.code}") from unknown
    if fact is not None and fact.trade_state == TradeState.SUCCESS:
        settle_fact(runtime, fact, now=now)
        return _order(runtime, number)
    with runtime.database.write() as session:
        order = locked_order(session, number)
        if order.state == OrderState.CREATED:
            order.state = order_after(order.state, OrderEvent.REFUSED)
            order.refused_code = error.code[:64]
            order.closed_at = now
    raise PaymentNotPossible(f"order {number}: {error.code}") from error


def _close_quietly(provider: PayProvider, number: str) -> None:
    try:
        provider.close(out_trade_no=number)
    except (PayRefused, PayUnknown) as error:
        # It expires by itself; a payment until then is settled or refunded like any other.
        log.warning("superseded order not closed", out_trade_no=number, refusal=error.code)


# -- settling, closing and asking ---------------------------------------------------------------


def settle_fact(runtime: Runtime, fact: PaymentFact, *, now: datetime) -> Settled:
    """Settle in a transaction of its own; what does not fit our order calls staff.

    Raises:
        OrderNotFound, PaymentMismatch: As settlement.settle_payment.
    """
    try:
        with runtime.database.write() as session:
            return settle_payment(session, fact=fact, now=now)
    except PaymentMismatch as mismatch:
        alert_mismatch(runtime, mismatch, now=now)
        raise


def close_order(runtime: Runtime, *, out_trade_no: str, now: datetime) -> OrderState:
    """Close an attempt with the provider and here; settles it when it turns out to be paid.

    Returns:
        CLOSED, or PAID when the money was faster.

    Raises:
        PaymentUncertain: The provider does not say; the attempt stays as it is.
    """
    provider = runtime.get(PayProvider)
    try:
        try:
            provider.close(out_trade_no=out_trade_no)
        except PayRefused:
            fact = provider.query(out_trade_no=out_trade_no)
            if fact is not None and fact.trade_state == TradeState.SUCCESS:
                settle_fact(runtime, fact, now=now)
                return OrderState.PAID
            if fact is not None and fact.trade_state == TradeState.REFUND:
                return _mark_refunded(runtime, out_trade_no, now)
            if fact is not None and fact.trade_state != TradeState.CLOSED:
                raise
    except (PayRefused, PayUnknown) as error:
        raise PaymentUncertain(f"order {out_trade_no} not closed: {error.code}") from error
    return _mark_closed(runtime, out_trade_no, now)


def _mark_closed(runtime: Runtime, number: str, now: datetime) -> OrderState:
    with runtime.database.write() as session:
        order = locked_order(session, number)
        if order.state == OrderState.PAID:
            return OrderState.PAID
        order.state = order_after(order.state, OrderEvent.CLOSED)
        order.closed_at = order.closed_at or now
    return OrderState.CLOSED


def _mark_refunded(runtime: Runtime, number: str, now: datetime) -> OrderState:
    """Let go of an attempt whose money came and was given back outside our book."""
    with runtime.database.write() as session:
        alert_refunded_elsewhere(session, out_trade_no=number, now=now)
    return _mark_closed(runtime, number, now)


def query_order(runtime: Runtime, *, out_trade_no: str, customer_id: int) -> OrderView:
    """Say how an attempt went, asking the provider while it is in flight.

    The page calls this after WeChat's own answer, which proves nothing.

    Raises:
        OrderNotFound: No such order, or another customer's.
    """
    order = _order(runtime, out_trade_no)
    if order.customer_id != customer_id:
        raise OrderNotFound("not this customer's order")
    if order.state in IN_FLIGHT:
        try:
            ask_provider(runtime, out_trade_no=out_trade_no, now=runtime.clock.now())
        except PaymentUncertain:
            log.info("payment order not answered", out_trade_no=out_trade_no)
        order = _order(runtime, out_trade_no)
    return OrderView(
        out_trade_no=order.out_trade_no,
        loan_id=order.loan_id,
        state=order.state,
        amount_fen=order.amount_fen,
        success_at=order.success_at,
    )


def ask_provider(runtime: Runtime, *, out_trade_no: str, now: datetime) -> OrderState:
    """Bring one attempt up to date from the provider; closes it when its time is over.

    Raises:
        PaymentUncertain: The provider does not say.
    """
    try:
        fact = runtime.get(PayProvider).query(out_trade_no=out_trade_no)
    except (PayRefused, PayUnknown) as error:
        raise PaymentUncertain(f"order {out_trade_no}: {error.code}") from error
    if fact is not None and fact.trade_state == TradeState.SUCCESS:
        settle_fact(runtime, fact, now=now)
    elif fact is not None and fact.trade_state == TradeState.CLOSED:
        return _mark_closed(runtime, out_trade_no, now)
    elif fact is not None and fact.trade_state == TradeState.REFUND:
        return _mark_refunded(runtime, out_trade_no, now)
    order = _order(runtime, out_trade_no)
    if order.state in IN_FLIGHT and now >= order.expires_at:
        return close_order(runtime, out_trade_no=out_trade_no, now=now)
    return OrderState(order.state)


def query_open_orders(runtime: Runtime) -> int:
    """Ask about every attempt whose next question is due.

    Returns:
        How many were asked about; failures of single ones are counted in the provider's metrics.
    """
    now = runtime.clock.now()
    with runtime.database.write() as session:
        orders = session.scalars(
            select(PaymentOrder)
            .where(_IS_IN_FLIGHT, PaymentOrder.next_query_at <= now)
            .order_by(PaymentOrder.next_query_at)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        for order in orders:
            order.next_query_at = next_query_at(
                asked=order.queries, expires_at=order.expires_at, now=now
            )
            order.queries += 1
    for order in orders:
        try:
            ask_provider(runtime, out_trade_no=order.out_trade_no, now=now)
        except (PaymentUncertain, PaymentMismatch) as error:
            log.warning("payment order unresolved", out_trade_no=order.out_trade_no, why=error.code)
    return len(orders)


def _order(runtime: Runtime, number: str) -> PaymentOrder:
    with runtime.database.read() as session:
        order = session.scalar(select(PaymentOrder).where(PaymentOrder.out_trade_no == number))
    if order is None:
        raise OrderNotFound("no such payment order")
    return order
