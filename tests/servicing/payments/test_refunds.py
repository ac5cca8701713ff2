"""Refunds: one number, sent until the platform has answered, entered in the ledger once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kernel.clock import FixedClock
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from servicing.payments import jobs
from servicing.payments.operations import open_payment_order, settle_fact
from servicing.payments.ports import PayRefused, PayUnknown, RefundFact
from servicing.payments.queries import payments_of, refunds_needing_a_person, refunds_of
from servicing.payments.refunds import RefundMismatch, RefundNotFound, settle_refund
from servicing.payments.tables import Refund
from servicing.tables import Alert

TWO_TERMS_FEN = 22_004


@pytest.fixture
def refund(runtime: Runtime, book: Any, pay: Any) -> Refund:
    """Return the refund of a debt that was paid on two phones."""
    numbers = [
        open_payment_order(
            runtime, key=key, customer_id=book.customer_id, loan_id=book.loan_id, openid="oA"
        ).out_trade_no
        for key in ("phone-1", "phone-2")
    ]
    pay.orders[numbers[0]].state = "NOTPAY"
    for number in numbers:
        settle_fact(runtime, pay.pay(number), now=runtime.clock.now())
    (row,) = book.rows(Refund)
    return row


def settle(runtime: Runtime, fact: RefundFact) -> str:
    with runtime.database.write() as session:
        return settle_refund(session, fact=fact, now=runtime.clock.now())


class TestSendRefunds:
    def test_reuses_the_number_after_an_unknown_answer(
        self, refund: Refund, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        pay.after["refund"] = [PayUnknown("SYSTEM_ERROR")]
        jobs.send_refunds(runtime)
        (row,) = book.rows(Refund)
        assert (row.state, row.last_code) == ("ready", "SYSTEM_ERROR")
        clock.advance(timedelta(minutes=1))
        jobs.send_refunds(runtime)
        assert list(pay.refunds) == [refund.out_refund_no]
        assert book.rows(Refund)[0].state == "processing"

    def test_waits_between_tries(self, refund: Refund, pay: Any, runtime: Runtime) -> None:
        pay.before["refund"] = [PayRefused("NOT_ENOUGH")] * 3
        for _ in range(3):
            jobs.send_refunds(runtime)
        assert pay.calls.count("refund") == 1
        assert refund.state == "ready"

    def test_alerts_staff_when_it_is_refused_again_and_again(
        self, refund: Refund, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        pay.before["refund"] = [PayRefused("NOT_ENOUGH")] * 20
        for _ in range(7):
            jobs.send_refunds(runtime)
            clock.advance(timedelta(hours=4))
        (alert,) = book.rows(Alert)
        assert alert.key == f"refund/{refund.out_refund_no}/stuck"
        assert alert.details["last_code"] == "NOT_ENOUGH"


class TestSettleRefund:
    def test_enters_the_refund_once(
        self, refund: Refund, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        jobs.send_refunds(runtime)
        fact = pay.finish_refund(refund.out_refund_no)
        assert [settle(runtime, fact) for _ in range(3)] == ["succeeded"] * 3
        assert book.ledger()[-1] == f"2026-03-10 refund -{TWO_TERMS_FEN}"
        assert len(book.ledger()) == 3
        assert [row.event for row in book.rows(OutboxRow)].count("PaymentRefunded") == 1
        assert book.differences() == []

    def test_an_older_answer_changes_nothing_that_is_over(
        self, refund: Refund, pay: Any, runtime: Runtime
    ) -> None:
        jobs.send_refunds(runtime)
        older = pay.refunds[refund.out_refund_no]
        settle(runtime, pay.finish_refund(refund.out_refund_no))
        assert settle(runtime, older) == "succeeded"

    @pytest.mark.parametrize("status", ["ABNORMAL", "CLOSED"])
    def test_leaves_what_the_platform_gave_up_to_a_person(
        self, status: str, refund: Refund, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        jobs.send_refunds(runtime)
        settle(runtime, pay.finish_refund(refund.out_refund_no, status))
        with runtime.database.read() as session:
            waiting = refunds_needing_a_person(session)
            shown = refunds_of(session, customer_id=book.customer_id)
        assert [row.out_refund_no for row in waiting] == [refund.out_refund_no]
        assert shown == waiting
        assert [alert.kind for alert in book.rows(Alert)] == ["refund-failed"]
        assert len(book.ledger()) == 2

    def test_an_abnormal_refund_may_still_succeed(
        self, refund: Refund, pay: Any, runtime: Runtime
    ) -> None:
        jobs.send_refunds(runtime)
        settle(runtime, pay.finish_refund(refund.out_refund_no, "ABNORMAL"))
        assert settle(runtime, pay.finish_refund(refund.out_refund_no)) == "succeeded"

    def test_refuses_what_is_not_about_our_refund(
        self, refund: Refund, book: Any, pay: Any, runtime: Runtime
    ) -> None:
        jobs.send_refunds(runtime)
        fact = pay.finish_refund(refund.out_refund_no)
        with pytest.raises(RefundMismatch):
            settle(runtime, replace(fact, refund_fen=fact.refund_fen + 1))
        with pytest.raises(RefundNotFound):
            settle(runtime, replace(fact, out_refund_no="RF0"))
        assert [row.state for row in book.rows(Refund)] == ["processing"]


def test_the_payments_of_a_customer_are_listed_newest_first(
    refund: Refund, book: Any, runtime: Runtime
) -> None:
    with runtime.database.read() as session:
        views = payments_of(session, customer_id=book.customer_id)
    assert [view.excess_fen for view in views] == [TWO_TERMS_FEN, 0]
    assert [view.id == refund.payment_id for view in views] == [True, False]
