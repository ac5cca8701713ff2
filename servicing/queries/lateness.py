"""What a loan's lateness was called on any day, on all levels, and why."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from servicing import lateness, model
from servicing.lateness import Floor
from servicing.queries.history import find_loan
from servicing.tables import ClassMark, Instalment, LatenessChange, Loan


@dataclass(frozen=True, slots=True, kw_only=True)
class LatenessView:
    """How late somebody or something was on a day, and what that was called then.

    Attributes:
        late_since: The oldest due date of what was owed and late, or None.
    """

    late_since: date | None
    days_past_due: int
    bucket: str
    five_class: str
    ecl_stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatenessChangeView:
    """Since when a loan was called what."""

    from_on: date
    late_since: date | None
    bucket: str
    five_class: str
    ecl_stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMarkView:
    """Why a loan is classed no better than so: by whom, until when, and whether still."""

    id: int
    kind: str
    at_least: str
    from_on: date
    until_on: date | None
    reason: str
    marked_by: str
    ended_at: datetime | None

    def counts(self, on: date) -> bool:
        """Say whether it asks for a class on a day, late or not."""
        is_over = self.until_on is not None and self.until_on <= on
        return self.ended_at is None and not is_over


def loan_lateness(session: Session, *, loan_id: int, on: date) -> LatenessView:
    """Return how late a loan was on a day, as the books said then.

    Raises:
        LoanNotFound: There is none.
    """
    find_loan(session, loan_id=loan_id)
    return _of_loans(session, [loan_id], on)[loan_id]


def customer_lateness(session: Session, *, customer_id: int, on: date) -> LatenessView:
    """Return how late a customer was on a day: by the worst of their loans on each count."""
    ids = session.scalars(
        select(Loan.id).where(Loan.customer_id == customer_id, Loan.disbursed_on <= on)
    ).all()
    found = _of_loans(session, ids, on).values()
    since = min((view.late_since for view in found if view.late_since), default=None)
    rules, days = lateness.rules_on(on), max((view.days_past_due for view in found), default=0)
    return LatenessView(
        late_since=since,
        days_past_due=days,
        bucket=rules.bucket(days),
        five_class=lateness.worst(view.five_class for view in found),
        ecl_stage=max((view.ecl_stage for view in found), default=1),
    )


def instalment_lateness(session: Session, *, loan_id: int, on: date) -> Mapping[int, int]:
    """Return the days past due of a loan's instalments that were open on a day, by number."""
    rows = session.execute(
        select(Instalment.n, Instalment.due_on, Instalment.settled_on)
        .where(Instalment.loan_id == loan_id)
        .order_by(Instalment.n)
    )
    return {
        n: model.days_past_due(due_on, on)
        for n, due_on, settled_on in rows
        if settled_on is None or settled_on > on
    }


def lateness_history(session: Session, *, loan_id: int) -> tuple[LatenessChangeView, ...]:
    """List since when a loan was called what, the oldest first; before that it was on time."""
    rows = session.scalars(
        select(LatenessChange)
        .where(LatenessChange.loan_id == loan_id)
        .order_by(LatenessChange.from_on, LatenessChange.id)
    )
    return tuple(
        LatenessChangeView(
            from_on=row.from_on,
            late_since=row.late_since,
            bucket=row.bucket,
            five_class=row.five_class,
            ecl_stage=row.ecl_stage,
        )
        for row in rows
    )


def class_marks(session: Session, *, loan_id: int) -> tuple[ClassMarkView, ...]:
    """List why a loan was or is classed worse than by its days, the newest first."""
    rows = session.scalars(
        select(ClassMark).where(ClassMark.loan_id == loan_id).order_by(ClassMark.id.desc())
    )
    return tuple(
        ClassMarkView(
            id=row.id,
            kind=row.kind,
            at_least=row.at_least,
            from_on=row.from_on,
            until_on=row.until_on,
            reason=row.reason,
            marked_by=row.marked_by,
            ended_at=row.ended_at,
        )
        for row in rows
    )


def floors_of(session: Session, *, loan_ids: Sequence[int]) -> Mapping[int, Sequence[Floor]]:
    """Return the classes that marks ask for, by loan; those taken back are left out."""
    found: dict[int, list[Floor]] = defaultdict(list)
    if not loan_ids:
        return found
    rows = session.scalars(
        select(ClassMark).where(ClassMark.loan_id.in_(loan_ids), ClassMark.ended_at.is_(None))
    )
    for row in rows:
        found[row.loan_id].append(
            Floor(
                at_least=row.at_least,
                from_on=row.from_on,
                until_on=row.until_on,
                holds_while_late=row.kind == lateness.RESTRUCTURED,
            )
        )
    return found


def _of_loans(session: Session, loan_ids: Sequence[int], on: date) -> dict[int, LatenessView]:
    number = func.row_number().over(
        partition_by=LatenessChange.loan_id,
        order_by=(LatenessChange.from_on.desc(), LatenessChange.id.desc()),
    )
    last = (
        select(LatenessChange.id.label("id"), number.label("number"))
        .where(LatenessChange.loan_id.in_(loan_ids), LatenessChange.from_on <= on)
        .subquery()
    )
    rows = session.scalars(
        select(LatenessChange).join(last, last.c.id == LatenessChange.id).where(last.c.number == 1)
    )
    changes = {row.loan_id: row for row in rows}
    return {loan_id: _view(changes.get(loan_id), on) for loan_id in loan_ids}


def _view(change: LatenessChange | None, on: date) -> LatenessView:
    if change is None:
        named = lateness.rules_on(on).standing(late_since=None, on=on)
        bucket, five_class, ecl_stage = named.names
        return LatenessView(
            late_since=None,
            days_past_due=0,
            bucket=bucket,
            five_class=five_class,
            ecl_stage=ecl_stage,
        )
    since = change.late_since
    return LatenessView(
        late_since=since,
        days_past_due=0 if since is None else model.days_past_due(since, on),
        bucket=change.bucket,
        five_class=change.five_class,
        ecl_stage=change.ecl_stage,
    )
