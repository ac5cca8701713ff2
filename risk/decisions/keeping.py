"""How long decisions are kept, and where: on PostgreSQL each day is a partition of its own.

A day that is over the time is dropped whole, which costs nothing, and which the triggers that keep
decisions unchanged do not forbid. Days are laid ahead of time; a decision of a day that has no
partition goes into `decision_record_rest`, so that no decision ever waits for housekeeping. What
lies in the rest goes by its age, row by row in bounded batches, and on SQLite, which has no
partitions, every decision does.
"""

import re
from datetime import date, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from kernel.retention import Kept
from risk.lifecycle.tables import DecisionOutcome
from risk.tables import DecisionKey, DecisionRecord

KEPT_DAYS: Final = 5 * 366
KEYS_KEPT_DAYS: Final = 30
BATCH: Final = 5_000
MOST_BATCHES: Final = 1_000
_LAID_AHEAD: Final = 7
_TABLE: Final = DecisionRecord.__tablename__
_REST: Final = f"{_TABLE}_rest"
_NAME: Final = re.compile(rf"{_TABLE}_(\d{{8}})")
_FROM: Final = date(2026, 11, 26)

# A key that is forgotten would decide anew, so keys outlive every repeat that makes sense.
KEPT: Final = (
    Kept(
        model=DecisionRecord,
        since=DecisionRecord.decided_on,
        days=KEPT_DAYS,
        from_on=_FROM,
        is_append_only=True,
        part=_REST,
        why="征信业管理条例 art. 16: five years; on PostgreSQL whole days go as partitions.",
    ),
    Kept(
        model=DecisionOutcome,
        since=DecisionOutcome.decided_at,
        days=KEPT_DAYS,
        from_on=_FROM,
        why="As long as the decision that it came of.",
    ),
    Kept(
        model=DecisionKey,
        since=DecisionKey.recorded_at,
        days=KEYS_KEPT_DAYS,
        from_on=_FROM,
        why="Nobody repeats a request for a decision after a month.",
    ),
)


def keep_decisions(session: Session, *, on: date) -> tuple[int, int]:
    """Lay the partitions of the coming week, and drop those over the time; none on SQLite.

    What goes row by row goes by `KEPT`, after this.

    Args:
        session: A write session.
        on: The business date.

    Returns:
        How many partitions were laid, and how many dropped.
    """
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
    rest = text(f"SELECT 1 FROM {_REST} WHERE decided_on = :day LIMIT 1")  # noqa: S608 -- our own name
    if session.scalar(rest, {"day": day}):
        return False
    bounds = f"FROM ('{day}') TO ('{day + timedelta(days=1)}')"
    session.execute(text(f"CREATE TABLE {_name(day)} PARTITION OF {_TABLE} FOR VALUES {bounds}"))
    return True


def _name(day: date) -> str:
    return f"{_TABLE}_{day:%Y%m%d}"
