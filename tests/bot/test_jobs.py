from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import select

from bot.jobs import send_code, send_receipt, send_refund_receipt
from contact.book import template_in_force
from contact.messages import render
from contact.operations import retire_address
from contact.ports import AddressKind, Channel
from contact.tables import Contact
from kernel.clock import FixedClock, business_date
from kernel.runtime import Runtime
from servicing import operations

Told = Callable[[str], list[dict[str, Any]]]

PAID = {
    "loan_id": 1,
    "customer_id": 1,
    "amount_fen": 28955,
    "value_date": "2026-03-10",
    "key": "payment:1",
    "remaining_fen": 202680,
    "is_settled": False,
}


class TestSendReceipt:
    def test_tells_amount_rest_and_what_comes_next(
        self, runtime: Runtime, openid: str, told: Told
    ) -> None:
        assert openid
        send_receipt(runtime, **PAID)
        (receipt,) = told("receipt")
        assert receipt["amount_fen"] == 28955
        assert receipt["remaining_fen"] == 202680
        assert "已还 4/12 期，下一期" in receipt["label"]

    def test_a_payment_is_told_once_even_if_the_loan_changed_meanwhile(
        self, runtime: Runtime, openid: str, clock: FixedClock, told: Told
    ) -> None:
        assert openid
        send_receipt(runtime, **PAID)
        clock.advance(timedelta(days=40))
        send_receipt(runtime, **PAID)
        assert len(told("receipt")) == 1

    def test_what_was_reversed_before_it_was_told_is_not(
        self, runtime: Runtime, openid: str, told: Told
    ) -> None:
        assert openid
        now = runtime.clock.now()
        by = {"loan_id": 1, "now": now}
        with runtime.database.write() as session:
            seq = operations.post_repayment(
                session, amount_fen=100, value_date=business_date(now), key=PAID["key"], **by
            )
            operations.reverse(
                session, seq=seq, on=business_date(now), key="undo", actor="lin", **by
            )
        send_receipt(runtime, **PAID)
        assert told("receipt") == []

    def test_who_is_not_bound_is_not_told(self, runtime: Runtime, openid: str, told: Told) -> None:
        assert openid
        with runtime.database.write() as session:
            retire_address(
                session,
                customer_id=1,
                channel_kind=AddressKind.WECHAT,
                reason="unbound",
                now=runtime.clock.now(),
            )
        send_receipt(runtime, **PAID)
        assert told("receipt") == []


class TestSendRefundReceipt:
    BACK: ClassVar[dict[str, int]] = {
        "refund_id": 7, "payment_id": 3, "loan_id": 1, "customer_id": 1, "amount_fen": 500,
    }  # fmt: skip

    def test_tells_once_what_is_back(
        self, runtime: Runtime, openid: str, clock: FixedClock, told: Told
    ) -> None:
        assert openid
        send_refund_receipt(runtime, **self.BACK)
        clock.advance(timedelta(days=1))
        send_refund_receipt(runtime, **self.BACK)
        (note,) = told("refund")
        assert (note["amount_fen"], note["refunded_on"]) == (500, "2026-03-10")
        assert "尾号" in note["label"]

    def test_its_words_leave_by_contact(self, runtime: Runtime, openid: str) -> None:
        assert openid
        with runtime.database.read() as session:
            template = template_in_force(session, code="refund", channel=Channel.WECHAT_MESSAGE)
        facts = {"amount_fen": 500, "label": "手机（尾号VMB0）", "refunded_on": "2026-03-10"}
        body = render(template, facts=facts, debts=()).body
        assert body.startswith("多付的 ¥5.00 已原路退回")
        assert "2026年3月10日" in body

    def test_what_a_person_sent_by_bank_is_told_as_that(
        self, runtime: Runtime, openid: str, told: Told
    ) -> None:
        assert openid
        sent: dict[str, Any] = self.BACK | {"payment_id": None, "is_transfer": True}
        send_refund_receipt(runtime, **sent)
        (note,) = told("refund_transfer")
        assert note["amount_fen"] == 500
        assert told("refund") == []
        with runtime.database.read() as session:
            template = template_in_force(
                session, code="refund_transfer", channel=Channel.WECHAT_MESSAGE
            )
        assert "由银行转账退还" in render(template, facts=note, debts=()).body


class TestSendCode:
    def test_a_ticket_that_is_over_sends_nothing(self, runtime: Runtime) -> None:
        send_code(runtime, ticket="gone")
        with runtime.database.read() as session:
            assert session.scalar(select(Contact.id)) is None
