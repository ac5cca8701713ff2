"""What pages read of a strategy's life: backtests, shadows, challenges. Nothing changes here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from kernel.errors import NotFound
from risk.lifecycle.splitting import Arm, Reading
from risk.lifecycle.tables import (
    ChallengeReading,
    ShadowDecision,
    StrategyBacktest,
    StrategyChallenge,
    StrategyShadow,
)


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


def newest_backtest(
    session: Session, *, strategy: str, product: str, of: str
) -> BacktestView | None:
    """Return the newest backtest of a body by its hash; failing that, of any other draft."""
    tried = StrategyBacktest
    row = session.scalar(
        select(tried)
        .where(tried.strategy == strategy, tried.product == product)
        .order_by(case((tried.strategy_hash == of, 0), else_=1), tried.id.desc())
        .limit(1)
    )
    return _backtest_view(row) if row else None


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


# --- shadows ---


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowView:
    """A shadow, and how far it agrees with what was decided.

    Attributes:
        matrix: How many by what was decided and what it would have decided.
        skipped: Decisions whose data was no longer kept.
        seen_at: Up to when it has come.
    """

    id: int
    strategy: str
    version: int
    strategy_hash: str
    started_by: str
    started_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    seen_at: datetime
    skipped: int
    matrix: Mapping[tuple[str, str], int]

    @property
    def compared(self) -> int:
        """How many decisions it has made."""
        return sum(self.matrix.values())

    @property
    def agreed(self) -> int:
        """How many came out the same."""
        return sum(count for (decided, said), count in self.matrix.items() if decided == said)

    @property
    def would_approve(self) -> int:
        """How many it would approve that were not."""
        return self._would("approve")

    @property
    def would_decline(self) -> int:
        """How many it would decline that were not."""
        return self._would("decline")

    def were(self, outcome: str) -> int:
        """How many were decided so."""
        return sum(count for (decided, _), count in self.matrix.items() if decided == outcome)

    def said(self, outcome: str) -> int:
        """How many it would decide so."""
        return sum(count for (_, said), count in self.matrix.items() if said == outcome)

    def _would(self, outcome: str) -> int:
        return sum(
            count
            for (decided, said), count in self.matrix.items()
            if said == outcome and decided != said
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowDifference:
    """One decision on which a shadow says otherwise; `answer` holds its evidence."""

    decision_id: str
    decided: str
    outcome: str
    decided_at: datetime
    answer: Mapping[str, Any]


def shadows(session: Session, *, strategy: str, limit: int = 50) -> tuple[ShadowView, ...]:
    """List the shadows of a strategy, newest first."""
    rows = session.scalars(
        select(StrategyShadow)
        .where(StrategyShadow.strategy == strategy)
        .order_by(StrategyShadow.id.desc())
        .limit(limit)
    ).all()
    said = ShadowDecision
    counts: dict[int, dict[tuple[str, str], int]] = {row.id: {} for row in rows}
    for shadow_id, decided, outcome, count in session.execute(
        select(said.shadow_id, said.decided, said.outcome, func.count())
        .where(said.shadow_id.in_(counts))
        .group_by(said.shadow_id, said.decided, said.outcome)
    ):
        counts[shadow_id][decided, outcome] = count
    return tuple(_shadow_view(row, counts[row.id]) for row in rows)


def shadow_differences(
    session: Session,
    *,
    shadow_id: int,
    decided: str | None = None,
    outcome: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> tuple[ShadowDifference, ...]:
    """List where a shadow says otherwise, newest first; of one cell of the matrix if given."""
    said = ShadowDecision
    found = select(said).where(said.shadow_id == shadow_id, said.decided != said.outcome)
    if outcome is not None:
        found = found.where(said.outcome == outcome)
    if decided is not None:
        found = found.where(said.decided == decided)
    order = (said.decided_at.desc(), said.decision_id)
    rows = session.scalars(found.order_by(*order).limit(limit).offset(offset))
    return tuple(
        ShadowDifference(
            decision_id=row.decision_id,
            decided=row.decided,
            outcome=row.outcome,
            decided_at=row.decided_at,
            answer=json.loads(row.answer),
        )
        for row in rows
    )


def _shadow_view(row: StrategyShadow, matrix: Mapping[tuple[str, str], int]) -> ShadowView:
    return ShadowView(
        id=row.id,
        strategy=row.strategy,
        version=row.version,
        strategy_hash=row.strategy_hash,
        started_by=row.started_by,
        started_at=row.started_at,
        ends_at=row.ends_at,
        ended_at=row.ended_at,
        seen_at=row.seen_at,
        skipped=row.skipped,
        matrix=matrix,
    )


# --- challenges ---


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeView:
    """A challenge with the newest figures of both arms; none before the first reading."""

    id: int
    strategy: str
    version: int
    strategy_hash: str
    champion_hash: str
    share_permille: int
    rails: Mapping[str, Any]
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    ended_why: str | None
    ended_for: Sequence[Mapping[str, Any]] | None
    readings: Mapping[Arm, Reading]


def challenges(session: Session, *, strategy: str, limit: int = 50) -> tuple[ChallengeView, ...]:
    """List the challenges of a strategy, newest first."""
    rows = session.scalars(
        select(StrategyChallenge)
        .where(StrategyChallenge.strategy == strategy)
        .order_by(StrategyChallenge.id.desc())
        .limit(limit)
    )
    return tuple(_challenge_view(session, row) for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengePoint:
    """The approve share of one arm as it was read at an instant, all since its start."""

    arm: Arm
    read_at: datetime
    share: float


def challenge_history(
    session: Session, *, challenge_id: int, most: int = 200
) -> tuple[ChallengePoint, ...]:
    """List how the shares went, oldest first, thinned out to some points an arm."""
    rows = session.scalars(
        select(ChallengeReading)
        .where(ChallengeReading.challenge_id == challenge_id)
        .order_by(ChallengeReading.read_at)
    ).all()
    found = [
        ChallengePoint(
            arm=Arm(row.arm), read_at=row.read_at, share=reading_of(row).share(row.approved)
        )
        for row in rows
        if row.decisions
    ]
    step = max(1, len(found) // (most * len(Arm)))
    by_arm = ([point for point in found if point.arm is arm][::step] for arm in Arm)
    return tuple(point for points in by_arm for point in points)


def _challenge_view(session: Session, row: StrategyChallenge) -> ChallengeView:
    newest = {}
    for arm in Arm:
        reading = session.scalar(
            select(ChallengeReading)
            .filter_by(challenge_id=row.id, arm=str(arm))
            .order_by(ChallengeReading.read_at.desc())
            .limit(1)
        )
        if reading is not None:
            newest[arm] = reading_of(reading)
    return ChallengeView(
        id=row.id,
        strategy=row.strategy,
        version=row.version,
        strategy_hash=row.strategy_hash,
        champion_hash=row.champion_hash,
        share_permille=row.share_permille,
        rails=row.rails,
        started_by=row.started_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
        ended_why=row.ended_why,
        ended_for=row.ended_for,
        readings=newest,
    )


def reading_of(row: ChallengeReading) -> Reading:
    """Read a row as figures."""
    return Reading(
        decisions=row.decisions,
        approved=row.approved,
        reviewed=row.reviewed,
        errors=row.errors,
        p99_ms=row.p99_ms,
        known=row.known,
        bad=row.bad,
    )
