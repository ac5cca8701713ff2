"""/pay/notify and /pay/refund-notify as the platform meets them."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kernel.clock import FixedClock, shanghai
from kernel.runtime import Runtime
from servicing.payments import jobs
from servicing.payments.operations import open_payment_order
from servicing.payments.tables import Payment, PayNotice, Refund
from servicing.queries import alerts

TWO_TERMS_FEN = 22_004


@pytest.fixture
def paid(
    runtime: Runtime, book: Any, pay: Any, transaction: Callable[..., dict[str, Any]]
) -> Callable[..., dict[str, Any]]:
    """Return what opens an attempt, lets it be paid, and spells what the platform will tell."""

    def pay_it(key: str = "press-1", **changes: Any) -> dict[str, Any]:
        number = open_payment_order(
            runtime, key=key, customer_id=book.customer_id, loan_id=book.loan_id, openid="oA"
        ).out_trade_no
        return transaction(pay.pay(number), **changes)

    return pay_it


class TestNotify:
    def test_settles_and_answers_204(self, paid: Any, notices: Any, book: Any) -> None:
        answer = notices.send(paid())
        assert (answer.status_code, answer.data) == (204, b"")
        assert book.ledger() == [f"2026-03-10 repayment +{TWO_TERMS_FEN}"]

    def test_five_in_parallel_and_one_a_day_later_are_one_entry(
        self, paid: Any, notices: Any, book: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        resource = paid()
        app = notices.client.application
        requests = [notices.make(resource, notice_id="n-1") for _ in range(5)]
        statuses: list[int] = []
        barrier = threading.Barrier(5)

        def send(headers: dict[str, str], body: bytes) -> None:
            barrier.wait()
            answer = app.test_client().post("/pay/notify", headers=headers, data=body)
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=send, args=request) for request in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.advance(timedelta(days=1))
        assert notices.send(resource, notice_id="n-1").status_code == 204
        assert statuses == [204] * 5
        assert book.ledger() == [f"2026-03-10 repayment +{TWO_TERMS_FEN}"]
        with runtime.database.read() as session:
            assert session.get_one(PayNotice, "n-1").times == 6

    @pytest.mark.parametrize(
        "changes",
        [
            {"appid": "wxffffffffffffffff"},
            {"mchid": "1999999999"},
            {"amount": {"total": TWO_TERMS_FEN - 1, "currency": "CNY"}},
            {"amount": {"total": TWO_TERMS_FEN, "currency": "USD"}},
            {"amount": {"total": float(TWO_TERMS_FEN)}},
            {"amount": None},
            {"success_time": "yesterday"},
            {"success_time": "2026-03-10T10:00:00"},
            {"out_trade_no": "PO0000000000"},
            {"out_trade_no": 7},
            {"trade_state": None},
        ],
    )
    def test_refuses_a_fact_that_is_not_ours(
        self, changes: dict[str, Any], paid: Any, notices: Any, book: Any
    ) -> None:
        answer = notices.send(paid(**changes))
        assert 400 <= answer.status_code < 500
        assert answer.json["code"] == "FAIL"
        assert answer.json["message"]
        assert book.rows(Payment) == []
        assert book.ledger() == []

    def test_a_wrong_amount_calls_staff_once(
        self, paid: Any, notices: Any, runtime: Runtime
    ) -> None:
        fact = paid(amount={"total": TWO_TERMS_FEN - 1, "currency": "CNY"})
        assert [notices.send(fact).status_code for _ in range(3)] == [409] * 3
        with runtime.database.read() as session:
            (alert,) = alerts(session)
        assert (alert.kind, alert.severity) == ("payment-mismatch", "high")
        assert alert.details == {
            "out_trade_no": fact["out_trade_no"],
            "amount_fen": TWO_TERMS_FEN,
            "told_fen": TWO_TERMS_FEN - 1,
            "wrong": ["amount"],
        }

    @pytest.mark.parametrize(
        ("header", "value"),
        [
            ("Wechatpay-Serial", "D7CE59D1F522D701"),
            ("Wechatpay-Signature", "WECHATPAY/SIGNTEST/AAAA"),
            ("Wechatpay-Signature", "AAAA"),
            ("Wechatpay-Timestamp", "1"),
            ("Wechatpay-Timestamp", "99999999999"),
            ("Wechatpay-Timestamp", ""),
            ("Wechatpay-Nonce", ""),
            ("Wechatpay-Signature-Type", "SM2"),
        ],
    )
    def test_refuses_what_the_platform_did_not_sign(
        self, header: str, value: str, paid: Any, notices: Any, book: Any
    ) -> None:
        headers, body = notices.make(paid())
        answer = notices.client.post("/pay/notify", headers=headers | {header: value}, data=body)
        assert answer.status_code == 401
        assert answer.json == {"code": "FAIL", "message": "支付通知验证失败"}
        assert book.rows(Payment) == []

    @pytest.mark.parametrize("seconds", [-301, 302])
    def test_refuses_what_is_stale_or_from_the_future(
        self, seconds: int, paid: Any, notices: Any, book: Any, clock: FixedClock
    ) -> None:
        resource = paid()
        answer = notices.send(resource, at=clock.now() + timedelta(seconds=seconds))
        assert answer.status_code == 401
        assert book.ledger() == []

    def test_refuses_a_broken_tag(self, paid: Any, notices: Any, book: Any) -> None:
        assert notices.send(paid(), is_tag_broken=True).status_code == 401
        assert book.ledger() == []

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff\xfe", b"<xml></xml>"])
    def test_odd_bodies_without_a_signature_are_4xx(self, body: bytes, notices: Any) -> None:
        assert notices.client.post("/pay/notify", data=body).status_code == 401

    def test_a_body_over_64_kib_is_refused(self, notices: Any) -> None:
        answer = notices.client.post("/pay/notify", data=b"x" * 70_000)
        assert (answer.status_code, answer.json["code"]) == (413, "FAIL")

    def test_takes_note_of_news_that_it_has_no_use_for(
        self, paid: Any, notices: Any, book: Any
    ) -> None:
        answer = notices.send(paid(), event_type="PAYSCORE.USER_OPEN_SERVICE")
        assert answer.status_code == 204
        assert book.rows(Payment) == []


@pytest.fixture
def refund(paid: Any, notices: Any, book: Any, pay: Any, runtime: Runtime) -> Refund:
    """Return the refund of a debt that was paid on two phones, on its way."""
    first = paid("phone-1")
    pay.orders[first["out_trade_no"]].state = "NOTPAY"
    second = paid("phone-2")
    for resource in (first, second):
        assert notices.send(resource).status_code == 204
    jobs.send_refunds(runtime)
    (row,) = book.rows(Refund)
    return row


class TestRefundNotify:
    def test_settles_and_answers_204(
        self, refund: Refund, notices: Any, book: Any, clock: FixedClock
    ) -> None:
        resource = {
            "mchid": "1900000001",
            "out_refund_no": refund.out_refund_no,
            "refund_id": "5030",
            "refund_status": "SUCCESS",
            "success_time": shanghai(clock.now()).isoformat(timespec="seconds"),
            "amount": {"total": refund.amount_fen, "refund": refund.amount_fen},
        }
        for _ in range(2):
            answer = notices.send(resource, path="/pay/refund-notify", event_type="REFUND.SUCCESS")
            assert answer.status_code == 204
        assert [row.state for row in book.rows(Refund)] == ["succeeded"]
        assert book.ledger()[-1] == f"2026-03-10 refund -{refund.amount_fen}"
        assert book.differences() == []

    def test_refuses_an_unknown_refund_and_calls_staff(
        self, notices: Any, clock: FixedClock, runtime: Runtime
    ) -> None:
        resource = {
            "out_refund_no": "RF0",
            "refund_id": "5030",
            "refund_status": "SUCCESS",
            "success_time": shanghai(clock.now()).isoformat(),
            "amount": {"total": 1, "refund": 1},
        }
        answer = notices.send(resource, path="/pay/refund-notify", event_type="REFUND.SUCCESS")
        assert (answer.status_code, answer.json["code"]) == (404, "FAIL")
        with runtime.database.read() as session:
            (alert,) = alerts(session)
        assert (alert.kind, alert.details) == ("refund-unknown", {"out_refund_no": "RF0"})
