"""Changes of what is granted on a line, and until when: raise, cut, expiry, renewal, and undo.

A cut below what is used is lawful: nothing is available then, and nothing is called in. What was
held for a purchase that nobody drew is released. Each change is a row that stays.

    LineChangeRefused  409  nothing would change, or it is not the last change that still stands
"""

from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import Conflict
from servicing.model import ApplicationState
from servicing.offering import OfferEvent, OfferState, next_offer_state
from servicing.operations.applications.submitting import lapse_application
from servicing.operations.line_days import follow_days
from servicing.operations.lines import lock_line
from servicing.queries.offers import line_changes
from servicing.tables import Application, CreditLine, LineChange, Offer

# An approval that was not drawn by then was for a purchase that did not happen.
HOLD_DAYS: Final = 30


class LineChangeRefused(Conflict):
    """The line is as it was to become, closed, or changed again since."""

    code = "line-change-refused"
    message_zh = "额度已是该状态，或此后又有变更"


def change_granted(
    session: Session,
    *,
    line_id: int,
    granted_fen: int,
    actor: str,
    now: datetime,
    undoes_id: int | None = None,
) -> int:
    """Raise or cut a line; returns the change's number.

    Args:
        session: A write session.
        line_id: The line; its row is locked.
        granted_fen: What is granted from now on, ≥ 0, also less than is used.
        actor: Who did it.
        now: The instant.
        undoes_id: The change that this takes back; it must be the last that stands.

    Raises:
        LineNotFound: There is none.
        LineChangeRefused: As said above.
    """
    line = lock_line(session, line_id=line_id)
    if granted_fen == line.granted_fen or granted_fen < 0:
        raise LineChangeRefused(f"line {line_id} grants {line.granted_fen} fen")
    if undoes_id is not None:
        _require_last(session, line_id, undoes_id)
    kind = "raise" if granted_fen > line.granted_fen else "cut"
    return _record(session, line, kind, actor, now, granted_fen=granted_fen, undoes_id=undoes_id)


def renew_line(
    session: Session, *, line_id: int, expires_on: date, actor: str, on: date, now: datetime
) -> int:
    """Let a line be drawn until a day, also one that had expired; returns the change's number.

    A line that is frozen stays frozen.

    Raises:
        LineNotFound: There is none.
        LineChangeRefused: The day is over, or the present one already.
    """
    line = lock_line(session, line_id=line_id)
    if expires_on < on or expires_on == line.expires_on:
        raise LineChangeRefused(f"line {line_id} is not renewed to {expires_on}")
    return _record(session, line, "renew", actor, now, expires_on=expires_on)


def undo_line_change(
    session: Session, *, change_id: int, line_id: int, actor: str, now: datetime
) -> int:
    """Take back the last change of a line that still stands; returns the number of doing so.

    Raises:
        LineChangeRefused: There is no such change, or it is not the last.
    """
    line = lock_line(session, line_id=line_id)
    _require_last(session, line_id, change_id)
    change = session.get_one(LineChange, change_id)
    _withdraw_offer(session, line_id, change_id, actor, now)
    return _record(
        session,
        line,
        "undo",
        actor,
        now,
        granted_fen=change.granted_before_fen,
        expires_on=change.expires_before,
        undoes_id=change_id,
    )


def expire_holds(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Cancel purchases that were approved and not drawn within 30 days, and tell who asked.

    Their amounts are free again.
    """
    due = session.scalars(
        select(Application.id)
        .where(
            Application.state == ApplicationState.APPROVED,
            Application.decided_at < now - timedelta(days=HOLD_DAYS),
        )
        .order_by(Application.id)
        .limit(limit)
        .with_for_update(skip_locked=True)  # who draws it at this moment is in time
    ).all()
    for application_id in due:
        lapse_application(session, application_id=application_id, now=now)
    return len(due)


def _withdraw_offer(
    session: Session, line_id: int, change_id: int, actor: str, now: datetime
) -> None:
    """Let the offer that the change came from, if one, say that it does not stand any more."""
    offers = session.scalars(
        select(Offer).where(Offer.line_id == line_id, Offer.state == OfferState.FULFILLED)
    )
    for offer in offers:
        if change_id in offer.effects:
            offer.state = next_offer_state(offer.state, OfferEvent.UNDO)
            offer.closed_at, offer.closed_by = now, actor


def _require_last(session: Session, line_id: int, change_id: int) -> None:
    if not any(
        change.id == change_id and change.can_undo
        for change in line_changes(session, line_id=line_id)
    ):
        raise LineChangeRefused(f"change {change_id} of line {line_id} is not the last")


def _record(
    session: Session,
    line: CreditLine,
    kind: str,
    actor: str,
    now: datetime,
    *,
    granted_fen: int | None = None,
    expires_on: date | None = None,
    undoes_id: int | None = None,
) -> int:
    """Write the change down and make it true; a figure that is not given stays."""
    is_dated = kind in ("renew", "undo")
    change = LineChange(
        line_id=line.id,
        kind=kind,
        granted_before_fen=line.granted_fen,
        granted_after_fen=line.granted_fen if granted_fen is None else granted_fen,
        expires_before=line.expires_on,
        expires_after=expires_on if is_dated else line.expires_on,
        undoes_id=undoes_id,
        actor=actor,
        recorded_at=now,
    )
    session.add(change)
    line.granted_fen, line.expires_on = change.granted_after_fen, change.expires_after
    follow_days(session, line, now=now)
    return change.id
