"""Credit lines: available = granted - held - utilised, after every event.

A purchase holds, then draws; paid principal comes back. Who deserves a line is risk's judgement.
"""

from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from kernel import outbox
from kernel.errors import Conflict, NotFound
from servicing import model
from servicing.events import LineOpened, LineRaised
from servicing.model import MACHINE
from servicing.operations.line_days import ACTIVE, is_drawable
from servicing.tables import CreditLine, LineChange


class LineNotFound(NotFound):
    """There is no such line."""

    code = "line-not-found"
    message_zh = "没有找到该额度"


class LineNotDrawable(Conflict):
    """The line is frozen or closed."""

    code = "line-not-drawable"
    message_zh = "您的额度暂不可用，如有疑问请联系人工客服"


class LineExhausted(Conflict):
    """The line has less left than is asked for."""

    code = "line-exhausted"
    message_zh = "可用额度不足"


class LineKnown(Conflict):
    """The customer has a line of this funder already."""

    code = "line-known"
    message_zh = "您已有额度"


class LineTooLarge(Conflict):
    """A line would be larger than the statutory bound on one person's consumer credit."""

    code = "line-too-large"
    message_zh = "额度不能超过个人消费信贷的监管上限"


def _assert_within_bound(granted_fen: int) -> None:
    if granted_fen > model.LINE_AT_MOST_FEN:
        raise LineTooLarge(f"{granted_fen} fen is above {model.LINE_AT_MOST_FEN}")


def open_line(
    session: Session, *, customer_id: int, funder: str, granted_fen: int, now: datetime
) -> int:
    """Grant a customer a line and return its id.

    Raises:
        LineKnown: The customer has one of this funder.
        LineTooLarge: It would be above the statutory bound.
    """
    _assert_within_bound(granted_fen)
    if find_line(session, customer_id=customer_id, funder=funder) is not None:
        raise LineKnown(f"customer {customer_id} has a line of {funder}")
    line = CreditLine(
        customer_id=customer_id, funder=funder, granted_fen=granted_fen, opened_at=now
    )
    session.add(line)
    session.flush()
    outbox.record(
        session,
        LineOpened(line_id=line.id, customer_id=customer_id, granted_fen=granted_fen),
        now=now,
    )
    return line.id


def find_line(session: Session, *, customer_id: int, funder: str) -> CreditLine | None:
    """Lock a customer's line of a funder, or return None."""
    return session.scalar(
        select(CreditLine)
        .where(CreditLine.customer_id == customer_id, CreditLine.funder == funder)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def lock_line(session: Session, *, line_id: int) -> CreditLine:
    """Lock a line for writing.

    Raises:
        LineNotFound: There is none.
    """
    line = session.scalar(
        select(CreditLine)
        .where(CreditLine.id == line_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if line is None:
        raise LineNotFound(f"no line {line_id}")
    return line


def available_fen(line: CreditLine) -> int:
    """Return what may still be drawn."""
    return model.available_fen(
        state=line.state,
        granted_fen=line.granted_fen,
        held_fen=line.held_fen,
        utilised_fen=line.utilised_fen,
    )


def hold_amount(session: Session, line: CreditLine, *, amount_fen: int, on: date) -> None:
    """Set an amount aside for a purchase that was approved.

    Raises:
        LineNotDrawable: The line is frozen or closed.
        LineExhausted: Less is available.
    """
    _assert_drawable(session, line, on)
    if available_fen(line) < amount_fen:
        raise LineExhausted(f"line {line.id} has less than {amount_fen} fen")
    line.held_fen += amount_fen


def raise_line(session: Session, line: CreditLine, *, granted_fen: int, now: datetime) -> bool:
    """Grant more on an open line, never less; returns whether anything changed.

    Raises:
        LineTooLarge: It would be above the statutory bound.
    """
    _assert_within_bound(granted_fen)
    if line.state != ACTIVE or granted_fen <= line.granted_fen:
        return False
    session.add(
        LineChange(
            line_id=line.id,
            kind="raise",
            granted_before_fen=line.granted_fen,
            granted_after_fen=granted_fen,
            expires_before=line.expires_on,
            expires_after=line.expires_on,
            actor=MACHINE,
            recorded_at=now,
        )
    )
    line.granted_fen = granted_fen
    event = LineRaised(line_id=line.id, customer_id=line.customer_id, granted_fen=granted_fen)
    outbox.record(session, event, now=now)
    return True


def release_amount(line: CreditLine, *, amount_fen: int) -> None:
    """Give back an amount that was held and not drawn."""
    line.held_fen -= amount_fen


def draw_held(session: Session, line: CreditLine, *, amount_fen: int, on: date) -> None:
    """Turn a held amount into a drawn one.

    Raises:
        LineNotDrawable: The line was frozen or closed since.
    """
    _assert_drawable(session, line, on)
    line.held_fen -= amount_fen
    line.utilised_fen += amount_fen


def restore(session: Session, *, line_id: int, principal_fen: int, undrawn_fen: int = 0) -> None:
    """Give paid principal back to the line, and what is no longer to be drawn, in any state.

    Negative amounts take it again.
    """
    session.execute(
        update(CreditLine)
        .where(CreditLine.id == line_id)
        .values(
            utilised_fen=CreditLine.utilised_fen - principal_fen,
            held_fen=CreditLine.held_fen - undrawn_fen,
        )
    )


def require_drawable(session: Session, *, line_id: int, on: date) -> None:
    """Lock a line on which a further part of a loan is drawn; what it is for is held already.

    Raises:
        LineNotDrawable: It is frozen or closed.
    """
    _assert_drawable(session, lock_line(session, line_id=line_id), on)


def _assert_drawable(session: Session, line: CreditLine, on: date) -> None:
    if not is_drawable(session, line, on=on):
        raise LineNotDrawable(f"line {line.id} is frozen or closed on {on}")
