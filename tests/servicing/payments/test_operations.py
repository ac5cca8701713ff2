"""Opening, closing and asking: one attempt in flight, safe under crashes and repeats."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from racing import together

from kernel.clock import FixedClock
from kernel.idempotency import KeyReused
from kernel.runtime import Runtime
from servicing.payments import jobs
from servicing.payments.operations import (
    AlreadyPaid,
    NothingDue,
    OrderOver,
    PaymentNotPossible,
    PaymentUncertain,
    ask_provider,
    open_payment_order,
    query_order,
)
from servicing.payments.ports import PayParams, PayRefused, PayUnknown
from servicing.payments.settlement import OrderNotFound
from servicing.payments.tables import Payment, PaymentOrder
from servicing.queries import LoanNotFound, alerts

TWO_TERMS_FEN = 22_004
OPENID = "oBorrower"


@pytest.fixture
def press(runtime: Runtime, book: Any, pay: Any) -> Callable[..., PayParams]:
    """Return what the repay page does when the borrower presses the button."""
    assert pay.orders == {}

    def open_it(key: str = "press-1", **changes: Any) -> PayParams:
        values = {"customer_id": book.customer_id, "loan_id": book.loan_id, "openid": OPENID}
        return open_payment_order(runtime, key=key, **values | changes)

    return open_it


class TestOpenPaymentOrder:
    def test_quotes_what_is_overdue_and_due_today(self, press: Any, book: Any, pay: Any) -> None:
        params = press()
        order = book.order(params.out_trade_no)
        assert order.state == "open"
        assert [line["n"] for line in order.quote["lines"]] == [1, 2]
        assert order.amount_fen == params.amount_fen == TWO_TERMS_FEN
        assert pay.orders[params.out_trade_no].new.amount_fen == TWO_TERMS_FEN
        assert pay.orders[params.out_trade_no].new.openid == OPENID
        assert OPENID not in order.openid_enc

    @pytest.mark.parametrize(
        ("terms", "numbers"), [(1, [1]), (2, [1, 2]), (9, [1, 2]), (0, [1]), (-3, [1])]
    )
    def test_asks_for_the_oldest_instalments_only_if_so_wished(
        self, press: Any, book: Any, pay: Any, runtime: Runtime, terms: int, numbers: list[int]
    ) -> None:
        params = press(terms=terms)
        order = book.order(params.out_trade_no)
        assert [line["n"] for line in order.quote["lines"]] == numbers
        assert params.amount_fen == sum(line["fen"] for line in order.quote["lines"])
        pay.pay(params.out_trade_no)
        ask_provider(runtime, out_trade_no=params.out_trade_no, now=runtime.clock.now())
        assert book.ledger() == [f"2026-03-10 repayment +{params.amount_fen}"]

    def test_one_key_stands_for_one_choice(self, press: Any) -> None:
        press(terms=1)
        with pytest.raises(KeyReused):
            press(terms=2)

    def test_repeats_the_first_answer_for_the_same_key(self, press: Any, book: Any) -> None:
        first, second = press(), press()
        assert second.out_trade_no == first.out_trade_no
        assert len(book.rows(PaymentOrder)) == 1

    def test_refuses_a_key_that_stands_for_something_else(self, press: Any) -> None:
        press()
        with pytest.raises(KeyReused):
            press(openid="oAnother")

    def test_refuses_another_customers_loan(self, press: Any, book: Any) -> None:
        with pytest.raises(LoanNotFound):
            press(customer_id=book.customer_id + 1)
        assert book.rows(PaymentOrder) == []

    def test_closes_the_earlier_attempt_first(self, press: Any, book: Any, pay: Any) -> None:
        first = press("press-1")
        second = press("press-2", openid="oSpouse")
        assert book.order(first.out_trade_no).state == "closed"
        assert pay.orders[first.out_trade_no].state == "CLOSED"
        assert book.order(second.out_trade_no).state == "open"

    def test_settles_the_earlier_attempt_that_turns_out_to_be_paid(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        first = press("press-1")
        pay.pay(first.out_trade_no)
        with pytest.raises(AlreadyPaid) as refused:
            press("press-2")
        assert "无需重复支付" in refused.value.message_zh
        assert book.order(first.out_trade_no).state == "paid"
        assert len(book.ledger()) == 1

    def test_keeps_the_earlier_attempt_when_closing_is_uncertain(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        first = press("press-1")
        pay.before["close"] = [PayUnknown("SYSTEM_ERROR")]
        with pytest.raises(PaymentUncertain):
            press("press-2")
        assert [order.state for order in book.rows(PaymentOrder)] == ["open"]
        assert pay.orders[first.out_trade_no].state == "NOTPAY"

    def test_asks_for_nothing_when_nothing_is_owed(
        self, press: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        for step in range(11):
            params = press(f"press-{step}")
            pay.pay(params.out_trade_no)
            ask_provider(runtime, out_trade_no=params.out_trade_no, now=runtime.clock.now())
        with pytest.raises(NothingDue):
            press("press-last")
        kinds = Counter(line.split()[1] for line in book.ledger())
        # Whoever pays all of a plan on one day gets back what that makes dearer than the cap.
        assert kinds == {"repayment": 11, "overpayment": 1}
        assert book.differences() == []

    def test_takes_up_an_order_that_the_provider_made_and_then_failed(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        pay.after["create"] = [PayUnknown("SYSTEM_ERROR")]
        params = press()
        assert pay.calls == ["create", "query", "create"]
        assert len(pay.orders) == 1
        assert (
            book.order(params.out_trade_no).prepay_id == pay.orders[params.out_trade_no].prepay_id
        )

    def test_says_uncertain_and_resumes_under_the_same_number(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        pay.before["create"] = [PayUnknown("ReadTimeout")] * 2
        with pytest.raises(PaymentUncertain):
            press()
        (order,) = book.rows(PaymentOrder)
        assert order.state == "created"
        assert press().out_trade_no == order.out_trade_no

    def test_survives_a_kill_between_the_row_and_the_call(
        self, press: Any, book: Any, pay: Any, clock: FixedClock, runtime: Runtime
    ) -> None:
        pay.when_called["create"] = _die
        with pytest.raises(KeyboardInterrupt):
            press("press-1")
        (order,) = book.rows(PaymentOrder)
        assert order.state == "created"
        assert press("press-1").out_trade_no == order.out_trade_no
        clock.advance(timedelta(minutes=31))
        jobs.query_open_orders(runtime)
        assert book.order(order.out_trade_no).state == "closed"

    def test_a_new_press_replaces_a_row_whose_call_was_killed(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        pay.before["create"] = [PayUnknown("killed")] * 2
        with pytest.raises(PaymentUncertain):
            press("press-1")
        press("press-2")
        assert [order.state for order in book.rows(PaymentOrder)] == ["closed", "open"]

    def test_ends_an_order_that_the_provider_refuses(self, press: Any, book: Any, pay: Any) -> None:
        pay.before["create"] = [PayRefused("NO_AUTH")]
        with pytest.raises(PaymentNotPossible):
            press()
        (order,) = book.rows(PaymentOrder)
        assert (order.state, order.refused_code) == ("failed", "NO_AUTH")
        with pytest.raises(OrderOver):
            press()
        assert press("press-2").amount_fen == TWO_TERMS_FEN

    def test_settles_when_the_money_is_faster_than_the_answer(
        self, press: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        def pay_and_tell() -> None:
            (number,) = pay.orders
            pay.pay(number)
            ask_provider(runtime, out_trade_no=number, now=runtime.clock.now())

        pay.when_called["create"] = pay_and_tell
        with pytest.raises(AlreadyPaid):
            press()
        (order,) = book.rows(PaymentOrder)
        assert order.state == "paid"
        assert len(book.ledger()) == 1

    def test_settles_what_a_refused_repeat_turns_out_to_be(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        pay.after["create"] = [PayUnknown("ReadTimeout")] * 2
        with pytest.raises(PaymentUncertain):
            press()
        (number,) = pay.orders
        pay.pay(number)
        with pytest.raises(AlreadyPaid):
            press()
        assert book.order(number).state == "paid"

    def test_says_uncertain_when_a_refusal_cannot_be_looked_into(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        pay.before["create"] = [PayRefused("INVALID_REQUEST")]
        pay.before["query"] = [PayUnknown("ReadTimeout")]
        with pytest.raises(PaymentUncertain):
            press()
        assert [order.state for order in book.rows(PaymentOrder)] == ["created"]

    def test_closes_an_order_that_was_superseded_while_it_was_made(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        pay.when_called["create"] = lambda: press("press-2")
        with pytest.raises(OrderOver):
            press("press-1")
        assert [order.state for order in book.rows(PaymentOrder)] == ["closed", "open"]
        assert [order.state for order in pay.orders.values()] == ["CLOSED", "NOTPAY"]

    def test_keeps_an_attempt_that_the_provider_will_not_close(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        press("press-1")
        pay.before["close"] = [PayRefused("TRADE_ERROR")]
        with pytest.raises(PaymentUncertain):
            press("press-2")
        assert [order.state for order in book.rows(PaymentOrder)] == ["open"]

    def test_refuses_to_show_an_attempt_that_has_expired(
        self, press: Any, clock: FixedClock
    ) -> None:
        press()
        clock.advance(timedelta(minutes=30))
        with pytest.raises(OrderOver):
            press()

    def test_opens_one_order_for_one_key_pressed_in_parallel(
        self, press: Any, book: Any, pay: Any
    ) -> None:
        numbers, errors = together([lambda: press().out_trade_no] * 5)
        assert errors == []
        assert len(set(numbers)) == 1
        assert len(book.rows(PaymentOrder)) == len(pay.orders) == 1

    def test_leaves_one_attempt_in_flight_when_two_phones_press_at_once(
        self, press: Any, book: Any
    ) -> None:
        presses = [
            lambda n=n: press(f"press-{n}", openid=f"oPhone{n}").out_trade_no for n in range(4)
        ]
        numbers, errors = together(presses)
        assert numbers, errors
        states = [order.state for order in book.rows(PaymentOrder)]
        assert states.count("open") == 1
        assert set(states) <= {"open", "closed"}


class TestQuery:
    def test_the_page_learns_what_the_provider_knows(
        self, press: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        number = press().out_trade_no
        asked = {"out_trade_no": number, "customer_id": book.customer_id}
        assert query_order(runtime, **asked).state == "open"
        pay.pay(number)
        assert query_order(runtime, **asked).state == "paid"
        pay.calls.clear()
        assert query_order(runtime, **asked).success_at == runtime.clock.now()
        assert pay.calls == []

    def test_the_page_shows_the_last_state_when_the_provider_is_silent(
        self, press: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        number = press().out_trade_no
        pay.before["query"] = [PayUnknown("ReadTimeout")]
        view = query_order(runtime, out_trade_no=number, customer_id=book.customer_id)
        assert view.state == "open"

    def test_another_customer_learns_nothing(self, press: Any, book: Any, runtime: Runtime) -> None:
        number = press().out_trade_no
        with pytest.raises(OrderNotFound):
            query_order(runtime, out_trade_no=number, customer_id=book.customer_id + 1)

    def test_the_poll_settles_a_payment_whose_notify_was_lost(
        self, press: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        number = press().out_trade_no
        pay.pay(number)
        jobs.query_open_orders(runtime)
        assert book.order(number).state == "open"
        clock.advance(timedelta(seconds=30))
        jobs.query_open_orders(runtime)
        assert book.order(number).state == "paid"
        assert book.ledger() == [f"2026-03-10 repayment +{TWO_TERMS_FEN}"]

    def test_the_poll_asks_ever_more_rarely(
        self, press: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        press()
        pay.calls.clear()
        for _ in range(20 * 6):
            clock.advance(timedelta(seconds=10))
            jobs.query_open_orders(runtime)
        assert 5 <= pay.calls.count("query") <= 8

    def test_the_poll_closes_what_has_expired(
        self, press: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        number = press().out_trade_no
        clock.advance(timedelta(days=3))
        jobs.query_open_orders(runtime)
        assert book.order(number).state == "closed"
        assert pay.orders[number].state == "CLOSED"

    def test_the_poll_hears_that_the_provider_closed_it(
        self, press: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        number = press().out_trade_no
        pay.orders[number].state = "CLOSED"
        clock.advance(timedelta(seconds=30))
        jobs.query_open_orders(runtime)
        assert book.order(number).state == "closed"

    @pytest.mark.parametrize("is_over", [False, True])
    def test_money_that_was_given_back_in_the_console_frees_the_debt_and_calls_staff(
        self, press: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock, is_over: bool
    ) -> None:
        number = press().out_trade_no
        pay.pay(number)
        pay.orders[number].state = "REFUND"
        clock.advance(timedelta(hours=1) if is_over else timedelta(seconds=31))
        jobs.query_open_orders(runtime)
        assert book.order(number).state == "closed"
        assert book.ledger() == []
        with runtime.database.read() as session:
            (alert,) = alerts(session)
        assert (alert.kind, alert.loan_id) == ("payment-refunded-elsewhere", book.loan_id)
        assert alert.details["out_trade_no"] == number
        assert press(key="again").out_trade_no != number

    def test_a_new_press_finds_that_the_earlier_attempt_was_given_back(
        self, press: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        number = press().out_trade_no
        pay.pay(number)
        pay.orders[number].state = "REFUND"
        pay.before["close"] = [PayRefused("ORDERPAID")]
        assert press(key="again").out_trade_no != number
        assert book.order(number).state == "closed"
        with runtime.database.read() as session:
            assert len(alerts(session)) == 1

    def test_the_poll_goes_on_after_a_fact_that_does_not_fit(
        self, press: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        number = press().out_trade_no
        pay.pay(number)
        pay.appid = "wxffffffffffffffff"
        clock.advance(timedelta(seconds=30))
        jobs.query_open_orders(runtime)
        assert book.order(number).state == "open"
        assert book.rows(Payment) == []

    def test_the_poll_goes_on_after_one_silence(
        self, press: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        number = press().out_trade_no
        pay.pay(number)
        pay.before["query"] = [PayUnknown("ReadTimeout")]
        for _ in range(2):
            clock.advance(timedelta(seconds=30))
            jobs.query_open_orders(runtime)
        assert [payment.amount_fen for payment in book.rows(Payment)] == [TWO_TERMS_FEN]


def _die() -> None:
    raise KeyboardInterrupt
