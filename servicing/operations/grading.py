"""The night's judgement of accounts: each line is graded once a day, the worst are frozen."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from kernel.runtime import Runtime
from servicing.operations.alerts import raise_alert
from servicing.operations.line_freezes import freeze_line
from servicing.ports import GradeAccounts
from servicing.queries.facts import account_facts
from servicing.tables import CreditLine

LINE_FROZEN: Final = "line-frozen"
"""The alert about a line that a day's grade froze; its key ends with the day."""

_FROZEN_BY_GRADE = "grade"


def grade_lines(runtime: Runtime, *, on: date, grade: GradeAccounts, batch: int) -> dict[str, int]:
    """Grade the lines that are not graded for a day yet; returns how many, and how many froze.

    Lines that another worker has locked are left to it.
    """
    counts = {"graded": 0, "frozen": 0}
    while done := _grade_one_batch(runtime, on, grade, batch):
        counts["graded"] += done[0]
        counts["frozen"] += done[1]
    return counts


def is_ungraded(on: date) -> ColumnElement[bool]:
    """Say in SQL which lines have no grade of a day yet."""
    return and_(
        CreditLine.state != "closed",
        or_(CreditLine.graded_to.is_(None), CreditLine.graded_to < on),
    )


def _grade_one_batch(
    runtime: Runtime, on: date, grade: GradeAccounts, batch: int
) -> tuple[int, int] | None:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        lines = session.scalars(
            select(CreditLine)
            .where(is_ungraded(on))
            .order_by(CreditLine.id)
            .limit(batch)
            .with_for_update(skip_locked=True)
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
                key=f"{LINE_FROZEN}/{line.id}/{on}",
                kind=LINE_FROZEN,
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
