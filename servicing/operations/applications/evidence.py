"""Evidence about an application: asked for in steps, all of a step at once, each with its own end.

Whom to ask, in which step and how patiently is planned once, when gathering begins. An inquiry is
settled once, by an answer, by failure or by its deadline. What comes later is attached and seen by
people; it changes no decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.crypto import FieldCipher
from kernel.database import insert_ignore
from risk.operations import Fact, record_facts, shared_values
from risk.ports import EvidencePlan, Fallback, Inquiry, Subsystem
from servicing.model import (
    DECIDE_WITHIN,
    DECLINED_ALREADY,
    SWITCHED_OFF,
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
    """What a crash left undone: applications to gather for, to go on with, inquiries, decisions."""

    to_gather: tuple[int, ...]
    to_go_on: tuple[int, ...]
    to_ask: tuple[tuple[int, str], ...]
    to_decide: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An inquiry whose turn it is, and how often it may be made."""

    inquiry: Inquiry
    attempts: int


class Progress(StrEnum):
    """How far the evidence of an application has come."""

    WAITING = "waiting"
    STEP_OVER = "step-over"  # the next step may begin
    WHOLE = "whole"  # nothing is waited for any more


def start_gathering(
    session: Session, *, application_id: int, plan: EvidencePlan, now: datetime
) -> tuple[str, ...] | None:
    """Lay out who is asked about an application, and who is not; returns whose turn it is.

    Safe to repeat: what was laid out stays, whatever the plan says by then. None once it is decided
    or withdrawn.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    course = session.get_one(ApplicationCourse, application_id)
    if application.state != ApplicationState.SUBMITTED or course.state == CourseState.DECIDED:
        return None
    if course.state == CourseState.SUBMITTED:
        course.state, course.moved_at = next_course_state(course.state, CourseEvent.GATHER), now
        course.planned_by = plan.strategy_version
        rows = [_laid_out(application, each.subsystem, each.step, now) for each in plan.asked]
        rows += [_left_out(application, each, now) for each in plan.left_out]
        insert_ignore(session, ApplicationEvidence, rows, conflict=["application_id", "subsystem"])
    return tuple(row.subsystem for row in _rows(session, application_id) if _waits(row))


def start_step(
    session: Session, *, application_id: int, is_declined: bool, now: datetime
) -> Progress:
    """Begin the next step once the one before has settled; safe to repeat.

    Nobody is asked where it would change nothing: the application is declined whatever they say.

    Args:
        session: A write session.
        application_id: Of which.
        is_declined: Whether the judge declines it whatever is still to come.
        now: The present instant.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    rows = _rows(session, application_id)
    planned = [row for row in rows if row.state == EvidenceState.PLANNED]
    if application.state != ApplicationState.SUBMITTED or any(map(_waits, rows)):
        return Progress.WAITING
    if is_declined or any(row.fallback == Fallback.DECLINE for row in rows if _is_silent(row)):
        for row in planned:
            row.state, row.failure = EvidenceState.NOT_ASKED, DECLINED_ALREADY
            row.settled_at = now
        return Progress.WHOLE
    step = min((row.step for row in planned), default=None)
    for row in planned:
        if row.step == step:
            row.state, row.leased_until = EvidenceState.WAITING, now + _SETTLES_IN
            row.due_at = max(row.due_at, now + _lease(row.timeout_s, row.attempts_most))
    return Progress.WAITING if planned else Progress.WHOLE


