"""Appending to the audit chain: one chain for the house, each entry sealed with the one before.

Whoever appends holds the chain's head until the end of the transaction, so call it last: after
the rows of the act itself are locked. It does not read or verify; desk.queries does.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from desk.model import GENESIS, canonical, entry_hash
from desk.tables import HEAD_ROW, AuditEntry, AuditHead
from kernel.database import insert_ignore


def append_audit(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any],
    now: datetime,
) -> int:
    """Append one entry within the caller's transaction.

    Args:
        session: An open write session.
        actor: A staff login, or `machine:` and the name of a job.
        action: Dotted, area first, in the past tense: `servicing.line.frozen`.
        subject: What was acted upon: `customer:17`.
        details: JSON-able; never holds clear personal data.
        now: The instant of the act.

    Returns:
        The entry's number: 1, 2, 3 … without gaps.
    """
    number, previous = _take_head(session)
    text = canonical(details)
    sealed = entry_hash(
        number=number,
        actor=actor,
        action=action,
        subject=subject,
        details=text,
        at=now,
        previous=previous,
    )
    session.add(
        AuditEntry(
            id=number,
            actor=actor,
            action=action,
            subject=subject,
            details=text,
            at=now,
            previous_hash=previous,
            hash=sealed,
        )
    )
    session.execute(
        update(AuditHead).where(AuditHead.id == HEAD_ROW).values(number=number, hash=sealed)
    )
    session.flush()
    return number


def _take_head(session: Session) -> tuple[int, str]:
    """Lock the head; return the number of the next entry and the hash of the last."""
    locked = select(AuditHead.number, AuditHead.hash).where(AuditHead.id == HEAD_ROW)
    head = session.execute(locked.with_for_update()).one_or_none()
    if head is None:
        first = {"id": HEAD_ROW, "number": 0, "hash": GENESIS}
        insert_ignore(session, AuditHead, [first], conflict=["id"])
        head = session.execute(locked.with_for_update()).one()
    return head.number + 1, head.hash
