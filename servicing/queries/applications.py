"""Applications as a whole: which wait for a person, one in full, what became of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from kernel.clock import start_of_day
from servicing.model import IMPORTED, MACHINE, ApplicationState, ReviewKind, is_by_person
from servicing.queries.courses import ReviewView, review_waits
from servicing.tables import Application, ApplicationReview

_PERSON: Final = "person"
_ANYBODY: Final = (MACHINE, IMPORTED, _PERSON)
_APPROVED: Final = (ApplicationState.APPROVED, ApplicationState.BOOKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationDetail:
    """One application in full; amount in fen, rate a year.

    Attributes:
        attributes: Facts around it (device, wifi, address …) as they came; hide them.
        decision_no: Of the machine's stored decision, for risk's queries.
        told: What the machine tells the applicant, by reason code.
    """

    id: int
    application_no: str
    customer_id: int
    funder: str
    merchandise: str
    merchant_name: str
    amount_fen: int
    product_code: str
    product_version: int
    rate_annual: Decimal
    terms: int
    channel: str
    attributes: dict[str, Any]
    state: str
    decision_no: str | None
    strategy_version: str | None
    reasons: tuple[str, ...]
    told: dict[str, str]
    submitted_at: datetime
    decided_at: datetime | None
    decided_by: str | None

    @property
    def is_by_person(self) -> bool:
        """Whether a member of staff decided it."""
        return is_by_person(self.decided_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBoard:
    """What became of the applications of some days.

    Attributes:
        approved_by_machine: Approved without a person, booked ones too.
        declined_by_machine: Declined without a person.
        approved_by_people: Passed on by the machine and approved.
        declined_by_people: Passed on by the machine and declined.
        in_review: Waiting for a person.
        undecided: Waiting for the machine.
        cancelled: Withdrawn by the customer, whatever had been decided.
        imported: Decided elsewhere, before this book was kept.
    """

    since: date
    until: date
    approved_by_machine: int
    declined_by_machine: int
    approved_by_people: int
    declined_by_people: int
    in_review: int
    undecided: int
    cancelled: int
    imported: int

    @property
    def total(self) -> int:
        """All applications of the days that were for us to decide."""
        return self.passed_on + self.by_machine + self.undecided + self.cancelled

    @property
    def by_machine(self) -> int:
        """Those that the machine decided alone."""
        return self.approved_by_machine + self.declined_by_machine

    @property
    def passed_on(self) -> int:
        """Those that the machine left to people."""
        return self.approved_by_people + self.declined_by_people + self.in_review


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewQueue:
    """How long the review queue is, and since when its first application waits."""

    waiting: int
    oldest_at: datetime | None


def application_of(session: Session, *, application_id: int) -> ApplicationDetail | None:
    """Return one application, or None."""
    row = session.get(Application, application_id)
    return _detail(row) if row else None


def latest_application(
    session: Session,
    *,
    customer_id: int,
    states: Collection[ApplicationState] = tuple(ApplicationState),
) -> ApplicationDetail | None:
    """Return a customer's last application in one of the states, or None."""
    row = session.scalars(
        select(Application)
        .where(Application.customer_id == customer_id, Application.state.in_(states))
        .order_by(Application.submitted_at.desc(), Application.id.desc())
        .limit(1)
    ).first()
    return _detail(row) if row else None


def review_queue(session: Session) -> ReviewQueue:
    """Measure the queue of applications that wait for a person."""
    since = func.coalesce(ApplicationReview.opened_at, Application.submitted_at)
    waiting, oldest_at = session.execute(
        select(func.count(), func.min(since))
        .select_from(Application)
        .outerjoin(ApplicationReview, ApplicationReview.application_id == Application.id)
        .where(_in_review())
    ).one()
    return ReviewQueue(waiting=waiting, oldest_at=oldest_at)


def applications_in_review(
    session: Session, *, offset: int, limit: int
) -> tuple[ApplicationDetail, ...]:
    """List the applications that wait for a person, the oldest first."""
    rows = session.scalars(
        select(Application)
        .where(_in_review())
        .order_by(Application.submitted_at, Application.id)
        .offset(offset)
        .limit(limit)
    )
    return tuple(_detail(row) for row in rows)


def reviews_of_terms(session: Session, *, limit: int) -> tuple[ApplicationDetail, ...]:
    """List the approved applications whose terms a person is to look at, the most urgent first."""
    rows = session.scalars(
        select(Application)
        .join(ApplicationReview, ApplicationReview.application_id == Application.id)
        .where(review_waits(), ApplicationReview.kind == ReviewKind.TERMS)
        .order_by(ApplicationReview.due_at, ApplicationReview.application_id)
        .limit(limit)
    )
    return tuple(_detail(row) for row in rows)


def may_appeal(found: ApplicationDetail, review: ReviewView | None) -> bool:
    """Say whether the applicant may ask for a person: none decided it, and none was asked."""
    if found.is_by_person or found.decided_by is None:
        return False
    if found.state == ApplicationState.DECLINED:
        return True
    return found.state in _APPROVED and found.decided_by == MACHINE and review is None


def decided_applications(session: Session, *, limit: int) -> tuple[ApplicationDetail, ...]:
    """List the decisions of the recent past, by machine and people, the last one first."""
    rows = session.scalars(
        select(Application)
        .where(
            Application.state.in_((*_APPROVED, ApplicationState.DECLINED)),
            Application.decided_at.is_not(None),
            Application.decided_by != IMPORTED,
        )
        .order_by(Application.decided_at.desc(), Application.id.desc())
        .limit(limit)
    )
    return tuple(_detail(row) for row in rows)


def decision_board(session: Session, *, until: date, days: int) -> DecisionBoard:
    """Count what became of the applications submitted on the last days, `until` included."""
    since = until - timedelta(days=days - 1)
    decider = case(
        (Application.decided_by.in_((MACHINE, IMPORTED)), Application.decided_by), else_=_PERSON
    )
    rows = session.execute(
        select(Application.state, decider, func.count())
        .where(
            Application.submitted_at >= start_of_day(since),
            Application.submitted_at < start_of_day(until + timedelta(days=1)),
        )
        .group_by(Application.state, decider)
    )
    found = {(state, by): count for state, by, count in rows}

    def count(*states: ApplicationState, by: Sequence[str] = _ANYBODY) -> int:
        return sum(found.get((state, decided), 0) for state in states for decided in by)

    return DecisionBoard(
        since=since,
        until=until,
        approved_by_machine=count(*_APPROVED, by=(MACHINE,)),
        declined_by_machine=count(ApplicationState.DECLINED, by=(MACHINE,)),
        approved_by_people=count(*_APPROVED, by=(_PERSON,)),
        declined_by_people=count(ApplicationState.DECLINED, by=(_PERSON,)),
        in_review=count(ApplicationState.IN_REVIEW),
        undecided=count(ApplicationState.SUBMITTED),
        cancelled=count(ApplicationState.CANCELLED),
        imported=count(*_APPROVED, ApplicationState.DECLINED, by=(IMPORTED,)),
    )


def _in_review() -> ColumnElement[bool]:
    return Application.state == ApplicationState.IN_REVIEW


def _detail(row: Application) -> ApplicationDetail:
    names = ApplicationDetail.__dataclass_fields__
    given = {name: getattr(row, name) for name in names}
    return ApplicationDetail(**given | {"reasons": tuple(row.reasons), "told": row.told or {}})
