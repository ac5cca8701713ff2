"""What was collected for others: by payee, by period and by loan, and what they were paid.

It goes by the day on which an entry was booked, as the trial balance does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    case,
    cast,
    func,
    select,
)
from sqlalchemy.orm import Session

from servicing.bookkeeping import COLLECTED
from servicing.chart import FEE_PAYABLE
from servicing.payouts import PayoutState
from servicing.tables import LedgerEntry, LedgerPosting, Loan, LoanPayee, PayeePayout

_PAYOUTS_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Payee:
    """For whom fees are collected, and in the books of which creditor."""

    creditor: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeTurnover:
    """What happened to the fees of a payee, fen.

    Attributes:
        collected_fen: What borrowers paid.
        reversed_fen: What of it was taken back, because the payment or the fee was.
        refunded_fen: What borrowers got back of it.
        paid_fen: What the payee was paid, less what came back.
    """

    collected_fen: int = 0
    reversed_fen: int = 0
    refunded_fen: int = 0
    paid_fen: int = 0

    @property
    def payable_fen(self) -> int:
        """What the payee gets of it; below 0, what they have to give back."""
        return self.collected_fen - self.reversed_fen - self.refunded_fen - self.paid_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanShare:
    """What a borrower paid of one loan's fees for somebody else, and what of it they got back."""

    payee: str
    collected_fen: int
    given_back_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeBalance(PayeeTurnover):
    """The same over all time, of one payee."""

    creditor: str
    name: str
    loans: int
    approved_fen: int

    @property
    def open_fen(self) -> int:
        """What is payable and not on its way."""
        return self.payable_fen - self.approved_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine(PayeeTurnover):
    """What happened in a period to the fees that one loan pays to a payee."""

    loan_id: int
    loan_no: str
    customer_id: int
    merchandise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeStatement:
    """A payee's period: what was payable before it, each loan's part in it, and what was paid."""

    payee: Payee
    first: date
    last: date
    opening_fen: int
    lines: tuple[StatementLine, ...]
    paid_fen: int

    @property
    def turnover(self) -> PayeeTurnover:
        """All loans together, and what was paid."""
        names = ("collected_fen", "reversed_fen", "refunded_fen")
        sums = {name: sum(getattr(line, name) for line in self.lines) for name in names}
        return PayeeTurnover(**sums, paid_fen=self.paid_fen)

    @property
    def closing_fen(self) -> int:
        """What is payable at its end."""
        return self.opening_fen + self.turnover.payable_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutView:
    """One payout to a payee."""

    number: str
    creditor: str
    payee: str
    until_on: date
    amount_fen: int
    state: str
    asked_by: str
    reason: str
    approved_at: datetime
    bank_ref: str | None
    paid_on: date | None
    paid_by: str
    ended_on: date | None
    ended_by: str
    ended_why: str


def shares_of_loan(session: Session, *, loan_id: int) -> tuple[LoanShare, ...]:
    """List for whom else a loan's fees were collected, and how much."""
    rows = session.scalars(
        select(LoanPayee)
        .where(LoanPayee.loan_id == loan_id, LoanPayee.collected_fen > 0)
        .order_by(LoanPayee.payee)
    )
    return tuple(
        LoanShare(
            payee=row.payee, collected_fen=row.collected_fen, given_back_fen=row.given_back_fen
        )
        for row in rows
    )


def payee_balances(session: Session) -> tuple[PayeeBalance, ...]:
    """List all payees with what they were ever due and paid, those due most first."""
    rows = session.execute(
        _turnovers(
            LedgerEntry.creditor,
            LedgerPosting.payee.label("name"),
            func.count(LedgerEntry.loan_id.distinct()).label("loans"),
        ).group_by(LedgerEntry.creditor, LedgerPosting.payee)
    ).all()
    approved = _approved(session)
    found = [
        PayeeBalance(**row._asdict(), approved_fen=approved.get((row.creditor, row.name), 0))
        for row in rows
    ]
    return tuple(sorted(found, key=lambda one: (-one.open_fen, one.creditor, one.name)))


