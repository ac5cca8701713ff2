"""An application comes in, and may be withdrawn."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel import idempotency, outbox
from kernel.clock import business_date
from kernel.errors import NotFound
from kernel.ids import new_number
from servicing.events import ApplicationLapsed, ApplicationSubmitted, ApplicationWithdrawn
from servicing.model import (
    HOLD_LAPSED,
    ApplicationEvent,
    ApplicationState,
    CourseState,
    next_application_state,
)
from servicing.operations import lines
from servicing.products import Product
from servicing.queries.products import STANDARD_CODE, product_in_force
from servicing.tables import Application, ApplicationCourse


class ApplicationNotFound(NotFound):
    """There is no such application."""

    code = "application-not-found"
    message_zh = "没有找到该申请"


def submit_application(
    session: Session,
    *,
    customer_id: int,
    merchant_name: str,
    merchandise: str,
    amount_fen: int,
    terms: int,
    channel: str,
    attributes: Mapping[str, Any],
    key: str,
    now: datetime,
    product: Product | None = None,
) -> int:
    """Store an application and return its id; safe to repeat with the same key.

    Args:
        session: A write session.
        customer_id: Who applies.
        merchant_name: Where the goods are bought.
        merchandise: What is bought.
        amount_fen: The price to be paid by instalments.
        terms: Number of monthly instalments.
        channel: How the application came.
        attributes: Facts around it (device, wifi, address …), JSON-able, hashed where personal;
            `income_monthly_fen` is what the applicant states to earn.
        key: The applicant's intention; one application each.
        now: The instant of submission.
        product: What the application is for, None for the standard product as it is in force
            today; its version and rate are fixed now.

    Raises:
        OutsideProduct: Amount or terms are not on offer.
        ProductNotFound: No such product is in force.
        CostAboveCap: It would cost more a year than is allowed today.
        KeyReused: The key stands for another application.
    """
    on = business_date(now)
    product = product or product_in_force(session, code=STANDARD_CODE, on=on)
    product.check(amount_fen=amount_fen, terms=terms)
    payload = {"customer_id": customer_id, "amount_fen": amount_fen, "terms": terms}
    action = "submit-application"
    claimed = idempotency.claim(session, action=action, key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["application_id"])
    application = Application(
        application_no=new_number("SQ", on=on),
        customer_id=customer_id,
        funder=product.funder,
        merchandise=merchandise,
        merchant_name=merchant_name,
        amount_fen=amount_fen,
        product_code=product.code,
        product_version=product.version,
        rate_annual=product.rate_annual,
        terms=terms,
        channel=channel,
        attributes=dict(attributes),
        state=ApplicationState.SUBMITTED,
        reasons=[],
        submitted_at=now,
    )
    session.add(application)
    session.flush()
    session.add(
        ApplicationCourse(application_id=application.id, state=CourseState.SUBMITTED, moved_at=now)
    )
    outbox.record(session, ApplicationSubmitted(application_id=application.id), now=now)
    claimed.keep({"application_id": application.id})
    return application.id


def cancel_application(session: Session, *, application_id: int, now: datetime) -> ApplicationState:
    """Withdraw an application and release what was held for it.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: It is declined, cancelled or booked.
    """
    application = lock_application(session, application_id=application_id)
    was_approved = application.state == ApplicationState.APPROVED
    application.state = next_application_state(application.state, ApplicationEvent.CANCEL)
    application.decided_at = application.decided_at or now
    line = lines.find_line(session, customer_id=application.customer_id, funder=application.funder)
    if was_approved and line is not None:
        lines.release_amount(line, amount_fen=application.amount_fen)
    withdrawn = ApplicationWithdrawn(
        application_id=application_id, customer_id=application.customer_id
    )
    outbox.record(session, withdrawn, now=now)
    return ApplicationState(application.state)


def lapse_application(session: Session, *, application_id: int, now: datetime) -> None:
    """Cancel an approval that nobody used in time, and let the applicant and staff know.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: It is declined, cancelled or booked.
    """
    cancel_application(session, application_id=application_id, now=now)
    application = session.get_one(Application, application_id)
    application.reasons = [*application.reasons, HOLD_LAPSED]
    event = ApplicationLapsed(application_id=application_id, customer_id=application.customer_id)
    outbox.record(session, event, now=now)


def lock_application(session: Session, *, application_id: int) -> Application:
    """Lock an application for writing.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = session.scalar(
        select(Application)
        .where(Application.id == application_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if application is None:
        raise ApplicationNotFound(f"no application {application_id}")
    return application
