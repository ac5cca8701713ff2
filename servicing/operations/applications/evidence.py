"""Evidence about an application: asked for in parallel, each inquiry with its own end.

An inquiry is settled once, by an answer, by failure or by its deadline. What comes later is
attached and seen by people; it changes no decision.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.crypto import FieldCipher
from kernel.database import insert_ignore
from risk.operations import Fact, record_facts, shared_values
from risk.ports import Inquiry, Subsystem
from servicing.model import (
    DECIDE_WITHIN,
    ApplicationState,
    CourseEvent,
    CourseState,
    EvidenceState,
    next_course_state,
)
from servicing.operations.alerts import raise_alert
from servicing.operations.applications.metrics import INQUIRIES, PROMISE_BROKEN
from servicing.operations.applications.submitting import lock_application
from servicing.queries.customers import customer_view
from servicing.queries.questions import links_of, subject_of
from servicing.tables import Application, ApplicationCourse, ApplicationEvidence

# How long what ought to have happened by itself is left alone before it is done again.
_SETTLES_IN: Final = timedelta(seconds=10)
APPLICATION: Final = "application"
_LONGEST_FAILURE: Final = 120
_DECIDED_ALREADY: Final = (ApplicationState.APPROVED, ApplicationState.BOOKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """What a crash left undone: applications to gather for, inquiries to make, to decide."""

    to_gather: tuple[int, ...]
    to_ask: tuple[tuple[int, str], ...]
    to_decide: tuple[int, ...]


def start_gathering(
    session: Session, *, application_id: int, subsystems: Iterable[Subsystem], now: datetime
) -> tuple[str, ...] | None:
    """Lay out what is asked about an application; returns the inquiries that wait, by name.

    Safe to repeat: what was laid out stays. None once it is decided or withdrawn.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    course = session.get_one(ApplicationCourse, application_id)
    if application.state != ApplicationState.SUBMITTED or course.state == CourseState.DECIDED:
        return None
    if course.state == CourseState.SUBMITTED:
        course.state, course.moved_at = next_course_state(course.state, CourseEvent.GATHER), now
        rows = [_laid_out(application, each, now) for each in subsystems]
        insert_ignore(session, ApplicationEvidence, rows, conflict=["application_id", "subsystem"])
    return tuple(row.subsystem for row in _rows(session, application_id) if _waits(row))


def tell_application(
    session: Session, cipher: FieldCipher, *, application_id: int, now: datetime
) -> None:
    """Tell risk that somebody applied, with hashes of what others may share; safe to repeat.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    customer = customer_view(session, cipher, customer_id=application.customer_id)
    values = links_of(application.attributes, phone=customer.phone)
    fact = Fact(
        key=f"application:{application_id}/submitted",
        subject=subject_of(application.customer_id),
        kind=APPLICATION,
        happened_at=application.submitted_at,
        known_at=max(now, application.submitted_at),
        attributes={"application_id": application_id},
        shared=shared_values(cipher, values),
    )
    record_facts(session, facts=[fact])


def begin_inquiry(
    session: Session,
    cipher: FieldCipher,
    *,
    application_id: int,
    subsystem: Subsystem,
    now: datetime,
) -> Inquiry | None:
    """Take an inquiry in hand and say whom it is about; None if it is settled.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    row = session.get_one(ApplicationEvidence, (application_id, subsystem.name))
    if not _waits(row):
        return None
    row.leased_until = now + _lease(subsystem)
    customer = customer_view(session, cipher, customer_id=application.customer_id)
    return Inquiry(
        reference=f"{application.application_no}-{subsystem.name}",
        name=customer.name,
        id_number=customer.id_number,
        phone=customer.phone,
    )


