"""Close of day: loans age, due interest is accrued, accounts are graded, the worst lines frozen.

It works in batches that commit each by itself and marks what it has done on the loan and the
line, so that a run that was killed goes on where it stopped, and the same day twice changes
nothing.
"""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from kernel import outbox
from kernel.database import insert_ignore
from kernel.runtime import Runtime
from servicing.events import DayClosed, InstalmentMissed
from servicing.operations.alerts import raise_alert
from servicing.operations.lines import freeze_line
from servicing.operations.repayments import accrue_interest, open_instalments, refresh_state
from servicing.ports import GradeAccounts
from servicing.queries.facts import account_facts
from servicing.tables import CreditLine, DayClose, Instalment, Loan

_BATCH = 200
_FROZEN_BY_GRADE = "grade"


def close_day(
    runtime: Runtime, *, on: date, grade: GradeAccounts | None = None, batch: int = _BATCH
) -> dict[str, int]:
    """Close a business date for the whole book; safe to repeat and to resume.

    Args:
        runtime: The process's parts; every batch is a transaction of its own.
        on: The business date.
        grade: Grades accounts; None leaves grades as they are.
        batch: Loans or lines a transaction.

    Returns:
        How many loans were aged, lines graded and lines frozen by this run.
    """
    counts = {"aged": 0, "graded": 0, "frozen": 0}
    while aged := _age_one_batch(runtime, on, batch):
        counts["aged"] += aged
    while grade is not None and (done := _grade_one_batch(runtime, on, grade, batch)):
        counts["graded"] += done[0]
        counts["frozen"] += done[1]
    now = runtime.clock.now()
    with runtime.database.write() as session:
        row = {"on_date": on, "counts": counts, "finished_at": now}
        if insert_ignore(session, DayClose, [row], conflict=["on_date"]):
            outbox.record(session, DayClosed(on=on), now=now)
    return counts


def age_loans(session: Session, *, on: date, now: datetime, limit: int | None = None) -> int:
    """Bring active loans to the end of a business date, in id order.

    Args:
        session: A write session; the loans' rows are locked.
        on: The business date; loans that were closed to it or later are left alone.
        now: The instant of posting.
        limit: How many at most; None for all.

    Returns:
        How many loans were moved.
    """
    loans = session.scalars(
        select(Loan)
        .where(Loan.state == "active", Loan.closed_to < on)
        .order_by(Loan.id)
        .limit(limit)
        .with_for_update()
    ).all()
    rows = open_instalments(session, loan_ids=[loan.id for loan in loans])
    by_loan = {key: list(group) for key, group in groupby(rows, key=lambda row: row.loan_id)}
    for loan in loans:
        _age(session, loan, by_loan.get(loan.id, []), on, now)
    return len(loans)


def _age(session: Session, loan: Loan, rows: Sequence[Instalment], on: date, now: datetime) -> None:
    for row in rows:
        if row.due_on <= on:
            accrue_interest(session, loan=loan, row=row, on=row.due_on, now=now)
        if loan.closed_to <= row.due_on < on:
            missed = InstalmentMissed(
                loan_id=loan.id, customer_id=loan.customer_id, due_on=row.due_on
            )
            outbox.record(session, missed, now=now)
    refresh_state(loan, rows, on=on, settled_on=on)
    loan.closed_to = on


def _age_one_batch(runtime: Runtime, on: date, batch: int) -> int:
    with runtime.database.write() as session:
        return age_loans(session, on=on, now=runtime.clock.now(), limit=batch)


def _grade_one_batch(
    runtime: Runtime, on: date, grade: GradeAccounts, batch: int
) -> tuple[int, int] | None:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        lines = session.scalars(
            select(CreditLine)
            .where(
                CreditLine.state != "closed",
                or_(CreditLine.graded_to.is_(None), CreditLine.graded_to < on),
            )
            .order_by(CreditLine.id)
            .limit(batch)
            .with_for_update()
        ).all()
        if not lines:
            return None
        return len(lines), _grade(session, lines, grade, on, now)


def _grade(
    session: Session, lines: Sequence[CreditLine], grade: GradeAccounts, on: date, now: datetime
) -> int:
    customer_ids = sorted({line.customer_id for line in lines})
    facts = account_facts(session, customer_ids=customer_ids, on=on)
    grades = {found.customer_id: found for found in grade(session, facts=facts, on=on, now=now)}
    frozen = 0
    for line in lines:
        line.graded_to = on
        found = grades.get(line.customer_id)
        if found is None:
            continue
        line.grade = found.grade
        if found.is_worst and freeze_line(
            session, line_id=line.id, reason=_FROZEN_BY_GRADE, now=now
        ):
            frozen += 1
            raise_alert(
                session,
                key=f"line-frozen/{line.id}/{on}",
                kind="line-frozen",
                severity="high",
                customer_id=line.customer_id,
                details={
                    "line_id": line.id,
                    "on": on.isoformat(),
                    "grade": found.grade,
                    "reasons": list(found.reasons),
                },
                now=now,
            )
    return frozen