def payable_fen(session: Session, *, payee: Payee, until_on: date) -> int:
    """Return what may be paid of what was collected for a payee up to a day, fen.

    What has gone back since, what was paid at any time and what is on its way is not payable.
    """
    collected = _sum_of(LedgerEntry.loan_id.is_not(None), -LedgerPosting.amount_fen)
    then = session.scalar(_of(payee, collected).where(LedgerEntry.booked_on <= until_on)) or 0
    now = session.scalar(_of(payee, collected)) or 0
    paid = _sum_of(LedgerEntry.loan_id.is_(None), LedgerPosting.amount_fen)
    gone = session.scalar(_of(payee, paid)) or 0
    return min(then, now) - gone - _approved(session).get((payee.creditor, payee.name), 0)


def payee_statement(session: Session, *, payee: Payee, first: date, last: date) -> PayeeStatement:
    """Return what happened to a payee's fees from one day to another, loan by loan."""
    balance = _sum_of(LedgerPosting.amount_fen != 0, -LedgerPosting.amount_fen)
    before = _of(payee, balance).where(LedgerEntry.booked_on < first)
    is_in = LedgerEntry.booked_on.between(first, last)
    paid = _sum_of(LedgerEntry.loan_id.is_(None), LedgerPosting.amount_fen)
    loan = (Loan.id.label("loan_id"), Loan.loan_no, Loan.customer_id, Loan.merchandise)
    lines = session.execute(
        _turnovers(*loan)
        .join(Loan, Loan.id == LedgerEntry.loan_id)
        .where(*_is(payee), is_in)
        .group_by(Loan.id, Loan.loan_no, Loan.customer_id, Loan.merchandise)
        .order_by(Loan.id)
    )
    return PayeeStatement(
        payee=payee,
        first=first,
        last=last,
        opening_fen=session.scalar(before) or 0,
        lines=tuple(StatementLine(**row._asdict()) for row in lines),
        paid_fen=session.scalar(_of(payee, paid).where(is_in)) or 0,
    )


def payouts_of(session: Session, *, payee: Payee) -> Sequence[PayoutView]:
    """List a payee's last payouts, the latest first."""
    rows = session.scalars(
        select(PayeePayout)
        .where(PayeePayout.creditor == payee.creditor, PayeePayout.payee == payee.name)
        .order_by(PayeePayout.id.desc())
        .limit(_PAYOUTS_SHOWN)
    )
    return tuple(_payout(row) for row in rows)


def payout_of(session: Session, *, number: str) -> PayoutView | None:
    """Return a payout by its number, or None."""
    row = session.scalar(select(PayeePayout).where(PayeePayout.number == number))
    return None if row is None else _payout(row)


def _approved(session: Session) -> dict[tuple[str, str], int]:
    """Return what is on its way, by creditor and payee; one payout of each at most."""
    rows = session.execute(
        select(PayeePayout.creditor, PayeePayout.payee, PayeePayout.amount_fen).where(
            PayeePayout.state == PayoutState.APPROVED
        )
    )
    return {(row.creditor, row.payee): row.amount_fen for row in rows}


def _turnovers(*of: Any) -> Select[*tuple[Any, ...]]:
    amount, of_loan = LedgerPosting.amount_fen, LedgerEntry.loan_id.is_not(None)
    is_collection = LedgerEntry.kind == COLLECTED
    parts = {
        "collected_fen": (and_(of_loan, is_collection, amount < 0), -amount),
        "reversed_fen": (and_(of_loan, is_collection, amount > 0), amount),
        "refunded_fen": (and_(of_loan, ~is_collection), amount),
        "paid_fen": (~of_loan, amount),
    }
    sums = (_sum_of(where, fen).label(name) for name, (where, fen) in parts.items())
    return _postings(*of, *sums).where(
        LedgerPosting.account == FEE_PAYABLE, LedgerPosting.payee.is_not(None)
    )


def _of(payee: Payee, fen: ColumnElement[int]) -> Select[int]:
    return _postings(fen).where(*_is(payee))


def _postings(*columns: Any) -> Select[*tuple[Any, ...]]:
    return (
        select(*columns)
        .select_from(LedgerPosting)
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
    )


def _is(payee: Payee) -> tuple[ColumnElement[bool], ...]:
    return (
        LedgerPosting.account == FEE_PAYABLE,
        LedgerPosting.payee == payee.name,
        LedgerEntry.creditor == payee.creditor,
    )


def _sum_of(where: ColumnElement[bool], fen: SQLColumnExpression[int]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(case((where, fen), else_=0)), 0), BigInteger)


def _payout(row: PayeePayout) -> PayoutView:
    return PayoutView(**{name: getattr(row, name) for name in PayoutView.__slots__})
