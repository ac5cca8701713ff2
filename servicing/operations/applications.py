"""Applications: submitted, decided by machine or person, held on the line, booked or not.

The judgement itself is handed in; this module only stores it and moves the state.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel import idempotency, outbox
from kernel.clock import business_date
from kernel.errors import NotFound
from kernel.ids import new_number
from servicing.events import ApplicationDecided, ApplicationSubmitted
from servicing.model import (
    APPEALED,
    LINE_TOO_SMALL,
    MACHINE,
    ApplicationEvent,
    ApplicationState,
    ApplicationStateRefused,
    is_by_person,
    next_application_state,
)
from servicing.operations import lines
from servicing.ports import Decide
from servicing.products import Product
from servicing.queries.facts import application_snapshot
from servicing.queries.products import STANDARD_CODE, product_in_force
from servicing.tables import Application, CreditLine

_EVENTS = {
    "approve": ApplicationEvent.APPROVE,
    "decline": ApplicationEvent.DECLINE,
    "review": ApplicationEvent.REVIEW,
}


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
        attributes: Facts around it (device, wifi, address …), JSON-able, hashed where personal.
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
    outbox.record(session, ApplicationSubmitted(application_id=application.id), now=now)
    claimed.keep({"application_id": application.id})
    return application.id


def decide_application(
    session: Session, *, application_id: int, decide: Decide, now: datetime
) -> ApplicationState:
    """Have an application decided and act on it; one that is decided already stays as it is.

    An approval opens the customer's first line, or holds the amount on the one there is; if that
    has too little left or is frozen, a person looks at it.

    Raises:
        ApplicationNotFound: There is none.
    """
    application = lock_application(session, application_id=application_id)
    if application.state != ApplicationState.SUBMITTED:
        return ApplicationState(application.state)
    snapshot = application_snapshot(session, application_id=application_id, on=business_date(now))
    decision = decide(session, application_id=application_id, snapshot=snapshot, now=now)
    application.decision_id = decision.decision_id
    application.strategy_version = decision.strategy_version
    event, reasons = _EVENTS[decision.outcome], list(decision.reasons)
    if event is ApplicationEvent.APPROVE and not _hold_on_line(session, application, now):
        event, reasons = ApplicationEvent.REVIEW, [*reasons, LINE_TOO_SMALL]
    return _move(session, application, event, reasons, decided_by=MACHINE, now=now)


def review_application(
    session: Session,
    *,
    application_id: int,
    approve: bool,
    reasons: Sequence[str],
    decided_by: str,
    now: datetime,
) -> ApplicationState:
    """Let a person decide an application that the machine passed on.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: It is not in review.
        LineExhausted: It is approved, and the line there is has too little left.
        LineNotDrawable: It is approved, and the line is frozen.
    """
    application = lock_application(session, application_id=application_id)
    event = ApplicationEvent.APPROVE if approve else ApplicationEvent.DECLINE
    if application.state != ApplicationState.IN_REVIEW:
        raise ApplicationStateRefused(f"application {application_id} is not in review")
    if approve:
        line = _line_for(session, application, now)
        lines.hold_amount(line, amount_fen=application.amount_fen)
    return _move(session, application, event, list(reasons), decided_by=decided_by, now=now)


def appeal_application(session: Session, *, application_id: int, now: datetime) -> ApplicationState:
    """Let a person look at what no person declined, because the applicant asks; safe to repeat.

    What was decided stays on the application until the person decides, and in the judge's record.

    Raises:
        ApplicationNotFound: There is none.
        ApplicationStateRefused: It is not declined, or a person declined it.
    """
    application = lock_application(session, application_id=application_id)
    if application.state == ApplicationState.IN_REVIEW and APPEALED in application.reasons:
        return ApplicationState.IN_REVIEW
    state = next_application_state(application.state, ApplicationEvent.APPEAL)
    if is_by_person(application.decided_by):
        raise ApplicationStateRefused(f"a person declined application {application_id}")
    application.state, application.reasons = state, [*application.reasons, APPEALED]
    _tell(session, application, now)
    return state


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
    return ApplicationState(application.state)


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


def _line_for(session: Session, application: Application, now: datetime) -> CreditLine:
    customer_id, funder = application.customer_id, application.funder
    line = lines.find_line(session, customer_id=customer_id, funder=funder)
    if line is not None:
        return line
    granted = application.amount_fen
    line_id = lines.open_line(
        session, customer_id=customer_id, funder=funder, granted_fen=granted, now=now
    )
    return lines.lock_line(session, line_id=line_id)


def _hold_on_line(session: Session, application: Application, now: datetime) -> bool:
    line = _line_for(session, application, now)
    if lines.available_fen(line) < application.amount_fen:
        return False
    lines.hold_amount(line, amount_fen=application.amount_fen)
    return True


def _move(
    session: Session,
    application: Application,
    event: ApplicationEvent,
    reasons: list[str],
    *,
    decided_by: str,
    now: datetime,
) -> ApplicationState:
    state = next_application_state(application.state, event)
    application.state, application.reasons = state, reasons
    application.decided_at, application.decided_by = now, decided_by
    _tell(session, application, now)
    return state


def _tell(session: Session, application: Application, now: datetime) -> None:
    decided = ApplicationDecided(
        application_id=application.id,
        customer_id=application.customer_id,
        outcome=application.state,
    )
    outbox.record(session, decided, now=now)
