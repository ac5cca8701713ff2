"""The only place that reads the time.

Instants are aware UTC, business dates are dates in Asia/Shanghai. Views and jobs ask the clock
once and pass `now` or `on` down. In development one offset in the database moves the clock of
every process together; production has no such row and never reads it.
"""

import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.database import Base, Database

SHANGHAI = ZoneInfo("Asia/Shanghai")

_OFFSET_ROW = 1
_OFFSET_KEPT_S = 0.2


class Clock(Protocol):
    """Something that tells the instant."""

    def now(self) -> datetime:
        """Return the present instant, aware UTC."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the machine's instant."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands until it is moved; for tests and benches."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """Return the instant at which the clock stands."""
        return self.at

    def advance(self, by: timedelta) -> None:
        """Move the clock by an amount."""
        self.at += by


class ClockOffset(Base):
    """The one row by which the development clock runs ahead of the machine's."""

    __tablename__ = "clock_offset"

    id: Mapped[int] = mapped_column(primary_key=True)
    offset_ms: Mapped[int] = mapped_column(BigInteger)


def clock_offset(session: Session) -> timedelta:
    """Read by how much the development clock runs ahead."""
    offset_ms = session.scalar(select(ClockOffset.offset_ms).where(ClockOffset.id == _OFFSET_ROW))
    return timedelta(milliseconds=offset_ms or 0)


def move_clock(session: Session, *, offset: timedelta) -> None:
    """Set by how much the development clock runs ahead of the machine's."""
    session.merge(ClockOffset(id=_OFFSET_ROW, offset_ms=round(offset / timedelta(milliseconds=1))))


class MovableClock:
    """The machine's time plus the offset that the database holds; development only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._offset = timedelta()
        self._read_at = float("-inf")

    def now(self) -> datetime:
        """Return the moved instant; the offset is read again after 0.2 s."""
        if time.monotonic() - self._read_at > _OFFSET_KEPT_S:
            with self._database.read() as session:
                self._offset = clock_offset(session)
            self._read_at = time.monotonic()
        return datetime.now(UTC) + self._offset


def shanghai(at: datetime) -> datetime:
    """Show an instant as wall time in Shanghai."""
    return at.astimezone(SHANGHAI)


def business_date(at: datetime) -> date:
    """Return the business date of an instant."""
    return shanghai(at).date()


def start_of_day(on: date) -> datetime:
    """Return the UTC instant at which a business date begins."""
    return datetime.combine(on, time_of_day(), SHANGHAI).astimezone(UTC)


def end_of_day(on: date) -> datetime:
    """Return the last UTC instant of a business date."""
    return start_of_day(on + timedelta(days=1)) - timedelta(microseconds=1)
