"""What contact hears: who still owes, who is on hold, who may get marketing."""

from datetime import date, timedelta
from typing import Any

import pytest

from contact.ports import Holds, Purpose, Standing, StillDue
from kernel.crypto import FieldCipher
from kernel.database import Database
from servicing import operations, queries
from servicing.answers import DebtBook, HoldBook, StandingBook

ON = date(2026, 3, 10)
ASKED: StillDue = DebtBook()
HOLDS: Holds = HoldBook()
STANDING: Standing = StandingBook()


def _debts(session: Any, purpose: Purpose, on: date, *customer_ids: int) -> dict[int, list[Any]]:
    found = ASKED.debts(session, customer_ids=customer_ids, purpose=purpose, on=on)
    return {
        customer_id: [(debt.amount_fen, debt.due_on, debt.days_past_due) for debt in debts]
        for customer_id, debts in found.items()
    }


class TestDebtBook:
    @pytest.mark.parametrize(
        ("days", "reminder", "collection", "notice"),
        [(-8, 0, 0, 0), (-7, 1, 0, 0), (-1, 1, 0, 0), (0, 1, 0, 1), (1, 1, 1, 1)],
    )
    def test_counts_an_instalment_by_purpose_and_day(
        self, database: Database, book: Any, days: int, reminder: int, collection: int, notice: int
    ) -> None:
        on = date(2026, 2, 28) + timedelta(days=days)
        with database.write() as session:
            book.loan(session)
            counted = [
                len(_debts(session, purpose, on, 1))
                for purpose in (
                    Purpose.SERVICE_REMINDER,
                    Purpose.COLLECTION,
                    Purpose.STATUTORY_NOTICE,
                )
            ]
            assert _debts(session, Purpose.MARKETING, on, 1) == {}
        assert counted == [reminder, collection, notice]

    def test_says_what_is_owed_at_this_moment(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            before = _debts(session, Purpose.COLLECTION, ON, 1)
            book.repay(session, loan_id, 100_000, key="p1")
            part = _debts(session, Purpose.COLLECTION, ON, 1)
            book.repay(session, loan_id, 3_015, key="p2")
            after = _debts(session, Purpose.COLLECTION, ON, 1)
        assert before == {1: [(103_015, date(2026, 2, 28), 10)]}
        assert part == {1: [(3_015, date(2026, 2, 28), 10)]}
        assert after == {}

    def test_bundles_the_loans_of_a_customer_oldest_first(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            book.loan(session)
            book.loan(session, customer_id=1, disbursed_on=date(2026, 1, 15))
            book.loan(session)
            debts = _debts(session, Purpose.COLLECTION, ON, 1, 2, 3)
        assert [row[1] for row in debts[1]] == [date(2026, 2, 15), date(2026, 2, 28)]
        assert set(debts) == {1, 2}

    def test_is_silent_about_a_disputed_loan_but_for_what_law_asks(
        self, database: Database, cipher: FieldCipher, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            complaint_id = _complain(session, cipher, book, loan_id)
            for purpose, is_told in (
                (Purpose.COLLECTION, False),
                (Purpose.SERVICE_REMINDER, False),
                (Purpose.STATUTORY_NOTICE, True),
            ):
                assert (1 in _debts(session, purpose, ON, 1)) is is_told
            _answer_and_close(session, cipher, book, complaint_id)
            assert 1 in _debts(session, Purpose.COLLECTION, ON, 1)


def _complain(session: Any, cipher: FieldCipher, book: Any, loan_id: int | None) -> int:
    return operations.open_complaint(
        session,
        cipher,
        customer_id=1,
        loan_id=loan_id,
        category="amount",
        channel="wechat",
        text="金额不对",
        opened_by="bot",
        now=book.now,
    )


def _answer_and_close(session: Any, cipher: FieldCipher, book: Any, complaint_id: int) -> None:
    operations.answer_complaint(
        session,
        cipher,
        complaint_id=complaint_id,
        text="已核对",
        answered_by="lin",
        now=book.now,
    )
    operations.close_complaint(session, complaint_id=complaint_id, closed_by="lin", now=book.now)


class TestHoldBook:
    def _hold(self, session: Any, book: Any, **given: Any) -> int:
        values = {"reason": "hardship", "scope": "all", "until": None, "opened_by": "lin"}
        return operations.place_hold(session, customer_id=1, now=book.now, **values | given)

    def test_tells_a_hold_until_it_ends(self, database: Database, book: Any) -> None:
        until = book.now + timedelta(days=7)
        with database.write() as session:
            book.customer(session)
            self._hold(session, book, until=until)
            for at, is_held in ((book.now, True), (until, False)):
                found = HOLDS.held(session, customer_ids=[1], at=at)
                assert (1 in found) is is_held

    def test_forgets_a_hold_that_was_lifted(self, database: Database, book: Any) -> None:
        with database.write() as session:
            book.customer(session)
            hold_id = self._hold(session, book)
            lifted = [
                operations.lift_hold(
                    session, hold_id=hold_id, lifted_by="lin", reason="paid", now=book.now
                )
                for _ in range(2)
            ]
            assert lifted == [True, False]
            assert HOLDS.held(session, customer_ids=[1], at=book.now) == {}
            (view,) = queries.holds_of(session, customer_id=1, at=book.now)
        assert (view.is_in_force, view.lifted_by) == (False, "lin")

    def test_tells_of_a_complaint_about_everything(
        self, database: Database, cipher: FieldCipher, book: Any
    ) -> None:
        with database.write() as session:
            book.customer(session)
            complaint_id = _complain(session, cipher, book, None)
            (hold,) = HOLDS.held(session, customer_ids=[1], at=book.now)[1]
            assert (hold.reason, hold.scope) == ("dispute", "all")
            _answer_and_close(session, cipher, book, complaint_id)
            assert HOLDS.held(session, customer_ids=[1], at=book.now) == {}
            (view,) = queries.complaints_of(session, cipher, customer_id=1)
        assert (view.state, view.text, view.answer) == ("closed", "金额不对", "已核对")


class TestStandingBook:
    def test_takes_the_last_word_on_marketing(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            given = {"customer_id": customer_id, "purpose": "marketing", "channel": "h5"}
            asked = {"customer_ids": [customer_id], "at": book.now}
            assert STANDING.opted_in(session, **asked) == frozenset()
            operations.record_consent(session, text="同意", now=book.now, **given)
            assert STANDING.opted_in(session, **asked) == {customer_id}
            operations.withdraw_consent(session, now=book.now, **given)
            assert STANDING.opted_in(session, **asked) == frozenset()

    def test_bars_students_the_overdue_and_those_on_hold(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            book.customer(session, is_student=True)
            book.loan(session)
            operations.place_hold(
                session,
                customer_id=book.customer(session),
                reason="hardship",
                scope="all",
                until=None,
                opened_by="lin",
                now=book.now,
            )
            book.customer(session)
            barred = STANDING.marketing_barred(session, customer_ids=[1, 2, 3, 4], on=ON)
        assert barred == {1: "student", 2: "overdue", 3: "on_hold"}
