"""A member of staff takes a review in hand, or is given it, so that no other decides it meanwhile.

Who entered an application does not review it.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import Conflict, Forbidden
from servicing.model import (
    REVIEW_TAKEN_FOR,
    REVIEWED_IN,
    ApplicationState,
    ApplicationStateRefused,
    ReviewKind,
)
from servicing.operations.alerts import raise_alert
from servicing.operations.applications.deciding import open_review
from servicing.operations.applications.submitting import lock_application
from servicing.queries.courses import review_waits
from servicing.tables import Application, ApplicationReview

ENTERED_BY: Final = "entered_by"


class ReviewTaken(Conflict):
    """Another member of staff has the application in hand."""

    code = "review-taken"
    message_zh = "该申请正由另一位同事处理"


class OwnApplication(Forbidden):
    """Who entered an application does not review it."""

    code = "own-application"
    message_zh = "您录入的申请须由其他同事审核"


def take_review(session: Session, *, application_id: int, by: str, now: datetime) -> datetime:
    """Take an application in hand; returns until when. Taking it again takes it longer.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: It is not in review.
        OwnApplication: They entered it.
        ReviewTaken: Another one has it.
    """
    application = lock_application(session, application_id=application_id)
    review = in_hand_of(session, application, by, now)
    had_until = review.taken_until if review.reviewer == by else None
    review.reviewer, review.taken_until = by, max(had_until or now, now + REVIEW_TAKEN_FOR)
    return review.taken_until


def assign_review(
    session: Session, *, application_id: int, to: str | None, now: datetime
) -> datetime | None:
    """Put an application into somebody's hands, whoever has it; or back into the queue.

    Args:
        session: A write session.
        application_id: Which.
        to: The login of who shall review it; None gives it back.
        now: The present instant.

    Returns:
        Until when it is theirs: its deadline, and for half an hour at least.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: It is not in review.
        OwnApplication: Whoever shall review it entered it.
    """
    application = lock_application(session, application_id=application_id)
    review = _open_review_of(session, application, now)
    review.reviewer = review.taken_until = None
    if to is not None:
        _refuse_own(application, to)
        review.reviewer = to
        review.taken_until = max(review.due_at, now + REVIEW_TAKEN_FOR)
    return review.taken_until


def release_review(session: Session, *, application_id: int, by: str) -> bool:
    """Give an application back to the queue; returns whether they had it.

    Raises:
        ApplicationNotFound: There is none.
    """
    lock_application(session, application_id=application_id)
    review = session.get(ApplicationReview, application_id)
    if review is None or review.reviewer != by:
        return False
    review.reviewer = review.taken_until = None
    return True


def in_hand_of(
    session: Session, application: Application, by: str, now: datetime
) -> ApplicationReview:
    """Return the open review of an application that they may act on; an imported one gets its own.

    Raises:
        ApplicationStateRefused: None waits.
        OwnApplication: They entered it.
        ReviewTaken: Another one has it.
    """
    review = _open_review_of(session, application, now)
    _refuse_own(application, by)
    is_taken = review.taken_until is not None and review.taken_until > now
    if is_taken and review.reviewer != by:
        raise ReviewTaken(f"{review.reviewer} has application {application.id}")
    return review


def _open_review_of(session: Session, application: Application, now: datetime) -> ApplicationReview:
    review = session.get(ApplicationReview, application.id)
    if review is None and application.state == ApplicationState.IN_REVIEW:
        open_review(session, application, now)
        review = session.get_one(ApplicationReview, application.id)
    if review is None or not is_waiting(review, application):
        raise ApplicationStateRefused(f"application {application.id} is not in review")
    return review


def _refuse_own(application: Application, login: str) -> None:
    if application.attributes.get(ENTERED_BY) == login:
        raise OwnApplication(f"{login} entered application {application.id}")


def alert_overdue_reviews(session: Session, *, now: datetime) -> int:
    """Put the reviews whose time is over before staff, once each; returns how many are new."""
    rows = session.execute(
        select(ApplicationReview, Application)
        .join(Application, Application.id == ApplicationReview.application_id)
        .where(review_waits(), ApplicationReview.due_at <= now)
    )
    return sum(
        raise_alert(
            session,
            key=f"review-overdue/{application.id}/{review.due_at.isoformat()}",
            kind="review-overdue",
            severity="high",
            customer_id=application.customer_id,
            details={"application_no": application.application_no, "of": review.kind},
            now=now,
        )
        for review, application in rows
    )


def is_waiting(review: ApplicationReview, application: Application) -> bool:
    """Say whether a review is open and its application still stands where it matters."""
    return review.closed_at is None and application.state in REVIEWED_IN[ReviewKind(review.kind)]
