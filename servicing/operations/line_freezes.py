"""Freezes of a credit line: nobody draws on it from a first to a last day.

Freezes overlap: each has its own reason, days and end, and the line opens when none is in force.
What is drawn already is paid as agreed. How a line follows its days is said in line_days.

    LineFreezeRefused   422  the days make no sense
    LineFreezeNotFound  404  there is no such freeze
"""

from datetime import date, datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import Invalid, NotFound
from servicing.model import MACHINE
from servicing.operations.line_days import ACTIVE, follow_days, is_in_force
from servicing.operations.lines import lock_line
from servicing.tables import LineFreeze


class LineFreezeRefused(Invalid):
    """It would begin before today, or end before it begins."""

    code = "line-freeze-refused"
    message_zh = "额度冻结的首日不能早于今天，末日不能早于首日"


class LineFreezeNotFound(NotFound):
    """There is no such freeze."""

    code = "line-freeze-not-found"
    message_zh = "没有找到该额度冻结"


def place_line_freeze(
    session: Session,
    *,
    line_id: int,
    reason: str,
    first_on: date,
    last_on: date | None,
    by: str,
    now: datetime,
) -> int:
    """Let nobody draw on a line on some days, others overlapping or not; returns the freeze's id.

    Args:
        session: A write session.
        line_id: The line; its row is locked.
        reason: Why, as a code such as "fraud".
        first_on: The first day, today or later.
        last_on: The last one; None for no end.
        by: Who asked for it: a staff login, or "machine".
        now: The instant.

    Raises:
        LineFreezeRefused: Said above.
        LineNotFound: There is no such line.
    """
    if first_on < business_date(now) or (last_on is not None and last_on < first_on):
        raise LineFreezeRefused(f"no freeze from {first_on} to {last_on}")
    line = lock_line(session, line_id=line_id)
    freeze = LineFreeze(
        line_id=line_id,
        first_on=first_on,
        last_on=last_on,
        reason=reason,
        opened_by=by,
        opened_at=now,
    )
    session.add(freeze)
    follow_days(session, line, now=now)
    return freeze.id


def lift_line_freeze(session: Session, *, freeze_id: int, by: str, now: datetime) -> bool:
    """End a freeze before its time, others staying; returns whether it had not ended yet.

    Raises:
        LineFreezeNotFound: There is none.
    """
    line_id = session.scalar(select(LineFreeze.line_id).where(LineFreeze.id == freeze_id))
    if line_id is None:
        raise LineFreezeNotFound(f"no freeze {freeze_id}")
    line = lock_line(session, line_id=line_id)
    freeze = session.get_one(LineFreeze, freeze_id, populate_existing=True)
    is_over = freeze.last_on is not None and freeze.last_on < business_date(now)
    if freeze.lifted_at is not None or is_over:
        return False
    freeze.lifted_at, freeze.lifted_by = now, by
    follow_days(session, line, now=now)
    return True


def freeze_line(session: Session, *, line_id: int, reason: str, now: datetime) -> bool:
    """Stop drawings from now on and without an end, by machine; safe to repeat for one reason.

    Returns:
        Whether the line was open until now.

    Raises:
        LineNotFound: There is none.
    """
    line, on = lock_line(session, line_id=line_id), business_date(now)
    follow_days(session, line, now=now)
    was_open = line.state == ACTIVE
    same = (LineFreeze.line_id == line_id, LineFreeze.reason == reason)
    known = exists().where(*same, LineFreeze.last_on.is_(None), is_in_force(on))
    if not session.scalar(select(known)):
        place_line_freeze(
            session,
            line_id=line_id,
            reason=reason,
            first_on=on,
            last_on=None,
            by=MACHINE,
            now=now,
        )
    return was_open
