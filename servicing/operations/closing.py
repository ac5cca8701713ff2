"""Close of day: the book is shared out in ranges of loans that workers take, work through and end.

What is done stands on the loans themselves, so a run that was killed goes on where it stopped, and
the same day twice changes nothing. A range is leased for a minute, again with each commit, and the
fence that counts its takers lets only the last of them commit. When all ranges are done, accounts
are graded, the worst lines frozen, and the day is told to be closed. What a day's end does to a
loan is not decided here but in ageing.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.orm import Session

from kernel import outbox
from kernel.clock import business_date
from kernel.database import insert_ignore
from kernel.errors import Conflict
from kernel.logs import log
from kernel.runtime import Runtime
from servicing.events import DayClosed
from servicing.operations.ageing import age_each, is_behind, is_eventful, move_quiet
from servicing.operations.alerts import raise_alert
from servicing.operations.failures import cause_of, note_failures, resolve_failures
from servicing.operations.grading import LINE_FROZEN, grade_lines, is_ungraded
from servicing.ports import GradeAccounts
from servicing.tables import Alert, CreditLine, DayClose, DayFailure, DayPartition, Loan

LEASE: Final = timedelta(seconds=60)
MOST_ATTEMPTS: Final = 3
"""So often a loan is tried by itself; then a person has to ask for more."""

_BATCH: Final = 200
_PARTITION: Final = 2_000
_STALLED: Final = text("SET LOCAL idle_in_transaction_session_timeout = '60s'")
_WORKER: Final = f"{socket.gethostname()}:{os.getpid()}"


class DayNotCome(Conflict):
    """The business date lies ahead, and what a day's end recognises is never taken back."""

    code = "day-not-come"


class LeaseLost(Conflict):
    """Another worker took the range over; nothing of this commit is kept."""

    code = "day-lease-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A range of loans that is ours until somebody takes it over.

    Attributes:
        fence: How often the range was taken; a lower one than the stored cannot commit.
    """

    on: date
    n: int
    first_id: int
    last_id: int
    fence: int


def close_day(
    runtime: Runtime,
    *,
    on: date,
    grade: GradeAccounts | None = None,
    batch: int = _BATCH,
    partition: int = _PARTITION,
) -> dict[str, int]:
    """Close a business date for the whole book; safe to repeat, to resume and to share.

    Args:
        runtime: The process's parts; every batch is a transaction of its own.
        on: The business date.
        grade: Grades accounts; None leaves grades as they are.
        batch: Loans or lines a transaction.
        partition: Loans a range.

    Returns:
        How many loans were aged and failed, lines graded and frozen by this run. Ranges that
        others are working on are left to them, and with them the end of the day.

    Raises:
        DayNotCome: Said above; in development, where the clock can be set, nobody minds.
    """
    if on > business_date(runtime.clock.now()) and not runtime.settings.is_development:
        raise DayNotCome(f"{on} has not come yet")
    with runtime.database.write() as session:
        open_day(session, on=on, partition=partition, now=runtime.clock.now())
    counts = {"aged": 0, "failed": 0, "graded": 0, "frozen": 0}
    while claim := _claim(runtime, on):
        try:
            for aged, failed in work(runtime, claim, batch=batch):
                counts["aged"] += aged
                counts["failed"] += failed
        except LeaseLost:
            log.warning("another worker took a range over", on=on.isoformat(), n=claim.n)
    if _is_aged(runtime, on):
        if grade is not None:
            counts |= grade_lines(runtime, on=on, grade=grade, batch=batch)
        _finish(runtime, on, counts, is_graded=grade is not None)
    return counts


def resume_days(runtime: Runtime, *, grade: GradeAccounts | None = None) -> int:
    """Go on with days that a worker left unfinished, and try failed loans again.

    Returns:
        How many loans were brought to the end of their day.
    """
    with runtime.database.read() as session:
        unfinished = session.scalars(
            select(DayClose.on).where(DayClose.finished_at.is_(None)).order_by(DayClose.on)
        ).all()
    aged = sum(close_day(runtime, on=on, grade=grade)["aged"] for on in unfinished)
    with runtime.database.write() as session:
        return aged + retry_failures(session, now=runtime.clock.now(), most_attempts=MOST_ATTEMPTS)


def open_day(session: Session, *, on: date, partition: int = _PARTITION, now: datetime) -> bool:
    """Share a day's loans out in ranges; returns whether that was still to be done."""
    row = {"on_date": on, "counts": {}, "started_at": now, "finished_at": None}
    if not insert_ignore(session, DayClose, [row], conflict=["on_date"]):
        return False
    number = (func.row_number().over(order_by=Loan.id) - 1) // partition
    behind = select(Loan.id.label("id"), number.label("n")).where(is_behind(on)).subquery()
    ranges = select(func.min(behind.c.id), func.max(behind.c.id)).group_by(behind.c.n)
    rows = session.execute(ranges.order_by(func.min(behind.c.id))).all()
    session.add_all(
        DayPartition(on=on, n=n, first_id=first_id, last_id=last_id)
        for n, (first_id, last_id) in enumerate(rows, 1)
    )
    return True


