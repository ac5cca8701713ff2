"""What is not there is said so, whatever was asked of it; what was done is not done again."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from kernel.crypto import FieldCipher
from kernel.database import Database
from kernel.errors import Conflict, NotFound
from servicing import operations
from servicing.operations.lines import LineNotFound

Act = Callable[[Session, FieldCipher, Any], object]

ACTS: dict[str, Act] = {
    "post_repayment": lambda session, _, book: book.repay(session, 404, 1, key="p"),
    "freeze_line": lambda session, _, book: operations.freeze_line(
        session, line_id=404, reason="x", now=book.now
    ),
    "cancel_application": lambda session, _, book: operations.cancel_application(
        session, application_id=404, now=book.now
    ),
    "appeal_application": lambda session, _, book: operations.appeal_application(
        session, application_id=404, now=book.now
    ),
    "lift_hold": lambda session, _, book: operations.lift_hold(
        session, hold_id=404, lifted_by="lin", reason="x", now=book.now
    ),
    "close_alert": lambda session, _, book: operations.close_alert(
        session, alert_id=404, closed_by="lin", note="x", now=book.now
    ),
    "answer_complaint": lambda session, cipher, book: operations.answer_complaint(
        session, cipher, complaint_id=404, text="x", answered_by="lin", now=book.now
    ),
    "close_complaint": lambda session, _, book: operations.close_complaint(
        session, complaint_id=404, closed_by="lin", now=book.now
    ),
}


class TestNotFound:
    @pytest.mark.parametrize("name", ACTS)
    def test_is_said_of_every_noun(
        self, database: Database, cipher: FieldCipher, book: Any, name: str
    ) -> None:
        with database.write() as session, pytest.raises(NotFound) as caught:
            ACTS[name](session, cipher, book)
        assert caught.value.code.endswith("-not-found")


class TestComplaintStates:
    def test_let_nobody_answer_twice_or_close_unanswered(
        self, database: Database, cipher: FieldCipher, book: Any
    ) -> None:
        with database.write() as session:
            complaint_id = operations.open_complaint(
                session,
                cipher,
                customer_id=book.customer(session),
                loan_id=None,
                category="service",
                channel="phone",
                text="态度不好",
                opened_by="lin",
                now=book.now,
            )
            close = {"complaint_id": complaint_id, "closed_by": "lin", "now": book.now}
            with pytest.raises(Conflict):
                operations.close_complaint(session, **close)
            answer = {"complaint_id": complaint_id, "answered_by": "lin", "now": book.now}
            operations.answer_complaint(session, cipher, text="已道歉", **answer)
            with pytest.raises(Conflict):
                operations.answer_complaint(session, cipher, text="再答", **answer)
            operations.close_complaint(session, **close)
            with pytest.raises(Conflict):
                operations.close_complaint(session, **close)


class TestBooking:
    def test_fails_when_the_line_is_gone(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = operations.submit_application(
                session,
                customer_id=book.customer(session),
                merchant_name="宏达手机卖场",
                merchandise="手机",
                amount_fen=200_000,
                terms=6,
                channel="h5",
                attributes={},
                key="a1",
                now=book.now,
            )
            application = operations.lock_application(session, application_id=application_id)
            application.state = "approved"
            session.flush()
            with pytest.raises(LineNotFound):
                operations.book_application(
                    session,
                    application_id=application_id,
                    disclosure_id=1,
                    key="b1",
                    disbursed_on=book.now.date(),
                    now=book.now,
                )
