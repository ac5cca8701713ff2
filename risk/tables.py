"""Tables of risk: policies as they were, decisions and grades. All of them only grow."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId


class RiskPolicy(Base):
    """The text of a strategy or card that was used at least once."""

    __tablename__ = "risk_policy"

    version: Mapped[str] = mapped_column(String(80), primary_key=True)
    content: Mapped[str] = mapped_column(Text)
    first_used_at: Mapped[datetime]


class RiskDecision(Base):
    """One decision; snapshot and verdict are canonical JSON text, so that they replay exactly."""

    __tablename__ = "risk_decision"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    application_id: Mapped[int] = mapped_column(BigId, index=True)
    strategy_version: Mapped[str] = mapped_column(ForeignKey("risk_policy.version"))
    snapshot: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime]


class RiskGrade(Base):
    """One customer's grade as of a business date."""

    __tablename__ = "risk_grade"

    customer_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    graded_on: Mapped[date] = mapped_column(primary_key=True)
    grade: Mapped[str] = mapped_column(String(8))
    points: Mapped[int]
    is_worst: Mapped[bool]
    reasons: Mapped[list[Any]]
    card_version: Mapped[str] = mapped_column(ForeignKey("risk_policy.version"))
    graded_at: Mapped[datetime]


for _model in (RiskPolicy, RiskDecision, RiskGrade):
    keep_append_only(_model)
