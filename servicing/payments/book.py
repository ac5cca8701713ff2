"""The one door through which payments touch the loan book: lock, quote, post, keep, give back.

It decides nothing about orders or refunds, and it makes no entry of its own but those for money
that no debt took.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from servicing.operations import (
    CLEARING,
    REFUND_PAYABLE,
    lock_loan,
    post_entry,
    post_repayment,
)
from servicing.queries import LoanNotFound, loan_of, repayment_quote
from servicing.tables import Loan


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a loan asks for now.

    Attributes:
        lines: Fen by number of the instalment, oldest first; together `amount_fen`.
    """

    loan_no: str
    amount_fen: int
    lines: Mapping[int, int]


def lock(session: Session, *, loan_id: int) -> None:
    """Lock a loan for writing."""
    lock_loan(session, loan_id=loan_id)


def locked_quote(
    session: Session, *, loan_id: int, customer_id: int, on: date, terms: int | None = None
) -> Asked:
    """Lock a customer's loan and say what it asks for.

    Args:
        session: A write session.
        loan_id: The loan.
        customer_id: Whose it must be.
        on: The business date.
        terms: Of how many of its oldest instalments, at least one; None takes all.

    Raises:
        LoanNotFound: No such loan, or another's.
    """
    if session.scalar(select(Loan.customer_id).where(Loan.id == loan_id)) != customer_id:
        raise LoanNotFound(f"no loan {loan_id} of this customer")
    lock_loan(session, loan_id=loan_id)
    loan = loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
    quote = repayment_quote(loan, on=on)
    chosen = quote.lines if terms is None else quote.lines[: max(terms, 1)]
    return Asked(
        loan_no=loan.loan_no,
        amount_fen=sum(line.outstanding_fen for line in chosen),
        lines={line.n: line.outstanding_fen for line in chosen},
    )


def still_owed(
    session: Session, *, loan_id: int, customer_id: int, asked: Mapping[int, int], on: date
) -> int:
    """Sum what is still open on some instalments of a locked loan, never more than was asked.

    Args:
        session: The write session that holds the loan's lock.
        loan_id: Whose instalments.
        customer_id: Whose loan.
        asked: Fen by number of the instalment.
        on: The business date of the payment.
    """
    loan = loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
    return sum(min(asked.get(line.n, 0), line.outstanding_fen) for line in loan.plan)


def post(
    session: Session,
    *,
    loan_id: int,
    payment_id: int,
    amount_fen: int,
    value_date: date,
    now: datetime,
) -> None:
    """Let the loan take a payment: allocation, ledger entry, RepaymentPosted."""
    post_repayment(
        session,
        loan_id=loan_id,
        amount_fen=amount_fen,
        value_date=value_date,
        key=f"payment/{payment_id}",
        now=now,
    )


def keep_excess(
    session: Session,
    *,
    loan_id: int,
    payment_id: int,
    amount_fen: int,
    value_date: date,
    now: datetime,
) -> None:
    """Enter money that no debt took as owed to its payer."""
    post_entry(
        session,
        loan_id=loan_id,
        kind="overpayment",
        key=f"overpayment/{payment_id}",
        effective_on=value_date,
        postings={CLEARING: amount_fen, REFUND_PAYABLE: -amount_fen},
        now=now,
    )


def give_back(
    session: Session,
    *,
    loan_id: int,
    out_refund_no: str,
    amount_fen: int,
    value_date: date,
    now: datetime,
) -> None:
    """Enter that such money is back with its payer."""
    post_entry(
        session,
        loan_id=loan_id,
        kind="refund",
        key=f"refund/{out_refund_no}",
        effective_on=value_date,
        postings={REFUND_PAYABLE: amount_fen, CLEARING: -amount_fen},
        now=now,
    )
