"""What lapses of a strategy's life: shadow decisions, backtests and readings, by dated periods.

Decisions go with their partitions; see risk.decisions.keeping.
"""

from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import InstrumentedAttribute, Session

import risk
from kernel.database import Base
from kernel.retention import forget, kept_since
from risk.lifecycle.tables import BacktestRun, ChallengeReading, ShadowDecision, StrategyBacktest

PERIODS: Final = Path(risk.__file__).with_name("retention.toml")

# Runs name their report, so they go first.
_LAPSING: Final[tuple[tuple[str, type[Base], InstrumentedAttribute[Any]], ...]] = (
    ("shadow-decisions", ShadowDecision, ShadowDecision.decided_at),
    ("backtest-runs", BacktestRun, BacktestRun.asked_at),
    ("backtests", StrategyBacktest, StrategyBacktest.made_at),
    ("challenge-readings", ChallengeReading, ChallengeReading.read_at),
)


def forget_trials(session: Session, *, on: date) -> int:
    """Let some of what is over its time go; returns how many rows, 0 once all has."""
    return sum(
        forget(session, model, at, before=kept_since(PERIODS, code, on=on))
        for code, model, at in _LAPSING
    )
