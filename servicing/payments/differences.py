"""Differences between the platform's bill and our book: how they are opened, and how they end.

    DifferenceNotFound  404  there is none
    DifferenceClosed    409  it ended, or changed, since the act was asked for
    ActNotFitting       409  the act is not for a difference of this kind

Money of a difference sits on the suspense account from the moment it is opened. What moves it on
needs a second person, who is asked elsewhere; here an act is only done, once.
"""

from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import Conflict, NotFound
from kernel.ids import new_number
from servicing.operations import CLEARING, DIFFERENCES, REFUND_PAYABLE
from servicing.payments import book
from servicing.payments.matching import Finding
from servicing.payments.model import DifferenceKind, RefundState, Resolution
from servicing.payments.tables import PayDifference, Refund

OPEN: Final = "open"
RESOLVED: Final = "resolved"

_SENT_BACK: Final = "对账发现的款项，原路退回"
_BACK_TO_SOURCE: Final = (DifferenceKind.UNKNOWN_HERE, DifferenceKind.AMOUNT_DIFFERS)


class DifferenceNotFound(NotFound):
    """There is no such difference."""

    code = "pay-difference-not-found"
    message_zh = "没有找到该对账差错"


class DifferenceClosed(Conflict):
    """It ended, or less of it is open than the act is about."""

    code = "pay-difference-closed"
    message_zh = "该差错已处理或金额已变化，请刷新后重试"


class ActNotFitting(Conflict):
    """This cannot be done with a difference of its kind."""

    code = "pay-difference-act-not-fitting"
    message_zh = "该类差错不支持此处理方式"


def open_difference(
    session: Session, finding: Finding, *, bill_on: date, now: datetime
) -> PayDifference | None:
    """Write a difference down and put its money on the suspense account; None if known already.

    One that moves no money is resolved at once: it tells what was put right by itself.
    """
    if session.scalar(select(PayDifference.id).where(PayDifference.key == finding.key)):
        return None
    is_settled = finding.suspense_fen == 0
    row = PayDifference(
        key=finding.key,
        kind=finding.kind,
        bill_on=bill_on,
        happened_at=finding.at,
        transaction_id=finding.transaction_id,
        out_trade_no=finding.out_trade_no,
        out_refund_no=finding.out_refund_no,
        customer_id=finding.whose.customer_id,
        loan_id=finding.whose.loan_id,
        there_fen=finding.there_fen,
        here_fen=finding.here_fen,
        suspense_fen=finding.suspense_fen,
        open_fen=finding.suspense_fen,
        state=RESOLVED if is_settled else OPEN,
        resolution=Resolution.SETTLED_BY_QUERY if is_settled else "",
        owner="",
        note="",
        opened_at=now,
        resolved_at=now if is_settled else None,
        resolved_by="",
    )
    session.add(row)
    session.flush()
    book.enter_suspense(session, name=str(row.id), fen=row.suspense_fen, on=row.bill_on, now=now)
    return row


def clear(row: PayDifference, fen: int, resolution: Resolution, *, by: str, now: datetime) -> None:
    """Take an amount of the open sum of a locked difference; all of it resolves it."""
    row.open_fen -= fen
    if row.open_fen == 0:
        row.state, row.resolution = RESOLVED, resolution
        row.resolved_at, row.resolved_by = now, by


def came_later(session: Session, row: PayDifference, *, on: date, now: datetime) -> None:
    """Take out of suspense what the other side knew only on a later day, and resolve it."""
    book.leave_suspense(
        session,
        name=f"{row.id}/{Resolution.CAME_LATER}",
        to=CLEARING,
        fen=row.open_fen,
        on=on,
        now=now,
    )
    clear(row, row.open_fen, Resolution.CAME_LATER, by="", now=now)


