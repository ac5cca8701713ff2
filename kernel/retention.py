"""How long rows are kept that only ever grow in number, and the one way in which they go.

Each area says for its own tables what is kept how long, as data, and from when that holds; what
law or proof needs has no row there and is never deleted. A night deletes in bounded batches, each
a transaction of its own, and leaves the rest to the next.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from prometheus_client import Counter
from sqlalchemy import ColumnElement, Date, Table, delete, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from kernel.append_only import letting_go
from kernel.clock import business_date
from kernel.database import Base
from kernel.idempotency import IdempotencyKey
from kernel.jobs import job
from kernel.logs import log
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime

BATCH: Final = 2_000
MOST_BATCHES: Final = 200

FORGOTTEN = Counter("fenqi_rows_forgotten_total", "Rows deleted as over their time", ["table"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long the rows of a table are kept.

    Attributes:
        days: Since the instant or day in `since`; younger rows stay.
        only: Which rows may go at all, however old.
        why: Why so long and no longer.
        from_on: Since when this holds; the last row of a table that has begun counts.
        is_append_only: The table refuses deletes to everybody else.
        part: On PostgreSQL, the only partition whose rows go like this.
    """

    model: type[Base]
    since: InstrumentedAttribute[Any]
    days: int
    why: str
    from_on: date
    only: ColumnElement[bool] | None = None
    is_append_only: bool = False
    part: str = ""

    @property
    def table(self) -> str:
        """Its name."""
        return str(self.model.__tablename__)


_FROM: Final = date(2026, 11, 26)

KEPT: Final = (
    Kept(
        model=OutboxRow,
        since=OutboxRow.recorded_at,
        only=OutboxRow.relayed_at.is_not(None),
        days=90,
        from_on=_FROM,
        why="News that was handed on; what it told of stands in its own table.",
    ),
    Kept(
        model=IdempotencyKey,
        since=IdempotencyKey.recorded_at,
        days=400,
        from_on=_FROM,
        why="Nobody repeats a request after a year; payments and events have unique keys besides.",
    ),
)


def in_force(kept: Sequence[Kept], *, on: date) -> tuple[Kept, ...]:
    """Return what holds on a day: of each table the last row that has begun."""
    begun = sorted((one for one in kept if one.from_on <= on), key=lambda one: one.from_on)
    return tuple({one.table: one for one in begun}.values())


def forget(
    runtime: Runtime, kept: Sequence[Kept], *, batch: int = BATCH, most: int = MOST_BATCHES
) -> dict[str, int]:
    """Delete what is over its time, in the order of the rows; returns how many rows of which table.

    Args:
        runtime: Database and clock.
        kept: What is kept how long; tables that others refer to come after those.
        batch: Rows a transaction.
        most: Transactions a table.
    """
    now, gone = runtime.clock.now(), {}
    for one in in_force(kept, on=business_date(now)):
        total = 0
        for _ in range(most):
            with runtime.database.write() as session:
                deleted = _forget_some(session, one, now, batch)
            total += deleted
            if deleted < batch:
                break
        FORGOTTEN.labels(one.table).inc(total)
        gone[one.table] = total
    if any(gone.values()):
        log.info("rows forgotten", **{name: count for name, count in gone.items() if count})
    return gone


def _forget_some(session: Session, one: Kept, now: datetime, batch: int) -> int:
    before = now - timedelta(days=one.days)
    is_day = isinstance(one.since.type, Date)
    over = one.since < (business_date(before) if is_day else before)
    table = one.model.__table__
    assert isinstance(table, Table)  # noqa: S101 -- narrows FromClause for mypy
    keys = list(table.primary_key.columns)
    found = select(*keys).where(over).limit(batch)
    if one.only is not None:
        found = found.where(one.only)
    rows = [tuple(row) for row in session.execute(found)]
    if not rows:
        return 0
    guard = letting_go(session, one.table, part=one.part) if one.is_append_only else nullcontext()
    with guard:
        session.execute(
            delete(one.model)
            .where(over, tuple_(*keys).in_(rows))
            .execution_options(synchronize_session=False)
        )
    return len(rows)


@job(timeout_s=1800)
def forget_old(runtime: Runtime) -> None:
    """Delete handed-on news and used keys that are over their time."""
    forget(runtime, KEPT)
