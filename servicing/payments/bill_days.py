"""A day's bills: kept as they came, fetched or brought by a person; or given up, openly.

A month does not close while a day's bill was not matched. Where the platform never gives one out,
staff bring the file, which is read and checked like a fetched one, or two of them give the day up:
what our book says of it leaves the clearing account, as money that no bill confirms, and stands on
the suspense account with its age until the bill comes after all, or two people write it down.

    BillKnown       409  the day has this bill already
    BillOfOtherDay  422  a row of the file is of another day
    BillNotMissing  409  the bill is there, may still come, or the day was given up already
"""

import hashlib
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel.clock import SHANGHAI, business_date
from kernel.database import insert_ignore
from kernel.errors import Conflict, Invalid
from servicing.operations import CLEARING
from servicing.payments import book
from servicing.payments.bills import (
    NO_FUNDS,
    BillKind,
    BillLine,
    net_of,
    read_funds,
    read_trades,
)
from servicing.payments.differences import OPEN, came_later, open_difference
from servicing.payments.matching import Finding, Whose
from servicing.payments.model import DifferenceKind, Resolution
from servicing.payments.tables import PayBill, PayBillLine, PayDifference, PaymentOrder
from servicing.tables import LedgerEntry, LedgerPosting

GIVEN_UP_AFTER: Final = timedelta(days=3)
"""So long a bill may still come by itself."""


class BillKnown(Conflict):
    """The day has this bill already."""

    code = "pay-bill-known"
    message_zh = "该日的这份账单已经取得，无须上传"


class BillOfOtherDay(Invalid):
    """A row of the file is of another day."""

    code = "pay-bill-of-other-day"
    message_zh = "账单文件里有其他日期的交易，请核对后重新上传"


class BillNotMissing(Conflict):
    """The bill is there, may still come by itself, or the day was given up already."""

    code = "pay-bill-not-missing"
    message_zh = "该日账单已取得、仍可能到达或已按缺失处理，不能再按缺失处理"


def keep_bill(
    session: Session, *, kind: BillKind, on: date, text: str, by: str = "", now: datetime
) -> bool:
    """Read one bill and keep its lines, once; returns whether it is new.

    What the fund bill says was paid out to the bank is booked with it: nobody else tells us.

    Args:
        session: A write session.
        kind: Which of the day's bills.
        on: The day.
        text: The file; empty for a day without any.
        by: Who brought it; empty where it was fetched.
        now: The instant.

    Raises:
        BillUnreadable: The file is not a bill.
    """
    trades = read_trades(text) if text and kind is BillKind.TRADES else ()
    funds = read_funds(text) if text and kind is BillKind.FUNDS else NO_FUNDS
    net_fen = net_of(trades) if kind is BillKind.TRADES else funds.net_fen
    row = {
        "on_date": on,
        "kind": kind.value,
        "lines": len(trades),
        "net_fen": net_fen,
        "content_hash": hashlib.sha256(text.encode()).hexdigest(),
        "brought_by": by,
        "fetched_at": now,
        "matched_at": None,
    }
    if not insert_ignore(session, PayBill, [row], conflict=["on_date", "kind"]):
        return False
    book.pay_out(session, on=on, fen=funds.paid_out_fen, now=now)
    session.add_all(_row(line, on, n) for n, line in enumerate(trades, 1))
    return True


def bring_bill(
    session: Session, *, kind: BillKind, on: date, text: str, by: str, now: datetime
) -> None:
    """Keep a bill that a person brings; it is matched like any other at the next reconciliation.

    Raises:
        BillUnreadable: The file is not a bill.
        BillOfOtherDay, BillKnown: Said above.
        BillNotMissing: The day was given up, and somebody has written it down since.
    """
    if kind is BillKind.TRADES:
        days = {line.at.astimezone(SHANGHAI).date() for line in read_trades(text)}
        if days - {on}:
            raise BillOfOtherDay(f"the bill of {on} has rows of {sorted(days - {on})}")
        given_up = _given_up(session, on)
        if given_up is not None and given_up.resolution == Resolution.WRITTEN_DOWN:
            raise BillNotMissing(f"{on} was given up and written down")
    if not text or not keep_bill(session, kind=kind, on=on, text=text, by=by, now=now):
        raise BillKnown(f"the {kind} bill of {on} is here already")


def assert_missing(session: Session, *, on: date, now: datetime) -> int:
    """Return what our book says that a day without a bill did to our account, fen.

    Raises:
        BillNotMissing: Said above.
    """
    since = session.scalar(select(PaymentOrder.created_at).order_by(PaymentOrder.id).limit(1))
    is_early = since is None or on < business_date(since)
    if is_early or business_date(now) - on < GIVEN_UP_AFTER:
        raise BillNotMissing(f"the bill of {on} may still come")
    if session.get(PayBill, (on, BillKind.TRADES.value)) is not None:
        raise BillNotMissing(f"the bill of {on} is here")
    if _given_up(session, on) is not None:
        raise BillNotMissing(f"{on} was given up already")
    moved = (
        select(func.sum(LedgerPosting.amount_fen))
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .where(
            LedgerPosting.account == CLEARING,
            LedgerEntry.kind != book.PAYOUT,
            LedgerEntry.effective_on == on,
            LedgerEntry.recorded_at >= since,
        )
    )
    return int(session.scalar(moved) or 0)


def give_bill_up(session: Session, *, on: date, why: str, by: str, now: datetime) -> int:
    """Let months close without the bill of a day; returns the difference that carries its money.

    Raises:
        BillNotMissing: Said above.
    """
    here_fen = assert_missing(session, on=on, now=now)
    finding = Finding(
        kind=DifferenceKind.BILL_MISSING,
        at=now,
        transaction_id=on.isoformat(),
        out_trade_no="",
        there_fen=None,
        here_fen=here_fen,
        suspense_fen=-here_fen,
        whose=Whose(),
    )
    row = open_difference(session, finding, bill_on=on, now=now)
    if row is None:
        raise BillNotMissing(f"{on} was given up already")
    row.accepted_at, row.accepted_by, row.accepted_why = now, by, why
    if row.state != OPEN:
        row.resolution = Resolution.NOTHING_BOOKED
    return row.id


def take_up_again(session: Session, *, on: date, now: datetime) -> None:
    """Let a bill that came after all speak for its day again."""
    row = _given_up(session, on)
    if row is None or row.state != OPEN:
        return
    came_later(session, row, on=on, now=now)


def brought_days(session: Session) -> set[date]:
    """Return the days whose bill a person brought and nobody has matched yet."""
    found = select(PayBill.on).where(
        PayBill.kind == BillKind.TRADES, PayBill.brought_by != "", PayBill.matched_at.is_(None)
    )
    return set(session.scalars(found))


def _given_up(session: Session, on: date) -> PayDifference | None:
    return session.scalar(
        select(PayDifference)
        .where(PayDifference.key == f"{DifferenceKind.BILL_MISSING}/{on}")
        .with_for_update()
    )


SHARED: Final = (
    *("at", "transaction_id", "out_trade_no", "out_refund_no"),
    *("amount_fen", "fee_fen", "refund_status"),
)


def _row(line: BillLine, on: date, n: int) -> PayBillLine:
    values = {name: getattr(line, name) for name in SHARED}
    return PayBillLine(bill_on=on, n=n, kind=line.kind.value, **values)
