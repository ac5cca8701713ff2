from typing import Any

import pytest
from sqlalchemy import select

import contact.views
from contact.references import reference_of
from contact.tables import Contact
from kernel.web import create_base_app


@pytest.fixture
def client(desk: Any) -> Any:
    app = create_base_app(desk.runtime)
    app.register_blueprint(contact.views.blueprint)
    return app.test_client()


def receipt(desk: Any, contact_id: int, **changes: Any) -> Any:
    fine = {
        "phone_number": "13900000000",
        "send_time": "2026-03-10 10:00:00",
        "report_time": "2026-03-10 10:00:05",
        "success": True,
        "err_code": "DELIVERED",
        "biz_id": "biz1",
        "out_id": reference_of(desk.runtime.cipher, contact_id),
    }
    return fine | changes


class TestSmsReceipts:
    def delivery(self, desk: Any) -> Any:
        with desk.read() as session:
            return [
                tuple(row)
                for row in session.execute(
                    select(Contact.delivery, Contact.delivered_at).order_by(Contact.id)
                )
            ]

    def test_are_noted_however_often_they_come(self, desk: Any, client: Any) -> None:
        contact_id = desk.answer("otp:1")
        desk.send()
        for _ in range(3):
            answer = client.post("/contact/sms-receipts", json=[receipt(desk, contact_id)])
            assert answer.status_code == 200
            assert answer.json["code"] == 0
        ((delivery, at),) = self.delivery(desk)
        assert delivery == "delivered"
        assert at.isoformat() == "2026-03-10T02:00:05+00:00"

    def test_of_bad_news_are_noted_too(self, desk: Any, client: Any) -> None:
        contact_id = desk.answer("otp:1")
        desk.send()
        bad = receipt(desk, contact_id, success=False, report_time="soon")
        client.post("/contact/sms-receipts", json=[bad, "junk", {}])
        assert self.delivery(desk) == [("failed", desk.now)]

    def test_that_are_forged_change_nothing_and_are_taken(self, desk: Any, client: Any) -> None:
        desk.answer("otp:1")
        desk.send()
        forged = receipt(desk, 1, out_id="1-0000000000000000")
        assert client.post("/contact/sms-receipts", json=[forged]).status_code == 200
        assert self.delivery(desk) == [(None, None)]

    @pytest.mark.parametrize("body", [b"", b"{}", b"<xml/>", b"[" * 5000])
    def test_that_cannot_be_read_are_refused(self, client: Any, body: bytes) -> None:
        answer = client.post("/contact/sms-receipts", data=body)
        assert answer.status_code == 422
        assert answer.json["code"] == "contact-receipts-not-readable"
