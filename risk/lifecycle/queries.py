"""What pages read of a strategy's life: backtests, shadows, challenges. Nothing changes here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import NotFound
from risk.lifecycle.tables import StrategyBacktest


class BacktestNotFound(NotFound):
    """There is no backtest of that number."""

    code = "backtest-not-found"
    message_zh = "没有找到该回测报告"


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestView:
    """One backtest; see risk.lifecycle.backtest for what a report holds.

    Attributes:
        version: Of the strategy; None where it came from a file.
        data: The period, or the name of the file.
    """

    id: int
    strategy: str
    version: int | None
    product: str
    strategy_hash: str
    against_hash: str | None
    data: str
    data_hash: str
    made_by: str
    made_at: datetime
    report: Mapping[str, Any]


def backtests(session: Session, *, strategy: str, limit: int = 50) -> tuple[BacktestView, ...]:
    """List the backtests of a strategy, newest first."""
    rows = session.scalars(
        select(StrategyBacktest)
        .where(StrategyBacktest.strategy == strategy)
        .order_by(StrategyBacktest.id.desc())
        .limit(limit)
    )
    return tuple(map(_backtest_view, rows))


def backtest_report(session: Session, *, backtest_id: int) -> BacktestView:
    """Return one backtest.

    Raises:
        BacktestNotFound: There is none of that number.
    """
    row = session.get(StrategyBacktest, backtest_id)
    if row is None:
        raise BacktestNotFound(f"no backtest {backtest_id}")
    return _backtest_view(row)


def _backtest_view(row: StrategyBacktest) -> BacktestView:
    return BacktestView(
        id=row.id,
        strategy=row.strategy,
        version=row.version,
        product=row.product,
        strategy_hash=row.strategy_hash,
        against_hash=row.against_hash,
        data=row.data,
        data_hash=row.data_hash,
        made_by=row.made_by,
        made_at=row.made_at,
        report=json.loads(row.report),
    )
