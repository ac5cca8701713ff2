"""What the platform cannot send back a person sends by bank, and it is booked here, once.

    TransferRefused  409  the refund is not one that a person sends, or was sent already

Two people have agreed to it before it comes here. Should the platform send it all the same one
day, staff are alerted: the money is then gone twice.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import Conflict
from servicing.payments import book
from servicing.payments.model import NEEDS_PERSON, RefundState
from servicing.payments.refunds import origin_of, tell
from servicing.payments.tables import Refund


class TransferRefused(Conflict):
    """Only what the platform cannot send is sent by a person, and once."""

    code = "refund-transfer-refused"
    message_zh = "这笔退款不需要人工转账，或已经处理"


def transfer(
    session: Session, *, out_refund_no: str, transfer_ref: str, by: str, now: datetime
) -> None:
    """Keep that a person sent a refund by bank, and book it; the borrower is told.

    What is not owed any more, because what made the loan overpaid was undone, is not sent.

    Args:
        session: A write session.
        out_refund_no: Of a refund that needs a person.
        transfer_ref: The bank's number of the transfer.
        by: Who asked for it.
        now: The instant; its business date is the value date.

    Raises:
        TransferRefused: Said above.
        EventRefused: The loan was given up since.
    """
    known = session.scalar(select(Refund).where(Refund.out_refund_no == out_refund_no))
    if known is None:
        raise TransferRefused(f"no refund {out_refund_no}")
    origin = origin_of(session, known)
    if origin.loan_id is not None:
        book.lock(session, loan_id=origin.loan_id)
    refund = session.scalars(
        select(Refund)
        .where(Refund.id == known.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    is_owed = origin_of(session, refund).is_owed
    if not is_owed or not may_be_transferred(refund.state, refund.credit_loan_id):
        raise TransferRefused(f"refund {out_refund_no} is {refund.state}")
    refund.state, refund.transfer_ref, refund.settled_at = (
        RefundState.TRANSFERRED, transfer_ref, now,
    )  # fmt: skip
    on = business_date(now)
    book.give_back(session, refund, value_date=on, by=by, now=now)
    book.pay_by_bank(session, refund, on=on, now=now)
    if origin.customer_id is not None and origin.loan_id is not None:
        tell(session, refund, origin.customer_id, origin.loan_id, now=now)


def may_be_transferred(state: str, credit_loan_id: int | None) -> bool:
    """Say whether a person may send a refund by bank.

    Credit of a loan that the platform closed went another way at once, so it may not.
    """
    is_closed_credit = state == RefundState.CLOSED and credit_loan_id is not None
    return state in NEEDS_PERSON and not is_closed_credit
