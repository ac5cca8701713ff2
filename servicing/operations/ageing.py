"""Brings loans to the end of a business date from what is stored of them; nothing is replayed.

A loan for which the days change nothing but their number moves by one statement with all its like;
the others earn, run on in penalty and change their class here. How a whole book's day is shared out
among workers is not decided here but in closing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Date,
    Row,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session, undefer

from kernel import outbox
from kernel.clock import business_date
from servicing import lateness
from servicing.bookkeeping import Sides, income_day, income_entries
from servicing.engine.parts import Parts
from servicing.engine.running import RunningPenalty, penalty_by
from servicing.events import InstalmentMissed
from servicing.lateness import Floor, named_now
from servicing.operations.failures import cause_of, note_failures, resolve_failures
from servicing.operations.ledger import NewEntry, Posting, post_all
from servicing.queries.board import days_between
from servicing.queries.history import read_events, standing, terms_of
from servicing.queries.lateness import floors_of
from servicing.recognition import (
    NOTHING_EARNED,
    Earned,
    earned_by_month_end,
    last_month_end,
    month_ends,
)
from servicing.running import running_from_json, running_to_json
from servicing.tables import DayClose, Instalment, LatenessChange, Loan

_Stored = Row[*tuple[Any, ...]]
_DAY: Final = timedelta(days=1)
_LOANS: Final = select(
    Loan.id,
    Loan.customer_id,
    Loan.closed_to,
    Loan.late_since,
    Loan.days_past_due,
    Loan.bucket,
    Loan.five_class,
    Loan.ecl_stage,
    Loan.class_floor,
    Loan.bears_penalty,
    or_(Loan.charged_off_on.is_not(None), Loan.written_off_on.is_not(None)).label("is_off_books"),
).order_by(Loan.id)
_OPEN_ROWS: Final = (
    select(
        Instalment.loan_id,
        Instalment.n,
        Instalment.from_on,
        Instalment.due_on,
        Instalment.interest_fen,
        Instalment.fee_fen,
        Instalment.penalty_fen,
        Instalment.earned_interest_fen,
        Instalment.earned_fee_fen,
        Instalment.earned_penalty_fen,
        Instalment.to_others_fen,
        Instalment.subsidy_fen,
        Instalment.earned_subsidy_fen,
        Instalment.settled_on,
    )
    .where(
        or_(
            Instalment.settled_on.is_(None),
            Instalment.subsidy_fen > Instalment.earned_subsidy_fen,
        )
    )
    .order_by(Instalment.loan_id, Instalment.n)
)
_SET_INSTALMENT: Final = (
    update(Instalment.__table__)  # type: ignore[arg-type]
    .where(Instalment.loan_id == bindparam("of_loan"), Instalment.n == bindparam("of_n"))
    .values(
        penalty_fen=bindparam("penalty"),
        earned_interest_fen=bindparam("interest_earned"),
        earned_fee_fen=bindparam("fee_earned"),
        earned_penalty_fen=bindparam("penalty_earned"),
        earned_subsidy_fen=bindparam("subsidy_earned"),
    )
)
_SET_LOAN: Final = (
    update(Loan.__table__)  # type: ignore[arg-type]
    .where(Loan.id.in_(bindparam("of_loans", expanding=True)))
    .values(
        closed_to=bindparam("to"),
        late_since=bindparam("since"),
        days_past_due=bindparam("days"),
        bucket=bindparam("named"),
        five_class=bindparam("classed"),
        ecl_stage=bindparam("stage"),
        class_floor=bindparam("floor"),
    )
)
# On PostgreSQL all loans in one statement: a book has as many standings as days of lateness.
_SET_LOANS: Final = text(
    "UPDATE loan SET closed_to = :to, late_since = v.since, days_past_due = v.days,"
    " bucket = v.named, five_class = v.classed, ecl_stage = v.stage, class_floor = v.floor"
    " FROM unnest(CAST(:of_loans AS bigint[]), CAST(:since AS date[]), CAST(:days AS integer[]),"
    " CAST(:named AS text[]), CAST(:classed AS text[]), CAST(:stage AS integer[]),"
    " CAST(:floor AS text[])) AS v (loan_id, since, days, named, classed, stage, floor)"
    " WHERE loan.id = v.loan_id"
)
# In the order in which a loan's standing is kept together with those that came to the same.
_STANDING: Final = ("since", "days", "named", "classed", "stage", "floor")
_EARNED: Final = (
    *("of_loan", "of_n", "penalty"),
    *("interest_earned", "fee_earned", "penalty_earned", "subsidy_earned"),
)
_SET_INSTALMENTS: Final = text(
    "UPDATE instalment SET penalty_fen = v.penalty, earned_interest_fen = v.interest,"
    " earned_fee_fen = v.fee, earned_penalty_fen = v.earned_penalty,"
    " earned_subsidy_fen = v.subsidy"
    " FROM unnest(CAST(:of_loan AS bigint[]), CAST(:of_n AS integer[]), CAST(:penalty AS bigint[]),"
    " CAST(:interest_earned AS bigint[]), CAST(:fee_earned AS bigint[]),"
    " CAST(:penalty_earned AS bigint[]), CAST(:subsidy_earned AS bigint[]))"
    " AS v (loan_id, n, penalty, interest, fee, earned_penalty, subsidy)"
    " WHERE instalment.loan_id = v.loan_id AND instalment.n = v.n"
)
# How far a loan is closed, and the latest business date that is closed or being closed.
_STANDS: Final = select(
    Loan.state, Loan.closed_to, select(func.max(DayClose.on)).scalar_subquery().label("latest")
).where(Loan.id == bindparam("of_loan"))


@dataclass(slots=True)
class _Outcome:
    """What the end of the day makes of some loans, to be written at once.

    Attributes:
        loans: Those that came to the same standing, by it.
    """

    loans: dict[tuple[Any, ...], list[int]] = field(default_factory=lambda: defaultdict(list))
    instalments: list[dict[str, Any]] = field(default_factory=list)
    entries: list[tuple[int, NewEntry]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    missed: list[InstalmentMissed] = field(default_factory=list)


def age_loans(session: Session, *, on: date, now: datetime, limit: int | None = None) -> int:
    """Bring active loans to the end of a business date, in id order; returns how many.

    Args:
        session: A write session; the loans' rows are locked.
        on: The business date; loans that were closed to it or later are left alone.
        now: The instant of posting.
        limit: How many at most; None for all.
    """
    behind = select(Loan.id).where(is_behind(on)).order_by(Loan.id).limit(limit)
    return age_each(session, loan_ids=session.scalars(behind).all(), on=on, now=now)


def catch_up(session: Session, *, loan_id: int, now: datetime) -> None:
    """Close a loan that lags to the day to which the book is closed.

    Whoever writes on a loan does this first, so that the books are as if its close had been in
    time; days that are over count as closed even where nobody has begun to close them. A close that
    fails is noted and keeps nobody from paying.
    """
    loan = session.execute(_STANDS, {"of_loan": loan_id}).one_or_none()
    if loan is None or loan.latest is None:
        return
    on = max(loan.latest, business_date(now) - _DAY)
    if loan.closed_to >= on:
        return
    if loan.state != "active":
        _move_settled(session, loan_id, on)
        return
    try:
        with session.begin_nested():
            age_each(session, loan_ids=[loan_id], on=on, now=now)
    except Exception as error:  # noqa: BLE001 -- whatever it was stands on the list of failures
        note_failures(session, on=loan.latest, causes={loan_id: cause_of(error)}, now=now)
    else:
        resolve_failures(session, first_id=loan_id, last_id=loan_id, now=now)


def _move_settled(session: Session, loan_id: int, on: date) -> None:
    """No day changes a settled loan; if it is owed again, that counts from then on and not before.

    So what it would have earned meanwhile is not booked into months in which it was settled.
    """
    settled = (Loan.id == loan_id, Loan.state != "active", Loan.closed_to < on)
    session.execute(update(Loan).where(*settled).values(closed_to=on))


def is_behind(on: date) -> ColumnElement[bool]:
    """Say in SQL which loans have not reached the end of a day."""
    return and_(Loan.state == "active", Loan.closed_to < on)


def is_eventful(on: date) -> ColumnElement[bool]:
    """Say in SQL for which of them the days up to its end change more than their number."""
    month_end = last_month_end(on)
    falls_due = and_(Instalment.due_on >= Loan.closed_to, Instalment.due_on <= on)
    earns = and_(
        Loan.closed_to < month_end,
        Instalment.from_on < month_end,
        Instalment.due_on > on,
        Instalment.interest_fen > Instalment.earned_interest_fen,
    )
    row = select(Instalment.n).where(
        Instalment.loan_id == Loan.id, Instalment.settled_on.is_(None), or_(falls_due, earns)
    )
    # The merchant may owe something for an instalment of which the borrower owes nothing.
    subsidy = select(Instalment.n).where(
        Instalment.loan_id == Loan.id,
        Instalment.subsidy_fen > Instalment.earned_subsidy_fen,
        Instalment.from_on < on,
    )
    is_late = Loan.late_since.is_not(None)
    return or_(
        row.exists(),
        and_(Loan.is_subsidised, subsidy.exists()),
        Loan.class_floor.is_not(None),
        and_(is_late, or_(Loan.bears_penalty, _is_renamed(on))),
    )


def _is_renamed(on: date) -> ColumnElement[bool]:
    """Say in SQL whether the days of a late loan are called something else by then."""
    rules, days = lateness.rules_on(on), days_between(literal(on, Date), Loan.late_since)
    firsts = reversed((0, *rules.firsts))
    return not_(case(*((days >= first, _is_named(*rules.names(first))) for first in firsts)))


def _is_named(bucket: str, five_class: str, ecl_stage: int) -> ColumnElement[bool]:
    return and_(Loan.bucket == bucket, Loan.five_class == five_class, Loan.ecl_stage == ecl_stage)


def move_quiet(session: Session, *, first_id: int, last_id: int, on: date) -> int:
    """Move the loans of a range for which nothing but days passed; returns how many.

    They are locked in id order like everywhere, and never leave the database.
    """
    quiet = and_(Loan.id.between(first_id, last_id), is_behind(on), not_(is_eventful(on)))
    locked = select(Loan.id).where(quiet).order_by(Loan.id).with_for_update().correlate(None)
    days = func.coalesce(days_between(literal(on, Date), Loan.late_since), 0)
    moved = session.execute(
        update(Loan)
        .where(Loan.id.in_(locked))
        .values(closed_to=on, days_past_due=days)
        .execution_options(synchronize_session=False)
    )
    return int(moved.rowcount)  # type: ignore[attr-defined]


def age_each(session: Session, *, loan_ids: Sequence[int], on: date, now: datetime) -> int:
    """Bring some loans to the end of a day, those that are behind; returns how many were.

    Month ends that lie between are closed on the way, so that income counts in its month.
    """
    locked = _LOANS.where(Loan.id.in_(loan_ids), is_behind(on)).with_for_update()
    loans = session.execute(locked).all()
    if not loans:
        return 0
    since = min(loan.closed_to for loan in loans)
    for month_end in month_ends(since + _DAY, on - _DAY):
        behind = [loan for loan in loans if loan.closed_to < month_end]
        _age(session, behind, on=month_end, now=now)
        loans = session.execute(locked).all()
    _age(session, loans, on=on, now=now)
    return len(loans)


def _age(session: Session, loans: Sequence[_Stored], *, on: date, now: datetime) -> None:
    ids = [loan.id for loan in loans]
    # What begins later is neither late nor earns anything yet, and most of a plan does.
    has_begun = or_(Instalment.from_on <= on, Instalment.due_on <= on)
    rows = _by_loan(session.execute(_OPEN_ROWS.where(Instalment.loan_id.in_(ids), has_begun)))
    floors = floors_of(session, loan_ids=[loan.id for loan in loans if loan.class_floor])
    penalties = _penalties(session, loans, rows, on)
    outcome = _Outcome()
    for loan in loans:
        found = rows.get(loan.id, ())
        owed = [row for row in found if row.settled_on is None]
        _name(outcome, loan, owed, floors.get(loan.id, ()), on)
        for row in () if loan.is_off_books else found:
            penalty_fen = penalties.get((loan.id, row.n), row.penalty_fen)
            _earn(outcome, row, penalty_fen, closed_to=loan.closed_to, on=on)
    _write(session, outcome, on, now)


def _by_loan(rows: Iterable[Any]) -> dict[int, list[_Stored]]:
    return {loan_id: list(group) for loan_id, group in groupby(rows, key=lambda row: row.loan_id)}


def _name(
    outcome: _Outcome,
    loan: _Stored,
    rows: Sequence[_Stored],
    floors: Sequence[Floor],
    on: date,
) -> None:
    """Say how late a loan has become, day by day since it was last closed."""
    for row in rows:
        if loan.closed_to <= row.due_on < on:
            outcome.missed.append(
                InstalmentMissed(loan_id=loan.id, customer_id=loan.customer_id, due_on=row.due_on)
            )
    found = named_now(loan)
    first_open = min((row.due_on for row in rows), default=None)
    for day, named in lateness.passed(
        found, first_open=first_open, floors=floors, after=loan.closed_to, on=on
    ):
        if not named.is_as(found):
            outcome.changes.append(lateness.change_row(loan.id, named, from_on=day))
        found = named
    # What is asked for from a later day on is kept until that day is closed.
    is_coming = any(floor.from_on > on for floor in floors)
    floor = loan.class_floor if is_coming else found.floor
    outcome.loans[found.late_since, found.days_past_due, *found.names, floor].append(loan.id)


def _penalties(
    session: Session, loans: Sequence[_Stored], rows: Mapping[int, Sequence[_Stored]], on: date
) -> dict[tuple[int, int], int]:
    """Say what penalty each instalment asks for of the loans that are late and bear some."""
    late = [
        loan.id
        for loan in loans
        if loan.bears_penalty
        and not loan.is_off_books
        and any(row.settled_on is None and row.due_on < on for row in rows.get(loan.id, ()))
    ]
    chosen = (
        select(Loan).where(Loan.id.in_(late)).options(undefer(Loan.agreed), undefer(Loan.running))
    )
    found: dict[tuple[int, int], int] = {}
    for loan in session.scalars(chosen) if late else ():
        by_row = penalty_by(terms_of(loan), _running_of(session, loan), on)
        found |= {(loan.id, n): fen for n, fen in by_row.items()}
    return found


def _running_of(session: Session, loan: Loan) -> RunningPenalty:
    """Return how far the penalty of a loan has run that bears some."""
    if loan.running is not None:
        return running_from_json(loan.running)
    # Its last event was posted before this was kept.
    events = read_events(session, loan_id=loan.id)
    state = standing(terms_of(loan), events, closed_to=loan.closed_to).state
    loan.running = running_to_json(state.running)
    return cast("RunningPenalty", state.running)


def _earn(outcome: _Outcome, row: _Stored, penalty_fen: int, *, closed_to: date, on: date) -> None:
    """Recognise what an instalment costs when it has fallen due, or its interest to month end."""
    earned = _to_earn(row, _penalty_to_earn(row, penalty_fen, closed_to, on), on)
    if earned == NOTHING_EARNED and penalty_fen == row.penalty_fen:
        return
    outcome.instalments.append(
        {
            "of_loan": row.loan_id,
            "of_n": row.n,
            "penalty": penalty_fen,
            "interest_earned": row.earned_interest_fen + earned.parts.interest_fen,
            "fee_earned": row.earned_fee_fen + earned.parts.fee_fen,
            "penalty_earned": row.earned_penalty_fen + earned.parts.penalty_fen,
            "subsidy_earned": row.earned_subsidy_fen + earned.subsidy_fen,
        }
    )
    for kind, sides in income_entries(earned, row.due_on):
        entry = _entry(row, kind, sides, closed_to=closed_to, on=on)
        outcome.entries.append((row.loan_id, entry))


def _penalty_to_earn(row: _Stored, penalty_fen: int, closed_to: date, on: date) -> int:
    """Penalty runs by the day and is recognised at month ends; events recognise it themselves."""
    if on == last_month_end(on):
        return int(penalty_fen - row.earned_penalty_fen)
    return int(row.penalty_fen - row.earned_penalty_fen) if row.due_on > closed_to else 0


def _to_earn(row: _Stored, penalty_fen: int, on: date) -> Earned:
    """What was recognised stays so: an instalment paid before its due date is recognised whole."""
    if row.due_on > on:
        return Earned(
            parts=Parts(
                interest_fen=_up_to_month_end(row, row.interest_fen, row.earned_interest_fen, on)
            ),
            subsidy_fen=_up_to_month_end(row, row.subsidy_fen, row.earned_subsidy_fen, on),
        )
    return Earned(
        parts=Parts(
            interest_fen=row.interest_fen - row.earned_interest_fen,
            fee_fen=row.fee_fen - row.earned_fee_fen,
            penalty_fen=penalty_fen,
        ),
        to_others_fen=row.to_others_fen - min(row.to_others_fen, row.earned_fee_fen),
        subsidy_fen=row.subsidy_fen - row.earned_subsidy_fen,
    )


def _up_to_month_end(row: _Stored, fen: int, earned_fen: int, on: date) -> int:
    by_then = earned_by_month_end(fen, from_on=row.from_on, due_on=row.due_on, closed_to=on)
    return max(0, by_then - earned_fen)


def _entry(row: _Stored, kind: str, sides: Sides, *, closed_to: date, on: date) -> NewEntry:
    """Make the entry of income: of the due date or the month end."""
    known_on = on if row.due_on <= on else last_month_end(on)
    return NewEntry(
        kind=kind,
        key=f"{row.loan_id}/{on}/{row.n}",
        effective_on=income_day(kind, due_on=row.due_on, on=known_on, closed_to=closed_to),
        postings=tuple(
            Posting(account=side.account, amount_fen=amount, instalment_n=row.n)
            for side, amount in sides.items()
        ),
    )


def _write(session: Session, outcome: _Outcome, on: date, now: datetime) -> None:
    session.flush()
    _set_loans(session, outcome.loans, on)
    _set_instalments(session, outcome.instalments)
    post_all(session, entries=outcome.entries, now=now)
    if outcome.changes:
        changes = [change | {"recorded_at": now} for change in outcome.changes]
        session.execute(insert(LatenessChange), changes)
    for missed in outcome.missed:
        outbox.record(session, missed, now=now)


def _set_loans(
    session: Session, standings: Mapping[tuple[Any, ...], Sequence[int]], on: date
) -> None:
    """Set to which day loans are closed and what they are called."""
    if session.get_bind().dialect.name != "postgresql":
        for values, ids in standings.items():
            named = dict(zip(_STANDING, values, strict=True))
            session.connection().execute(_SET_LOAN, {"of_loans": ids, "to": on} | named)
        return
    each = [(loan_id, *values) for values, ids in standings.items() for loan_id in ids]
    columns = zip(("of_loans", *_STANDING), map(list, zip(*each, strict=True)), strict=True)
    session.connection().execute(_SET_LOANS, {"to": on, **dict(columns)})


def _set_instalments(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set what was earned, on PostgreSQL in one statement: row by row costs as much as the rest."""
    if not rows:
        return
    if session.get_bind().dialect.name != "postgresql":
        session.connection().execute(_SET_INSTALMENT, rows)
        return
    columns = {name: [row[name] for row in rows] for name in _EARNED}
    session.connection().execute(_SET_INSTALMENTS, columns)
