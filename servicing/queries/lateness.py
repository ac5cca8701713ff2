"""What a loan's lateness was called on any day, on all levels, and why.

Two questions are told apart. What the books said on a day is kept, and is the same for ever; what a
day looks like by what is known later is replayed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, func, select, true
from sqlalchemy.orm import Session

from kernel.clock import business_date, end_of_day
from servicing import lateness, model
from servicing.engine.state import LoanState
from servicing.lateness import Called, Floor, Standing, named_now, passed, rules_as_of
from servicing.queries.history import find_loan, loan_as_of
from servicing.tables import ClassMark, Instalment, LatenessChange, Loan

_A_DAY: Final = timedelta(days=1)

_Stored = Row[*tuple[Any, ...]]
# What is called something by the last close or event, and goes on from there.
_LOANS: Final = select(
    Loan.id,
    Loan.customer_id,
    Loan.state,
    Loan.closed_to,
    Loan.late_since,
    Loan.days_past_due,
    Loan.bucket,
    Loan.five_class,
    Loan.ecl_stage,
    Loan.class_floor,
)


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
class InstalmentLateness:
    """How late an instalment that was owed was on a day; its class is that of its days alone."""

    n: int
    due_on: date
    days_past_due: int
    bucket: str
    five_class: str


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
    ended_by: str | None

    def counts(self, on: date) -> bool:
        """Say whether it asks for a class on a day, late or not."""
        is_over = self.until_on is not None and self.until_on <= on
        return self.ended_at is None and not is_over


_MARK: Final = tuple(field.name for field in fields(ClassMarkView))


def loan_lateness(session: Session, *, loan_id: int, on: date) -> LatenessView:
    """Return how late a loan was on a day, as the books said then.

    Raises:
        LoanNotFound: There is none.
    """
    find_loan(session, loan_id=loan_id)
    ((_, named),) = _named(session, on, Loan.id == loan_id)
    return _view(named)


def customer_lateness(session: Session, *, customer_id: int, on: date) -> LatenessView:
    """Return how late a customer was on a day: by the worst of their loans on each count."""
    return customers_lateness(session, customer_ids=[customer_id], on=on)[customer_id]


def customers_lateness(
    session: Session,
    *,
    customer_ids: Sequence[int],
    on: date,
    seen: ColumnElement[bool] | None = None,
) -> Mapping[int, LatenessView]:
    """Return the same for some customers, by those of their loans that are seen."""
    theirs = Loan.customer_id.in_(customer_ids), Loan.disbursed_on <= on
    found: dict[int, list[Standing]] = defaultdict(list)
    for loan, named in _named(session, on, *theirs, true() if seen is None else seen):
        found[loan.customer_id].append(named)
    return {each: worst_of(found[each], on) for each in customer_ids}


def called_as_of(
    session: Session, states: Mapping[int, LoanState], *, known_at: datetime | None = None
) -> Mapping[int, Called]:
    """Return what loans are called as they were replayed, as known at an instant; by loan."""
    floors = floors_of(session, loan_ids=list(states), known_at=known_at)
    return {
        loan_id: lateness.called(state, floors.get(loan_id, ()))
        for loan_id, state in states.items()
    }


def instalment_lateness(
    session: Session, *, loan_id: int, on: date
) -> tuple[InstalmentLateness, ...]:
    """List how late a loan's instalments were that were owed on a day, as known on that day.

    Raises:
        LoanNotFound: There is none.
    """
    state = loan_as_of(session, loan_id=loan_id, on=on, known_at=end_of_day(on))
    return tuple(instalments_of(state, on))


def class_marks(session: Session, *, loan_id: int) -> tuple[ClassMarkView, ...]:
    """List why a loan was or is classed worse than by its days, the newest first."""
    rows = session.scalars(
        select(ClassMark).where(ClassMark.loan_id == loan_id).order_by(ClassMark.id.desc())
    )
    return tuple(ClassMarkView(**{name: getattr(row, name) for name in _MARK}) for row in rows)


def floors_of(
    session: Session, *, loan_ids: Collection[int], known_at: datetime | None = None
) -> Mapping[int, Sequence[Floor]]:
    """Return the classes that marks ask for, by loan, as known at an instant; None for now."""
    found: dict[int, list[Floor]] = defaultdict(list)
    if not loan_ids:
        return found
    marks = select(ClassMark).where(ClassMark.loan_id.in_(loan_ids))
    if known_at is not None:
        marks = marks.where(ClassMark.marked_at <= known_at)
    for row in session.scalars(marks.order_by(ClassMark.id)):
        is_ended = row.ended_at is not None and (known_at is None or row.ended_at <= known_at)
        found[row.loan_id].append(
            Floor(
                kind=row.kind,
                at_least=row.at_least,
                from_on=row.from_on,
                until_on=row.until_on,
                ended_on=business_date(row.ended_at) if row.ended_at and is_ended else None,
            )
        )
    return found


def _named(
    session: Session, on: date, *which: ColumnElement[bool]
) -> Iterator[tuple[_Stored, Standing]]:
    """Say what the books called some loans on a day; they go on to days that are not closed yet."""
    loans = session.execute(_LOANS.where(*which)).all()
    ahead = {loan.id for loan in loans if loan.closed_to < on and loan.state == "active"}
    changes = _last_changes(session, [loan.id for loan in loans if loan.id not in ahead], on)
    firsts = first_open(session, ahead)
    floors = floors_of(session, loan_ids=ahead)
    for loan in loans:
        if loan.id not in ahead:
            yield loan, stood(changes.get(loan.id), on)
            continue
        *_, (_, named) = passed(
            named_now(loan),
            first_open=firsts.get(loan.id),
            floors=floors.get(loan.id, ()),
            after=loan.closed_to,
            on=on,
        )
        yield loan, named


def _last_changes(
    session: Session, loan_ids: Sequence[int], on: date
) -> Mapping[int, LatenessChange]:
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
    return {row.loan_id: row for row in rows}


def first_open(session: Session, loan_ids: Collection[int]) -> Mapping[int, date]:
    """Return the oldest due date of what is owed, by loan."""
    rows = session.execute(
        select(Instalment.loan_id, func.min(Instalment.due_on))
        .where(Instalment.loan_id.in_(loan_ids), Instalment.settled_on.is_(None))
        .group_by(Instalment.loan_id)
    )
    return {row.loan_id: row[1] for row in rows}


def instalments_of(state: LoanState, on: date) -> Iterator[InstalmentLateness]:
    """Tell how late the instalments of a loan are that are owed, as it was replayed, on a day."""
    rules = rules_as_of(on)
    for row in state.rows:
        if row.outstanding.total_fen:
            days = model.days_past_due(row.due_on, on)
            yield InstalmentLateness(
                n=row.n,
                due_on=row.due_on,
                days_past_due=days,
                bucket=rules.bucket(days),
                five_class=rules.five_class(days),
            )


def stood(change: LatenessChange | LatenessChangeView | None, on: date) -> Standing:
    """Say how late a loan was on a day by the last change up to it; on time if there was none."""
    if change is None:
        return rules_as_of(on).standing(late_since=None, on=on)
    since = change.late_since
    return Standing(
        late_since=since,
        days_past_due=0 if since is None else model.days_past_due(since, on),
        bucket=change.bucket,
        five_class=change.five_class,
        ecl_stage=change.ecl_stage,
        floor=None,
    )


def worst_of(named: Iterable[Standing], on: date) -> LatenessView:
    """Take the worst on each count."""
    found = tuple(named)
    days = max((each.days_past_due for each in found), default=0)
    return LatenessView(
        late_since=min((each.late_since for each in found if each.late_since), default=None),
        days_past_due=days,
        bucket=rules_as_of(on).bucket(days),
        five_class=lateness.worst(each.five_class for each in found),
        ecl_stage=max((each.ecl_stage for each in found), default=1),
    )


def _view(named: Standing) -> LatenessView:
    return LatenessView(
        late_since=named.late_since,
        days_past_due=named.days_past_due,
        bucket=named.bucket,
        five_class=named.five_class,
        ecl_stage=named.ecl_stage,
    )
