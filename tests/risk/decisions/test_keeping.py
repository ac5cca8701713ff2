"""Decisions lie by days on PostgreSQL; what is over the time goes, and nothing waits for it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from kernel.clock import FixedClock, business_date
from kernel.database import Database
from kernel.runtime import Runtime
from risk import jobs
from risk.decisions import keeping
from risk.decisions.keeping import KEPT_DAYS, KEYS_KEPT_DAYS, keep_decisions, partitions
from risk.lifecycle.tables import DecisionOutcome
from risk.tables import DecisionKey, DecisionRecord

TODAY = date(2026, 3, 10)


def store(database: Database, *days: date) -> None:
    with database.write() as session:
        for day in days:
            at = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
            session.execute(
                insert(DecisionRecord).values(
                    decided_on=day,
                    id=f"D{day:%Y%m%d}",
                    caller_id=1,
                    subject="s",
                    product="p",
                    outcome="review",
                    strategy_hash="h",
                    snapshot="{}",
                    answer="{}",
                    decided_at=at,
                )
            )
            session.execute(
                insert(DecisionKey).values(
                    caller_id=1, key=f"{day}", payload_hash="h", decision_ids="", recorded_at=at
                )
            )


def keep(database: Database, on: date) -> tuple[int, int]:
    with database.write() as session:
        return keep_decisions(session, on=on)


def where(database: Database) -> dict[date, str]:
    with database.read() as session:
        rows = session.execute(
            text("SELECT decided_on, tableoid::regclass::text FROM decision_record")
        )
        return {row.decided_on: row.tableoid for row in rows}


@pytest.fixture
def partitioned(database: Database) -> Iterator[Database]:
    """A database whose days go with the test: the tests of a session share it."""
    yield database
    if database.dialect != "postgresql":
        return
    with database.write() as session:
        for day in partitions(session):
            session.execute(text(f"DROP TABLE decision_record_{day:%Y%m%d}"))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
class TestPartitions:
    def test_are_laid_a_week_ahead_and_once(self, partitioned: Database) -> None:
        assert keep(partitioned, TODAY) == (7, 0)
        assert keep(partitioned, TODAY) == (0, 0)
        assert keep(partitioned, TODAY + timedelta(days=1)) == (1, 0)

    def test_hold_the_decisions_of_their_day(self, partitioned: Database) -> None:
        store(partitioned, TODAY)
        keep(partitioned, TODAY)
        tomorrow = TODAY + timedelta(days=1)
        store(partitioned, tomorrow)
        assert where(partitioned) == {
            TODAY: "decision_record_rest",
            tomorrow: "decision_record_20260311",
        }

    def test_are_not_laid_over_decisions_that_are_there(self, partitioned: Database) -> None:
        ahead = TODAY + timedelta(days=2)
        store(partitioned, ahead)
        assert keep(partitioned, TODAY) == (6, 0)
        assert where(partitioned) == {ahead: "decision_record_rest"}

    def test_go_whole_when_their_time_is_over(self, partitioned: Database) -> None:
        keep(partitioned, TODAY)
        first, second = (TODAY + timedelta(days=n) for n in (1, 2))
        store(partitioned, first, second)
        assert keep(partitioned, first + timedelta(days=KEPT_DAYS))[1] == 0
        assert keep(partitioned, second + timedelta(days=KEPT_DAYS))[1] == 1
        assert list(where(partitioned)) == [second]

    def test_refuse_changes_like_any_decision(self, partitioned: Database) -> None:
        keep(partitioned, TODAY)
        store(partitioned, TODAY + timedelta(days=1))
        for change in (
            "UPDATE decision_record SET outcome = 'approve'",
            "DELETE FROM decision_record",
        ):
            with pytest.raises(DBAPIError, match="append-only"), partitioned.write() as session:
                session.execute(text(change))


class TestJob:
    @pytest.fixture(autouse=True)
    def later(self, clock: FixedClock) -> None:
        """Retention holds since the end of November."""
        clock.advance(timedelta(days=365))

    @pytest.fixture
    def kept(self, runtime: Runtime, partitioned: Database) -> Runtime:
        """The runtime whose partitions go with the test."""
        return runtime

    @staticmethod
    def left(database: Database) -> list[date]:
        with database.read() as session:
            return sorted(session.scalars(select(DecisionRecord.decided_on)))

    def test_forgets_what_is_over_its_time_and_lies_in_no_partition(
        self, kept: Runtime, clock: FixedClock
    ) -> None:
        last = business_date(clock.now()) - timedelta(days=KEPT_DAYS)
        store(kept.database, last - timedelta(days=1), last, business_date(clock.now()))
        for _ in range(2):
            jobs.keep_decisions(kept)
            assert self.left(kept.database) == [last, business_date(clock.now())]

    def test_forgets_in_bounded_batches(
        self, kept: Runtime, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeping, "BATCH", 2)
        monkeypatch.setattr(keeping, "MOST_BATCHES", 2)
        over = business_date(clock.now()) - timedelta(days=KEPT_DAYS + 10)
        store(kept.database, *[over - timedelta(days=n) for n in range(7)])
        jobs.keep_decisions(kept)
        assert len(self.left(kept.database)) == 3
        jobs.keep_decisions(kept)
        assert self.left(kept.database) == []

    def test_leaves_the_guard_against_changes_behind_it(
        self, kept: Runtime, clock: FixedClock
    ) -> None:
        today = business_date(clock.now())
        store(kept.database, today - timedelta(days=KEPT_DAYS + 1), today)
        jobs.keep_decisions(kept)
        with (
            pytest.raises(DBAPIError, match="append-only"),
            kept.database.write() as session,
        ):
            session.execute(text("DELETE FROM decision_record"))

    def test_forgets_outcomes_with_their_decisions(self, kept: Runtime, clock: FixedClock) -> None:
        now = clock.now()
        with kept.database.write() as session:
            for number, days in (("D1", KEPT_DAYS + 1), ("D2", KEPT_DAYS - 1)):
                at = now - timedelta(days=days)
                told = {"strategy_hash": "h", "decided_at": at, "is_bad": True, "known_at": at}
                session.add(DecisionOutcome(decision_id=number, **told))
        jobs.keep_decisions(kept)
        with kept.database.read() as session:
            assert session.scalars(select(DecisionOutcome.decision_id)).all() == ["D2"]

    def test_forgets_old_keys_and_no_young_decision(self, kept: Runtime, clock: FixedClock) -> None:
        today = business_date(clock.now())
        store(kept.database, today - timedelta(days=KEYS_KEPT_DAYS + 1), today)
        jobs.keep_decisions(kept)
        with kept.database.read() as session:
            assert session.scalars(select(DecisionKey.key)).all() == [f"{today}"]
        assert len(self.left(kept.database)) == 2


def test_decisions_are_kept_as_long_as_the_law_wants() -> None:
    days = {one.model: one.days for one in keeping.KEPT}
    assert days[DecisionRecord] == days[DecisionOutcome] >= 5 * 366
