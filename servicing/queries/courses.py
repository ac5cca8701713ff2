"""How applications come to a decision: evidence, the machine's share and speed, open reviews."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select
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
    """Count the applications whose time before people is over."""
    late = (
        select(func.count())
        .select_from(ApplicationReview)
        .join(Application, Application.id == ApplicationReview.application_id)
        .where(
            review_waits(),
            ApplicationReview.due_at <= now,
        )
    )
    return session.scalar(late) or 0


def machine_share(session: Session, *, until: date, days: int) -> MachineShare:
    """Measure the machine over the last days, `until` included."""
    lately = _decided(until, days)
    rows = session.execute(
        select(ApplicationCourse.machine_outcome, func.count())
        .where(*lately)
        .group_by(ApplicationCourse.machine_outcome)
    )
    counts = {str(outcome): count for outcome, count in rows}
    appealed = select(func.count()).where(*lately, ApplicationCourse.appealed_at.is_not(None))
    overturned = (
        select(func.count())
        .select_from(ApplicationCourse)
        .join(Application, Application.id == ApplicationCourse.application_id)
        .where(
            *lately,
            ApplicationCourse.appealed_at.is_not(None),
            Application.state.in_(_APPROVED),
            Application.decided_by != MACHINE,
        )
    )
    total = sum(counts.values())
    return MachineShare(
        approve=counts.get("approve", 0),
        decline=counts.get("decline", 0),
        review=counts.get("review", 0),
        appealed=session.scalar(appealed) or 0,
        overturned=session.scalar(overturned) or 0,
        p50_ms=_ranked(session, lately, total * 50 // 100) if total else None,
        p99_ms=_ranked(session, lately, total * 99 // 100) if total else None,
    )


def _review(row: ApplicationReview) -> ReviewView:
    names = ReviewView.__dataclass_fields__
    return ReviewView(**{name: getattr(row, name) for name in names})


def _decided(until: date, days: int) -> list[ColumnElement[bool]]:
    return [
        ApplicationCourse.machine_decided_at >= start_of_day(until - timedelta(days=days - 1)),
        ApplicationCourse.machine_decided_at < start_of_day(until + timedelta(days=1)),
    ]


def _ranked(session: Session, lately: list[ColumnElement[bool]], rank: int) -> int | None:
    return session.scalar(
        select(ApplicationCourse.machine_ms)
        .where(*lately)
        .order_by(ApplicationCourse.machine_ms)
        .offset(rank)
        .limit(1)
    )
