"""Closing a day ages the book, accrues interest, grades accounts; twice is once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from sqlalchemy import delete, func, null, select, text, update
from sqlalchemy.orm import Session

from kernel.append_only import append_only_statements
from kernel.clock import FixedClock
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.demo.book import seed_demo
from servicing.operations.closing import (
    LEASE,
    Claim,
    LeaseLost,
    claim_partition,
    open_day,
    work,
)
from servicing.ports import AccountFacts
from servicing.products import STANDARD
from servicing.tables import DayClose, Instalment, LedgerEntry, Loan

ON = date(2026, 4, 10)


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
        # Each is paid out, and earns by the ends of months and what has fallen due.
        assert state["entries"] == 4 + 6 + 6 + 4 + 2
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
        """fineract#4171, #5853, #5858: locks that a failed run left behind."""
        on = date(2026, 4, 10)
        with runtime.database.write() as session:
            operations.age_loans(session, on=on, now=runtime.clock.now(), limit=2)
        with runtime.database.read() as session:
            assert session.scalar(select(func.count()).select_from(DayClose)) == 0
        counts = operations.close_day(runtime, on=on, batch=1)
        assert counts["aged"] == 2
        assert [row[2] for row in _state(runtime)["loans"]] == [64, 64, 36, 5]
        assert loans


def claim(runtime: Runtime, on: date) -> Claim:
    with runtime.database.write() as session:
        open_day(session, on=on, partition=2, now=runtime.clock.now())
        found = claim_partition(session, on=on, now=runtime.clock.now())
    assert found is not None
    return found


class TestLeases:
    def test_ranges_are_taken_by_one_worker_at_a_time(
        self, runtime: Runtime, loans: list[int]
    ) -> None:
        first, second = claim(runtime, ON), claim(runtime, ON)
        assert (first.first_id, first.last_id) == (loans[0], loans[1])
        assert (second.first_id, second.last_id) == (loans[2], loans[3])
        with runtime.database.write() as session:
            assert claim_partition(session, on=ON, now=runtime.clock.now()) is None

    def test_a_worker_that_lost_its_lease_cannot_commit(
        self, runtime: Runtime, clock: FixedClock, loans: list[int]
    ) -> None:
        lost = claim(runtime, ON)
        before = _state(runtime)
        working = work(runtime, lost, batch=1)
        assert next(working) == (1, 0)
        clock.advance(LEASE)
        taken = claim(runtime, ON)
        assert (taken.n, taken.fence) == (lost.n, lost.fence + 1)
        with pytest.raises(LeaseLost):
            next(working)
        assert _state(runtime)["loans"][1:] == before["loans"][1:]
        assert sum(aged for aged, _ in work(runtime, taken)) == 1
        assert loans

    def test_a_lease_of_a_clock_that_was_set_back_binds_nobody(
        self, runtime: Runtime, clock: FixedClock, loans: list[int]
    ) -> None:
        killed = claim(runtime, ON)
        clock.advance(timedelta(days=-3))
        taken = claim(runtime, ON)
        assert (taken.n, taken.fence) == (killed.n, killed.fence + 1)
        assert loans

    def test_each_commit_renews_the_lease(
        self, runtime: Runtime, clock: FixedClock, loans: list[int]
    ) -> None:
        working = work(runtime, claim(runtime, ON), batch=1)
        for _ in range(3):
            clock.advance(LEASE - timedelta(seconds=1))
            next(working)
        assert list(working) == []
        assert loans

    def test_a_day_is_told_to_be_closed_by_who_ends_the_last_range(
        self, runtime: Runtime, clock: FixedClock, loans: list[int]
    ) -> None:
        claim(runtime, ON)
        assert operations.close_day(runtime, on=ON)["aged"] == 2
        with runtime.database.read() as session:
            assert queries.last_day_close(session) is None
            (run,) = queries.day_runs(session, offset=0, limit=5)
        assert (run.ranges, run.ranges_done, run.finished_at) == (2, 1, None)
        clock.advance(LEASE)
        assert operations.resume_days(runtime) == 2
        assert _state(runtime)["events"]["DayClosed"] == 1
        assert loans


class TestSharing:
    def test_two_workers_close_every_loan_once(self, runtime: Runtime) -> None:
        now = runtime.clock.now()
        with runtime.database.write() as session:
            seed_demo(session, runtime.cipher, customers=120, seed=5, now=now)
            active = select(func.count()).where(Loan.state == "active")
            expected = session.scalar(active)

        def close(_worker: int) -> int:
            return operations.close_day(runtime, on=ON, partition=10, batch=4)["aged"]

        with ThreadPoolExecutor(2) as workers:
            aged = list(workers.map(close, range(2)))
        assert sum(aged) == expected
        state = _state(runtime)
        assert {row[4] for row in state["loans"] if row[1] == "active"} == {ON}
        assert state["events"]["DayClosed"] == 1


