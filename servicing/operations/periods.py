"""Months of the books: closing them, and where an entry goes whose month is closed already.

    MonthNotReadable     422  the text is not a month
    PeriodNotClosable    409  the month is closed already, or an earlier one is not
    ├── MonthNotOver     409  its last day is not over
    ├── LoansBehind      409  some loans were not closed to its end
    ├── BooksNotProven   409  no proof of the books since then, or it found differences
    ├── BillsNotMatched  409  a day's bill of the platform was not compared with the books
    └── DifferencesOpen  409  a difference is open that nobody has accepted with a reason

What comes late into a closed month is booked today as an adjustment of it. The borrower's account
goes by the value date and never notices.
"""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.database import insert_ignore
from kernel.errors import Conflict, Invalid
from servicing.payments import month_end
from servicing.queries.trial_balance import balances_at
from servicing.tables import AccountingPeriod, BooksProof, Loan, PeriodBalance

_KNOWN: Final = "servicing.books_closed_to"
# Any number that nobody else in the house locks by.
_LOCK: Final = 7_350_118


class MonthNotReadable(Invalid):
    """The text is not a month such as 2026-09."""

    code = "month-not-readable"
    message_zh = "月份格式不正确"


class PeriodNotClosable(Conflict):
    """The month cannot be closed: it is closed already, or an earlier one is not."""

    code = "period-not-closable"
    message_zh = "须按月份顺序关账，且每月只关一次"


class MonthNotOver(PeriodNotClosable):
    """Its last day is not over."""

    code = "period-not-over"
    message_zh = "当月尚未结束，不能关账"


class LoansBehind(PeriodNotClosable):
    """Some loans were not closed to the end of the month."""

    code = "period-loans-behind"
    message_zh = "仍有分期未完成月末日终处理，暂不能关账"


class BooksNotProven(PeriodNotClosable):
    """The last proof of the books is of before the month's end, or found differences."""

    code = "period-books-not-proven"
    message_zh = "月末后的夜间账务核对尚未通过，暂不能关账"


class BillsNotMatched(PeriodNotClosable):
    """The platform's bill of one of its days was not compared with the books yet."""

    code = "period-bills-not-matched"
    message_zh = "当月的微信支付账单尚未全部对账，暂不能关账"


class DifferencesOpen(PeriodNotClosable):
    """What a bill and the books do not agree on is open, and nobody has accepted it."""

    code = "period-differences-open"
    message_zh = "当月仍有对账差错未处理，也未注明可关账的原因，暂不能关账"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """Where in the books an entry goes.

    Attributes:
        adjusts: The closed month that it belongs to by its date, if that is closed.
    """

    on: date
    adjusts: str | None


def booking_of(session: Session, *, effective_on: date, now: datetime) -> Booking:
    """Say on which day a fact is booked: on its own, or today when its month is closed.

    Until the transaction ends no month can be closed under it.
    """
    closed_to = _closed_to(session)
    if closed_to is None or effective_on > closed_to:
        return Booking(on=effective_on, adjusts=None)
    today = max(business_date(now), closed_to + timedelta(days=1))
    return Booking(on=today, adjusts=f"{effective_on:%Y-%m}")


def close_period(session: Session, *, month: str, closed_by: str, now: datetime) -> None:
    """Close a month: keep what every account came to, and book nothing into it any more.

    Raises:
        MonthNotReadable: Said above.
        PeriodNotClosable: Said above.
    """
    last = last_day(month)
    _lock(session, is_shared=False)
    assert_closable(session, month=month, on=business_date(now))
    balances = balances_at(session, on=last)
    session.add(AccountingPeriod(month=month, last_day=last, closed_at=now, closed_by=closed_by))
    session.flush()
    session.add_all(
        PeriodBalance(month=month, creditor=creditor, account=account, balance_fen=fen)
        for (creditor, account), fen in balances.items()
    )
    session.info.pop(_KNOWN, None)


def assert_closable(session: Session, *, month: str, on: date) -> None:
    """Say why a month cannot be closed, if so.

    Args:
        session: Any session.
        month: Such as "2026-09".
        on: The business date of the wish.

    Raises:
        MonthNotReadable, PeriodNotClosable: Said above.
    """
    last = last_day(month)
    if last >= on:
        raise MonthNotOver(f"{month} is not over")
    closed_to = session.scalar(select(func.max(AccountingPeriod.last_day)))
    if closed_to is not None and month != f"{closed_to + timedelta(days=1):%Y-%m}":
        raise PeriodNotClosable(f"{month} is not the next month")
    behind = session.scalar(
        select(func.count())
        .select_from(Loan)
        .where(Loan.state == "active", Loan.closed_to < last, Loan.disbursed_on <= last)
    )
    if behind:
        raise LoansBehind(f"{behind} loans are not closed to {last}")
    proof = session.scalars(select(BooksProof).order_by(BooksProof.on.desc()).limit(1)).first()
    if proof is None or proof.on <= last or proof.differences:
        raise BooksNotProven(f"the books were not proven since {last}")
    _assert_reconciled(session, last)


def _assert_reconciled(session: Session, last: date) -> None:
    days = month_end.days_not_matched(session, first=last.replace(day=1), last=last)
    if days:
        raise BillsNotMatched(f"the bill of {days[0]} is not matched")
    count = month_end.count_not_accepted(session, last=last)
    if count:
        raise DifferencesOpen(f"{count} differences are open and not accepted")


def keep_proof(
    session: Session,
    *,
    on: date,
    differences: Sequence[str],
    totals: Mapping[str, tuple[int, int, int]],
    now: datetime,
) -> None:
    """Keep what a proof of the books found, the last one of a day; months are closed by it."""
    found = {
        "differences": list(differences),
        "totals": {account: list(sides) for account, sides in totals.items()},
        "proven_at": now,
    }
    if not insert_ignore(session, BooksProof, [{"on_date": on} | found], conflict=["on_date"]):
        session.execute(update(BooksProof).where(BooksProof.on == on).values(found))


def last_day(month: str) -> date:
    """Return the last day of a month.

    Raises:
        MonthNotReadable: Said above.
    """
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as error:
        raise MonthNotReadable("expected a month such as 2026-09") from error
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _closed_to(session: Session) -> date | None:
    if _KNOWN not in session.info:
        _lock(session, is_shared=True)
        session.info[_KNOWN] = session.scalar(select(func.max(AccountingPeriod.last_day)))
    known: date | None = session.info[_KNOWN]
    return known


def _lock(session: Session, *, is_shared: bool) -> None:
    """Keep closing apart from booking; SQLite has one writer at a time anyway."""
    if session.get_bind().dialect.name == "postgresql":
        name = "pg_advisory_xact_lock_shared" if is_shared else "pg_advisory_xact_lock"
        session.execute(text(f"SELECT {name}(:lock)"), {"lock": _LOCK})