def lock_difference(session: Session, *, difference_id: int) -> PayDifference:
    """Lock a difference for writing.

    Raises:
        DifferenceNotFound: There is none.
    """
    row = session.scalar(
        select(PayDifference)
        .where(PayDifference.id == difference_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise DifferenceNotFound(f"no difference {difference_id}")
    return row


def take_up(session: Session, *, difference_id: int, owner: str, note: str) -> bool:
    """Make somebody the one who deals with it, with a note; returns whether that is new.

    Raises:
        DifferenceNotFound: There is none.
        DifferenceClosed: It has ended.
    """
    row = lock_difference(session, difference_id=difference_id)
    if row.state != OPEN:
        raise DifferenceClosed(f"difference {difference_id} has ended")
    if (row.owner, row.note) == (owner, note):
        return False
    row.owner, row.note = owner, note
    return True


def accept(session: Session, *, difference_id: int, why: str, by: str, now: datetime) -> bool:
    """Let months be closed while it is open, with a reason; returns whether that is new.

    Raises:
        DifferenceNotFound: There is none.
        DifferenceClosed: It has ended.
    """
    row = lock_difference(session, difference_id=difference_id)
    if row.state != OPEN:
        raise DifferenceClosed(f"difference {difference_id} has ended")
    if (row.accepted_by, row.accepted_why) == (by, why):
        return False
    row.accepted_at, row.accepted_by, row.accepted_why = now, by, why
    return True


def settle_to_loan(
    session: Session, *, difference_id: int, loan_id: int, fen: int, by: str, now: datetime
) -> None:
    """Let a loan take money from the suspense account, as paid on the day it came.

    Args:
        session: A write session.
        difference_id: Whose money it is about.
        loan_id: The loan that takes it.
        fen: How much, > 0, at most what is open.
        by: Who asked for it, as the trail will name them.
        now: The instant of the act.

    Raises:
        DifferenceNotFound, DifferenceClosed, ActNotFitting: Said above.
        PaymentTooLarge: More than the loan still owes.
        LoanNotFound: There is no such loan.
    """
    row = _open(session, difference_id, fen)
    if not is_payable_in(row.kind):
        raise ActNotFitting(f"difference {difference_id} is {row.kind}")
    on = business_date(row.happened_at)
    name = f"{row.id}/{Resolution.TO_LOAN}/{row.open_fen}"
    book.leave_suspense(session, name=name, to=CLEARING, fen=fen, on=on, now=now)
    book.post_unasked(
        session,
        loan_id=loan_id,
        key=f"pay-difference/{row.id}/{row.open_fen}",
        amount_fen=fen,
        value_date=on,
        now=now,
    )
    row.loan_id, row.customer_id = loan_id, book.owner_of(session, loan_id=loan_id)
    clear(row, fen, Resolution.TO_LOAN, by=by, now=now)


def refund_to_source(
    session: Session, *, difference_id: int, fen: int, by: str, now: datetime
) -> str:
    """Send money on the suspense account back to where it came from; returns the refund's number.

    Raises:
        DifferenceNotFound, DifferenceClosed, ActNotFitting: Said above.
    """
    row = _open(session, difference_id, fen)
    if not may_go_back(row.kind, row.out_refund_no):
        raise ActNotFitting(f"difference {difference_id} is {row.kind}")
    number = new_number("RF", on=business_date(now))
    book.leave_suspense(
        session,
        name=f"{row.id}/{Resolution.REFUNDED}/{row.open_fen}",
        to=REFUND_PAYABLE,
        fen=fen,
        on=business_date(now),
        now=now,
    )
    session.add(
        Refund(
            difference_id=row.id,
            out_refund_no=number,
            amount_fen=fen,
            reason=_SENT_BACK,
            state=RefundState.READY,
            next_try_at=now,
            created_at=now,
        )
    )
    clear(row, fen, Resolution.REFUNDED, by=by, now=now)
    return number


def write_down(session: Session, *, difference_id: int, fen: int, by: str, now: datetime) -> None:
    """Book all that is open of a difference as gain or loss of the house.

    Args:
        session: A write session.
        difference_id: Which.
        fen: What was open when it was decided; negative where money is missed.
        by: Who asked for it.
        now: The instant of the act.

    Raises:
        DifferenceNotFound, DifferenceClosed: Said above.
    """
    row = lock_difference(session, difference_id=difference_id)
    if row.state != OPEN or row.open_fen != fen:
        raise DifferenceClosed(f"difference {difference_id} is not as it was")
    book.leave_suspense(
        session,
        name=f"{row.id}/{Resolution.WRITTEN_DOWN}",
        to=DIFFERENCES,
        fen=fen,
        on=business_date(now),
        now=now,
    )
    clear(row, fen, Resolution.WRITTEN_DOWN, by=by, now=now)


def is_payable_in(kind: str) -> bool:
    """Say whether there is money that a loan can take; a row that is listed twice brought none."""
    return kind != DifferenceKind.BILLED_TWICE


def may_go_back(kind: str, out_refund_no: str) -> bool:
    """Say whether money of such a difference can go back to its source."""
    return kind in _BACK_TO_SOURCE and not out_refund_no


def _open(session: Session, difference_id: int, fen: int) -> PayDifference:
    row = lock_difference(session, difference_id=difference_id)
    if row.state != OPEN or not 0 < fen <= row.open_fen:
        raise DifferenceClosed(f"{row.open_fen} fen of difference {difference_id} are open")
    return row
