"""How far the close of day has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from servicing.tables import DayClose


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCloseView:
    """One business date that was closed for the whole book.

    Attributes:
        counts: aged, graded, frozen: what the run did that finished it.
    """

    on: date
    finished_at: datetime
    counts: Mapping[str, int]


def last_day_close(session: Session) -> DayCloseView | None:
    """Return the latest business date that was closed, or None."""
    row = session.scalar(
        select(DayClose)
        .where(DayClose.finished_at.is_not(None))
        .order_by(DayClose.on.desc())
        .limit(1)
    )
    if row is None or row.finished_at is None:
        return None
    return DayCloseView(on=row.on, finished_at=row.finished_at, counts=dict(row.counts))


def latest_day(session: Session) -> date | None:
    """Return the latest business date that is closed or being closed, or None."""
    return session.scalar(select(func.max(DayClose.on)))
