"""What is over its time goes at night, in pieces; what is younger stays and stays unchanged."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError

from kernel.clock import FixedClock
from kernel.database import Base, bulk_insert
from kernel.runtime import Runtime
from risk import jobs
from risk.lifecycle.tables import (
    BacktestRun,
    ChallengeReading,
    ShadowDecision,
    StrategyBacktest,
    StrategyChallenge,
    StrategyShadow,
)

TABLES = (ShadowDecision, BacktestRun, StrategyBacktest, ChallengeReading)
ANY = {"strategy": "s", "version": 1, "strategy_hash": "h", "started_by": "lin"}


def rows(at: datetime, number: int) -> dict[type[Base], dict[str, Any]]:
    return {
        ShadowDecision: {
            "shadow_id": 1,
            "decision_id": f"D{number}",
            "decided": "approve",
            "outcome": "review",
            "answer": "{}",
            "decided_at": at,
        },
        StrategyBacktest: {
            "id": number,
            "strategy": "s",
            "product": "p",
            "strategy_hash": "h",
            "data": "d",
            "data_hash": "h",
            "report": "{}",
            "made_by": "lin",
            "made_at": at,
        },
        BacktestRun: {
            "id": number,
            "strategy": "s",
            "version": 1,
            "question": {},
            "state": "done",
            "rows_done": 1,
            "attempts": 1,
            "asked_by": "lin",
            "asked_at": at,
            "beat_at": at,
            "backtest_id": number,
        },
        ChallengeReading: {
            "challenge_id": 1,
            "arm": "champion",
            "read_at": at,
            "decisions": 1,
            "approved": 1,
            "reviewed": 0,
            "errors": 0,
            "known": 0,
            "bad": 0,
        },
    }


@pytest.fixture
def lived(runtime: Runtime, clock: FixedClock) -> Runtime:
    """A trial of each kind from today, from seven months ago and from six years ago."""
    clock.advance(timedelta(days=365))  # retention holds since the end of November
    now = clock.now()
    with runtime.database.write() as session:
        session.add(
            StrategyShadow(**ANY, started_at=now, ends_at=now, seen_at=now, seen_id="", skipped=0)
        )
        session.add(
            StrategyChallenge(
                **ANY,
                champion_hash="h",
                share_permille=1,
                salt="s",
                rails={},
                started_at=now,
                counted_until=now,
            )
        )
        session.flush()
        for number, days in enumerate((0, 210, 2_200), 1):
            for table, row in rows(now - timedelta(days=days), number).items():
                bulk_insert(session, table, [row])
    return runtime


def count(runtime: Runtime) -> list[int]:
    with runtime.database.read() as session:
        return [session.scalar(select(func.count()).select_from(each)) or 0 for each in TABLES]


def test_each_kind_goes_after_its_own_period(lived: Runtime) -> None:
    assert count(lived) == [3, 3, 3, 3]
    for _ in range(2):
        jobs.forget_old(lived)
        assert count(lived) == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "change",
    [
        update(ShadowDecision).values(outcome="approve"),
        update(StrategyBacktest).values(report="[]"),
        update(ChallengeReading).values(errors=9),
    ],
    ids=["shadow", "backtest", "reading"],
)
def test_what_stays_cannot_be_changed(lived: Runtime, change: Any) -> None:
    with pytest.raises(DBAPIError), lived.database.write() as session:
        session.execute(change)