def claim_partition(session: Session, *, on: date, now: datetime) -> Claim | None:
    """Take a range that nobody works on, or None if there is none."""
    row = session.scalar(
        select(DayPartition)
        .where(
            DayPartition.on == on,
            DayPartition.finished_at.is_(None),
            # A lease that is longer than any is of a clock that was set back since.
            or_(
                DayPartition.leased_until.is_(None),
                DayPartition.leased_until <= now,
                DayPartition.leased_until > now + LEASE,
            ),
        )
        .order_by(DayPartition.n)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return None
    row.fence += 1
    row.worker, row.leased_until = _WORKER, now + LEASE
    row.started_at = row.started_at or now
    return Claim(on=on, n=row.n, first_id=row.first_id, last_id=row.last_id, fence=row.fence)


def work(runtime: Runtime, claim: Claim, *, batch: int = _BATCH) -> Iterator[tuple[int, int]]:
    """Work through a range, a batch a transaction.

    Yields:
        How many loans of each batch reached the end of the day, and how many failed.

    Raises:
        LeaseLost: Another worker took the range over.
    """
    with runtime.database.read() as session:
        waiting = session.scalars(
            select(Loan.id)
            .where(
                Loan.id.between(claim.first_id, claim.last_id),
                is_behind(claim.on),
                is_eventful(claim.on),
            )
            .order_by(Loan.id)
        ).all()
    for start in range(0, len(waiting), batch):
        with _held(runtime, claim) as (session, now):
            ids = waiting[start : start + batch]
            aged, causes = _age(session, ids, claim.on, now)
            note_failures(session, on=claim.on, causes=causes, now=now)
            _count(session, claim, aged=aged)
        yield aged, len(causes)
    with _held(runtime, claim) as (session, now):
        moved = move_quiet(session, first_id=claim.first_id, last_id=claim.last_id, on=claim.on)
        resolve_failures(session, first_id=claim.first_id, last_id=claim.last_id, now=now)
        _count(session, claim, aged=moved, finished_at=now)
    yield moved, 0


def retry_failures(
    session: Session,
    *,
    now: datetime,
    on: date | None = None,
    most_attempts: int | None = None,
    limit: int = _BATCH,
) -> int:
    """Try failed loans again, each by itself; returns how many reached the end of their day.

    Args:
        session: A write session.
        now: The instant of posting.
        on: Those of one day only; None for all days.
        most_attempts: Leave those alone that failed so often; None for no end.
        limit: How many loans at most.
    """
    query = select(DayFailure.on, DayFailure.loan_id).where(DayFailure.resolved_at.is_(None))
    query = query if on is None else query.where(DayFailure.on == on)
    if most_attempts is not None:
        query = query.where(DayFailure.attempts < most_attempts)
    done = 0
    ordered = query.order_by(DayFailure.on, DayFailure.loan_id).limit(limit)
    for day, loan_id in session.execute(ordered).all():
        aged, causes = _age(session, [loan_id], day, now)
        note_failures(session, on=day, causes=causes, now=now)
        resolve_failures(session, first_id=loan_id, last_id=loan_id, now=now)
        done += aged
    return done


def _age(
    session: Session, ids: Sequence[int], on: date, now: datetime
) -> tuple[int, dict[int, str]]:
    """Age loans in one savepoint or, if one of them fails, each in its own.

    Returns:
        How many reached the end of the day, and why the others did not.
    """
    try:
        with session.begin_nested():
            return age_each(session, loan_ids=ids, on=on, now=now), {}
    except Exception as error:  # noqa: BLE001 -- whatever it was stands on the list of failures
        cause = cause_of(error)
    if len(ids) == 1:
        return 0, {ids[0]: cause}
    aged, causes = 0, dict[int, str]()
    for loan_id in ids:
        one, why = _age(session, [loan_id], on, now)
        aged += one
        causes |= why
    return aged, causes


@contextmanager
def _held(runtime: Runtime, claim: Claim) -> Iterator[tuple[Session, datetime]]:
    """Open a transaction that holds the range; if we stall in it, the server ends it."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        if runtime.database.dialect == "postgresql":
            session.execute(_STALLED)
        renewed = session.execute(
            update(DayPartition)
            .where(*_ours(claim), DayPartition.finished_at.is_(None))
            .values(leased_until=now + LEASE, worker=_WORKER)
        )
        if renewed.rowcount != 1:  # type: ignore[attr-defined]
            raise LeaseLost(f"range {claim.n} of {claim.on} was taken over")
        yield session, now


def _count(session: Session, claim: Claim, *, aged: int, **ended: datetime) -> None:
    values: dict[str, Any] = {"aged": DayPartition.aged + aged, **ended}
    session.execute(
        update(DayPartition)
        .where(*_ours(claim))
        .values(values)
        .execution_options(synchronize_session=False)
    )


def _ours(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        DayPartition.on == claim.on,
        DayPartition.n == claim.n,
        DayPartition.fence == claim.fence,
    )


def _claim(runtime: Runtime, on: date) -> Claim | None:
    with runtime.database.write() as session:
        return claim_partition(session, on=on, now=runtime.clock.now())


def _is_aged(runtime: Runtime, on: date) -> bool:
    waiting = select(func.count()).where(DayPartition.on == on, DayPartition.finished_at.is_(None))
    with runtime.database.read() as session:
        return session.scalar(waiting) == 0


def _graded(session: Session, on: date) -> dict[str, int]:
    """Count what all runs of a day graded and froze, those that were killed among them."""
    graded = select(func.count()).where(CreditLine.graded_to == on)
    frozen = select(func.count()).where(
        Alert.kind == LINE_FROZEN, Alert.key.endswith(f"/{on.isoformat()}")
    )
    return {"graded": session.scalar(graded) or 0, "frozen": session.scalar(frozen) or 0}


def _finish(runtime: Runtime, on: date, counts: Mapping[str, int], *, is_graded: bool) -> None:
    """Tell once that the day is closed, unless a colleague still grades; alert about failures."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        if is_graded and session.scalar(select(CreditLine.id).where(is_ungraded(on)).limit(1)):
            return
        aged = session.scalar(select(func.sum(DayPartition.aged)).where(DayPartition.on == on))
        failed = session.scalar(
            select(func.count()).where(DayFailure.on == on, DayFailure.resolved_at.is_(None))
        )
        totals = {**counts, **_graded(session, on), "aged": int(aged or 0), "failed": failed}
        ended = session.execute(
            update(DayClose)
            .where(DayClose.on == on, DayClose.finished_at.is_(None))
            .values(finished_at=now, counts=totals)
        )
        if ended.rowcount != 1:  # type: ignore[attr-defined]
            return
        outbox.record(session, DayClosed(on=on), now=now)
        if failed:
            raise_alert(
                session,
                key=f"day-failures/{on}",
                kind="day-failures",
                severity="high",
                customer_id=None,
                details={"on": on.isoformat(), "loans": failed},
                now=now,
            )
