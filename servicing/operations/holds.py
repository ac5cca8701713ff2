"""Holds: what may not be sent to a customer, why and until when. contact's gate asks for them."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel import outbox
from kernel.errors import NotFound
from servicing.events import HoldPlaced
from servicing.tables import Hold

ALL = "all"


class HoldNotFound(NotFound):
    """There is no such hold."""

    code = "hold-not-found"
    message_zh = "没有找到该停催记录"


def place_hold(
    session: Session,
    *,
    customer_id: int,
    reason: str,
    scope: str,
    until: datetime | None,
    opened_by: str,
    now: datetime,
    loan_id: int | None = None,
    complaint_id: int | None = None,
) -> int:
    """Bar contacts to a customer from now on; returns the hold's id.

    Args:
        session: A write session.
        customer_id: Who is left alone.
        reason: Why, as a code such as "dispute" or "hardship".
        scope: "all", a channel or a purpose of contact.
        until: The instant from which contacts are allowed again; None for no end.
        opened_by: Who placed it: a staff login, or "machine".
        now: The instant.
        loan_id: The disputed loan, if the hold is about one.
        complaint_id: The complaint that it belongs to, if any.
    """
    hold = Hold(
        customer_id=customer_id,
        loan_id=loan_id,
        complaint_id=complaint_id,
        reason=reason,
        scope=scope,
        opened_at=now,
        opened_by=opened_by,
        until=until,
    )
    session.add(hold)
    session.flush()
    event = HoldPlaced(customer_id=customer_id, reason=reason, scope=scope)
    outbox.record(session, event, now=now)
    return hold.id


def lift_hold(
    session: Session, *, hold_id: int, lifted_by: str, reason: str, now: datetime
) -> bool:
    """End a hold; returns whether it was in force until now.

    Raises:
        HoldNotFound: There is none.
    """
    hold = session.scalar(select(Hold).where(Hold.id == hold_id).with_for_update())
    if hold is None:
        raise HoldNotFound(f"no hold {hold_id}")
    if hold.lifted_at is not None or (hold.until is not None and hold.until <= now):
        return False
    hold.lifted_at, hold.lifted_by, hold.lift_reason = now, lifted_by, reason
    return True
