"""The close of day: which days, in which ranges, and what failed."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base, BigId
from servicing.tables.lengths import LABEL, REASON


class DayClose(Base):
    """One business date that is closed for the whole book, or being closed."""

    __tablename__ = "day_close"

    on: Mapped[date] = mapped_column("on_date", primary_key=True)
    counts: Mapped[dict[str, Any]]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class DayPartition(Base):
    """A range of loans that one worker at a time brings to the end of a day.

    Attributes:
        fence: Counts who took it; only the last may commit.
        leased_until: Until when nobody else may take it.
    """

    __tablename__ = "day_partition"

    on: Mapped[date] = mapped_column("on_date", ForeignKey("day_close.on_date"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    first_id: Mapped[int] = mapped_column(BigId)
    last_id: Mapped[int] = mapped_column(BigId)
    fence: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(LABEL))
    leased_until: Mapped[datetime | None]
    aged: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class DayFailure(Base):
    """A loan that could not be brought to the end of a day, with the last cause."""

    __tablename__ = "day_failure"
    __table_args__ = (
        Index(
            "ix_day_failure_open",
            "loan_id",
            postgresql_where=text("resolved_at IS NULL"),
            sqlite_where=text("resolved_at IS NULL"),
        ),
    )

    on: Mapped[date] = mapped_column("on_date", ForeignKey("day_close.on_date"), primary_key=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, primary_key=True)
    cause: Mapped[str] = mapped_column(String(REASON))
    attempts: Mapped[int] = mapped_column(default=1)
    failed_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
