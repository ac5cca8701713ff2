"""The trial balance: what every account came to in a month, by creditor, down to the entries.

It goes by the day on which an entry was booked. What a closed month came to was kept when it was
closed, so that years of entries need not be added up again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from servicing.chart import CHART
from servicing.tables import (
    DEFAULT_CREDITOR,
    AccountingPeriod,
    BooksProof,
    LedgerEntry,
    LedgerPosting,
    Loan,
    PeriodBalance,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """One account in a month; balances are debit positive, turnovers never negative, fen."""

    account: str
    kind: str
    name_zh: str
    opening_fen: int
    debit_fen: int
    credit_fen: int

    @property
    def closing_fen(self) -> int:
        """What it comes to at the end."""
        return self.opening_fen + self.debit_fen - self.credit_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """One posting of an account, as the drill-down shows it; debit positive, fen."""

    entry_id: int
    kind: str
    key: str
    loan_id: int | None
    loan_no: str | None
    customer_id: int | None
    booked_on: date
    effective_on: date
    adjusts: str | None
    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodView:
    """A closed month."""

    month: str
    closed_at: datetime
    closed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofView:
    """What the last proof of the books found; `totals`: ledger, sub-ledger, schedule by account."""

    on: date
    proven_at: datetime
    differences: tuple[str, ...]
    totals: Mapping[str, tuple[int, int, int]]


def trial_balance(
    session: Session, *, first: date, last: date, creditor: str
) -> tuple[BalanceRow, ...]:
    """Return every account of the chart with what happened to it from one day to another."""
    opening = balances_at(session, on=first - timedelta(days=1))
    moved = _turnover(session, creditor, LedgerEntry.booked_on.between(first, last))
    return tuple(
        BalanceRow(
            account=account.code,
            kind=account.kind.value,
            name_zh=account.name_zh,
            opening_fen=opening.get((creditor, account.code), 0),
            debit_fen=moved.get(account.code, (0, 0))[0],
            credit_fen=moved.get(account.code, (0, 0))[1],
        )
        for account in CHART
    )


def balances_at(session: Session, *, on: date) -> dict[tuple[str, str], int]:
    """Return what each account of each creditor came to at the end of a day, fen."""
    kept = session.scalars(
        select(AccountingPeriod)
        .where(AccountingPeriod.last_day <= on)
        .order_by(AccountingPeriod.last_day.desc())
        .limit(1)
    ).first()
    balances: Counter[tuple[str, str]] = Counter()
    is_since: ColumnElement[bool] = LedgerEntry.booked_on <= on
    if kept is not None:
        rows = session.scalars(select(PeriodBalance).where(PeriodBalance.month == kept.month))
        balances.update({(row.creditor, row.account): row.balance_fen for row in rows})
        is_since = LedgerEntry.booked_on.between(kept.last_day + timedelta(days=1), on)
    since = session.execute(
        select(LedgerEntry.creditor, LedgerPosting.account, func.sum(LedgerPosting.amount_fen))
        .join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
        .where(is_since)
        .group_by(LedgerEntry.creditor, LedgerPosting.account)
    )
    for creditor, account, fen in since:
        balances[creditor, account] += int(fen)
    return dict(balances)


def account_lines(
    session: Session,
    *,
    account: str,
    first: date,
    last: date,
    creditor: str,
    offset: int = 0,
    limit: int | None = None,
) -> tuple[AccountLine, ...]:
    """List an account's postings in the order in which they were booked."""
    rows = session.execute(
        select(LedgerEntry, LedgerPosting.amount_fen, Loan.loan_no, Loan.customer_id)
        .join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
        .outerjoin(Loan, Loan.id == LedgerEntry.loan_id)
        .where(*_of_account(account, first, last, creditor))
        .order_by(LedgerEntry.booked_on, LedgerEntry.id, LedgerPosting.id)
        .offset(offset)
        .limit(limit)
    ).all()
    names = ("kind", "key", "loan_id", "booked_on", "effective_on", "adjusts")
    return tuple(
        AccountLine(
            entry_id=entry.id,
            loan_no=loan_no,
            customer_id=customer_id,
            amount_fen=fen,
            **{name: getattr(entry, name) for name in names},
        )
        for entry, fen, loan_no, customer_id in rows
    )


def count_account_lines(
    session: Session, *, account: str, first: date, last: date, creditor: str
) -> int:
    """Count an account's postings."""
    found = session.scalar(
        select(func.count(LedgerPosting.id))
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .where(*_of_account(account, first, last, creditor))
    )
    return found or 0


def creditors(session: Session) -> tuple[str, ...]:
    """List whose books there are, the house's own first."""
    found = session.scalars(select(Loan.funder).distinct().order_by(Loan.funder)).all()
    return (DEFAULT_CREDITOR, *(name for name in found if name != DEFAULT_CREDITOR))


def closed_periods(session: Session) -> tuple[PeriodView, ...]:
    """List the closed months, the last first."""
    rows = session.scalars(select(AccountingPeriod).order_by(AccountingPeriod.month.desc())).all()
    return tuple(
        PeriodView(month=row.month, closed_at=row.closed_at, closed_by=row.closed_by)
        for row in rows
    )


def first_booking(session: Session) -> date | None:
    """Return the day of the first entry, or None in an empty book."""
    return session.scalar(select(func.min(LedgerEntry.booked_on)))


def last_proof(session: Session) -> ProofView | None:
    """Return what the last proof of the books found, or None when there was none."""
    row = session.scalars(select(BooksProof).order_by(BooksProof.on.desc()).limit(1)).first()
    if row is None:
        return None
    return ProofView(
        on=row.on,
        proven_at=row.proven_at,
        differences=tuple(row.differences),
        totals={account: _three(sides) for account, sides in row.totals.items()},
    )


def _three(sides: Sequence[Any]) -> tuple[int, int, int]:
    ledger, sub_ledger, schedule = (int(side) for side in sides)
    return ledger, sub_ledger, schedule


def _of_account(
    account: str, first: date, last: date, creditor: str
) -> tuple[ColumnElement[bool], ...]:
    return (
        LedgerPosting.account == account,
        LedgerEntry.creditor == creditor,
        LedgerEntry.booked_on.between(first, last),
    )


def _turnover(
    session: Session, creditor: str, is_in: ColumnElement[bool]
) -> dict[str, tuple[int, int]]:
    amount = LedgerPosting.amount_fen
    rows = session.execute(
        select(
            LedgerPosting.account,
            func.sum(case((amount > 0, amount), else_=0)),
            func.sum(case((amount < 0, -amount), else_=0)),
        )
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .where(LedgerEntry.creditor == creditor, is_in)
        .group_by(LedgerPosting.account)
    )
    return {account: (int(debit), int(credit)) for account, debit, credit in rows}
