"""What is read: loans as of a day, why each fen, who is late, whose instalments fall due."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from kernel.database import Database
from servicing import operations, queries
from servicing.queries import LoanNotFound
from servicing.queries.board import BucketUnknown

ON = date(2026, 3, 10)


class TestLoansOf:
    def test_show_a_loan_as_it_stands_on_a_day(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 50_000, key="p1")
            (loan,) = queries.loans_of(session, customer_id=1, on=ON)
        assert (loan.overdue_fen, loan.due_fen, loan.days_past_due) == (53_015, 53_015, 10)
        assert (loan.bucket, loan.paid_terms, loan.remaining_fen) == ("M1", 0, 259_044)
        assert loan.outstanding_principal_fen == 300_000 - 45_500
        assert [row.state for row in loan.plan] == ["overdue", "upcoming", "upcoming"]

    def test_keep_a_customer_from_anothers_loan(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            other = book.customer(session)
            with pytest.raises(LoanNotFound):
                queries.loan_of(session, loan_id=loan_id, customer_id=other, on=ON)


class TestQuote:
    @pytest.mark.parametrize(
        ("on", "asked"),
        [
            (date(2026, 2, 1), [1]),
            (date(2026, 2, 28), [1]),
            (date(2026, 3, 30), [1]),
            (date(2026, 3, 31), [1, 2]),
            (date(2026, 5, 9), [1, 2, 3]),
        ],
    )
    def test_asks_for_what_is_due_else_for_the_next(
        self, database: Database, book: Any, on: date, asked: list[int]
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            loan = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)
        quote = queries.repayment_quote(loan, on=on)
        assert [line.n for line in quote.lines] == asked
        assert quote.amount_fen == sum(line.outstanding_fen for line in quote.lines)


class TestExplain:
    def test_gives_the_reason_of_every_fen(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 50_000, key="p1")
            loan = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=ON)
        assert queries.explain(loan.plan[0]) == (
            "第1期应还 1,030.15 元 = 本金 985.15 元 + 利息 45.00 元"
            "（剩余本金 3,000.00 元 × 年利率 18% ÷ 12，四舍五入到分）"
            "，已还 500.00 元，还需 530.15 元"
        )


class TestRecords:
    def test_say_what_a_repayment_settled(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 104_000, key="p1")
            (repayment,) = queries.repayments_of(session, loan_id=loan_id)
        assert (repayment.amount_fen, repayment.principal_fen, repayment.interest_fen) == (
            104_000,
            98_515,
            5_485,
        )
        assert repayment.instalments == (1, 2)

    def test_list_alerts_until_they_are_closed(self, database: Database, book: Any) -> None:
        given: dict[str, Any] = {
            "key": "k1",
            "kind": "odd",
            "severity": "low",
            "customer_id": None,
            "details": {},
            "now": book.now,
        }
        with database.write() as session:
            raised = [operations.raise_alert(session, **given) for _ in range(2)]
            (alert,) = queries.alerts(session)
            closed = [
                operations.close_alert(
                    session, alert_id=alert.id, closed_by="lin", note="ok", now=book.now
                )
                for _ in range(2)
            ]
            assert queries.alerts(session) == ()
            assert len(queries.alerts(session, state="closed")) == 1
        assert (raised, closed) == ([True, False], [True, False])


class TestDueSelect:
    @pytest.mark.parametrize(
        ("until", "rows"),
        [
            (-11, []),
            (-10, [(1, -10, -10)]),
            (0, [(1, -10, -10), (2, -5, -5)]),
            (21, [(1, -10, 21), (2, -5, -5)]),
            (30, [(1, -10, 21), (2, -5, 26)]),
        ],
    )
    def test_finds_customers_by_their_first_and_last_due_date(
        self, database: Database, book: Any, until: int, rows: list[Any]
    ) -> None:
        with database.write() as session:
            book.loan(session)
            book.loan(session, disbursed_on=date(2026, 2, 5), terms=2)
            book.loan(session, customer_id=2, disbursed_on=date(2026, 2, 5))
            session.flush()
            book.repay(session, 2, _whole_of_second(session), key="all")
            assert _due(session, until=ON + timedelta(days=until)) == rows

    def test_leaves_out_a_loan_that_the_purpose_may_not_speak_of(
        self, database: Database, book: Any
    ) -> None:
        given = {"customer_id": 1, "reason": "dispute", "opened_by": "lin", "now": book.now}
        with database.write() as session:
            book.loan(session)
            book.loan(session, customer_id=1, disbursed_on=date(2026, 2, 5))
            operations.place_hold(
                session, loan_id=1, scope="all", until=book.now + timedelta(days=1), **given
            )
            operations.place_hold(session, loan_id=2, scope="marketing", until=None, **given)
            found = [
                _due(session, until=ON, on=ON + timedelta(days=days), purpose=purpose)
                for days, purpose in ((0, "collection"), (2, "collection"), (0, "marketing"))
            ]
        assert found == [[(1, -5, -5)], [(1, -10, -5)], []]


def _due(session: Any, *, until: date, on: date = ON, purpose: str = "collection") -> list[Any]:
    query = queries.due_select(on=on, until=until, purpose=purpose).order_by("customer_id")
    return [
        (row.customer_id, (row.first_due_on - ON).days, (row.last_due_on - ON).days)
        for row in session.execute(query)
    ]


def _whole_of_second(session: Any) -> int:
    return queries.loan_of(session, loan_id=2, customer_id=2, on=ON).remaining_fen


class TestOverdueBoard:
    def test_counts_the_active_book_by_bucket(self, database: Database, book: Any) -> None:
        with database.write() as session:
            for month, day in ((1, 31), (1, 5), (1, 5), (2, 20)):
                book.loan(session, disbursed_on=date(2026, month, day))
            board = queries.overdue_board(session, on=ON)
        lines = [(line.bucket, line.loans, line.overdue_fen) for line in board.buckets[:3]]
        assert lines == [("M0", 1, 0), ("M1", 1, 103_015), ("M2", 2, 4 * 103_015)]
        assert (board.active_loans, board.overdue_loans) == (4, 3)
        assert board.late_share == Decimal("0.5")
        assert board.principal_fen == 1_200_000
        assert [line.bucket for line in board.buckets] == [
            "M0", "M1", "M2", "M3", "M4", "M5", "M6", "M6+",
        ]  # fmt: skip

    def test_is_empty_for_an_empty_book(self, database: Database) -> None:
        with database.read() as session:
            board = queries.overdue_board(session, on=ON)
        assert (board.active_loans, board.late_share) == (0, 0)

    def test_lists_the_latest_first_by_page_and_bucket(self, database: Database, book: Any) -> None:
        with database.write() as session:
            for month, day in ((1, 31), (1, 5), (1, 6), (2, 20)):
                book.loan(session, disbursed_on=date(2026, month, day))
            every = queries.overdue_loans(session, on=ON, offset=0, limit=10)
            second = queries.overdue_loans(session, on=ON, offset=1, limit=1)
            only = queries.overdue_loans(session, on=ON, offset=0, limit=10, bucket="M1")
            with pytest.raises(BucketUnknown):
                queries.overdue_loans(session, on=ON, offset=0, limit=10, bucket="M9")
        assert [(loan.loan_id, loan.days_past_due) for loan in every] == [(2, 33), (3, 32), (1, 10)]
        assert [loan.loan_id for loan in second] == [3]
        assert [loan.loan_id for loan in only] == [1]