def settle_inquiry(
    session: Session,
    *,
    application_id: int,
    subsystem: str,
    attempts: int,
    values: Mapping[str, Any] | None,
    failure: str = "",
    now: datetime,
) -> bool:
    """Keep what an inquiry came to; returns whether nothing is waited for any more.

    Args:
        session: A write session.
        application_id: About which it was.
        subsystem: Who was asked.
        attempts: How often.
        values: The answer, by dimension; None if there was none.
        failure: Why there was none.
        now: The instant of it. After the deadline an answer is late, whoever settled first.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    row = session.get_one(ApplicationEvidence, (application_id, subsystem))
    if _waits(row) and now < row.due_at:
        _end(row, EvidenceState.FAILED if values is None else EvidenceState.ANSWERED, now)
    else:
        _close(row, now)
        _attach_late(session, application, row, values, now)
    row.attempts += attempts
    if values is not None:
        row.values = dict(values)
    elif row.values is None:
        row.failure = failure[:_LONGEST_FAILURE]
    return not any(map(_waits, _rows(session, application_id)))


def find_stuck(session: Session, *, now: datetime) -> Stuck:
    """End waiting whose time is over, and say what has to be taken up again.

    Whoever waits longer than was promised is put before staff, once.
    """
    rows = session.execute(
        select(ApplicationCourse, Application)
        .join(Application, Application.id == ApplicationCourse.application_id)
        .where(
            ApplicationCourse.state != CourseState.DECIDED,
            Application.state == ApplicationState.SUBMITTED,
        )
        .order_by(Application.id)
    ).all()
    to_gather, to_ask, to_decide = [], [], []
    for course, application in rows:
        if application.submitted_at + DECIDE_WITHIN <= now:
            _tell_overdue(session, application, now)
        if course.state == CourseState.SUBMITTED:
            if course.moved_at + _SETTLES_IN <= now:
                to_gather.append(application.id)
            continue
        waiting = _still_waiting(session, application.id, now)
        to_ask += [(row.application_id, row.subsystem) for row in waiting if _lease_over(row, now)]
        if not waiting and course.moved_at + _SETTLES_IN <= now:
            to_decide.append(application.id)
    return Stuck(to_gather=tuple(to_gather), to_ask=tuple(to_ask), to_decide=tuple(to_decide))


def _still_waiting(
    session: Session, application_id: int, now: datetime
) -> Sequence[ApplicationEvidence]:
    lock_application(session, application_id=application_id)
    waiting = [row for row in _rows(session, application_id) if _waits(row)]
    for row in waiting:
        if row.due_at <= now:
            _close(row, now)
    return [row for row in waiting if _waits(row)]


def _lease_over(row: ApplicationEvidence, now: datetime) -> bool:
    """Whether nobody seems to ask any more; if so it is left alone until it can have been asked."""
    if row.leased_until > now:
        return False
    row.leased_until = now + _SETTLES_IN
    return True


def _close(row: ApplicationEvidence, now: datetime) -> None:
    if _waits(row):
        _end(row, EvidenceState.TIMED_OUT, now)


def _end(row: ApplicationEvidence, state: EvidenceState, now: datetime) -> None:
    row.state, row.settled_at = state, now
    INQUIRIES.labels(row.subsystem, state.value).inc()


def _attach_late(
    session: Session,
    application: Application,
    row: ApplicationEvidence,
    values: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """Mark an answer that no decision knew of; staff hear of it if money may have gone out."""
    if values is None or row.state == EvidenceState.ANSWERED:
        return
    row.is_late = True
    INQUIRIES.labels(row.subsystem, "late").inc()
    if application.state in _DECIDED_ALREADY:
        raise_alert(
            session,
            key=f"evidence-late/{application.id}/{row.subsystem}",
            kind="evidence-late",
            severity="medium",
            customer_id=application.customer_id,
            details={"application_no": application.application_no, "subsystem": row.label},
            now=now,
        )


def _tell_overdue(session: Session, application: Application, now: datetime) -> None:
    is_new = raise_alert(
        session,
        key=f"application-overdue/{application.id}",
        kind="application-overdue",
        severity="high",
        customer_id=application.customer_id,
        details={"application_no": application.application_no},
        now=now,
    )
    if is_new:
        PROMISE_BROKEN.inc()


def _laid_out(application: Application, subsystem: Subsystem, now: datetime) -> dict[str, Any]:
    due_at = application.submitted_at + timedelta(seconds=subsystem.deadline_s)
    return {
        "application_id": application.id,
        "subsystem": subsystem.name,
        "label": subsystem.label,
        "fallback": subsystem.fallback.value,
        "state": EvidenceState.WAITING.value,
        "attempts": 0,
        "due_at": max(due_at, now + _lease(subsystem)),
        "leased_until": now + _SETTLES_IN,
        "is_late": False,
    }


def _lease(subsystem: Subsystem) -> timedelta:
    return timedelta(seconds=subsystem.timeout_s * subsystem.attempts) + _SETTLES_IN


def _waits(row: ApplicationEvidence) -> bool:
    return row.state == EvidenceState.WAITING


def _rows(session: Session, application_id: int) -> Sequence[ApplicationEvidence]:
    return session.scalars(
        select(ApplicationEvidence)
        .where(ApplicationEvidence.application_id == application_id)
        .order_by(ApplicationEvidence.subsystem)
        .execution_options(populate_existing=True)
    ).all()
