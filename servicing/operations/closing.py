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
from servicing.bookkeeping import earned_by_month_end, income_sides, last_month_end
from servicing.engine.parts import Component
from servicing.events import DayClosed, InstalmentMissed
from servicing.operations.alerts import raise_alert
from servicing.operations.ledger import Posting, post_entry
from servicing.operations.lines import freeze_line
from servicing.operations.posting import Cause, write_standing
from servicing.operations.projection import set_lateness
from servicing.ports import GradeAccounts
from servicing.queries.facts import account_facts
from servicing.queries.history import read_events, standing, terms_of
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
        if loan.closed_to <= row.due_on < on:
            missed = InstalmentMissed(
                loan_id=loan.id, customer_id=loan.customer_id, due_on=row.due_on
            )
            outbox.record(session, missed, now=now)
    if loan.bears_penalty and any(row.due_on < on for row in rows):
        _replay_to(session, loan, on, now)
        return
    if not loan.is_off_books:
        for row in rows:
            _earn(session, row, on, now)
    set_lateness(loan, [row.due_on for row in rows], on=on)
    loan.closed_to = on


def _replay_to(session: Session, loan: Loan, on: date, now: datetime) -> None:
    """Let lateness cost what was agreed: such a loan, and no other, is replayed at night."""
    terms, known = terms_of(loan), read_events(session, loan_id=loan.id)
    before = standing(terms, known, closed_to=loan.closed_to)
    after = standing(terms, known, closed_to=on)
    loan.closed_to = on
    cause = Cause(name=on.isoformat(), on=on)
    write_standing(session, loan, before, after, cause=cause, on=on, now=now)


def _earn(session: Session, row: Instalment, on: date, now: datetime) -> None:
    """Recognise what an instalment costs when it has fallen due, or its interest to month end."""
    is_due = row.due_on <= on
    day = row.due_on if is_due else last_month_end(on)
    for component, fen in _to_earn(row, on, is_due=is_due).items():
        if not fen:
            continue
        name = f"earned_{component}_fen"
        setattr(row, name, getattr(row, name) + fen)
        post_entry(
            session,
            loan_id=row.loan_id,
            kind=component,
            key=f"{row.loan_id}/{on}/{row.n}",
            effective_on=day,
            postings=[
                Posting(account=account, amount_fen=amount, instalment_n=row.n)
                for (account, _), amount in income_sides(component, fen, row.due_on).items()
            ],
            now=now,
        )


def _to_earn(row: Instalment, on: date, *, is_due: bool) -> dict[Component, int]:
    """What was recognised stays so: an instalment paid before its due date is recognised whole."""
    if is_due:
        return {
            Component.INTEREST: row.interest_fen - row.earned_interest_fen,
            Component.FEE: row.fee_fen - row.earned_fee_fen,
            Component.PENALTY: row.penalty_fen - row.earned_penalty_fen,
        }
    interest_fen = earned_by_month_end(
        row.interest_fen, from_on=row.from_on, due_on=row.due_on, closed_to=on
    )
    return {Component.INTEREST: max(0, interest_fen - row.earned_interest_fen)}


def open_instalments(session: Session, *, loan_ids: Sequence[int]) -> Sequence[Instalment]:
    """List the instalments that are not fully paid, by loan and number."""
    return session.scalars(
        select(Instalment)
        .where(Instalment.loan_id.in_(loan_ids), Instalment.settled_on.is_(None))
        .order_by(Instalment.loan_id, Instalment.n)
        .execution_options(populate_existing=True)
    ).all()


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
