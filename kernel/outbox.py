"""News for the areas above, written in the transaction that makes it true.

An operation records a frozen event; the relay later turns each into jobs, at least once, in order
of recording. Handlers are idempotent. This module does not know who listens: the one table of
event → jobs is worker.py's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, String, func, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.database import Base, BigId
from kernel.jobs import Job, enqueue
from kernel.runtime import Runtime

_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of facts in the past tense; fields are str, int, bool, date, datetime or None."""


class OutboxRow(Base):
    """One recorded event; `relayed_at` is empty until its jobs are queued."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_waiting",
            "id",
            postgresql_where=text("relayed_at IS NULL"),
            sqlite_where=text("relayed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    event: Mapped[str] = mapped_column(String(80))
    payload: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]
    relayed_at: Mapped[datetime | None]


Routes = Mapping[type[Event], Sequence[Job]]

# Called with the rows that are being relayed, oldest first, in the relay's own transaction: what a
# listener writes is written once for each event, in their order.
Listener = Callable[[Session, Sequence[OutboxRow]], None]


def record(session: Session, event: Event, *, now: datetime) -> None:
    """Write an event beside the change that it tells of."""
    payload = {name: _plain(value) for name, value in asdict(event).items()}
    session.add(OutboxRow(event=type(event).__name__, payload=payload, recorded_at=now))


def relay(runtime: Runtime, routes: Routes, listeners: Sequence[Listener] = ()) -> int:
    """Queue the jobs of waiting events, at least once each; tell listeners of each just once.

    Two relays at the same time wait for each other, so that the order of recording is kept.

    Returns:
        How many events were relayed.
    """
    by_name = {event.__name__: jobs for event, jobs in routes.items()}
    with runtime.database.write() as session:
        rows = session.scalars(
            select(OutboxRow)
            .where(OutboxRow.relayed_at.is_(None))
            .order_by(OutboxRow.id)
            .limit(_BATCH)
            .with_for_update()
        ).all()
        for listen in listeners:
            listen(session, rows)
        for row in rows:
            for job in by_name.get(row.event, ()):
                enqueue(runtime, job, **row.payload)
        session.execute(
            update(OutboxRow)
            .where(OutboxRow.id.in_([row.id for row in rows]))
            .values(relayed_at=runtime.clock.now())
        )
    return len(rows)


def waiting(session: Session) -> int:
    """Count the events that wait for the relay."""
    return (
        session.scalar(
            select(func.count()).select_from(OutboxRow).where(OutboxRow.relayed_at.is_(None))
        )
        or 0
    )


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value
