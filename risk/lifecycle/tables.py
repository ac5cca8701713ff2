"""Rows of a strategy's life: facts told by areas above, backtests, shadows, challengers.

Facts only grow; backtests, shadow decisions and readings never change and go when their time is
over (risk.retention). Strategies and cases are documents of desk and have no table here.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId


class RiskFact(Base):
    """Something that happened to a subject, and since when it is known here.

    `key` is the teller's own name of it, so that telling it twice stores it once.
    """

    __tablename__ = "risk_fact"
    __table_args__ = (Index("ix_risk_fact_subject_kind", "subject", "kind"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    subject: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(40))
    happened_at: Mapped[datetime]
    known_at: Mapped[datetime]
    attributes: Mapped[dict[str, Any]]


class DecisionOutcome(Base):
    """What came of a decision by the newest judgement; None if the last one was taken back."""

    __tablename__ = "decision_outcome"
    __table_args__ = (Index("ix_decision_outcome_strategy", "strategy_hash", "decided_at"),)

    decision_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    strategy_hash: Mapped[str] = mapped_column(String(64))
    decided_at: Mapped[datetime]
    is_bad: Mapped[bool | None]
    known_at: Mapped[datetime]


class StrategyBacktest(Base):
    """What a strategy would have decided; the report is JSON text and never changes."""

    __tablename__ = "strategy_backtest"
    __table_args__ = (Index("ix_strategy_backtest_strategy", "strategy"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    strategy: Mapped[str] = mapped_column(String(64))
    version: Mapped[int | None]
    product: Mapped[str] = mapped_column(String(64))
    strategy_hash: Mapped[str] = mapped_column(String(64))
    against_hash: Mapped[str | None] = mapped_column(String(64))
    data: Mapped[str] = mapped_column(String(200))
    data_hash: Mapped[str] = mapped_column(String(64))
    report: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime]


class BacktestRun(Base):
    """A backtest that somebody asked for, and how far it is; the report is kept apart.

    Attributes:
        question: Period and product, as risk.lifecycle.runs writes them.
        attempts: Counts the workers that took it; only the last may end it.
        beat_at: When its worker was last heard of.
        failure: The stable code of the error.
    """

    __tablename__ = "backtest_run"
    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="state_is_known"
        ),
        Index("ix_backtest_run_strategy", "strategy"),
        Index(
            "ix_backtest_run_open",
            "id",
            postgresql_where=text("state IN ('waiting', 'running')"),
            sqlite_where=text("state IN ('waiting', 'running')"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    strategy: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    question: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(12))
    rows_done: Mapped[int]
    rows_total: Mapped[int | None]
    attempts: Mapped[int]
    asked_by: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    beat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(String(80))
    backtest_id: Mapped[int | None] = mapped_column(ForeignKey("strategy_backtest.id"), type_=BigId)


class StrategyShadow(Base):
    """A version that decides beside the one in force, and is heard by nobody.

    `seen_at` and `seen_id` say up to which stored decision it has come.
    """

    __tablename__ = "strategy_shadow"
    __table_args__ = (Index("ix_strategy_shadow_ended_at", "ended_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    strategy: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    strategy_hash: Mapped[str] = mapped_column(String(64))
    started_by: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    seen_at: Mapped[datetime]
    seen_id: Mapped[str] = mapped_column(String(32))
    skipped: Mapped[int]


class ShadowDecision(Base):
    """What a shadow would have decided, with its evidence, beside what was decided."""

    __tablename__ = "shadow_decision"

    shadow_id: Mapped[int] = mapped_column(ForeignKey("strategy_shadow.id"), primary_key=True)
    decision_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    decided: Mapped[str] = mapped_column(String(8))
    outcome: Mapped[str] = mapped_column(String(8))
    answer: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime]


class StrategyChallenge(Base):
    """A version that decides for a share of subjects, until a person or a guard rail ends it.

    `counted_until` says up to when its stored decisions have been counted.
    """

    __tablename__ = "strategy_challenge"
    __table_args__ = (
        CheckConstraint("share_permille BETWEEN 1 AND 500", name="share_is_a_minority"),
        Index("ix_strategy_challenge_ended_at", "ended_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    strategy: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    strategy_hash: Mapped[str] = mapped_column(String(64))
    champion_hash: Mapped[str] = mapped_column(String(64))
    share_permille: Mapped[int]
    salt: Mapped[str] = mapped_column(String(32))
    rails: Mapped[dict[str, Any]]
    started_by: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    counted_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = mapped_column(String(64))
    ended_why: Mapped[str | None] = mapped_column(String(400))
    # Why the machine ended it, in codes with their figures; None for people, and of old.
    ended_for: Mapped[list[Any] | None]


class ChallengeReading(Base):
    """What one arm of a challenge had done by an instant, all since its start."""

    __tablename__ = "challenge_reading"

    challenge_id: Mapped[int] = mapped_column(ForeignKey("strategy_challenge.id"), primary_key=True)
    arm: Mapped[str] = mapped_column(String(12), primary_key=True)
    read_at: Mapped[datetime] = mapped_column(primary_key=True)
    decisions: Mapped[int]
    approved: Mapped[int]
    reviewed: Mapped[int]
    errors: Mapped[int]
    p99_ms: Mapped[float | None]
    known: Mapped[int] = mapped_column(default=0)
    bad: Mapped[int] = mapped_column(default=0)


keep_append_only(RiskFact)
for _model in (StrategyBacktest, ShadowDecision, ChallengeReading):
    keep_append_only(_model)
