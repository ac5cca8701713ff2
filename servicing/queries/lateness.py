"""What a loan's lateness was called on any day, on all levels, and why.

Two questions are told apart. What the books said on a day is kept, and is the same for ever; what a
day looks like by what is known later is replayed.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, func, select, true
from sqlalchemy.orm import Session

from kernel.clock import business_date, end_of_day
from servicing import lateness, model
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.lateness import Called, Floor, Standing, change_row, named_now, passed, rules_as_of
from servicing.queries.history import find_loan, loan_as_of, loan_events, terms_of, told
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
class LatenessDay:
    """What a loan was called on one day, and which of its instalments were late.

    Attributes:
        five_class: None, like the stage, if nothing was owed.
    """

    on: date
    late_since: date | None
    days_past_due: int
    bucket: str
    five_class: str | None
    ecl_stage: int | None
    instalments: tuple[InstalmentLateness, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatenessSpan:
    """Days, both included, on which a loan was called the same."""

    first_on: date
    last_on: date
    late_since: date | None
    bucket: str
    five_class: str
    ecl_stage: int

    @property
    def days(self) -> int:
        """How many they are."""
        return (self.last_on - self.first_on).days + 1

    @property
    def days_past_due(self) -> tuple[int, int]:
        """How late it was on the first and the last of them."""
        if self.late_since is None:
            return 0, 0
        return (self.first_on - self.late_since).days, (self.last_on - self.late_since).days


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


_CHANGE: Final = tuple(field.name for field in fields(LatenessChangeView))
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
    return {each: _worst(found[each], on) for each in customer_ids}


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
    return tuple(_instalments(state, on))


def lateness_history(session: Session, *, loan_id: int) -> tuple[LatenessChangeView, ...]:
    """List since when a loan was called what, the oldest first; before that it was on time."""
    rows = session.scalars(
        select(LatenessChange)
        .where(LatenessChange.loan_id == loan_id)
        .order_by(LatenessChange.from_on, LatenessChange.id)
    )
    return tuple(
        LatenessChangeView(**{name: getattr(row, name) for name in _CHANGE}) for row in rows
    )


def lateness_days(
    session: Session, *, loan_id: int, first_on: date, last_on: date, limit: int
) -> tuple[LatenessDay, ...]:
    """List day by day what a loan was called, as the books said on each.

    There is none before it was paid out, nor after the day on which nothing was owed any more.

    Raises:
        LoanNotFound: There is none.
    """
    loan = find_loan(session, loan_id=loan_id)
    first_on = max(first_on, loan.disbursed_on)
    last_on = min(last_on, loan.settled_on or last_on)
    if last_on < first_on:
        return ()
    last_on = min(last_on, first_on + timedelta(days=limit - 1))
    changes = deque(_changes(session, loan, last_on))
    states = _known_then(session, loan, first_on, last_on)
    named, state, days = None, states[first_on], []
    for day in (first_on + timedelta(days=n) for n in range((last_on - first_on).days + 1)):
        while changes and changes[0].from_on <= day:
            named = changes.popleft()
        state = states.get(day, state)
        days.append(_day(state, named, day))
    return tuple(days)


def lateness_spans(session: Session, *, loan_id: int, on: date) -> tuple[LatenessSpan, ...]:
    """List the same in spans, from when it was paid out until it was owed no more, oldest first.

    Raises:
        LoanNotFound: There is none.
    """
    loan = find_loan(session, loan_id=loan_id)
    end = min(on + _A_DAY, loan.settled_on or date.max)
    changes = [row for row in _changes(session, loan, on) if row.from_on < end]
    starts: dict[date, LatenessChangeView | None] = {loan.disbursed_on: None}
    starts |= {row.from_on: row for row in changes}
    days = sorted(starts)
    return tuple(
        _span(starts[day], day, until - _A_DAY)
        for day, until in zip(days, (*days[1:], end), strict=True)
        if day < until
    )


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
    ahead = [loan.id for loan in loans if loan.closed_to < on and loan.state == "active"]
    changes = _last_changes(session, [loan.id for loan in loans if loan.closed_to >= on], on)
    firsts = _first_open(session, ahead)
    floors = floors_of(session, loan_ids=ahead)
    for loan in loans:
        if loan.closed_to >= on:
            yield loan, _stood(changes.get(loan.id), on)
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


def _first_open(session: Session, loan_ids: Sequence[int]) -> Mapping[int, date]:
    """Return the oldest due date of what is owed, by loan."""
    rows = session.execute(
        select(Instalment.loan_id, func.min(Instalment.due_on))
        .where(Instalment.loan_id.in_(loan_ids), Instalment.settled_on.is_(None))
        .group_by(Instalment.loan_id)
    )
    return {row.loan_id: row[1] for row in rows}


def _changes(session: Session, loan: Loan, on: date) -> list[LatenessChangeView]:
    """List since when a loan was called what, days up to one that are not closed yet among them."""
    kept = lateness_history(session, loan_id=loan.id)
    return sorted((*kept, *_to_come(session, loan, on)), key=lambda row: row.from_on)


def _span(change: LatenessChangeView | None, first_on: date, last_on: date) -> LatenessSpan:
    stood = _stood(change, first_on)
    return LatenessSpan(
        first_on=first_on,
        last_on=last_on,
        late_since=stood.late_since,
        bucket=stood.bucket,
        five_class=stood.five_class,
        ecl_stage=stood.ecl_stage,
    )


def _to_come(session: Session, loan: Loan, on: date) -> Iterator[LatenessChangeView]:
    """Tell how a loan's standing changes on days that are not closed yet, if nothing happens."""
    if loan.state != "active" or loan.closed_to >= on:
        return
    before = named_now(loan)
    for day, named in passed(
        before,
        first_open=_first_open(session, [loan.id]).get(loan.id),
        floors=floors_of(session, loan_ids=[loan.id]).get(loan.id, ()),
        after=loan.closed_to,
        on=on,
    ):
        if not named.is_as(before):
            row = change_row(loan.id, named, from_on=day)
            yield LatenessChangeView(**{name: row[name] for name in _CHANGE})
        before = named


def _known_then(
    session: Session, loan: Loan, first_on: date, last_on: date
) -> Mapping[date, LoanState]:
    """Replay a loan to the first day and to each day on which something became known or counted.

    Between them nothing but the number of days changes. What came with the loan from elsewhere is
    taken as known from the beginning.
    """
    events, terms = loan_events(session, loan_id=loan.id), terms_of(loan)
    turns = {first_on}
    for event in events:
        turns |= {
            day
            for day in (business_date(event.recorded_at), event.value_date)
            if first_on < day <= last_on
        }
    states = {}
    for day in turns:
        known_at = max(end_of_day(day), events[0].recorded_at)
        known = [event for event in events if event.recorded_at <= known_at]
        states[day] = replay(terms, told(known), day)
    return states


def _day(state: LoanState, named: LatenessChangeView | None, day: date) -> LatenessDay:
    is_owed = state.outstanding.total_fen > 0
    stood = _stood(named, day)
    return LatenessDay(
        on=day,
        late_since=stood.late_since,
        days_past_due=stood.days_past_due,
        bucket=stood.bucket,
        five_class=stood.five_class if is_owed else None,
        ecl_stage=stood.ecl_stage if is_owed else None,
        instalments=tuple(each for each in _instalments(state, day) if each.days_past_due),
    )


def _instalments(state: LoanState, on: date) -> Iterator[InstalmentLateness]:
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


def _stood(change: LatenessChange | LatenessChangeView | None, on: date) -> Standing:
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


def _worst(named: Iterable[Standing], on: date) -> LatenessView:
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
