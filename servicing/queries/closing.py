"""How far the close of day has come."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, and_, func, select
from sqlalchemy.orm import Session

from servicing.tables import DayClose, DayFailure, DayPartition, Loan

_SHOWN: Final = 50


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
        waiting: How many loans failed and still wait.
        failed: Some of those that failed, open ones first.
    """

    on: date
    started_at: datetime
    finished_at: datetime | None
    ranges: int
    ranges_done: int
    aged: int
    graded: int
    frozen: int
    waiting: int
    failed: tuple[FailedLoan, ...]

    @property
    def open_failures(self) -> tuple[FailedLoan, ...]:
        """Those of them that still wait."""
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
    failed, waiting = _failures(session, asked), _waiting(session, asked)
    shares = _shares(session, asked)
    return tuple(
        _run(day, shares.get(day.on), waiting.get(day.on, 0), failed.get(day.on, ()))
        for day in days
    )


def count_day_runs(session: Session) -> int:
    """Count those days."""
    return session.scalar(select(func.count()).select_from(DayClose)) or 0


def _failures(session: Session, days: Sequence[date]) -> Mapping[date, Sequence[FailedLoan]]:
    """List the first failures of each day: a day may come on which every loan fails."""
    ordered = (DayFailure.resolved_at.is_not(None), DayFailure.loan_id)
    place = func.row_number().over(partition_by=DayFailure.on, order_by=ordered)
    shown = (
        select(DayFailure.on.label("on"), DayFailure.loan_id.label("loan_id"), place.label("place"))
        .where(DayFailure.on.in_(days))
        .subquery()
    )
    is_shown = and_(
        shown.c.on == DayFailure.on, shown.c.loan_id == DayFailure.loan_id, shown.c.place <= _SHOWN
    )
    rows = session.execute(
        select(DayFailure, Loan.loan_no, Loan.customer_id)
        .join(shown, is_shown)
        .join(Loan, Loan.id == DayFailure.loan_id)
        .order_by(*ordered)
    )
    failed: dict[date, list[FailedLoan]] = defaultdict(list)
    for failure, loan_no, customer_id in rows:
        failed[failure.on].append(_failed(failure, loan_no, customer_id))
    return failed


def _waiting(session: Session, days: Sequence[date]) -> Mapping[date, int]:
    rows = session.execute(
        select(DayFailure.on, func.count().label("waiting"))
        .where(DayFailure.on.in_(days), DayFailure.resolved_at.is_(None))
        .group_by(DayFailure.on)
    )
    return {row.on: row.waiting for row in rows}


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
    day: DayClose,
    share: Row[*tuple[Any, ...]] | None,
    waiting: int,
    failed: Sequence[FailedLoan],
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
        waiting=waiting,
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
