"""Fetches the platform's bills day by day and compares them with our book, until both agree.

A day is fetched and matched once; what is safe is put right by itself (a payment whose notify was
lost is settled by query), the rest becomes a `pay_difference` that staff deal with, and moves the
suspense account, so that the clearing account is always what the bill says.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from kernel.clock import SHANGHAI, business_date
from kernel.logs import log
from kernel.runtime import Runtime
from servicing.operations import raise_alert
from servicing.payments import book, matching
from servicing.payments.bill_days import (
    SHARED,
    brought_days,
    keep_bill,
    take_up_again,
)
from servicing.payments.bills import BillKind, BillLine, BillUnreadable, LineKind
from servicing.payments.differences import OPEN, came_later, clear, open_difference
from servicing.payments.matching import GivenBack, Here, Taken, Whose
from servicing.payments.model import (
    REFUND_IN_FLIGHT,
    DifferenceKind,
    OrderState,
    RefundState,
    Resolution,
)
from servicing.payments.month_end import given_up_days
from servicing.payments.operations import PaymentUncertain, ask_provider
from servicing.payments.ports import PayProblem, PayProvider
from servicing.payments.refunds import send_refund
from servicing.payments.settlement import PaymentMismatch
from servicing.payments.tables import (
    PayBill,
    PayBillLine,
    PayDifference,
    Payment,
    PaymentOrder,
    Refund,
)

_OUT_AT = time(10)
_LATE_AFTER = timedelta(hours=6)
_OLD_AFTER = timedelta(days=1)
_LONGEST = timedelta(days=60)


def reconcile(runtime: Runtime) -> int:
    """Fetch and match every bill that is out and was not matched yet; safe to repeat.

    Returns:
        How many days were matched. A day whose bill is late, or that cannot be finished because
        the platform does not answer, is taken up again at the next call; so are those after it.
    """
    now = runtime.clock.now()
    matched = 0
    for on in _days_to_match(runtime, now):
        try:
            for kind in BillKind:
                fetch_bill(runtime, kind=kind, on=on, now=now)
            settle_what_is_lost(runtime, on=on, now=now)
        except (PayProblem, PaymentUncertain, BillUnreadable) as error:
            _wait(runtime, on, error.code, now)
            break
        with runtime.database.write() as session:
            match_bill(session, on=on, fee_rate=Decimal(runtime.settings.pay_fee_rate), now=now)
        matched += 1
    alert_old_differences(runtime, now=now)
    return matched


def _days_to_match(runtime: Runtime, now: datetime) -> list[date]:
    with runtime.database.read() as session:
        first = session.scalar(select(PaymentOrder.created_at).order_by(PaymentOrder.id).limit(1))
        done = session.scalar(select(func.max(PayBill.on)).where(PayBill.matched_at.is_not(None)))
        brought, given_up = brought_days(session), given_up_days(session)
    if first is None:
        return []
    today = business_date(now)
    start = max(business_date(first), today - _LONGEST)
    if done is not None:
        start = max(start, done + timedelta(days=1))
    days = {start + timedelta(days=n) for n in range((today - start).days)} | brought
    return [on for on in sorted(days - given_up) if now >= _out_at(on)]


def _out_at(on: date) -> datetime:
    return datetime.combine(on + timedelta(days=1), _OUT_AT, SHANGHAI)


def _wait(runtime: Runtime, on: date, code: str, now: datetime) -> None:
    """Take note of a day that cannot be matched yet; call staff when it takes too long."""
    log.warning("bill not matched", on=on.isoformat(), why=code)
    if now < _out_at(on) + _LATE_AFTER:
        return
    with runtime.database.write() as session:
        raise_alert(
            session,
            key=f"bill-late/{on}",
            kind="bill-late",
            severity="medium",
            customer_id=None,
            details={"on": on.isoformat(), "why": code},
            now=now,
        )


def fetch_bill(runtime: Runtime, *, kind: BillKind, on: date, now: datetime) -> bool:
    """Fetch one bill and keep its lines, once; returns whether it was fetched now.

    Raises:
        PayRefused, PayUnknown: It is not out, or the platform does not answer.
        BillUnreadable: The file is not a bill.
    """
    with runtime.database.read() as session:
        if session.get(PayBill, (on, kind.value)) is not None:
            return False
    text = runtime.get(PayProvider).bill(kind=kind, on=on) or ""
    with runtime.database.write() as session:
        return keep_bill(session, kind=kind, on=on, text=text, now=now)


def settle_what_is_lost(runtime: Runtime, *, on: date, now: datetime) -> None:
    """Bring payments and refunds up to date that the bill has and our book has not, by query.

    Raises:
        PaymentUncertain, PayRefused, PayUnknown: The platform does not say.
    """
    with runtime.database.read() as session:
        orders = session.scalars(
            select(PaymentOrder.out_trade_no)
            .join(PayBillLine, PayBillLine.out_trade_no == PaymentOrder.out_trade_no)
            .where(
                PayBillLine.bill_on == on,
                PayBillLine.kind == LineKind.PAYMENT,
                PaymentOrder.state != OrderState.PAID,
            )
        ).all()
        refunds = session.scalars(
            select(Refund.out_refund_no)
            .join(PayBillLine, PayBillLine.out_refund_no == Refund.out_refund_no)
            .where(PayBillLine.bill_on == on, Refund.state.in_(REFUND_IN_FLIGHT))
        ).all()
    for number in orders:
        try:
            ask_provider(runtime, out_trade_no=number, now=now)
        except PaymentMismatch:
            log.warning("billed payment does not fit its order", out_trade_no=number)
    for number in refunds:
        send_refund(runtime, out_refund_no=number, now=now)


def match_bill(session: Session, *, on: date, fee_rate: Decimal, now: datetime) -> int:
    """Compare a fetched trade bill with our book, once; returns how many differences are new.

    Args:
        session: A write session.
        on: The bill's day.
        fee_rate: The share of a payment that the platform keeps by contract.
        now: The instant of the job.
    """
    bill = session.scalars(
        select(PayBill)
        .where(PayBill.on == on, PayBill.kind == BillKind.TRADES)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if bill.matched_at is not None:
        return 0
    rows = session.scalars(
        select(PayBillLine).where(PayBillLine.bill_on == on).order_by(PayBillLine.n)
    ).all()
    lines = [_line(row) for row in rows]
    take_up_again(session, on=on, now=now)
    _came_later(session, lines, on, now)
    here = _here(session, bill)
    found = list(matching.compare(lines, here, fee_rate=fee_rate))
    opened = [open_difference(session, finding, bill_on=on, now=now) for finding in found]
    _offset(session, [row for row in opened if row is not None], now)
    first = matching.listed_first(lines, here.listed).values()
    book.pay_fee(session, on=on, fen=matching.agreed_fee(first, rate=fee_rate), now=now)
    bill.matched_at = now
    log.info("bill matched", on=on.isoformat(), lines=len(lines), differences=len(found))
    return len(found)


def alert_old_differences(runtime: Runtime, *, now: datetime) -> None:
    """Call staff about each difference that is open for longer than a day, once."""
    with runtime.database.write() as session:
        old = session.scalars(
            select(PayDifference)
            .where(PayDifference.state == OPEN, PayDifference.opened_at <= now - _OLD_AFTER)
            .order_by(PayDifference.id)
        ).all()
        for row in old:
            raise_alert(
                session,
                key=f"pay-difference/{row.id}",
                kind="pay-difference",
                severity="high",
                customer_id=row.customer_id,
                loan_id=row.loan_id,
                details={
                    "difference_id": row.id,
                    "kind": row.kind,
                    "open_fen": row.open_fen,
                    "bill_on": row.bill_on.isoformat(),
                },
                now=now,
            )


def _came_later(session: Session, lines: Sequence[BillLine], on: date, now: datetime) -> None:
    """Close what an earlier bill lacked and this one has."""
    numbers = {line.number: line for line in lines}
    missing = session.scalars(
        select(PayDifference).where(
            PayDifference.state == OPEN,
            PayDifference.kind == DifferenceKind.MISSING_THERE,
        )
    ).all()
    for row in missing:
        line = numbers.get(row.out_refund_no or row.transaction_id)
        if line is None:
            continue
        row.there_fen = line.amount_fen
        came_later(session, row, on=on, now=now)


def _offset(session: Session, opened: Sequence[PayDifference], now: datetime) -> None:
    """Let money that came unknown, and went back in the console, close each other."""
    for back in opened:
        if back.kind != DifferenceKind.REFUNDED_THERE:
            continue
        came = session.scalars(
            select(PayDifference).where(
                PayDifference.transaction_id == back.transaction_id,
                PayDifference.kind == DifferenceKind.UNKNOWN_HERE,
                PayDifference.open_fen >= -back.open_fen,
                PayDifference.state == OPEN,
            )
        ).first()
        if came is not None:
            clear(came, -back.open_fen, Resolution.OFFSET, by="", now=now)
            clear(back, back.open_fen, Resolution.OFFSET, by="", now=now)


def _here(session: Session, bill: PayBill) -> Here:
    start, end = _span(bill.on)
    payments_of_day = (Payment.success_at >= start) & (Payment.success_at < end)
    refunds_of_day = (Refund.settled_at >= start) & (Refund.settled_at < end)
    payments = session.execute(
        select(Payment, PaymentOrder.out_trade_no)
        .join(PaymentOrder, PaymentOrder.id == Payment.order_id)
        .where(or_(Payment.transaction_id.in_(_listed(bill, "transaction_id")), payments_of_day))
        .order_by(Payment.id)
    ).all()
    refunds = session.execute(
        select(Refund, Payment, PaymentOrder.out_trade_no, PayDifference)
        .outerjoin(Payment, Payment.id == Refund.payment_id)
        .outerjoin(PaymentOrder, PaymentOrder.id == Payment.order_id)
        .outerjoin(PayDifference, PayDifference.id == Refund.difference_id)
        .where(or_(Refund.out_refund_no.in_(_listed(bill, "out_refund_no")), refunds_of_day))
        .where(Refund.state != RefundState.TRANSFERRED)  # by bank: no bill of the platform's has it
        .order_by(Refund.id)
    ).all()
    orders = session.execute(
        select(PaymentOrder.out_trade_no, PaymentOrder.customer_id, PaymentOrder.loan_id).where(
            PaymentOrder.out_trade_no.in_(_listed(bill, "out_trade_no"))
        )
    ).all()
    earlier = session.execute(
        select(PayBillLine.transaction_id, PayBillLine.out_refund_no).where(
            PayBillLine.bill_on < bill.on,
            or_(
                PayBillLine.transaction_id.in_(
                    select(Payment.transaction_id).where(payments_of_day)
                ),
                PayBillLine.transaction_id.in_(_listed(bill, "transaction_id")),
                PayBillLine.out_refund_no.in_(select(Refund.out_refund_no).where(refunds_of_day)),
            ),
        )
    ).all()
    return Here(
        on=bill.on,
        payments={row.transaction_id: _taken(row, number, bill) for row, number in payments},
        refunds={row.out_refund_no: _given(row, paid, number, found)
                 for row, paid, number, found in refunds},
        orders={row.out_trade_no: Whose(customer_id=row.customer_id, loan_id=row.loan_id)
                for row in orders},
        listed={row.out_refund_no or row.transaction_id for row in earlier},
    )  # fmt: skip


def _listed(bill: PayBill, column: str) -> Select[str]:
    """Select one of the numbers that stand on a bill."""
    return select(getattr(PayBillLine, column)).where(PayBillLine.bill_on == bill.on)


def _taken(row: Payment, number: str, bill: PayBill) -> Taken:
    return Taken(
        transaction_id=row.transaction_id,
        out_trade_no=number,
        amount_fen=row.amount_fen,
        at=row.success_at,
        whose=Whose(customer_id=row.customer_id, loan_id=row.loan_id),
        is_late=row.recorded_at >= bill.fetched_at,
    )


def _given(
    row: Refund, payment: Payment | None, number: str | None, difference: PayDifference | None
) -> GivenBack:
    source = payment or difference
    return GivenBack(
        out_refund_no=row.out_refund_no,
        transaction_id=source.transaction_id if source else "",
        out_trade_no=number or (difference.out_trade_no if difference else ""),
        amount_fen=row.amount_fen,
        settled_at=row.settled_at,
        whose=Whose(customer_id=source.customer_id, loan_id=source.loan_id) if source else Whose(),
    )


def _span(on: date) -> tuple[datetime, datetime]:
    start = datetime.combine(on, time(0), SHANGHAI)
    return start, start + timedelta(days=1)


def _line(row: PayBillLine) -> BillLine:
    values = {name: getattr(row, name) for name in SHARED}
    return BillLine(kind=LineKind(row.kind), **values)
