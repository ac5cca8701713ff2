"""The machine's decision takes effect: a line opened or raised, a review, a decline.

What it was decided on is collected by servicing.queries.question_of; the judge stores it.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel import outbox
from kernel.clock import business_date
from servicing.events import ApplicationDecided
from servicing.model import (
    DECLINED_ALREADY,
    EVIDENCE_MISSING,
    LINE_TOO_SMALL,
    MACHINE,
    PRICE_OUTSIDE,
    REVIEW_WITHIN,
    ApplicationEvent,
    ApplicationState,
    CourseEvent,
    EvidenceState,
    ReviewKind,
    next_application_state,
    next_course_state,
    strictest,
)
from servicing.operations import lines
from servicing.operations.applications.metrics import FALLBACKS
from servicing.operations.applications.submitting import lock_application
from servicing.operations.line_days import follow_days
from servicing.ports import Decision
from servicing.queries.products import product_version
from servicing.tables import (
    Application,
    ApplicationCourse,
    ApplicationEvidence,
    ApplicationReview,
    CreditLine,
)

_EVENTS = {
    "approve": ApplicationEvent.APPROVE,
    "decline": ApplicationEvent.DECLINE,
    "review": ApplicationEvent.REVIEW,
}
_FLOORS = {"ignore": "approve", "review": "review", "decline": "decline"}
_A_SECOND_MS = 1_000
_A_MS_US = 1_000


def decide_application(
    session: Session, *, application_id: int, decision: Decision, now: datetime
) -> ApplicationState:
    """Act on a decision; an application that is decided already stays as it is.

    An approval opens the customer's first line as large as the strategy says, raises the one there
    is if it has too little left, and holds the amount. What the strategy asks for the money becomes
    the price of the loan. If one of them cannot be, or a sub-system that never answered asks for
    it, a person looks at it: silence makes an outcome stricter, never milder.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    if application.state != ApplicationState.SUBMITTED:
        return ApplicationState(application.state)
    application.decision_no = decision.decision_id
    application.strategy_version = decision.strategy_version
    application.told = {reason.code: reason.customer for reason in decision.reasons}
    outcome, reasons = _with_silence(session, application_id, decision)
    if outcome != "decline" and not _priced(session, application, decision.rate_annual):
        outcome, reasons = "review", [*reasons, PRICE_OUTSIDE]
    if outcome == "approve" and not _hold_on_line(session, application, decision.line_fen, now):
        outcome, reasons = "review", [*reasons, LINE_TOO_SMALL]
    _note_course(session, application, outcome, now)
    return move(session, application, _EVENTS[outcome], reasons, decided_by=MACHINE, now=now)


def refer_application(
    session: Session, *, application_id: int, reason: str, now: datetime
) -> ApplicationState:
    """Have a person decide what no machine can; one that is decided already stays as it is.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    if application.state != ApplicationState.SUBMITTED:
        return ApplicationState(application.state)
    _note_course(session, application, "review", now)
    event = ApplicationEvent.REVIEW
    return move(session, application, event, [reason], decided_by=MACHINE, now=now)


def move(
    session: Session,
    application: Application,
    event: ApplicationEvent,
    reasons: Sequence[str],
    *,
    decided_by: str,
    now: datetime,
) -> ApplicationState:
    """Give an application its new state, and tell of it."""
    state = next_application_state(application.state, event)
    application.state, application.reasons = state, list(reasons)
    application.decided_at, application.decided_by = now, decided_by
    if state is ApplicationState.IN_REVIEW:
        open_review(session, application, now)
    tell(session, application, now)
    return state


def open_review(
    session: Session,
    application: Application,
    now: datetime,
    kind: ReviewKind = ReviewKind.DECISION,
) -> None:
    """Start the clock of a review."""
    session.merge(
        ApplicationReview(
            application_id=application.id,
            kind=kind,
            opened_at=now,
            due_at=now + REVIEW_WITHIN,
            closed_at=None,
        )
    )


def tell(session: Session, application: Application, now: datetime) -> None:
    """Write down that an application was decided, for the areas above."""
    decided = ApplicationDecided(
        application_id=application.id,
        customer_id=application.customer_id,
        outcome=application.state,
    )
    outbox.record(session, decided, now=now)


def line_for(
    session: Session, application: Application, line_fen: int | None, now: datetime
) -> CreditLine:
    """Return the customer's line for the purchase, opened if there is none.

    Args:
        session: A write session.
        application: What is to be paid.
        line_fen: What the strategy grants in all; less than the amount is never opened.
        now: The present instant.
    """
    customer_id, funder = application.customer_id, application.funder
    line = lines.find_line(session, customer_id=customer_id, funder=funder)
    if line is not None:
        follow_days(session, line, now=now)
        return line
    granted = max(application.amount_fen, line_fen or 0)
    line_id = lines.open_line(
        session, customer_id=customer_id, funder=funder, granted_fen=granted, now=now
    )
    return lines.lock_line(session, line_id=line_id)


def _hold_on_line(
    session: Session, application: Application, line_fen: int | None, now: datetime
) -> bool:
    line = line_for(session, application, line_fen, now)
    if lines.available_fen(line) < application.amount_fen:
        lines.raise_line(session, line, granted_fen=line_fen or 0, now=now)
    if lines.available_fen(line) < application.amount_fen:
        return False
    lines.hold_amount(session, line, amount_fen=application.amount_fen, on=business_date(now))
    return True


def _priced(session: Session, application: Application, rate_annual: Decimal | None) -> bool:
    """Give an application its price, if there is one; says whether the product allows it."""
    if rate_annual is None:
        return True
    product = product_version(
        session, code=application.product_code, version=application.product_version
    )
    least, most = product.price_range
    if least <= rate_annual <= most:
        application.rate_annual = rate_annual
        return True
    return False


def _with_silence(
    session: Session, application_id: int, decision: Decision
) -> tuple[str, list[str]]:
    """Make the outcome as strict as the fallbacks of those who never answered.

    Whom nobody asked because a decline was certain, nobody may do without if it came otherwise.
    """
    rows = session.scalars(
        select(ApplicationEvidence).where(ApplicationEvidence.application_id == application_id)
    ).all()
    never = (EvidenceState.FAILED, EvidenceState.TIMED_OUT)
    silent = [row for row in rows if row.state in never]
    for row in silent:
        FALLBACKS.labels(row.subsystem, row.fallback).inc()
    floors = [_FLOORS[row.fallback] for row in silent]
    floors += ["review" for row in rows if row.failure == DECLINED_ALREADY]
    reasons = [reason.code for reason in decision.reasons]
    outcome = strictest([decision.outcome, *floors])
    return outcome, reasons if outcome == decision.outcome else [*reasons, EVIDENCE_MISSING]


def _note_course(session: Session, application: Application, outcome: str, now: datetime) -> None:
    course = session.get_one(ApplicationCourse, application.id)
    took = now - application.submitted_at
    course.state, course.moved_at = next_course_state(course.state, CourseEvent.DECIDE), now
    course.machine_outcome, course.machine_decided_at = outcome, now
    course.machine_ms = (
        took.days * 86_400 + took.seconds
    ) * _A_SECOND_MS + took.microseconds // _A_MS_US
