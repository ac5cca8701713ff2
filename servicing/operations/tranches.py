"""Further parts of a loan that is drawn bit by bit (分次放款), and what becomes of the rest.

The first part is drawn when the loan is booked. Each later one is planned over the instalments to
come, so that the term stays what was agreed; its cost table is confirmed like that of any drawing.
What is left undrawn on its last day lapses, and the line has it back.

    TrancheRefused  409  nothing is left to draw, or the loan is late
"""

from datetime import date, datetime
from typing import Final, Unpack

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import Conflict
from servicing.engine.events import Disbursement, UndrawnLapse
from servicing.operations.lines import require_drawable
from servicing.operations.posting import post_event
from servicing.operations.requests import Agreed, Asked, look_at, post_request
from servicing.tables import Loan

_MACHINE: Final = "machine"


class TrancheRefused(Conflict):
    """A part is drawn of what is left, in time, of a loan that is not late."""

    code = "tranche-refused"
    message_zh = "不能再放款：没有这么多可放余额，或已过放款期限、已逾期"


def drawing(session: Session, *, loan_id: int, amount_fen: int, on: date) -> Disbursement:
    """Return the event that pays out a further part of a loan.

    Args:
        session: A session.
        loan_id: The loan.
        amount_fen: How much, up to what is left undrawn.
        on: The business date.

    Raises:
        TrancheRefused: As said above.
        LineNotDrawable: The line is frozen or closed.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    loan, left_fen = look.loan, look.state.undrawn_fen
    if not 0 < amount_fen <= left_fen or look.days_past_due or look.next_due_on is None:
        raise TrancheRefused(f"{amount_fen} of {left_fen} fen cannot be drawn on loan {loan_id}")
    if loan.draw_until is not None and on > loan.draw_until:
        raise TrancheRefused(f"loan {loan_id} was drawn on until {loan.draw_until}")
    if loan.line_id is not None:
        require_drawable(session, line_id=loan.line_id, on=on)
    return Disbursement(id="", on=on, amount_fen=amount_fen)


def draw_tranche(session: Session, *, amount_fen: int, **asked: Unpack[Agreed]) -> int:
    """Pay out a further part whose cost table the borrower confirmed; returns the event's number.

    Errors are those of `drawing` and of requests.
    """
    loan_id, on = asked["loan_id"], asked["on"]
    return post_request(
        session,
        action="draw-tranche",
        details={"amount_fen": amount_fen},
        rule=lambda: drawing(session, loan_id=loan_id, amount_fen=amount_fen, on=on),
        asks_consent=True,
        **asked,
    )


def end_drawing(session: Session, **asked: Unpack[Asked]) -> int:
    """Let what is left undrawn lapse before its time, for a borrower who needs no more.

    Raises:
        EventRefused: There is nothing that could be drawn.
    """
    return post_request(
        session,
        action="end-drawing",
        details={},
        rule=lambda: UndrawnLapse(id="", on=asked["on"]),
        is_priced=False,
        **asked,
    )


def lapse_undrawn(session: Session, *, on: date, now: datetime, limit: int = 500) -> int:
    """Let what was not drawn by its last day lapse, of so many loans at most; returns how many."""
    over = session.scalars(
        select(Loan.id)
        .where(Loan.undrawn_fen > 0, Loan.draw_until < on)
        .order_by(Loan.id)
        .limit(limit)
    ).all()
    for loan_id in over:
        post_event(
            session,
            loan_id=loan_id,
            event=UndrawnLapse(id="", on=on),
            key=f"undrawn/{loan_id}/{on}",
            actor=_MACHINE,
            now=now,
        )
    return len(over)
