"""Whether a month's money is reconciled: every bill matched, every difference ended or accepted.

It only looks; servicing.operations.periods asks before it closes a month.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from servicing.payments.model import DifferenceKind
from servicing.payments.tables import PayBill, PayDifference, PaymentOrder

_TRADES: Final = "trades"


def days_not_matched(session: Session, *, first: date, last: date) -> Sequence[date]:
    """List the days since the first order whose bill was neither matched nor given up."""
    opened = session.scalar(select(PaymentOrder.created_at).order_by(PaymentOrder.id).limit(1))
    if opened is None:
        return ()
    matched = session.scalars(
        select(PayBill.on).where(
            PayBill.on.between(first, last),
            PayBill.kind == _TRADES,
            PayBill.matched_at.is_not(None),
        )
    ).all()
    start = max(first, business_date(opened))
    days = (start + timedelta(days=n) for n in range((last - start).days + 1))
    done = {*matched, *given_up_days(session)}
    return [day for day in days if day not in done]


def given_up_days(session: Session) -> set[date]:
    """Return the days whose bill was given up and has not come since."""
    days = session.scalars(
        select(PayDifference.bill_on).where(PayDifference.kind == DifferenceKind.BILL_MISSING)
    )
    return set(days) - set(session.scalars(select(PayBill.on).where(PayBill.kind == _TRADES)))


def count_not_accepted(session: Session, *, last: date) -> int:
    """Count the differences of bills up to a day that are open and that nobody has accepted."""
    found = select(func.count(PayDifference.id)).where(
        PayDifference.state == "open",
        PayDifference.bill_on <= last,
        PayDifference.accepted_at.is_(None),
    )
    return session.scalar(found) or 0
