"""Decisions lie by days on PostgreSQL; what is over the time goes, and nothing waits for it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError

from kernel.database import Database
from risk.decisions.keeping import KEPT_DAYS, KEYS_KEPT_DAYS, keep_decisions, partitions
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


def test_old_keys_are_forgotten(database: Database) -> None:
    store(database, TODAY - timedelta(days=KEYS_KEPT_DAYS + 1), TODAY)
    keep(database, TODAY)
    with database.read() as session:
        assert session.scalars(select(DecisionKey.key)).all() == [f"{TODAY}"]
        assert session.scalar(select(func.count()).select_from(DecisionRecord)) == 2
