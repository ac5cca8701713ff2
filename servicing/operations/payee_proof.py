"""The proof of what is payable to payees: collected less given back less paid, for each of them.

It only looks, as servicing.operations.books does, which asks it.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    cast,
    func,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from servicing.bookkeeping import PayeeShare, Standing, payee_shares
from servicing.chart import FEE_PAYABLE
from servicing.payouts import PayoutState
from servicing.tables import LedgerEntry, LedgerPosting, Loan, LoanPayee, PayeePayout

_SHOWN = 20


def payable_differences(session: Session) -> Iterator[str]:
    """Find payees whose part of the ledger is not what loans and payouts say, and nobody's money.

    First loan by loan, then over all loans and payouts in the books of each creditor.
    """
    for loan_id, payee, off in session.execute(_by_loan()):
        yield f"fee-payable of loan {loan_id} to {payee} is off by {off} fen"
    for creditor, payee, off in session.execute(_by_payee()):
        yield f"fee-payable of {creditor} to {payee} is off by {off} fen"
    for entry_id in session.scalars(_of_nobody()):
        yield f"entry {entry_id} makes a fee payable to nobody"


def share_differences(session: Session, loan: Loan, replay: Standing) -> Iterator[str]:
    """Find payees of a loan whose share is not what its events say."""
    kept = {
        row.payee: PayeeShare(collected_fen=row.collected_fen, given_back_fen=row.given_back_fen)
        for row in session.scalars(select(LoanPayee).where(LoanPayee.loan_id == loan.id))
    }
    told = payee_shares(replay)
    for payee in sorted({*kept, *told}):
        if kept.get(payee, PayeeShare()) != told.get(payee, PayeeShare()):
            yield f"events of loan {loan.id}: the share of {payee} differs"


def _by_loan() -> Select[int, str, int]:
    kept_fen = LoanPayee.collected_fen - LoanPayee.given_back_fen
    sides = union_all(
        _posted(LedgerEntry.loan_id.label("of")).where(LedgerEntry.loan_id.is_not(None)),
        select(LoanPayee.loan_id, LoanPayee.payee, kept_fen),
    ).subquery()
    return _off(sides)


def _by_payee() -> Select[str, str, int]:
    kept_fen = LoanPayee.collected_fen - LoanPayee.given_back_fen
    sides = union_all(
        _posted(LedgerEntry.creditor.label("of")),
        select(Loan.funder, LoanPayee.payee, kept_fen).join(Loan, Loan.id == LoanPayee.loan_id),
        select(PayeePayout.creditor, PayeePayout.payee, -PayeePayout.amount_fen).where(
            PayeePayout.state == PayoutState.PAID
        ),
    ).subquery()
    return _off(sides)


def _posted(of: ColumnElement[Any]) -> Select[Any, str, int]:
    """Select what the ledger says per payee; a liability, so what is payable is negative."""
    return (
        select(of, LedgerPosting.payee.label("payee"), LedgerPosting.amount_fen.label("fen"))
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .where(LedgerPosting.account == FEE_PAYABLE, LedgerPosting.payee.is_not(None))
    )


def _off(sides: Subquery) -> Select[Any, str, int]:
    off_fen = cast(func.sum(sides.c.fen), BigInteger)
    return (
        select(sides.c.of, sides.c.payee, off_fen)
        .group_by(sides.c.of, sides.c.payee)
        .having(off_fen != 0)
        .order_by(sides.c.of, sides.c.payee)
        .limit(_SHOWN)
    )


def _of_nobody() -> Select[int]:
    return (
        select(LedgerPosting.entry_id)
        .where(LedgerPosting.account == FEE_PAYABLE, LedgerPosting.payee.is_(None))
        .order_by(LedgerPosting.entry_id)
        .limit(_SHOWN)
    )
