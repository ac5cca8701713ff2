"""Alerts: what staff must look at, once per cause."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.database import insert_ignore
from kernel.errors import NotFound
from servicing.tables import Alert

OPEN = "open"
CLOSED = "closed"


class AlertNotFound(NotFound):
    """There is no such alert."""

    code = "alert-not-found"
    message_zh = "没有找到该预警"


def raise_alert(
    session: Session,
    *,
    key: str,
    kind: str,
    severity: str,
    customer_id: int | None,
    loan_id: int | None = None,
    details: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Raise an alert unless its key was raised before; returns whether it is new."""
    row = {
        "key": key,
        "kind": kind,
        "severity": severity,
        "customer_id": customer_id,
        "loan_id": loan_id,
        "details": dict(details),
        "state": OPEN,
        "raised_at": now,
    }
    return insert_ignore(session, Alert, [row], conflict=["key"]) == 1


def close_alert(
    session: Session, *, alert_id: int, closed_by: str, note: str, now: datetime
) -> bool:
    """Close an alert with a note; returns whether it was open until now.

    Raises:
        AlertNotFound: There is none.
    """
    alert = session.scalar(select(Alert).where(Alert.id == alert_id).with_for_update())
    if alert is None:
        raise AlertNotFound(f"no alert {alert_id}")
    if alert.state == CLOSED:
        return False
    alert.state, alert.closed_at, alert.closed_by, alert.note = CLOSED, now, closed_by, note
    return True
