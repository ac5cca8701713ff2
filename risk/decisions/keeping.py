"""How long decisions are kept, and where: on PostgreSQL each day is a partition of its own.

A day that is over the time is dropped whole, which costs nothing, and which the triggers that keep
decisions unchanged do not forbid. Days are laid ahead of time; a decision of a day that has no
partition goes into `decision_record_rest`, so that no decision ever waits for housekeeping. SQLite
has no partitions; nothing is dropped there, which development can bear.
"""

import re
from datetime import date, timedelta
from typing import Final

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from kernel.clock import start_of_day
from risk.tables import DecisionKey, DecisionRecord

KEPT_DAYS: Final = 5 * 366
KEYS_KEPT_DAYS: Final = 30
_LAID_AHEAD: Final = 7
_TABLE: Final = DecisionRecord.__tablename__
_NAME: Final = re.compile(rf"{_TABLE}_(\d{{8}})")


def keep_decisions(session: Session, *, on: date) -> tuple[int, int]:
    """Lay the partitions of the coming week, drop those over the time, and forget old keys.

    A key that is forgotten would decide anew, so keys outlive every repeat that makes sense.

    Args:
        session: A write session.
        on: The business date.

    Returns:
        How many partitions were laid, and how many dropped.
    """
    stale = start_of_day(on - timedelta(days=KEYS_KEPT_DAYS))
    session.execute(delete(DecisionKey).where(DecisionKey.recorded_at < stale))
    if session.get_bind().dialect.name != "postgresql":
        return 0, 0
    there = partitions(session)
    coming = [on + timedelta(days=n) for n in range(1, _LAID_AHEAD + 1)]
    laid = [day for day in coming if day not in there and _lay(session, day)]
    over = [day for day in there if day < on - timedelta(days=KEPT_DAYS)]
    for day in over:
        session.execute(text(f"DROP TABLE {_name(day)}"))
    return len(laid), len(over)


def partitions(session: Session) -> list[date]:
    """List the days that have a partition."""
    names = session.scalars(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = :of ::regclass"),
        {"of": _TABLE},
    )
    found = (_NAME.fullmatch(name) for name in names)
    return sorted(date.fromisoformat(match[1]) for match in found if match)


def _lay(session: Session, day: date) -> bool:
    """Lay a day's partition, unless decisions of it are in the rest already."""
    rest = text(f"SELECT 1 FROM {_TABLE}_rest WHERE decided_on = :day LIMIT 1")  # noqa: S608 -- our own name
    if session.scalar(rest, {"day": day}):
        return False
    bounds = f"FROM ('{day}') TO ('{day + timedelta(days=1)}')"
    session.execute(text(f"CREATE TABLE {_name(day)} PARTITION OF {_TABLE} FOR VALUES {bounds}"))
    return True


def _name(day: date) -> str:
    return f"{_TABLE}_{day:%Y%m%d}"
