"""The book, the alerts and the decisions as boards show them: parts that make up their whole."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session
from verdicts import Verdict

from kernel.database import Database
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.demo.book import seed_demo
from servicing.queries.board import BucketUnknown
from servicing.tables import Application

ON = date(2026, 3, 10)


class TestOverdueBoard:
    def test_its_parts_make_up_the_book_and_the_lists_behind_them(
        self, database: Database, cipher: Any, book: Any
    ) -> None:
        with database.write() as session:
            seed_demo(session, cipher, customers=150, seed=7, now=book.now)
        with database.read() as session:
            board = queries.overdue_board(session, on=ON)
            lists = {
                line.bucket: queries.overdue_loans(
                    session, on=ON, offset=0, limit=999, bucket=line.bucket
                )
                for line in board.buckets[1:]
            }
            every = queries.overdue_loans(session, on=ON, offset=0, limit=999)
            one_by_one = tuple(queries.each_overdue_loan(session, on=ON))
        late = [line for line in board.buckets if line.bucket not in ("M0", "M1")]
        assert board.overdue_loans > 0
        assert sum(line.loans for line in board.buckets) == board.active_loans
        assert sum(line.loans for line in board.buckets[1:]) == board.overdue_loans == len(every)
        assert sum(line.overdue_fen for line in board.buckets) == board.overdue_fen
        assert sum(line.principal_fen for line in board.buckets) == board.principal_fen
        assert board.late_share == Decimal(sum(line.loans for line in late)) / board.active_loans
        assert board.late_principal_share * board.principal_fen == pytest.approx(
            sum(line.principal_fen for line in late)
        )
        assert one_by_one == every
        for line in board.buckets[1:]:
            assert len(lists[line.bucket]) == line.loans
            assert sum(loan.overdue_fen for loan in lists[line.bucket]) == line.overdue_fen
            assert sum(loan.principal_fen for loan in lists[line.bucket]) == line.principal_fen

    def test_an_empty_book_has_no_share(self, database: Database) -> None:
        with database.read() as session:
            assert queries.overdue_board(session, on=ON).late_principal_share == 0

    def test_refuses_a_bucket_that_does_not_exist(self, database: Database) -> None:
        with database.read() as session, pytest.raises(BucketUnknown):
            queries.each_overdue_loan(session, on=ON, bucket="M9")


class TestAlerts:
    def raised(self, session: Session, book: Any, *given: tuple[str, str]) -> None:
        for number, (kind, severity) in enumerate(given):
            operations.raise_alert(
                session,
                key=f"{kind}/{number}",
                kind=kind,
                severity=severity,
                customer_id=None,
                details={},
                now=book.now + timedelta(minutes=number),
            )

    def test_come_gravest_first_then_newest(self, database: Database, book: Any) -> None:
        with database.write() as session:
            self.raised(session, book, ("a", "low"), ("b", "high"), ("a", "medium"), ("b", "high"))
            assert [alert.id for alert in queries.alerts(session)] == [4, 2, 3, 1]
            assert [alert.id for alert in queries.alerts(session, kind="a")] == [3, 1]
            assert [alert.id for alert in queries.alerts(session, offset=1, limit=2)] == [2, 3]
            assert queries.count_alerts(session) == {"a": 2, "b": 2}

    def test_are_counted_and_listed_as_they_were_closed(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            self.raised(session, book, ("a", "low"), ("b", "high"), ("a", "low"))
            for minute, alert_id in enumerate((2, 1)):
                operations.close_alert(
                    session,
                    alert_id=alert_id,
                    closed_by="lin",
                    note="核实",
                    now=book.now + timedelta(hours=1, minutes=minute),
                )
            closed = queries.alerts(session, state="closed")
            assert [alert.id for alert in closed] == [1, 2]
            assert (closed[0].closed_by, closed[0].note) == ("lin", "核实")
            assert closed[0].closed_at == book.now + timedelta(hours=1, minutes=1)
            assert queries.count_alerts(session) == {"a": 1}
            assert queries.count_alerts(session, state="closed") == {"a": 1, "b": 1}
            assert queries.alert_of(session, alert_id=9) is None


class TestApplications:
    def submit(self, session: Session, book: Any, outcome: str = "", **given: Any) -> int:
        at = book.now - timedelta(**given)
        application_id = operations.submit_application(
            session,
            customer_id=book.customer(session),
            merchant_name="宏达手机卖场",
            merchandise="手机",
            amount_fen=300_000,
            terms=12,
            channel="h5",
            attributes={},
            key=f"{outcome}{given}",
            now=at,
        )
        if outcome:
            operations.decide_application(
                session,
                application_id=application_id,
                decision=Verdict(outcome, "short-history"),
                now=at,
            )
        return application_id

    def review(self, session: Session, book: Any, application_id: int, *, approve: bool) -> None:
        operations.review_application(
            session,
            application_id=application_id,
            approve=approve,
            reasons=["已电话核实本人与用途"],
            decided_by="lijing",
            now=book.now,
        )

    def test_wait_for_people_the_oldest_first(self, database: Database, book: Any) -> None:
        with database.write() as session:
            assert queries.review_queue(session).oldest_at is None
            young = self.submit(session, book, "review", hours=1)
            old = self.submit(session, book, "review", hours=9)
            self.submit(session, book, "approve", hours=20)
            queue = queries.review_queue(session)
            waiting = queries.applications_in_review(session, offset=0, limit=9)
            second = queries.applications_in_review(session, offset=1, limit=9)
        assert (queue.waiting, queue.oldest_at) == (2, book.now - timedelta(hours=9))
        assert [one.id for one in waiting] == [old, young]
        assert [one.id for one in second] == [young]

    def test_are_counted_by_who_decided_them_and_how(self, database: Database, book: Any) -> None:
        with database.write() as session:
            for outcome in ("approve", "approve", "decline"):
                self.submit(
                    session, book, outcome, hours=len(outcome), minutes=book.customer(session)
                )
            yes, no, _ = (self.submit(session, book, "review", hours=n) for n in (1, 2, 3))
            self.review(session, book, yes, approve=True)
            self.review(session, book, no, approve=False)
            self.submit(session, book, hours=5)
            cancelled = self.submit(session, book, hours=6)
            operations.cancel_application(session, application_id=cancelled, now=book.now)
            self.submit(session, book, "approve", days=31)
            elsewhere = self.submit(session, book, "decline", hours=8)
            session.get_one(Application, elsewhere).decided_by = queries.IMPORTED
            session.flush()
            board = queries.decision_board(session, until=ON, days=30)
            recent = queries.decided_applications(session, limit=9)
        assert (board.approved_by_machine, board.declined_by_machine) == (2, 1)
        assert (board.approved_by_people, board.declined_by_people) == (1, 1)
        assert (board.in_review, board.undecided, board.cancelled) == (1, 1, 1)
        assert (board.total, board.by_machine, board.passed_on) == (8, 3, 3)
        assert board.imported == 1
        assert [one.decided_by for one in recent] == ["lijing"] * 2 + ["machine"] * 4

    def test_nothing_decided_is_no_share(self, database: Database) -> None:
        with database.read() as session:
            share = queries.machine_share(session, until=ON, days=30)
            assert (share.alone, share.total, share.p50_ms, share.p99_ms) == (None, 0, None, None)
            assert queries.application_of(session, application_id=1) is None


class TestLastDayClose:
    def test_is_the_latest_date_with_what_it_did(self, runtime: Runtime, book: Any) -> None:
        with runtime.database.write() as session:
            assert queries.last_day_close(session) is None
            book.loan(session)
        for day in (10, 9):
            operations.close_day(runtime, on=date(2026, 3, day))
        with runtime.database.read() as session:
            last = queries.last_day_close(session)
        assert last is not None
        assert (last.on, last.counts["aged"]) == (ON, 1)


class TestCustomerNames:
    def test_are_those_of_the_customers_there_are(self, database: Database, book: Any) -> None:
        with database.write() as session:
            book.customer(session, name="张三")
            book.customer(session, name="李四光")
            names = queries.customer_names(session, book.cipher, customer_ids=[2, 1, 2, 7])
        assert names == {1: "张三", 2: "李四光"}