class TestFailures:
    """One loan that cannot be closed keeps no other from it."""

    @pytest.fixture
    def poisoned(self, runtime: Runtime, loans: list[int]) -> str:
        """Let the entry that the second loan's third instalment earns be there already."""
        with runtime.database.write() as session:
            operations.post_entry(
                session,
                loan_id=None,
                kind="interest",
                key=f"{loans[1]}/{ON}/3",
                effective_on=ON,
                postings={},
                now=runtime.clock.now(),
            )
        return f"{loans[1]}/{ON}/3"

    def heal(self, runtime: Runtime, key: str) -> None:
        with runtime.database.write() as session:
            is_sqlite = runtime.database.dialect == "sqlite"
            drop = "DROP TRIGGER ledger_entry_no_delete"
            session.execute(text(drop if is_sqlite else drop + " ON ledger_entry"))
            session.execute(delete(LedgerEntry).where(LedgerEntry.key == key))
            for statement in append_only_statements(runtime.database.dialect, "ledger_entry"):
                if "no_delete" in statement:
                    session.execute(text(statement))

    def test_are_listed_with_their_cause_and_tell_staff(
        self, runtime: Runtime, loans: list[int], poisoned: str
    ) -> None:
        counts = operations.close_day(runtime, on=ON)
        assert (counts["aged"], counts["failed"]) == (3, 1)
        with runtime.database.read() as session:
            (run,) = queries.day_runs(session, offset=0, limit=5)
            (alert,) = queries.alerts(session)
        (failed,) = run.failed
        assert (failed.loan_id, failed.attempts, failed.resolved_at) == (loans[1], 1, None)
        assert failed.cause.startswith("IntegrityError: ")
        assert poisoned
        assert (alert.kind, alert.details) == ("day-failures", {"on": str(ON), "loans": 1})
        assert [row[4] for row in _state(runtime)["loans"]].count(ON) == 3

    def test_are_tried_again_by_themselves_and_then_by_people_only(
        self, runtime: Runtime, loans: list[int], poisoned: str
    ) -> None:
        operations.close_day(runtime, on=ON)
        for _ in range(5):
            operations.resume_days(runtime)
        with runtime.database.read() as session:
            (run,) = queries.day_runs(session, offset=0, limit=5)
        assert [loan.attempts for loan in run.open_failures] == [3]
        self.heal(runtime, poisoned)
        assert operations.resume_days(runtime) == 0
        with runtime.database.write() as session:
            assert operations.retry_failures(session, on=ON, now=runtime.clock.now()) == 1
        with runtime.database.read() as session:
            (run,) = queries.day_runs(session, offset=0, limit=5)
        assert run.open_failures == ()
        assert run.failed[0].resolved_at is not None
        assert {row[4] for row in _state(runtime)["loans"]} == {ON}
        assert loans

    def test_the_next_day_resolves_those_of_before(
        self, runtime: Runtime, loans: list[int], poisoned: str
    ) -> None:
        operations.close_day(runtime, on=ON)
        operations.close_day(runtime, on=ON + timedelta(days=1))
        with runtime.database.read() as session:
            runs = queries.day_runs(session, offset=0, limit=5)
        assert [len(run.open_failures) for run in runs] == [0, 0]
        assert [len(run.failed) for run in runs] == [0, 1]
        assert poisoned
        assert loans

    def test_do_not_keep_anybody_from_paying(
        self, runtime: Runtime, book: Any, loans: list[int], poisoned: str
    ) -> None:
        """fineract#3132, #3255: repayments were refused while a close had failed."""
        operations.close_day(runtime, on=ON)
        with runtime.database.write() as session:
            book.repay(session, loans[1], 5_000, key="paid")
        with runtime.database.read() as session:
            (run,) = queries.day_runs(session, offset=0, limit=5)
            (paid,) = queries.repayments_of(session, loan_id=loans[1])
        assert paid.amount_fen == 5_000
        assert [loan.attempts for loan in run.failed] == [2]
        assert poisoned


