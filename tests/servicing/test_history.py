"""Where a loan stood on a day, and where it would stand after something that is only thought of."""

from datetime import date
from typing import Any

import pytest

from kernel.database import Database
from servicing import operations
from servicing.engine.events import Payment
from servicing.model import LoanStatus
from servicing.queries.history import loan_as_of, loan_events, states_with, status_as_of

BOUGHT, FIRST = date(2026, 1, 31), date(2026, 2, 28)
LATE = date(2026, 6, 15)


def statuses(session: Any, loan_id: int, *days: date) -> list[LoanStatus]:
    return [status_as_of(loan_as_of(session, loan_id=loan_id, on=day)) for day in days]


class TestStatusAsOf:
    def test_is_that_of_the_day_whatever_came_later(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 309_044, key="p", on=LATE)
            assert statuses(session, loan_id, date(2026, 1, 30), BOUGHT, FIRST, LATE) == [
                LoanStatus.APPROVED,
                LoanStatus.ACTIVE,
                LoanStatus.ACTIVE,
                LoanStatus.SETTLED,
            ]

    @pytest.mark.parametrize(
        ("end", "status"),
        [
            (operations.charge_off, LoanStatus.CHARGED_OFF),
            (operations.write_off, LoanStatus.WRITTEN_OFF),
        ],
    )
    def test_tells_how_a_loan_ended_and_that_it_was_taken_back(
        self, database: Database, book: Any, end: Any, status: LoanStatus
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            by = {"loan_id": loan_id, "actor": "lin", "now": book.now}
            seq = end(session, key="end", on=LATE, **by)
            after = date(2026, 6, 20)
            operations.reverse(session, seq=seq, key="back", on=after, **by)
            found = statuses(session, loan_id, FIRST, LATE, date(2026, 6, 19), after)
            assert found == [LoanStatus.ACTIVE, status, status, LoanStatus.ACTIVE]


class TestStatesWith:
    def test_shows_where_payments_would_go_and_posts_none(
        self, database: Database, book: Any
    ) -> None:
        """Of 3,000.00 at 18 % the instalments ask for 1,030.15, 1,030.15 and 1,030.14."""
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 3_015, key="p", on=FIRST)
            paid = [Payment(id="", on=LATE, amount_fen=fen) for fen in (100_000, 50_000)]
            before, after = states_with(session, loan_id=loan_id, events=paid, on=LATE)
            assert [row.outstanding.total_fen for row in before.rows] == [100_000, 103_015, 103_014]
            assert [row.outstanding.total_fen for row in after.rows] == [0, 53_015, 103_014]
            # Interest is settled before principal.
            assert after.rows[1].outstanding.interest_fen == 0
            assert len(loan_events(session, loan_id=loan_id)) == 2
