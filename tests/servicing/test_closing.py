"""Closing a day ages the book, accrues interest, grades accounts; twice is once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.ports import AccountFacts
from servicing.tables import DayClose, LedgerEntry, Loan


@dataclass(frozen=True)
class FakeGrade:
    """A grade as risk would give it."""

    customer_id: int
    grade: str
    is_worst: bool
    reasons: tuple[str, ...] = ("worst_dpd_12m",)


@dataclass
class FakeGrader:
    """Grades E who is later than `limit` days."""

    limit: int = 30

    def __post_init__(self) -> None:
        self.seen: list[AccountFacts] = []
        self.days: set[date] = set()

    def __call__(
        self, _session: Session, *, facts: Sequence[AccountFacts], on: date, now: datetime
    ) -> list[FakeGrade]:
        assert now.tzinfo is not None
        self.days.add(on)
        self.seen += facts
        return [
            FakeGrade(
                customer_id=fact.customer_id,
                grade="E" if fact.days_past_due > self.limit else "A",
                is_worst=fact.days_past_due > self.limit,
            )
            for fact in facts
        ]


def _state(runtime: Runtime) -> dict[str, Any]:
    with runtime.database.read() as session:
        loans = session.execute(
            select(Loan.id, Loan.state, Loan.days_past_due, Loan.bucket, Loan.closed_to).order_by(
                Loan.id
            )
        ).all()
        entries = session.scalar(select(func.count()).select_from(LedgerEntry))
        events = session.execute(
            select(OutboxRow.event, func.count()).group_by(OutboxRow.event)
        ).all()
        assert operations.prove_books(session) == []
    return {
        "loans": [tuple(row) for row in loans],
        "entries": entries,
        "events": dict(map(tuple, events)),
    }


@pytest.fixture
def loans(runtime: Runtime, book: Any) -> list[int]:
    """Four loans of different ages, on one line each."""
    made = []
    with runtime.database.write() as session:
        for month in (1, 1, 2, 3):
            customer_id = book.customer(session)
            line_id = operations.open_line(
                session, customer_id=customer_id, funder="own", granted_fen=500_000, now=book.now
            )
            line = queries.lines_of(session, customer_id=customer_id)[0]
            assert line.id == line_id
            made.append(
                book.loan(session, customer_id=customer_id, disbursed_on=date(2026, month, 5))
            )
    return made


class TestCloseDay:
    def test_ages_loans_and_accrues_what_fell_due(self, runtime: Runtime, loans: list[int]) -> None:
        counts = operations.close_day(runtime, on=date(2026, 4, 10))
        state = _state(runtime)
        assert counts["aged"] == 4
        assert [(row[2], row[3]) for row in state["loans"]] == [
            (64, "M3"), (64, "M3"), (36, "M2"), (5, "M1"),
        ]  # fmt: skip
        assert state["entries"] == 4 + 3 + 3 + 2 + 1
        assert state["events"]["DayClosed"] == 1
        assert loans

    def test_changes_nothing_the_second_time(self, runtime: Runtime, loans: list[int]) -> None:
        grader = FakeGrader()
        operations.close_day(runtime, on=date(2026, 4, 10), grade=grader)
        once = _state(runtime)
        counts = operations.close_day(runtime, on=date(2026, 4, 10), grade=grader)
        assert counts == {"aged": 0, "failed": 0, "graded": 0, "frozen": 0}
        assert _state(runtime) == once
        assert loans

    def test_leaves_an_earlier_day_alone(self, runtime: Runtime, loans: list[int]) -> None:
        operations.close_day(runtime, on=date(2026, 4, 10))
        once = _state(runtime)["loans"]
        counts = operations.close_day(runtime, on=date(2026, 4, 9))
        assert counts["aged"] == 0
        assert _state(runtime)["loans"] == once
        assert loans

    def test_ends_the_same_whether_days_are_closed_one_by_one_or_after_a_gap(
        self, runtime: Runtime, loans: list[int]
    ) -> None:
        for day in range(1, 11):
            operations.close_day(runtime, on=date(2026, 4, day), batch=2)
        state = _state(runtime)
        assert [row[2] for row in state["loans"]] == [64, 64, 36, 5]
        assert state["events"]["InstalmentMissed"] == 3 + 3 + 2 + 1
        assert loans

    def test_goes_on_where_a_killed_run_stopped(self, runtime: Runtime, loans: list[int]) -> None:
        on = date(2026, 4, 10)
        with runtime.database.write() as session:
            operations.age_loans(session, on=on, now=runtime.clock.now(), limit=2)
        with runtime.database.read() as session:
            assert session.scalar(select(func.count()).select_from(DayClose)) == 0
        counts = operations.close_day(runtime, on=on, batch=1)
        assert counts["aged"] == 2
        assert [row[2] for row in _state(runtime)["loans"]] == [64, 64, 36, 5]
        assert loans


class TestGrading:
    def test_freezes_the_worst_lines_and_tells_staff_once(
        self, runtime: Runtime, loans: list[int]
    ) -> None:
        grader = FakeGrader(limit=40)
        counts = operations.close_day(runtime, on=date(2026, 4, 10), grade=grader, batch=3)
        assert counts == {"aged": 4, "failed": 0, "graded": 4, "frozen": 2}
        operations.close_day(runtime, on=date(2026, 4, 11), grade=grader)
        with runtime.database.read() as session:
            raised = queries.alerts(session)
            states = [
                queries.lines_of(session, customer_id=customer_id)[0].state
                for customer_id in (1, 2, 3, 4)
            ]
        assert states == ["frozen", "frozen", "active", "active"]
        assert [(alert.kind, alert.customer_id) for alert in raised] == [
            ("line-frozen", 2),
            ("line-frozen", 1),
        ]
        assert raised[0].details == {
            "line_id": 2,
            "on": "2026-04-10",
            "grade": "E",
            "reasons": ["worst_dpd_12m"],
        }
        assert _state(runtime)["events"]["LineFrozen"] == 2
        assert loans

    def test_passes_how_the_customer_pays(self, runtime: Runtime, loans: list[int]) -> None:
        grader = FakeGrader()
        operations.close_day(runtime, on=date(2026, 4, 10), grade=grader)
        late = grader.seen[0]
        assert late.days_past_due == 64
        assert late.worst_dpd_12m == 64
        assert late.on_time_ratio == 0
        assert late.months_on_book == 3
        assert late.utilisation == 0
        assert grader.days == {date(2026, 4, 10)}
        assert loans

    def test_never_unfreezes_what_a_person_may_have_frozen(
        self, runtime: Runtime, loans: list[int]
    ) -> None:
        with runtime.database.write() as session:
            operations.freeze_line(session, line_id=4, reason="fraud", now=runtime.clock.now())
        operations.close_day(runtime, on=date(2026, 4, 10), grade=FakeGrader())
        with runtime.database.read() as session:
            (line,) = queries.lines_of(session, customer_id=4)
        assert (line.state, line.frozen_reason, line.grade) == ("frozen", "fraud", "A")
        assert loans
