"""A person looks at an application: takes it in hand, decides, and the house learns from it.

Who entered an application does not review it, and while one has it in hand no other decides.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from kernel.clock import business_date
from risk.operations import Fact, block_identity, question_listing, record_facts
from servicing.model import (
    APPEALED,
    ApplicationEvent,
    ApplicationState,
    ApplicationStateRefused,
    is_by_person,
    next_application_state,
)
from servicing.operations import lines
from servicing.operations.applications import terms
from servicing.operations.applications.deciding import line_for, move, open_review, tell
from servicing.operations.applications.inhand import in_hand_of
from servicing.operations.applications.submitting import lock_application
from servicing.queries.questions import identity_key, subject_of
from servicing.tables import Application, ApplicationCourse

REVIEW_LABEL: Final = "label.review"
_BLOCKED_FOR: Final = timedelta(days=365)


def review_application(
    session: Session,
    *,
    application_id: int,
    approve: bool,
    reasons: Sequence[str],
    decided_by: str,
    now: datetime,
    is_blocked: bool = False,
) -> ApplicationState:
    """Let a person decide an application that the machine passed on; risk keeps it as a label.

    Who is approved and stands on the house's own list is asked about there: an appeal is opened.

    Args:
        session: A write session.
        application_id: Which.
        approve: Or decline.
        reasons: Codes that the person chose.
        decided_by: Their login.
        now: The present instant.
        is_blocked: Whether the identity goes on the house's list for a year, with the reason.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: It is not in review.
        OwnApplication: They entered it.
        ReviewTaken: Another one has it in hand.
        LineExhausted: It is approved, and the line there is has too little left.
        LineNotDrawable: It is approved, and the line is frozen.
    """
    application = lock_application(session, application_id=application_id)
    event = ApplicationEvent.APPROVE if approve else ApplicationEvent.DECLINE
    if application.state != ApplicationState.IN_REVIEW:
        raise ApplicationStateRefused(f"application {application_id} is not in review")
    review = in_hand_of(session, application, decided_by, now)
    if approve:
        line = line_for(session, application, None, now)
        lines.hold_amount(session, line, amount_fen=application.amount_fen, on=business_date(now))
    review.closed_at, review.reviewer, review.taken_until = now, decided_by, None
    was_appealed = APPEALED in application.reasons
    state = move(session, application, event, reasons, decided_by=decided_by, now=now)
    _learn(
        session,
        application,
        list(reasons),
        was_appealed=was_appealed,
        is_blocked=is_blocked,
        now=now,
    )
    return state


def appeal_application(session: Session, *, application_id: int, now: datetime) -> ApplicationState:
    """Let a person look at what no person decided, because the applicant asks; safe to repeat.

    What was declined goes into review, and what was decided stays on it until the person decides.
    What was approved stands as it is meanwhile, and may be used: see `terms`.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: It is neither declined nor approved, or a person looked at it.
    """
    application = lock_application(session, application_id=application_id)
    if application.state == ApplicationState.IN_REVIEW and APPEALED in application.reasons:
        return ApplicationState.IN_REVIEW
    state = next_application_state(application.state, ApplicationEvent.APPEAL)
    if is_by_person(application.decided_by):
        raise ApplicationStateRefused(f"a person decided application {application_id}")
    if state is ApplicationState.IN_REVIEW:
        application.state, application.reasons = state, [*application.reasons, APPEALED]
        open_review(session, application, now)
        tell(session, application, now)
    elif not terms.open_for(session, application, now):
        return state
    course = session.get(ApplicationCourse, application_id)
    if course is not None:
        course.appealed_at = now
    return state


def _learn(
    session: Session,
    application: Application,
    reasons: list[str],
    *,
    was_appealed: bool,
    is_blocked: bool,
    now: datetime,
) -> None:
    """Tell risk what a person made of it."""
    label = label_of(
        application_id=application.id,
        customer_id=application.customer_id,
        outcome=application.state,
        reasons=reasons,
        decision_no=application.decision_no,
        was_appealed=was_appealed,
        now=now,
    )
    record_facts(session, facts=[label])
    identity = identity_key(session, customer_id=application.customer_id)
    if application.state == ApplicationState.APPROVED:
        question_listing(session, identity_key=identity)
    if is_blocked:
        on = business_date(now)
        block_identity(
            session,
            identity_key=identity,
            source=f"review:{application.application_no}",
            reason="、".join(reasons),
            on=on,
            expires_on=on + _BLOCKED_FOR,
            now=now,
        )


def label_of(
    *,
    application_id: int,
    customer_id: int,
    outcome: str,
    reasons: Sequence[str],
    decision_no: str | None,
    was_appealed: bool,
    now: datetime,
) -> Fact:
    """Return the label that a person's decision is to risk."""
    return Fact(
        key=f"application:{application_id}/review",
        subject=subject_of(customer_id),
        kind=REVIEW_LABEL,
        happened_at=now,
        known_at=now,
        attributes={
            "application_id": application_id,
            "outcome": outcome,
            "reasons": list(reasons),
            "decision": decision_no,
            "was_appealed": was_appealed,
        },
    )
