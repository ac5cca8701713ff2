"""How far the close of day has come."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from servicing.tables import DayClose, DayFailure, DayPartition, Loan


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCloseView:
    """One business date that was closed for the whole book.

    Attributes:
        counts: aged, graded, frozen: what the run did that finished it.
    """

    on: date
    finished_at: datetime
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedLoan:
    """A loan that could not be brought to the end of a day; resolved once it was."""

    loan_id: int
    loan_no: str
    customer_id: int
    cause: str
    attempts: int
    failed_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRun:
    """How the close of a day went: ranges and loans done, lines graded and frozen, failures.

    Attributes:
        finished_at: None while it runs.
        failed: Open ones first.
    """

    on: date
    started_at: datetime
    finished_at: datetime | None
    ranges: int
    ranges_done: int
    aged: int
    graded: int
    frozen: int
    failed: tuple[FailedLoan, ...]

    @property
    def open_failures(self) -> tuple[FailedLoan, ...]:
        """The loans that still wait."""
        return tuple(loan for loan in self.failed if loan.resolved_at is None)


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


def day_runs(session: Session, *, offset: int, limit: int) -> tuple[DayRun, ...]:
    """List the days that were closed or are being closed, the latest first."""
    days = session.scalars(
        select(DayClose).order_by(DayClose.on.desc()).offset(offset).limit(limit)
    ).all()
    asked = [day.on for day in days]
    failed: dict[date, list[FailedLoan]] = defaultdict(list)
    rows = session.execute(
        select(DayFailure, Loan.loan_no, Loan.customer_id)
        .join(Loan, Loan.id == DayFailure.loan_id)
        .where(DayFailure.on.in_(asked))
        .order_by(DayFailure.resolved_at.is_not(None), DayFailure.loan_id)
    )
    for failure, loan_no, customer_id in rows:
        failed[failure.on].append(_failed(failure, loan_no, customer_id))
    shares = _shares(session, asked)
    return tuple(_run(day, shares.get(day.on), failed[day.on]) for day in days)


def count_day_runs(session: Session) -> int:
    """Count those days."""
    return session.scalar(select(func.count()).select_from(DayClose)) or 0


def _shares(session: Session, days: Sequence[date]) -> dict[date, Row[*tuple[Any, ...]]]:
    rows = session.execute(
        select(
            DayPartition.on,
            func.count().label("ranges"),
            func.count(DayPartition.finished_at).label("done"),
            func.sum(DayPartition.aged).label("aged"),
        )
        .where(DayPartition.on.in_(days))
        .group_by(DayPartition.on)
    )
    return {row.on: row for row in rows}


def _run(
    day: DayClose, share: Row[*tuple[Any, ...]] | None, failed: Sequence[FailedLoan]
) -> DayRun:
    return DayRun(
        on=day.on,
        started_at=day.started_at,
        finished_at=day.finished_at,
        ranges=share.ranges if share else 0,
        ranges_done=share.done if share else 0,
        aged=int(share.aged) if share else 0,
        graded=day.counts.get("graded", 0),
        frozen=day.counts.get("frozen", 0),
        failed=tuple(failed),
    )


def _failed(failure: DayFailure, loan_no: str, customer_id: int) -> FailedLoan:
    return FailedLoan(
        loan_id=failure.loan_id,
        loan_no=loan_no,
        customer_id=customer_id,
        cause=failure.cause,
        attempts=failure.attempts,
        failed_at=failure.failed_at,
        resolved_at=failure.resolved_at,
    )
