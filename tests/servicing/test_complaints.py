from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from sqlalchemy.orm import Session

from kernel.crypto import FieldCipher
from kernel.database import Database
from servicing import operations, queries

TOGETHER = 6


def complain(session: Session, cipher: FieldCipher, book: Any, **given: Any) -> int:
    values = {"customer_id": 1, "loan_id": None, "text": "金额不对", "opened_by": "borrower"}
    return operations.open_complaint(
        session, cipher, category="chat", channel="wechat", now=book.now, **values | given
    )


class TestOpenComplaint:
    def test_several_in_one_instant_are_one_with_all_their_words(
        self, database: Database, cipher: FieldCipher, book: Any
    ) -> None:
        with database.write() as session:
            book.customer(session)
        barrier = Barrier(TOGETHER)

        def say(number: int) -> int:
            barrier.wait()
            with database.write() as session:
                return complain(session, cipher, book, text=f"投诉{number}")

        with ThreadPoolExecutor(TOGETHER) as pool:
            ids = list(pool.map(say, range(TOGETHER)))
        with database.read() as session:
            (kept,) = queries.complaints_of(session, cipher, customer_id=1)
            holds = queries.holds_of(session, customer_id=1, at=book.now)
        assert set(ids) == {kept.id}
        assert sorted(kept.text.split("\n")) == [f"投诉{number}" for number in range(TOGETHER)]
        assert len(holds) == 1

    def test_who_says_the_same_again_or_far_too_much_adds_nothing(
        self, database: Database, cipher: FieldCipher, book: Any
    ) -> None:
        with database.write() as session:
            book.customer(session)
            for text in ("投诉", "投诉", "长" * 9_000, "再说一句"):
                complain(session, cipher, book, text=text)
            (kept,) = queries.complaints_of(session, cipher, customer_id=1)
        assert kept.text == "投诉\n再说一句"

    def test_other_loans_other_people_and_what_was_answered_stay_apart(
        self, database: Database, cipher: FieldCipher, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.customer(session)
            first = complain(session, cipher, book)
            others = [
                complain(session, cipher, book, loan_id=loan_id),
                complain(session, cipher, book, customer_id=2),
            ]
            operations.answer_complaint(
                session,
                cipher,
                complaint_id=first,
                text="已核对",
                answered_by="lin",
                now=book.now,
            )
            others.append(complain(session, cipher, book))
        assert len({first, *others}) == 4
