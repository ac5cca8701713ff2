"""A person looks at the terms of what the machine approved, on the applicant's wish.

What was approved stands meanwhile and may be used. The person confirms it, approves a larger amount
as far as the line goes, or a lower price as far as the product goes; it never gets worse, so asking
costs the applicant nothing.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy.orm import Session

from kernel import outbox
from kernel.clock import business_date
from kernel.errors import Conflict
from risk.operations import Fact, record_facts
from servicing.events import TermsReviewed
from servicing.model import (
    ApplicationState,
    ApplicationStateRefused,
    ReviewKind,
    needs_second_person,
)
from servicing.operations import lines
from servicing.operations.applications.deciding import line_for, open_review
from servicing.operations.applications.inhand import in_hand_of
from servicing.operations.applications.submitting import lock_application
from servicing.queries.products import product_version
from servicing.queries.questions import subject_of
from servicing.tables import Application, ApplicationReview

TERMS_LABEL: Final = "label.terms-review"


class PriceNotBetter(Conflict):
    """Whoever reviews terms may lower the price within the product's range, and not raise it."""

    code = "terms-price-not-better"
    message_zh = "复核只能维持或降低年利率，且不低于产品的最低年利率；已放款的只能维持"


class AmountNotBetter(Conflict):
    """Whoever reviews terms may raise what was approved within bounds, and not lower it."""

    code = "terms-amount-not-better"
    message_zh = "复核只能维持或提高批准金额，且不超过产品上限和一人审批限额；已放款的只能维持"


def open_for(session: Session, application: Application, now: datetime) -> bool:
    """Start a review of the terms of an approved application; returns whether it is new.

    Raises:
        ApplicationStateRefused: A person has looked at them already.
    """
    review = session.get(ApplicationReview, application.id)
    if review is not None and review.closed_at is not None:
        raise ApplicationStateRefused(f"a person reviewed application {application.id}")
    if review is None:
        open_review(session, application, now, ReviewKind.TERMS)
    return review is None


def review_terms(
    session: Session,
    *,
    application_id: int,
    amount_fen: int,
    by: str,
    now: datetime,
    rate_annual: Decimal | None = None,
) -> None:
    """Confirm what was approved, or approve more of it or for less; the applicant is told.

    Args:
        session: A write session.
        application_id: Which.
        amount_fen: What is approved from now on; what was to confirm it.
        by: The login of who reviews.
        now: The present instant.
        rate_annual: The price from now on; None for what it was.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: No review of its terms waits.
        OwnApplication: They entered it; likewise ReviewTaken if another one has it in hand.
        AmountNotBetter: It is less than was approved, or more than they or the product may.
        PriceNotBetter: It is dearer than was approved, or cheaper than the product may be.
        LineExhausted: The line has too little left; likewise LineNotDrawable.
    """
    application = lock_application(session, application_id=application_id)
    review = in_hand_of(session, application, by, now)
    if review.kind != ReviewKind.TERMS:
        raise ApplicationStateRefused(f"the terms of application {application_id} are not asked")
    was_fen, was_rate = application.amount_fen, application.rate_annual
    if rate_annual is not None and rate_annual != was_rate:
        _cheapen(session, application, rate_annual)
    if amount_fen != was_fen:
        _raise(session, application, amount_fen, now)
    review.closed_at, review.reviewer, review.taken_until = now, by, None
    reviewed = TermsReviewed(
        application_id=application_id,
        customer_id=application.customer_id,
        was_fen=was_fen,
        amount_fen=amount_fen,
        was_rate_annual=f"{was_rate:.6f}",
    )
    outbox.record(session, reviewed, now=now)
    label = Fact(
        key=f"application:{application_id}/terms-review",
        subject=subject_of(application.customer_id),
        kind=TERMS_LABEL,
        happened_at=now,
        known_at=now,
        attributes={
            "application_id": application_id,
            "was_fen": was_fen,
            "amount_fen": amount_fen,
            "was_rate_annual": f"{was_rate:.6f}",
            "rate_annual": f"{application.rate_annual:.6f}",
            "decision": application.decision_no,
        },
    )
    record_facts(session, facts=[label])


def _cheapen(session: Session, application: Application, rate_annual: Decimal) -> None:
    product = product_version(
        session, code=application.product_code, version=application.product_version
    )
    least = product.price_range[0]
    is_better = least <= rate_annual < application.rate_annual
    if not is_better or application.state != ApplicationState.APPROVED:
        raise PriceNotBetter(f"{rate_annual} instead of {application.rate_annual}")
    application.rate_annual = rate_annual


def _raise(session: Session, application: Application, amount_fen: int, now: datetime) -> None:
    product = product_version(
        session, code=application.product_code, version=application.product_version
    )
    is_better = application.amount_fen < amount_fen <= product.maximum_fen
    may = application.state == ApplicationState.APPROVED and not needs_second_person(amount_fen)
    if not (is_better and may):
        raise AmountNotBetter(f"{amount_fen} fen instead of {application.amount_fen}")
    line = line_for(session, application, None, now)
    more_fen = amount_fen - application.amount_fen
    lines.hold_amount(session, line, amount_fen=more_fen, on=business_date(now))
    application.amount_fen = amount_fen
