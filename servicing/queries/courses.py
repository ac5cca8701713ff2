"""How applications come to a decision: evidence, the machine's share and speed, open reviews."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from kernel.clock import start_of_day
from servicing.model import MACHINE, REVIEWED_IN, ApplicationState, ReviewKind
from servicing.tables import (
    Application,
    ApplicationCourse,
    ApplicationEvidence,
    ApplicationReview,
)

_APPROVED: Final = (ApplicationState.APPROVED, ApplicationState.BOOKED)
_PERCENTILES: Final = (50, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceView:
    """One inquiry of a sub-system.

    Attributes:
        step: Of the inquiries; those of one step go out at once.
        fallback: What its silence means.
        values: Its answer by dimension; None without one.
        is_late: Whether the answer came after the decision could know of it.
        failure: Why there is no answer, as the client said it; or why nobody was asked.
    """

    subsystem: str
    label: str
    step: int
    fallback: str
    state: str
    attempts: int
    settled_at: datetime | None
    is_late: bool
    values: dict[str, Any] | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """A review: what of, its deadline, and who has it in hand until when."""

    application_id: int
    kind: str
    opened_at: datetime
    due_at: datetime
    reviewer: str | None
    taken_until: datetime | None
    closed_at: datetime | None

    def waits_in(self, state: str) -> bool:
        """Whether it waits for a person, its application being in a state."""
        return self.closed_at is None and state in REVIEWED_IN[ReviewKind(self.kind)]

    def holder(self, now: datetime) -> str | None:
        """Return who has it in hand at an instant."""
        is_taken = self.taken_until is not None and self.taken_until > now
        return self.reviewer if is_taken else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineShare:
    """What the machine made of the applications that it decided on some days, and how fast.

    Attributes:
        appealed: Whose applicants asked for a person.
        overturned: Of those the ones that a person approved.
        p50_ms: From submission to the machine's decision, median; None without any.
        p99_ms: Likewise for the slowest in a hundred.
    """

    approve: int
    decline: int
    review: int
    appealed: int
    overturned: int
    p50_ms: int | None
    p99_ms: int | None

    @property
    def total(self) -> int:
        """All that it decided."""
        return self.approve + self.decline + self.review

    @property
    def alone(self) -> Decimal | None:
        """Share that it decided without a person; None without any."""
        return Decimal(self.approve + self.decline) / self.total if self.total else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineDay:
    """What the machine made of the applications that it decided on a business date."""

    on: date
    share: MachineShare


def evidence_of(session: Session, *, application_id: int) -> tuple[EvidenceView, ...]:
    """List what was asked outside about an application, and what not, in order."""
    rows = session.scalars(
        select(ApplicationEvidence)
        .where(ApplicationEvidence.application_id == application_id)
        .order_by(ApplicationEvidence.step, ApplicationEvidence.subsystem)
    )
    names = EvidenceView.__dataclass_fields__
    return tuple(EvidenceView(**{name: getattr(row, name) for name in names}) for row in rows)


def planned_by(session: Session, *, application_id: int) -> str | None:
    """Return the strategy that chose whom to ask; None where the house asked all."""
    return session.scalar(
        select(ApplicationCourse.planned_by).where(
            ApplicationCourse.application_id == application_id
        )
    )


def reviews_of(session: Session, *, application_ids: Collection[int]) -> Mapping[int, ReviewView]:
    """Return the open reviews of some applications by id; imported ones may have none."""
    rows = session.scalars(
        select(ApplicationReview).where(
            ApplicationReview.application_id.in_(application_ids),
            ApplicationReview.closed_at.is_(None),
        )
    )
    return {row.application_id: _review(row) for row in rows}


def review_of(session: Session, *, application_id: int) -> ReviewView | None:
    """Return the last review of an application, open or closed; None if there was none."""
    row = session.get(ApplicationReview, application_id)
    return _review(row) if row else None


def review_waits() -> ColumnElement[bool]:
    """Choose the reviews that wait for a person, joined with their applications."""
    matters = (
        (ApplicationReview.kind == kind) & Application.state.in_(states)
        for kind, states in REVIEWED_IN.items()
    )
    return and_(ApplicationReview.closed_at.is_(None), or_(*matters))


def overdue_reviews(session: Session, *, now: datetime) -> int:
    """Count the applications whose time before people is over.

    Each kind is asked by itself, so that the database starts from the few that are in review.
    """
    review, count = ApplicationReview, 0
    for kind, states in REVIEWED_IN.items():
        late = (
            select(func.count())
            .select_from(review)
            .join(Application, Application.id == review.application_id)
            .where(review.closed_at.is_(None), review.due_at <= now)
            .where(review.kind == kind, Application.state.in_(states))
        )
        count += session.scalar(late) or 0
    return count


def machine_share(session: Session, *, until: date, days: int) -> MachineShare:
    """Measure the machine over the last days, `until` included."""
    lately = _decided(until, days)
    counted = _counted(session, lately, literal(0))
    ranked = _ranked(session, lately, literal(0))
    return _share(counted.get(0, {}), ranked.get(0, {}))


def machine_days(session: Session, *, until: date, days: int) -> tuple[MachineDay, ...]:
    """Measure the machine on each of the last days, `until` included, the first one first."""
    first = until - timedelta(days=days - 1)
    dates = [first + timedelta(days=n) for n in range(days)]
    begun = [
        (n, ApplicationCourse.machine_decided_at >= start_of_day(on)) for n, on in enumerate(dates)
    ]
    of_day = case(*((since, n) for n, since in reversed(begun)), else_=0)
    lately = _decided(until, days)
    counted, ranked = _counted(session, lately, of_day), _ranked(session, lately, of_day)
    return tuple(
        MachineDay(on=on, share=_share(counted.get(n, {}), ranked.get(n, {})))
        for n, on in enumerate(dates)
    )


def _review(row: ApplicationReview) -> ReviewView:
    names = ReviewView.__dataclass_fields__
    return ReviewView(**{name: getattr(row, name) for name in names})


def _decided(until: date, days: int) -> list[ColumnElement[bool]]:
    return [
        ApplicationCourse.machine_decided_at >= start_of_day(until - timedelta(days=days - 1)),
        ApplicationCourse.machine_decided_at < start_of_day(until + timedelta(days=1)),
    ]


def _counted(
    session: Session, lately: list[ColumnElement[bool]], group: ColumnElement[int]
) -> dict[int, Counter[str]]:
    """Count outcomes, appeals and what was overturned, by group."""
    course, number = ApplicationCourse, group.label("number")
    found: dict[int, Counter[str]] = defaultdict(Counter)
    outcomes = select(number, course.machine_outcome, func.count()).where(*lately)
    for n, outcome, count in session.execute(outcomes.group_by(number, course.machine_outcome)):
        found[int(n)][str(outcome)] = count
    is_overturned = and_(Application.state.in_(_APPROVED), Application.decided_by != MACHINE)
    asked = (
        select(number, func.count(), func.count(case((is_overturned, 1))))
        .select_from(course)
        .join(Application, Application.id == course.application_id)
        .where(*lately, course.appealed_at.is_not(None))
    )
    for n, appealed, overturned in session.execute(asked.group_by(number)):
        found[int(n)].update(appealed=appealed, overturned=overturned)
    return found


def _ranked(
    session: Session, lately: list[ColumnElement[bool]], group: ColumnElement[int]
) -> dict[int, dict[int, int]]:
    """Find how long the median and the slowest in a hundred took, by group and per cent."""
    course, number = ApplicationCourse, group.label("number")
    ranks = (
        select(
            number,
            course.machine_ms.label("ms"),
            func.row_number().over(partition_by=number, order_by=course.machine_ms).label("rank"),
            func.count().over(partition_by=number).label("count"),
        )
        .where(*lately)
        .subquery()
    )
    wanted = {percent: ranks.c.count * percent // 100 + 1 for percent in _PERCENTILES}
    found: dict[int, dict[int, int]] = defaultdict(dict)
    rows = select(ranks).where(or_(*(ranks.c.rank == rank for rank in wanted.values())))
    for n, ms, rank, count in session.execute(rows):
        for percent in _PERCENTILES:
            if rank == count * percent // 100 + 1:
                found[int(n)][percent] = ms
    return found


def _share(counts: Mapping[str, int], ranked: Mapping[int, int]) -> MachineShare:
    return MachineShare(
        approve=counts.get("approve", 0),
        decline=counts.get("decline", 0),
        review=counts.get("review", 0),
        appealed=counts.get("appealed", 0),
        overturned=counts.get("overturned", 0),
        p50_ms=ranked.get(50),
        p99_ms=ranked.get(99),
    )