class TestLaggingLoans:
    def test_are_caught_up_by_whoever_writes_on_them(
        self, runtime: Runtime, book: Any, loans: list[int], ledger: Any
    ) -> None:
        claim(runtime, ON)  # the day has begun, and its worker is slow
        with runtime.database.write() as session:
            book.repay(session, loans[3], 5_000, key="paid")
        with runtime.database.read() as session:
            early = ledger(session, loans[3])
            assert session.get_one(Loan, loans[3]).closed_to == ON
        assert "2026-04-05 interest" in early
        operations.close_day(runtime, on=ON)
        with runtime.database.read() as session:
            assert ledger(session, loans[3]) == early
        assert (
            _state(runtime)["events"]["InstalmentMissed"] == 2 + 1
        )  # of the third and fourth loan

    def test_of_before_running_penalty_was_kept_close_to_the_same_books(
        self, runtime: Runtime, book: Any
    ) -> None:
        """An upgrade leaves the column empty until the next event; a close fills it."""
        product = replace(STANDARD, code="penalised", penalty_multiplier=Decimal("1.5"))
        with runtime.database.write() as session:
            kept, emptied = (
                book.loan(session, product=product, terms=12, disbursed_on=date(2026, 1, 5))
                for _ in range(2)
            )
            session.execute(update(Loan).where(Loan.id == emptied).values(running=null()))
        for day in range(1, 11):
            operations.close_day(runtime, on=date(2026, 3, day))
        with runtime.database.read() as session:
            penalties = select(Instalment.penalty_fen).order_by(Instalment.n)
            both = [
                session.scalars(penalties.where(Instalment.loan_id == loan_id)).all()
                for loan_id in (kept, emptied)
            ]
            # 230.04 × 23.22 % / 360 × 33 days since 5 February, and 233.49 of it × 5 since March.
            assert both == [[490, 75, *10 * [0]]] * 2
            assert session.get_one(Loan, emptied).running is not None
            assert operations.prove_books(session) == []

    def test_are_no_less_late_by_a_clock_that_was_set_back(
        self, runtime: Runtime, book: Any, loans: list[int]
    ) -> None:
        operations.close_day(runtime, on=ON)  # a month ahead of the clock
        with runtime.database.write() as session:
            book.repay(session, loans[0], 100, key="paid")
            loan = session.get_one(Loan, loans[0])
            assert (loan.days_past_due, loan.bucket) == (64, "M3")
            assert operations.prove_books(session) == []

    def test_days_that_nobody_began_to_close_are_caught_up_in_their_months(
        self, runtime: Runtime, book: Any, loans: list[int], ledger: Any, clock: FixedClock
    ) -> None:
        operations.close_day(runtime, on=date(2026, 3, 10))
        clock.advance(timedelta(days=33))  # the scheduler stood still for a month
        book.now = clock.now()
        with runtime.database.write() as session:
            book.repay(session, loans[3], 5_000, key="paid")
            assert session.get_one(Loan, loans[3]).closed_to == date(2026, 4, 11)
            assert "2026-03-31 interest     interest-receivable#1 " in ledger(session, loans[3])
            assert operations.prove_books(session) == []

    def test_a_settled_loan_that_is_owed_again_earns_nothing_for_the_months_before(
        self, runtime: Runtime, book: Any, ledger: Any, clock: FixedClock
    ) -> None:
        """Found by random lives: penalty was booked into months in which nothing was owed."""
        strict = replace(STANDARD, penalty_multiplier=Decimal("1.5"))
        book.now = clock.now()
        with runtime.database.write() as session:
            loan_id = book.loan(session, product=strict, terms=1, disbursed_on=date(2026, 3, 10))
            operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=300_000,
                value_date=date(2026, 3, 10),
                key="paid",
                now=book.now,
            )
        clock.advance(timedelta(days=60))
        book.now = clock.now()
        operations.close_day(runtime, on=date(2026, 5, 8))
        by = {"on": date(2026, 5, 9), "key": "undo", "actor": "wang", "now": book.now}
        with runtime.database.write() as session:
            operations.reverse(session, loan_id=loan_id, seq=2, **by)
        operations.close_day(runtime, on=date(2026, 5, 31))
        with runtime.database.read() as session:
            assert operations.prove_books(session) == []
            days = [line.split()[:2] for line in ledger(session, loan_id).splitlines()]
        assert days == [
            ["2026-03-10", "disbursement"],
            ["2026-03-10", "prepayment"],
            ["2026-05-09", "interest"],
            ["2026-05-09", "penalty"],
            ["2026-05-09", "reversal"],
            ["2026-05-31", "penalty"],
        ]


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

    def test_counts_what_a_killed_run_graded_too(self, runtime: Runtime, loans: list[int]) -> None:
        graded = count()

        def dying(session: Session, **given: Any) -> list[FakeGrade]:
            if next(graded) == 2:
                raise KeyboardInterrupt
            return FakeGrader(limit=40)(session, **given)

        with pytest.raises(KeyboardInterrupt):
            operations.close_day(runtime, on=ON, grade=dying, batch=1)
        operations.resume_days(runtime, grade=FakeGrader(limit=40))
        with runtime.database.read() as session:
            (run,) = queries.day_runs(session, offset=0, limit=5)
        assert (run.aged, run.graded, run.frozen) == (4, 4, 2)
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
