"""One contract for the fake and the real provider, and the whole way over real sockets.

The real one is wechatpayv3 talking to the stand-in; the stand-in notifies our own app.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pay_stand import Stand

from kernel.clock import FixedClock
from kernel.settings import Settings
from servicing.payments import jobs
from servicing.payments.clients import WeChatPayProvider
from servicing.payments.operations import (
    AlreadyPaid,
    PaymentNotPossible,
    PaymentUncertain,
    close_order,
    open_payment_order,
    query_order,
)
from servicing.payments.ports import NewOrder, PayProvider, PayRefused, PayUnknown, TradeState
from servicing.payments.tables import Payment, PaymentOrder, Refund

TWO_TERMS_FEN = 22_004


@dataclass
class Subject:
    """A provider under the contract, with the hands of its payer and its platform."""

    provider: PayProvider
    pay: Callable[[str], object]
    finish_refund: Callable[[str], object]


@pytest.fixture(params=["fake", "wechat"])
def subject(request: pytest.FixtureRequest, pay: Any, stand: Stand, clock: FixedClock) -> Subject:
    """Return each provider in turn."""
    if request.param == "fake":
        return Subject(provider=pay, pay=pay.pay, finish_refund=pay.finish_refund)

    def finish(_number: str) -> None:
        clock.advance(timedelta(seconds=4))
        stand.settle()

    provider = stand.runtime.get(PayProvider)
    return Subject(provider=provider, pay=stand.pay, finish_refund=finish)


def new_order(clock: FixedClock, **changes: Any) -> NewOrder:
    values: dict[str, Any] = {
        "out_trade_no": "PO20260310CONTRACT01",
        "openid": "oPayer",
        "amount_fen": 12_345,
        "description": "分期还款-LN1",
        "expires_at": clock.now() + timedelta(minutes=30),
    }
    return NewOrder(**values | changes)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
class TestPayProvider:
    def test_the_same_order_twice_is_one_order(self, subject: Subject, clock: FixedClock) -> None:
        order = new_order(clock)
        first = subject.provider.create_jsapi_order(order)
        assert subject.provider.create_jsapi_order(order) == first

    def test_a_changed_order_under_one_number_is_refused(
        self, subject: Subject, clock: FixedClock
    ) -> None:
        subject.provider.create_jsapi_order(new_order(clock))
        with pytest.raises(PayRefused):
            subject.provider.create_jsapi_order(new_order(clock, amount_fen=1))

    def test_a_query_tells_what_is_true(self, subject: Subject, clock: FixedClock) -> None:
        order, provider = new_order(clock), subject.provider
        assert provider.query(out_trade_no=order.out_trade_no) is None
        provider.create_jsapi_order(order)
        unpaid = provider.query(out_trade_no=order.out_trade_no)
        assert unpaid is not None
        assert unpaid.trade_state == TradeState.NOTPAY
        subject.pay(order.out_trade_no)
        paid = provider.query(out_trade_no=order.out_trade_no)
        assert paid is not None
        assert (paid.trade_state, paid.total_fen) == (TradeState.SUCCESS, 12_345)
        assert (paid.appid, paid.mchid) == (provider.appid, provider.mchid)
        assert paid.success_at == clock.now()
        assert paid.transaction_id

    def test_closing_twice_is_closing_once(self, subject: Subject, clock: FixedClock) -> None:
        order, provider = new_order(clock), subject.provider
        assert not provider.close(out_trade_no=order.out_trade_no)
        provider.create_jsapi_order(order)
        assert provider.close(out_trade_no=order.out_trade_no)
        assert provider.close(out_trade_no=order.out_trade_no)
        closed = provider.query(out_trade_no=order.out_trade_no)
        assert closed is not None
        assert closed.trade_state == TradeState.CLOSED
        with pytest.raises(PayRefused):
            provider.create_jsapi_order(order)

    def test_a_paid_order_cannot_be_closed(self, subject: Subject, clock: FixedClock) -> None:
        order = new_order(clock)
        subject.provider.create_jsapi_order(order)
        subject.pay(order.out_trade_no)
        with pytest.raises(PayRefused) as refused:
            subject.provider.close(out_trade_no=order.out_trade_no)
        assert refused.value.code == "ORDERPAID"

    def test_the_same_refund_twice_is_one_refund(self, subject: Subject, clock: FixedClock) -> None:
        order, provider = new_order(clock), subject.provider
        provider.create_jsapi_order(order)
        subject.pay(order.out_trade_no)
        paid = provider.query(out_trade_no=order.out_trade_no)
        assert paid is not None
        number = "RF20260310CONTRACT01"
        assert provider.query_refund(out_refund_no=number) is None
        first, second = (
            provider.refund(
                out_refund_no=number,
                transaction_id=paid.transaction_id,
                refund_fen=345,
                total_fen=12_345,
                reason="款项原路退回",
            )
            for _ in range(2)
        )
        assert first == second
        assert (first.status, first.refund_fen) == ("PROCESSING", 345)
        subject.finish_refund(number)
        done = provider.query_refund(out_refund_no=number)
        assert done is not None
        assert (done.status, done.refund_id) == ("SUCCESS", first.refund_id)
        assert done.success_at is not None

    def test_the_page_gets_all_six_parameters(self, subject: Subject, clock: FixedClock) -> None:
        params = subject.provider.build_jsapi_params(
            prepay_id="wx1", out_trade_no="PO1", amount_fen=1, now=clock.now()
        )
        bridge = params.bridge()
        assert list(bridge) == [
            "appId",
            "timeStamp",
            "nonceStr",
            "package",
            "signType",
            "paySign",
        ]
        assert bridge["package"] == "prepay_id=wx1"
        assert bridge["timeStamp"] == str(int(clock.now().timestamp()))
        assert all(bridge.values())


def test_building_a_provider_asks_nothing_of_the_network(settings: Settings) -> None:
    provider = WeChatPayProvider(replace(settings, pay_api_base="http://127.0.0.1:9"))
    with pytest.raises(PayUnknown):
        provider.query(out_trade_no="PO1")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
class TestWeChatPayProvider:
    @pytest.mark.parametrize(
        ("fault", "value"),
        [
            ("cut", None),
            ("lost_answer", None),
            ("http_500", None),
            ("html", None),
            ("unsigned", None),
            ("error", "SYSTEM_ERROR"),
            ("error", "FREQUENCY_LIMITED"),
            ("error_after", "SYSTEM_ERROR"),
        ],
    )
    def test_what_cannot_be_believed_is_unknown(
        self, fault: str, value: str | None, stand: Stand, clock: FixedClock
    ) -> None:
        stand.knob("pay.order", fault, value=value)
        provider, order = stand.runtime.get(PayProvider), new_order(clock)
        with pytest.raises(PayUnknown):
            provider.create_jsapi_order(order)
        assert provider.create_jsapi_order(order).startswith("wx")

    @pytest.mark.parametrize("code", ["PARAM_ERROR", "NO_AUTH", "SIGN_ERROR", "ACCOUNT_ERROR"])
    def test_a_no_carries_the_platforms_code(
        self, code: str, stand: Stand, clock: FixedClock
    ) -> None:
        stand.knob("pay.order", "error", value=code)
        with pytest.raises(PayRefused) as refused:
            stand.runtime.get(PayProvider).create_jsapi_order(new_order(clock))
        assert refused.value.code == code


@pytest.fixture
def press(stand: Stand, book: Any) -> Callable[..., str]:
    """Return what opens an attempt through the real provider, and says its number."""

    def open_it(key: str = "press-1") -> str:
        return open_payment_order(
            stand.runtime,
            key=key,
            customer_id=book.customer_id,
            loan_id=book.loan_id,
            openid="oPayer",
        ).out_trade_no

    return open_it


class TestOverSockets:
    def test_a_payment_is_notified_and_settled(self, press: Any, stand: Stand, book: Any) -> None:
        number = press()
        stand.pay(number)
        assert book.order(number).state == "paid"
        assert book.ledger() == [f"2026-03-10 repayment +{TWO_TERMS_FEN}"]

    def test_many_notifies_are_one_entry(
        self, press: Any, stand: Stand, book: Any, clock: FixedClock
    ) -> None:
        stand.knob("notify.payment", "parallel", value=5)
        number = press()
        stand.pay(number)
        clock.advance(timedelta(days=1))
        stand.renotify(number, times=2)
        assert len(stand.outcomes()) >= 7
        assert book.ledger() == [f"2026-03-10 repayment +{TWO_TERMS_FEN}"]
        assert book.differences() == []

    def test_a_lost_notify_is_made_up_for_by_the_query(
        self, press: Any, stand: Stand, book: Any, clock: FixedClock
    ) -> None:
        stand.knob("notify.payment", "lost")
        number = press()
        stand.pay(number)
        assert book.order(number).state == "open"
        clock.advance(timedelta(seconds=30))
        jobs.query_open_orders(stand.runtime)
        assert book.order(number).state == "paid"
        assert len(book.ledger()) == 1

    @pytest.mark.parametrize(
        "fault",
        [
            "stale",
            "future",
            "bad_signature",
            "signtest",
            "unknown_serial",
            "wrong_amount",
            "wrong_appid",
            "wrong_mchid",
            "broken_tag",
        ],
    )
    def test_a_bad_notify_posts_nothing_and_the_next_good_one_settles(
        self, fault: str, press: Any, stand: Stand, book: Any, clock: FixedClock
    ) -> None:
        stand.knob("notify.payment", fault)
        number = press()
        stand.pay(number)
        assert book.rows(Payment) == []
        assert book.ledger() == []
        clock.advance(timedelta(seconds=15))
        stand.settle()
        assert book.order(number).state == "paid"
        assert len(book.ledger()) == 1

    def test_paid_on_two_phones_is_settled_once_and_refunded_once(
        self, press: Any, stand: Stand, book: Any, clock: FixedClock
    ) -> None:
        first = press("phone-1")
        second = press("phone-2")
        with stand.world.lock:
            stand.world.merchant.orders[first].state = "NOTPAY"
        stand.pay(first)
        stand.pay(second)
        assert [order.state for order in book.rows(PaymentOrder)] == ["paid", "paid"]
        jobs.send_refunds(stand.runtime)
        clock.advance(timedelta(seconds=4))
        stand.settle()
        (refund,) = book.rows(Refund)
        assert (refund.state, refund.amount_fen) == ("succeeded", TWO_TERMS_FEN)
        assert book.ledger() == [
            f"2026-03-10 repayment +{TWO_TERMS_FEN}",
            f"2026-03-10 overpayment +{TWO_TERMS_FEN}",
            f"2026-03-10 refund -{TWO_TERMS_FEN}",
        ]
        assert book.differences() == []

    def test_a_payer_who_is_faster_than_closing_is_told_so(
        self, press: Any, stand: Stand, book: Any
    ) -> None:
        first = press("phone-1")
        stand.knob("pay.close", "paid_meanwhile")
        with pytest.raises(AlreadyPaid):
            press("phone-2")
        stand.settle()
        assert book.order(first).state == "paid"
        assert len(book.ledger()) == 1

    def test_a_notify_before_the_answer_settles(self, press: Any, stand: Stand, book: Any) -> None:
        stand.knob("pay.order", "notify_first")
        with pytest.raises(AlreadyPaid):
            press()
        assert len(book.ledger()) == 1

    def test_a_system_error_with_the_order_made_is_taken_up(
        self, press: Any, stand: Stand, book: Any
    ) -> None:
        stand.knob("pay.order", "error_after")
        number = press()
        assert list(stand.world.merchant.orders) == [number]
        stand.pay(number)
        assert book.order(number).state == "paid"

    def test_an_unreachable_platform_is_uncertain_and_the_press_can_be_repeated(
        self, press: Any, stand: Stand, book: Any
    ) -> None:
        stand.knob("pay.order", "cut", times=2)
        with pytest.raises(PaymentUncertain):
            press()
        (order,) = book.rows(PaymentOrder)
        assert press() == order.out_trade_no

    def test_a_refusal_ends_the_attempt(self, press: Any, stand: Stand, book: Any) -> None:
        stand.knob("pay.order", "error", value="NO_AUTH")
        with pytest.raises(PaymentNotPossible):
            press()
        assert [order.state for order in book.rows(PaymentOrder)] == ["failed"]

    def test_the_pages_own_question_settles_what_no_notify_told(
        self, press: Any, stand: Stand, book: Any
    ) -> None:
        number = press()
        stand.knob("notify.payment", "lost")
        stand.pay(number)
        asked = {"out_trade_no": number, "customer_id": book.customer_id}
        assert query_order(stand.runtime, **asked).state == "paid"

    def test_an_expired_attempt_is_closed_there_and_here(
        self, press: Any, stand: Stand, book: Any, clock: FixedClock
    ) -> None:
        number = press()
        clock.advance(timedelta(minutes=31))
        jobs.query_open_orders(stand.runtime)
        assert book.order(number).state == "closed"
        now: datetime = clock.now()
        assert close_order(stand.runtime, out_trade_no=number, now=now) == "closed"
