"""What loans came to, and how far the nightly look at them has got."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base, BigId
from servicing.tables.lengths import CODE


class LoanOutcome(Base):
    """An outcome of a loan as servicing.outcomes names it; `undone_at` once it proved untrue."""

    __tablename__ = "loan_outcome"
    __table_args__ = (
        Index(
            "ix_loan_outcome_standing",
            "loan_id",
            "outcome",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
            sqlite_where=text("undone_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId)
    outcome: Mapped[str] = mapped_column(String(CODE))
    reached_on: Mapped[date]
    months_on_book: Mapped[int]
    recorded_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class OutcomeRun(Base):
    """One night's look at the loans: up to which it has come.

    Attributes:
        since: Closed loans are looked at again if something was recorded since; None for all.
    """

    __tablename__ = "outcome_run"

    on: Mapped[date] = mapped_column("on_date", primary_key=True)
    since: Mapped[datetime | None]
    last_id: Mapped[int] = mapped_column(BigId, default=0)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
