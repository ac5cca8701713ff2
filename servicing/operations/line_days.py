"""What days do to a credit line: freezes begin and end, and the line's own last day passes.

Whoever draws on a line asks for the day's truth, so that no draw depends on when a job ran.
"""

from datetime import date, datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from kernel import outbox
from kernel.clock import business_date
from servicing.events import LineFrozen
from servicing.model import MACHINE
from servicing.tables import CreditLine, LineChange, LineFreeze

ACTIVE: Final = "active"
FROZEN: Final = "frozen"
CLOSED: Final = "closed"


def is_in_force(on: date) -> ColumnElement[bool]:
    """Say in SQL which freezes hold on a day; their first and last day are included."""
    return and_(
        LineFreeze.lifted_at.is_(None),
        LineFreeze.first_on <= on,
        or_(LineFreeze.last_on.is_(None), LineFreeze.last_on >= on),
    )


def is_drawable(session: Session, line: CreditLine, *, on: date) -> bool:
    """Say whether a line can be drawn on a day, by its freezes and its last day."""
    return _frozen_by(session, line, on) is None and not _is_over(line, on)


def follow_days(session: Session, line: CreditLine, *, now: datetime) -> None:
    """Let a locked line be what its freezes and its last day make of it today.

    A freeze counts more than the last day: a line that is over and frozen is renewed frozen.
    """
    session.flush()
    on = business_date(now)
    freeze, is_over = _frozen_by(session, line, on), _is_over(line, on)
    if freeze is not None:
        _freeze(session, line, freeze, now)
        return
    if is_over and line.state == ACTIVE:
        _note_expiry(session, line, now)
    line.state, line.frozen_reason, line.frozen_at = CLOSED if is_over else ACTIVE, None, None


def turn_lines(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Let lines follow whose freezes began or ended, or whose last day is over; returns how many.

    What was drawn on them is paid as agreed.
    """
    on = business_date(now)
    frozen = exists().where(LineFreeze.line_id == CreditLine.id, is_in_force(on))
    turned = or_(
        and_(CreditLine.state != FROZEN, frozen),
        and_(CreditLine.state == FROZEN, ~frozen),
        and_(CreditLine.state == ACTIVE, CreditLine.expires_on < on),
    )
    lines = session.scalars(
        select(CreditLine).where(turned).order_by(CreditLine.id).limit(limit).with_for_update()
    ).all()
    for line in lines:
        follow_days(session, line, now=now)
    return len(lines)


def _frozen_by(session: Session, line: CreditLine, on: date) -> LineFreeze | None:
    return session.scalars(
        select(LineFreeze)
        .where(LineFreeze.line_id == line.id, is_in_force(on))
        .order_by(LineFreeze.id)
        .limit(1)
    ).first()


def _is_over(line: CreditLine, on: date) -> bool:
    return line.expires_on is not None and line.expires_on < on


def _freeze(session: Session, line: CreditLine, freeze: LineFreeze, now: datetime) -> None:
    if line.state != FROZEN:
        event = LineFrozen(line_id=line.id, customer_id=line.customer_id, reason=freeze.reason)
        outbox.record(session, event, now=now)
    line.state, line.frozen_reason, line.frozen_at = FROZEN, freeze.reason, freeze.opened_at


def _note_expiry(session: Session, line: CreditLine, now: datetime) -> None:
    session.add(
        LineChange(
            line_id=line.id,
            kind="expire",
            granted_before_fen=line.granted_fen,
            granted_after_fen=line.granted_fen,
            expires_before=line.expires_on,
            expires_after=line.expires_on,
            actor=MACHINE,
            recorded_at=now,
        )
    )
