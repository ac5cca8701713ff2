"""Looks each night at what loans have come to, and tells risk: the labels of its backtests.

Every loan that is open, and each on which something was recorded since the last night, is looked
at as it is known now. What a correction made untrue is undone with its instant, and risk is told of
the new judgement beside the old one, which stays true for those days. What counts as bad is not
decided here but in servicing.outcomes.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from kernel.clock import start_of_day
from kernel.database import insert_ignore
from kernel.runtime import Runtime
from risk.operations import Fact, Granted, record_facts, record_granted
from servicing.outcomes import (
    LATE_DAYS,
    VERY_LATE_DAYS,
    Lived,
    Outcome,
    is_bad,
    late_on,
    months_on_book,
)
from servicing.queries.board import days_between
from servicing.queries.history import loan_as_of
from servicing.queries.questions import subject_of
from servicing.tables import Application, Instalment, Loan, LoanEvent, LoanOutcome, OutcomeRun

_BATCH: Final = 1_000
# What was recorded so long before a run began may have been committed after it.
_OVERLAP: Final = timedelta(hours=1)
_LATENESS: Final[Mapping[Outcome, tuple[str, int]]] = {
    Outcome.FIRST_PAYMENT_DEFAULT: ("first_late_on", LATE_DAYS),
    Outcome.LATE_30: ("late_30_on", LATE_DAYS),
    Outcome.LATE_90: ("late_90_on", VERY_LATE_DAYS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loan:
    """Whose loan it is and from which decision it came, with its life."""

    id: int
    customer_id: int
    decision_no: str | None
    lived: Lived


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """What of a loan was told otherwise: rows that are not true any more, and what is."""

    loan: _Loan
    before: Mapping[Outcome, LoanOutcome]
    undone: Sequence[LoanOutcome]
    reached: Mapping[Outcome, date]


def tell_outcomes(runtime: Runtime, *, on: date, batch: int = _BATCH) -> int:
    """Look at the loans after a business date was closed; returns how many outcomes changed.

    Safe to repeat and to resume: each batch is a transaction that notes how far it came.
    """
    with runtime.database.write() as session:
        _open_run(session, on, runtime.clock.now())
    told = 0
    while (changed := _one_batch(runtime, on, batch)) is not None:
        told += changed
    return told


def judge_loans(session: Session, *, loan_ids: Sequence[int], now: datetime) -> int:
    """Compare loans with what was told of them, and tell the difference; safe to repeat.

    Returns:
        How many outcomes were reached or undone.
    """
    standing = _standing(session, loan_ids)
    news = [
        news
        for loan in _loans(session, loan_ids)
        if (news := _news(session, loan, standing.get(loan.id, {}))) is not None
    ]
    for each in news:
        for row in each.undone:
            row.undone_at = now
    session.flush()  # what is undone makes room for what is reached anew
    for each in news:
        session.add_all(_reached(each, now))
    session.flush()
    after = _standing(session, [each.loan.id for each in news])
    facts, granted = [], []
    for each in news:
        stands = after.get(each.loan.id, {})
        facts += [_fact(each.loan, stands[outcome], now) for outcome in each.reached]
        judged = is_bad(_months(stands))
        if judged is not is_bad(_months(each.before)):
            granted.append(_granted(each.loan, stands, now, judged=judged))
    record_facts(session, facts=facts)
    record_granted(session, granted=granted)
    return sum(len(each.undone) + len(each.reached) for each in news)


def _open_run(session: Session, on: date, now: datetime) -> None:
    last = session.scalar(
        select(func.max(OutcomeRun.started_at)).where(OutcomeRun.finished_at.is_not(None))
    )
    since = None if last is None else last - _OVERLAP
    row = {"on_date": on, "since": since, "last_id": 0, "started_at": now, "finished_at": None}
    insert_ignore(session, OutcomeRun, [row], conflict=["on_date"])


def _one_batch(runtime: Runtime, on: date, batch: int) -> int | None:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        run = session.get_one(OutcomeRun, on, with_for_update=True)
        if run.finished_at is not None:
            return None
        waiting = select(Loan.id).where(Loan.id > run.last_id).order_by(Loan.id).limit(batch)
        if run.since is not None:
            touched = select(LoanEvent.loan_id).where(LoanEvent.recorded_at >= run.since)
            waiting = waiting.where(or_(Loan.state == "active", Loan.id.in_(touched)))
        ids = session.scalars(waiting).all()
        if not ids:
            run.finished_at = now
            return None
        run.last_id = ids[-1]
        return judge_loans(session, loan_ids=ids, now=now)


def _standing(session: Session, loan_ids: Sequence[int]) -> dict[int, dict[Outcome, LoanOutcome]]:
    found: dict[int, dict[Outcome, LoanOutcome]] = defaultdict(dict)
    rows = select(LoanOutcome).where(
        LoanOutcome.loan_id.in_(loan_ids), LoanOutcome.undone_at.is_(None)
    )
    for row in session.scalars(rows):
        found[row.loan_id][Outcome(row.outcome)] = row
    return found


def _loans(session: Session, loan_ids: Sequence[int]) -> Iterator[_Loan]:
    until = func.coalesce(Instalment.settled_on, Loan.closed_to)
    late = days_between(until, Instalment.due_on)

    def first(days: int, *more: Any) -> Any:
        return func.min(Instalment.due_on).filter(late >= days, *more)

    rows = session.execute(
        select(
            Loan.id,
            Loan.customer_id,
            Loan.disbursed_on,
            Loan.closed_to,
            Loan.settled_on,
            func.coalesce(Loan.charged_off_on, Loan.written_off_on).label("off_books_on"),
            Application.decision_no,
            first(LATE_DAYS, Instalment.n == 1).label("first_late"),
            first(LATE_DAYS).label("late"),
            first(VERY_LATE_DAYS).label("very_late"),
        )
        .join(Instalment, Instalment.loan_id == Loan.id)
        .outerjoin(Application, Application.id == Loan.application_id)
        .where(Loan.id.in_(loan_ids))
        .group_by(Loan.id, Application.decision_no)
        .order_by(Loan.id)
    )
    for row in rows:
        lived = Lived(
            disbursed_on=row.disbursed_on,
            closed_to=row.closed_to,
            first_late_on=late_on(row.first_late, LATE_DAYS),
            late_30_on=late_on(row.late, LATE_DAYS),
            late_90_on=late_on(row.very_late, VERY_LATE_DAYS),
            settled_on=row.settled_on,
            off_books_on=row.off_books_on,
        )
        yield _Loan(
            id=row.id, customer_id=row.customer_id, decision_no=row.decision_no, lived=lived
        )


def _as_it_was(
    session: Session, loan: _Loan, before: Mapping[Outcome, LoanOutcome]
) -> dict[str, date]:
    """Find lateness that today's plan does not show any more and that was true all the same.

    A plan that is put off or laid anew forgets how late the old one was; a payment that was
    entered with an earlier date makes it untrue. Only a replay of that day tells which.
    """
    found = {}
    for outcome, (name, days) in _LATENESS.items():
        row, shown = before.get(outcome), getattr(loan.lived, name)
        if row is None or (shown is not None and shown <= row.reached_on):
            continue
        state = loan_as_of(session, loan_id=loan.id, on=row.reached_on)
        rows = state.rows[:1] if outcome is Outcome.FIRST_PAYMENT_DEFAULT else state.rows
        since = row.reached_on - timedelta(days=days)
        if any(each.due_on <= since and each.outstanding.total_fen for each in rows):
            found[name] = row.reached_on
    return found


def _news(session: Session, loan: _Loan, before: Mapping[Outcome, LoanOutcome]) -> _News | None:
    """Say what of a loan is not as it was told, None if all is."""
    reached = replace(loan.lived, **_as_it_was(session, loan, before)).reached()
    told = {outcome: row.reached_on for outcome, row in before.items()}
    if told == reached:
        return None
    return _News(
        loan=loan,
        before=before,
        undone=tuple(row for name, row in before.items() if reached.get(name) != row.reached_on),
        reached={name: on for name, on in reached.items() if told.get(name) != on},
    )


def _reached(news: _News, now: datetime) -> Iterator[LoanOutcome]:
    for outcome, on in news.reached.items():
        yield LoanOutcome(
            loan_id=news.loan.id,
            outcome=outcome,
            reached_on=on,
            months_on_book=months_on_book(news.loan.lived.disbursed_on, on),
            recorded_at=now,
            undone_at=None,
        )


def _months(standing: Mapping[Outcome, LoanOutcome]) -> dict[Outcome, int]:
    return {outcome: row.months_on_book for outcome, row in standing.items()}


def _fact(loan: _Loan, row: LoanOutcome, now: datetime) -> Fact:
    happened_at = start_of_day(row.reached_on)
    return Fact(
        key=f"loan-outcome:{row.id}",
        subject=subject_of(loan.customer_id),
        kind=f"loan.{row.outcome}",
        happened_at=happened_at,
        known_at=max(now, happened_at),
        attributes={"loan_id": loan.id, "months_on_book": row.months_on_book},
    )


def _granted(
    loan: _Loan, standing: Mapping[Outcome, LoanOutcome], now: datetime, *, judged: bool | None
) -> Granted:
    """Say what came of a loan; it is settled by the last that it has come to."""
    reached_on = max((row.reached_on for row in standing.values()), default=loan.lived.closed_to)
    happened_at = start_of_day(reached_on)
    return Granted(
        key=f"loan:{loan.id}/judged/{now.isoformat()}",
        of=f"loan:{loan.id}",
        subject=subject_of(loan.customer_id),
        decision_id=loan.decision_no,
        is_bad=judged,
        happened_at=happened_at,
        known_at=max(now, happened_at),
    )
