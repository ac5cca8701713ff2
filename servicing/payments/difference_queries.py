"""What staff read about reconciliation: differences by age, the days' bills, and the account.

It changes nothing, and shows no payer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from kernel.clock import SHANGHAI
from servicing.chart import CLEARING
from servicing.payments.book import PAYOUT
from servicing.payments.differences import (
    OPEN,
    DifferenceNotFound,
    is_payable_in,
    may_go_back,
)
from servicing.payments.model import DifferenceKind, RefundState
from servicing.payments.tables import (
    PayBill,
    PayBillLine,
    PayDifference,
    PaymentOrder,
    Refund,
)
from servicing.tables import LedgerEntry, LedgerPosting

_DAYS_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceView:
    """One difference, money in fen; columns as in tables.PayDifference."""

    id: int
    kind: str
    bill_on: date
    happened_at: datetime
    transaction_id: str
    out_trade_no: str
    out_refund_no: str
    customer_id: int | None
    loan_id: int | None
    there_fen: int | None
    here_fen: int | None
    suspense_fen: int
    open_fen: int
    state: str
    resolution: str
    owner: str
    note: str
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    accepted_at: datetime | None
    accepted_by: str | None
    accepted_why: str | None

    @property
    def may_pay_in(self) -> bool:
        """Whether a loan can take what is open."""
        return self.open_fen > 0 and is_payable_in(self.kind)

    @property
    def may_go_back(self) -> bool:
        """Whether what is open can be sent back to its source."""
        return self.open_fen > 0 and may_go_back(self.kind, self.out_refund_no)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillDay:
    """A day's bills: what they say the day did to our account, fen, and whether they agree."""

    on: date
    lines: int
    trades_fen: int
    funds_fen: int
    matched_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearingProof:
    """The clearing account against all bills up to a day, fen.

    Attributes:
        bills_fen: What the platform's bills come to.
        in_transit_fen: Refunds that are on a bill, and were not back with the payer by that day.
        ledger_fen: What our clearing account moved by since the first order.
    """

    on: date
    bills_fen: int
    in_transit_fen: int
    ledger_fen: int

    @property
    def off_fen(self) -> int:
        """What is unexplained; 0 when both agree."""
        return self.ledger_fen - self.bills_fen - self.in_transit_fen


def differences(
    session: Session, *, state: str, offset: int = 0, limit: int = 50
) -> tuple[DifferenceView, ...]:
    """List differences: open ones oldest first, ended ones last ended first."""
    order = (
        (PayDifference.opened_at, PayDifference.id)
        if state == OPEN
        else (PayDifference.resolved_at.desc(), PayDifference.id.desc())
    )
    rows = session.scalars(
        select(PayDifference)
        .where(PayDifference.state == state)
        .order_by(*order)
        .offset(offset)
        .limit(limit)
    )
    return tuple(_view(row) for row in rows)


def difference_of(session: Session, *, difference_id: int) -> DifferenceView:
    """Return one difference.

    Raises:
        DifferenceNotFound: There is none.
    """
    row = session.get(PayDifference, difference_id)
    if row is None:
        raise DifferenceNotFound(f"no difference {difference_id}")
    return _view(row)


def missing_bills(session: Session, *, first: date, last: date) -> tuple[DifferenceView, ...]:
    """List the days of a span whose bill was given up, open or ended since."""
    rows = session.scalars(
        select(PayDifference)
        .where(
            PayDifference.kind == DifferenceKind.BILL_MISSING,
            PayDifference.bill_on.between(first, last),
        )
        .order_by(PayDifference.bill_on)
    )
    return tuple(_view(row) for row in rows)


def count_differences(session: Session, *, state: str) -> int:
    """Count differences."""
    found = select(func.count(PayDifference.id)).where(PayDifference.state == state)
    return session.scalar(found) or 0


def open_differences_of_loan(session: Session, *, loan_id: int) -> int:
    """Count what is open about a loan's money."""
    found = select(func.count(PayDifference.id)).where(
        PayDifference.state == OPEN, PayDifference.loan_id == loan_id
    )
    return session.scalar(found) or 0


def bill_days(session: Session, *, limit: int = _DAYS_SHOWN) -> tuple[BillDay, ...]:
    """List the last days whose bills were fetched, the last first."""
    rows = session.scalars(select(PayBill).order_by(PayBill.on.desc()).limit(limit * 2)).all()
    by_day: dict[date, dict[str, PayBill]] = {}
    for row in rows:
        by_day.setdefault(row.on, {})[row.kind] = row
    return tuple(
        BillDay(
            on=on,
            lines=day["trades"].lines,
            trades_fen=day["trades"].net_fen,
            funds_fen=day["funds"].net_fen,
            matched_at=day["trades"].matched_at,
        )
        for on, day in by_day.items()
        if len(day) == len(("trades", "funds"))
    )


def clearing_proof(session: Session) -> ClearingProof | None:
    """Compare the clearing account with all bills up to the last matched one; None before it."""
    on = session.scalar(select(func.max(PayBill.on)).where(PayBill.matched_at.is_not(None)))
    since = session.scalar(select(PaymentOrder.created_at).order_by(PaymentOrder.id).limit(1))
    if on is None or since is None:
        return None
    bills = select(func.sum(PayBill.net_fen)).where(PayBill.kind == "trades", PayBill.on <= on)
    moved = (
        select(func.sum(LedgerPosting.amount_fen))
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .where(
            LedgerPosting.account == CLEARING,
            # The bill of trades does not have what went on to the bank.
            LedgerEntry.kind != PAYOUT,
            LedgerEntry.effective_on <= on,
            # What was there before the first order came in by other ways.
            LedgerEntry.recorded_at >= since,
        )
    )
    return ClearingProof(
        on=on,
        bills_fen=int(session.scalar(bills) or 0),
        in_transit_fen=_in_transit(session, on),
        ledger_fen=int(session.scalar(moved) or 0),
    )


def _in_transit(session: Session, on: date) -> int:
    over = datetime.combine(on + timedelta(days=1), time(0), SHANGHAI)
    found = (
        select(func.sum(PayBillLine.amount_fen))
        .join(Refund, Refund.out_refund_no == PayBillLine.out_refund_no)
        .where(
            PayBillLine.bill_on <= on,
            Refund.state != RefundState.TRANSFERRED,
            or_(Refund.settled_at.is_(None), Refund.settled_at >= over),
        )
    )
    # What was given back past us is on the bill of its day, in our book when we heard of it.
    there = (
        select(func.sum(PayBillLine.amount_fen))
        .join(PayDifference, PayDifference.out_refund_no == PayBillLine.out_refund_no)
        .where(
            PayDifference.kind == DifferenceKind.REFUNDED_THERE,
            PayBillLine.bill_on <= on,
            PayDifference.bill_on > on,
        )
    )
    return int(session.scalar(found) or 0) + int(session.scalar(there) or 0)


def _view(row: PayDifference) -> DifferenceView:
    names: Sequence[str] = tuple(DifferenceView.__dataclass_fields__)
    return DifferenceView(**{name: getattr(row, name) for name in names})
