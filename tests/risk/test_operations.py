"""What other areas have risk do: grades of a day, facts and labels, identities on the list."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from kernel.clock import FixedClock
from kernel.database import Database
from risk import operations, queries
from risk.queries import DecisionNotFound

ON = date(2026, 3, 10)


@dataclass(frozen=True)
class Facts:
    """How an account pays."""

    customer_id: int
    days_past_due: int = 0
    worst_dpd_12m: int = 0
    on_time_ratio: Decimal | None = Decimal(1)
    utilisation: Decimal | None = Decimal("0.2")
    months_on_book: int = 20


@pytest.fixture
def now(clock: FixedClock) -> datetime:
    return clock.now()


class TestGradeAccounts:
    def test_grades_and_keeps_why(self, database: Database, now: datetime) -> None:
        late = Facts(customer_id=2, days_past_due=64, worst_dpd_12m=64, on_time_ratio=Decimal(0))
        with database.write() as session:
            graded = operations.grade_accounts(
                session, facts=[Facts(customer_id=1), late], on=ON, now=now
            )
        assert [(one.customer_id, one.grade, one.is_worst) for one in graded] == [
            (1, "A", False),
            (2, "E", True),
        ]
        assert graded[1].reasons[0] == "当前逾期 64 天（0/40 分）"
        with database.read() as session:
            assert queries.grades_of(session, customer_ids=[2]) == graded[1:]

    def test_lets_the_first_grade_of_a_day_stand(self, database: Database, now: datetime) -> None:
        first = [Facts(customer_id=1)]
        worse = [Facts(customer_id=1, days_past_due=64), Facts(customer_id=2)]
        with database.write() as session:
            operations.grade_accounts(session, facts=first, on=ON, now=now)
            again = operations.grade_accounts(session, facts=worse, on=ON, now=now)
        assert [(one.customer_id, one.grade) for one in again] == [(1, "A"), (2, "A")]

    def test_keeps_a_history_by_day(self, database: Database, now: datetime) -> None:
        with database.write() as session:
            for days, late in enumerate((0, 0, 40)):
                facts = [Facts(customer_id=1, days_past_due=late, worst_dpd_12m=late)]
                on = ON + timedelta(days=days)
                operations.grade_accounts(session, facts=facts, on=on, now=now)
            history = queries.grades_of(session, customer_ids=[1])
        assert [(one.graded_on.day, one.grade) for one in history] == [
            (12, "E"),
            (11, "A"),
            (10, "A"),
        ]

    def test_grades_nobody_without_complaint(self, database: Database, now: datetime) -> None:
        with database.write() as session:
            assert operations.grade_accounts(session, facts=[], on=ON, now=now) == ()


@pytest.mark.parametrize("number", ["", "D", "41", "D20260310FFFFFFFFFFFFFFFF"])
def test_a_decision_that_is_not_there_is_not_found(database: Database, number: str) -> None:
    with database.read() as session, pytest.raises(DecisionNotFound):
        queries.decision(session, decision_id=number)