def waiting_inquiries(session: Session, *, application_id: int) -> tuple[str, ...]:
    """Name the inquiries about an application whose turn it is."""
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
    subsystem: str,
    now: datetime,
) -> Turn | None:
    """Take an inquiry in hand and say whom it is about; None if it is settled or not its turn.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    row = session.get_one(ApplicationEvidence, (application_id, subsystem))
    if not _waits(row):
        return None
    row.leased_until = now + _lease(row.timeout_s, row.attempts_most)
    customer = customer_view(session, cipher, customer_id=application.customer_id)
    inquiry = Inquiry(
        reference=f"{application.application_no}-{subsystem}",
        name=customer.name,
        id_number=customer.id_number,
        phone=customer.phone,
        timeout_s=row.timeout_s,
    )
    return Turn(inquiry=inquiry, attempts=row.attempts_most)


def settle_inquiry(
    session: Session,
    *,
    application_id: int,
    subsystem: str,
    attempts: int,
    values: Mapping[str, Any] | None,
    failure: str = "",
    now: datetime,
) -> Progress:
    """Keep what an inquiry came to; returns how far the evidence has come.

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
    return _progress(_rows(session, application_id))


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
    to_gather: list[int] = []
    to_go_on: list[int] = []
    to_ask: list[tuple[int, str]] = []
    to_decide: list[int] = []
    for course, application in rows:
        if application.submitted_at + DECIDE_WITHIN <= now:
            _tell_overdue(session, application, now)
        if course.state == CourseState.SUBMITTED:
            if course.moved_at + _SETTLES_IN <= now:
                to_gather.append(application.id)
            continue
        found = _still_asked(session, application.id, now)
        to_ask += [(row.application_id, row.subsystem) for row in found if _lease_over(row, now)]
        if course.moved_at + _SETTLES_IN <= now:
            left = {Progress.STEP_OVER: to_go_on, Progress.WHOLE: to_decide}
            left.get(_progress(found), []).append(application.id)
    return Stuck(
        to_gather=tuple(to_gather),
        to_go_on=tuple(to_go_on),
        to_ask=tuple(to_ask),
        to_decide=tuple(to_decide),
    )


def _still_asked(
    session: Session, application_id: int, now: datetime
) -> Sequence[ApplicationEvidence]:
    """Lock an application, end waiting whose time is over, and return all of its evidence."""
    lock_application(session, application_id=application_id)
    rows = _rows(session, application_id)
    for row in rows:
        if row.due_at <= now:
            _close(row, now)
    return rows


def _lease_over(row: ApplicationEvidence, now: datetime) -> bool:
    """Whether nobody seems to ask any more; if so it is left alone until it can have been asked."""
    if not _waits(row) or row.leased_until > now:
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


def _laid_out(
    application: Application, subsystem: Subsystem, step: int, now: datetime
) -> dict[str, Any]:
    due_at = application.submitted_at + timedelta(seconds=subsystem.deadline_s)
    is_first = step == 1
    return {
        "application_id": application.id,
        "subsystem": subsystem.name,
        "label": subsystem.label,
        "fallback": subsystem.fallback.value,
        "step": step,
        "timeout_s": subsystem.timeout_s,
        "attempts_most": subsystem.attempts,
        "state": (EvidenceState.WAITING if is_first else EvidenceState.PLANNED).value,
        "attempts": 0,
        "due_at": max(due_at, now + _lease(subsystem.timeout_s, subsystem.attempts)),
        "leased_until": now + _SETTLES_IN,
        "settled_at": None,
        "is_late": False,
        "failure": None,
    }


def _left_out(application: Application, subsystem: Subsystem, now: datetime) -> dict[str, Any]:
    settled = {"state": EvidenceState.NOT_ASKED.value, "settled_at": now, "failure": SWITCHED_OFF}
    return _laid_out(application, subsystem, 1, now) | settled


def _lease(timeout_s: int, attempts: int) -> timedelta:
    return timedelta(seconds=timeout_s * attempts) + _SETTLES_IN


def _progress(rows: Sequence[ApplicationEvidence]) -> Progress:
    states = {row.state for row in rows}
    if EvidenceState.WAITING in states:
        return Progress.WAITING
    return Progress.STEP_OVER if EvidenceState.PLANNED in states else Progress.WHOLE


def _is_silent(row: ApplicationEvidence) -> bool:
    return row.state in (EvidenceState.FAILED, EvidenceState.TIMED_OUT)


def _waits(row: ApplicationEvidence) -> bool:
    return row.state == EvidenceState.WAITING


def _rows(session: Session, application_id: int) -> Sequence[ApplicationEvidence]:
    return session.scalars(
        select(ApplicationEvidence)
        .where(ApplicationEvidence.application_id == application_id)
        .order_by(ApplicationEvidence.step, ApplicationEvidence.subsystem)
        .execution_options(populate_existing=True)
    ).all()
