"""One settle function: whatever comes, however often, money is in the book once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from racing import together

from kernel.clock import FixedClock, business_date
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from servicing import operations as servicing
from servicing import queries
from servicing.payments import jobs
from servicing.payments.operations import close_order, open_payment_order, settle_fact
from servicing.payments.ports import PaymentFact, Purpose
from servicing.payments.settlement import (
    OrderNotFound,
    PaymentMismatch,
    Settled,
    settle_payment,
)
from servicing.payments.tables import Payment, Refund
from servicing.queries import alerts

TWO_TERMS_FEN = 22_004


@pytest.fixture
def opened(runtime: Runtime, book: Any, pay: Any) -> Callable[[str], str]:
    """Return what opens an attempt and says its number."""
    assert pay.orders == {}

    def open_it(key: str = "press-1") -> str:
        return open_payment_order(
            runtime, key=key, customer_id=book.customer_id, loan_id=book.loan_id, openid="oA"
        ).out_trade_no

    return open_it


class TestSettleEarly:
    @pytest.fixture
    def settling(self, runtime: Runtime, book: Any, pay: Any) -> Callable[[], str]:
        """Return what opens an attempt to settle the loan, and says its number."""
        assert pay.orders == {}
        return lambda: (
            open_payment_order(
                runtime,
                key="settle-1",
                customer_id=book.customer_id,
                loan_id=book.loan_id,
                openid="oA",
                purpose=Purpose.SETTLE,
            ).out_trade_no
        )

    def test_what_was_quoted_closes_the_loan(
        self, settling: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        fact = pay.pay(settling())
        settled = settle_fact(runtime, fact, now=runtime.clock.now())
        assert (settled.outcome, settled.excess_fen) == ("posted", 0)
        (loan,) = _loans(runtime, book)
        assert (loan.state, loan.remaining_fen) == ("closed", 0)
        assert book.differences() == []

    def test_a_day_too_late_it_repays_principal_and_leaves_the_difference(
        self, settling: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        number = settling()
        clock.advance(timedelta(days=1))
        owed = _settles(runtime, book)
        settled = settle_fact(runtime, pay.pay(number), now=clock.now())
        assert (settled.outcome, settled.excess_fen) == ("posted", 0)
        (loan,) = _loans(runtime, book)
        assert loan.state == "active"
        assert loan.due_fen == 0
        assert loan.outstanding_principal_fen == owed - settled.posted_fen > 0
        assert loan.next.due_on == date(2026, 4, 10)
        assert book.differences() == []

    def test_what_another_payment_took_goes_back(
        self, settling: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        fact = pay.pay(settling())
        with runtime.database.write() as session:
            servicing.post_repayment(
                session,
                loan_id=book.loan_id,
                amount_fen=TWO_TERMS_FEN,
                value_date=date(2026, 3, 10),
                key="shop",
                now=clock.now(),
            )
        settled = settle_fact(runtime, fact, now=clock.now())
        assert (settled.outcome, settled.excess_fen) == ("refunding", TWO_TERMS_FEN)
        assert [loan.state for loan in _loans(runtime, book)] == ["closed"]
        assert book.differences() == []


def _loans(runtime: Runtime, book: Any) -> tuple[queries.LoanView, ...]:
    with runtime.database.read() as session:
        on = business_date(runtime.clock.now())
        return queries.loans_of(session, customer_id=book.customer_id, on=on)


def _settles(runtime: Runtime, book: Any) -> int:
    with runtime.database.read() as session:
        return queries.settlement_quote(
            session,
            loan_id=book.loan_id,
            customer_id=book.customer_id,
            on=business_date(runtime.clock.now()),
        ).amount_fen


class TestSettlePayment:
    def test_posts_on_the_day_of_the_platforms_success_time(
        self, opened: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        number = opened()
        pay.pay(number)
        just_before_midnight = datetime(2026, 3, 10, 15, 59, 59, tzinfo=UTC)
        fact = pay.fact(number, success_at=just_before_midnight)
        settled = settle_fact(runtime, fact, now=just_before_midnight + timedelta(hours=10))
        assert settled == Settled(
            outcome="posted", out_trade_no=number, posted_fen=TWO_TERMS_FEN, excess_fen=0
        )
        (payment,) = book.rows(Payment)
        assert payment.value_date == date(2026, 3, 10)
        assert book.ledger() == [f"2026-03-10 repayment +{TWO_TERMS_FEN}"]
        assert [row.event for row in book.rows(OutboxRow)].count("RepaymentPosted") == 1
        assert book.differences() == []

    def test_settles_the_same_payment_once_in_parallel_and_a_day_later(
        self, opened: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        fact = pay.pay(opened())
        outcomes, _ = together([lambda: settle_fact(runtime, fact, now=clock.now()).outcome] * 5)
        assert sorted(outcomes) == ["posted", *["repeated"] * 4]
        clock.advance(timedelta(days=1))
        assert settle_fact(runtime, fact, now=clock.now()).outcome == "repeated"
        assert book.ledger() == [f"2026-03-10 repayment +{TWO_TERMS_FEN}"]
        assert book.differences() == []

    @pytest.mark.parametrize(
        "changes",
        [
            {"appid": "wxffffffffffffffff"},
            {"mchid": "1999999999"},
            {"total_fen": TWO_TERMS_FEN + 1},
            {"total_fen": None},
            {"success_at": None},
        ],
    )
    def test_refuses_a_fact_that_is_not_about_our_order(
        self, changes: dict[str, Any], opened: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        number = opened()
        fact = replace(pay.pay(number), **changes)
        with pytest.raises(PaymentMismatch):
            settle_fact(runtime, fact, now=runtime.clock.now())
        assert book.order(number).state == "open"
        assert book.ledger() == []
        assert book.rows(Payment) == []
        with pytest.raises(PaymentMismatch):
            settle_fact(runtime, fact, now=runtime.clock.now())
        with runtime.database.read() as session:
            (alert,) = alerts(session)
        assert (alert.kind, alert.loan_id) == ("payment-mismatch", book.loan_id)
        assert alert.details["out_trade_no"] == number
        assert alert.details["told_fen"] == fact.total_fen
        assert alert.details["wrong"]

    def test_refuses_a_second_transaction_for_one_order(
        self, opened: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        fact = pay.pay(opened())
        settle_fact(runtime, fact, now=runtime.clock.now())
        with pytest.raises(PaymentMismatch):
            settle_fact(runtime, replace(fact, transaction_id="other"), now=runtime.clock.now())
        assert len(book.ledger()) == 1

    def test_refuses_an_order_that_is_not_ours(self, runtime: Runtime, clock: FixedClock) -> None:
        fact = PaymentFact(out_trade_no="PO0", trade_state="SUCCESS", appid="a", mchid="m")
        with pytest.raises(OrderNotFound):
            settle_fact(runtime, fact, now=clock.now())

    @pytest.mark.parametrize("state", ["NOTPAY", "REFUND", "PAYERROR"])
    def test_posts_nothing_for_money_that_is_not_there(
        self, state: str, opened: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        fact = pay.fact(opened(), trade_state=state)
        assert settle_fact(runtime, fact, now=runtime.clock.now()).outcome == "not-paid"
        assert book.ledger() == []

    def test_posts_a_late_payment_of_a_closed_attempt(
        self, opened: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        number = opened()
        fact = pay.pay(number)
        pay.orders[number].state = "NOTPAY"
        assert close_order(runtime, out_trade_no=number, now=runtime.clock.now()) == "closed"
        assert settle_fact(runtime, fact, now=runtime.clock.now()).outcome == "posted"
        assert book.order(number).state == "paid"

    def test_takes_nothing_back_when_the_transaction_fails(
        self, opened: Any, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        number = opened()
        fact = pay.pay(number)

        def settle_and_die() -> None:
            with runtime.database.write() as session:
                settle_payment(session, fact=fact, now=runtime.clock.now())
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            settle_and_die()
        assert book.order(number).state == "open"
        assert book.ledger() == []
        assert settle_fact(runtime, fact, now=runtime.clock.now()).outcome == "posted"


class TestPaidOnTwoPhones:
    def test_settles_one_and_sends_the_other_back_to_its_source(
        self, opened: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        first, second = _two_paid(opened, pay)
        facts = [pay.fact(first), pay.fact(second)]
        outcomes, _ = together(
            [
                lambda fact=fact: settle_fact(runtime, fact, now=clock.now()).outcome
                for fact in facts
            ]
        )
        assert sorted(outcomes) == ["posted", "refunding"]
        assert sorted(book.ledger()) == [
            f"2026-03-10 overpayment +{TWO_TERMS_FEN}",
            f"2026-03-10 repayment +{TWO_TERMS_FEN}",
        ]
        (refund,) = book.rows(Refund)
        returned = [payment for payment in book.rows(Payment) if payment.excess_fen]
        assert [payment.id for payment in returned] == [refund.payment_id]

        jobs.send_refunds(runtime)
        pay.finish_refund(refund.out_refund_no)
        clock.advance(timedelta(minutes=1))
        jobs.send_refunds(runtime)
        assert [row.state for row in book.rows(Refund)] == ["succeeded"]
        assert book.ledger()[-1] == f"2026-03-10 refund -{TWO_TERMS_FEN}"
        assert [row.event for row in book.rows(OutboxRow)].count("PaymentRefunded") == 1
        assert [row.event for row in book.rows(OutboxRow)].count("RepaymentPosted") == 1
        assert book.differences() == []

    def test_sends_back_only_what_is_no_longer_owed(
        self, opened: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        clock.at = datetime(2026, 2, 20, 2, tzinfo=UTC)
        first = opened("one-term")
        close_order(runtime, out_trade_no=first, now=clock.now())
        clock.at = datetime(2026, 3, 10, 2, tzinfo=UTC)
        second = opened("two-terms")
        for number in (first, second):
            pay.orders[number].state = "NOTPAY"
        one_term_fen = pay.pay(first).total_fen
        settle_fact(runtime, pay.fact(first), now=clock.now())
        settled = settle_fact(runtime, pay.pay(second), now=clock.now())
        assert settled.posted_fen == TWO_TERMS_FEN - one_term_fen
        assert settled.excess_fen == one_term_fen
        assert [refund.amount_fen for refund in book.rows(Refund)] == [one_term_fen]
        assert book.differences() == []


def _two_paid(opened: Callable[[str], str], pay: Any) -> tuple[str, str]:
    """Open twice and let both be paid, as when the first is paid while it is being closed."""
    first = opened("phone-1")
    second = opened("phone-2")
    pay.orders[first].state = "NOTPAY"
    pay.pay(first)
    pay.pay(second)
    return first, second
