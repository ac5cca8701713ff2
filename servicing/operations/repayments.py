"""Repayments: allocate, post, restore the line, settle.

How a payment reached us and whether it is genuine is decided in servicing.payments.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel import idempotency, outbox
from kernel.clock import business_date
from kernel.errors import Conflict
from servicing import model
from servicing.chart import CLEARING, INTEREST_DUE, INTEREST_INCOME, PRINCIPAL
from servicing.events import RepaymentPosted
from servicing.model import Allocated, Owed
from servicing.operations import lines
from servicing.operations.ledger import Posting, post_entry
from servicing.operations.loans import lock_loan
from servicing.tables import Instalment, Loan


class PaymentTooLarge(Conflict):
    """More was to be posted than the loan still owes."""

    code = "payment-too-large"
    message_zh = "付款金额超过应还金额"


def post_repayment(
    session: Session, *, loan_id: int, amount_fen: int, value_date: date, key: str, now: datetime
) -> None:
    """Allocate a payment, enter it in the ledger and tell who listens.

    Safe to repeat with the same key.

    Args:
        session: The write session in which the payment itself is recorded.
        loan_id: The loan it is for; its row is locked.
        amount_fen: What was paid, > 0.
        value_date: Business date of the provider's success time.
        key: The payment's key, such as its transaction number.
        now: The instant of posting.

    Raises:
        PaymentTooLarge: More than the loan still owes; nothing is posted.
        KeyReused: The key stands for another payment.
    """
    payload = {"loan_id": loan_id, "amount_fen": amount_fen}
    claimed = idempotency.claim(session, action="post-repayment", key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return
    loan = lock_loan(session, loan_id=loan_id)
    rows = open_instalments(session, loan_ids=(loan_id,))
    parts, left = model.allocate(amount_fen, [owed(row) for row in rows])
    if left:
        raise PaymentTooLarge(f"{left} fen more than loan {loan_id} owes")
    by_n = {part.n: part for part in parts}
    _apply(session, loan, rows, by_n, on=value_date, now=now)
    post_entry(
        session,
        loan_id=loan_id,
        kind="repayment",
        key=key,
        effective_on=value_date,
        postings=repayment_postings(amount_fen, parts),
        now=now,
    )
    refresh_state(loan, rows, on=business_date(now), settled_on=value_date)
    principal = sum(part.principal_fen for part in parts)
    if loan.line_id is not None and principal:
        lines.restore(session, line_id=loan.line_id, principal_fen=principal)
    event = RepaymentPosted(
        loan_id=loan_id,
        customer_id=loan.customer_id,
        amount_fen=amount_fen,
        value_date=value_date,
        key=key,
        remaining_fen=sum(_outstanding(row) for row in rows),
        is_settled=loan.state == "closed",
    )
    outbox.record(session, event, now=now)
    claimed.keep({})


def _apply(
    session: Session,
    loan: Loan,
    rows: Sequence[Instalment],
    parts: Mapping[int, Allocated],
    *,
    on: date,
    now: datetime,
) -> None:
    for row in (row for row in rows if row.n in parts):
        accrue_interest(session, loan=loan, row=row, on=on, now=now)
        row.paid_interest_fen += parts[row.n].interest_fen
        row.paid_principal_fen += parts[row.n].principal_fen
        if not _outstanding(row):
            row.settled_on = on


def repayment_postings(amount_fen: int, parts: Sequence[Allocated]) -> tuple[Posting, ...]:
    """Say what a repayment posts: cash in, and the interest and principal of each instalment."""
    legs = [Posting(account=CLEARING, amount_fen=amount_fen)]
    for part in parts:
        legs += [
            Posting(account=INTEREST_DUE, amount_fen=-part.interest_fen, instalment_n=part.n),
            Posting(account=PRINCIPAL, amount_fen=-part.principal_fen, instalment_n=part.n),
        ]
    return tuple(legs)


def accrual_postings(n: int, interest_fen: int) -> tuple[Posting, ...]:
    """Say what the interest of an instalment posts when it falls due, or is paid if earlier."""
    return (
        Posting(account=INTEREST_DUE, amount_fen=interest_fen, instalment_n=n),
        Posting(account=INTEREST_INCOME, amount_fen=-interest_fen, instalment_n=n),
    )


def accrue_interest(
    session: Session, *, loan: Loan, row: Instalment, on: date, now: datetime
) -> None:
    """Recognise an instalment's interest once: on its due date, or when it is paid if earlier."""
    if row.is_accrued:
        return
    row.is_accrued = True
    if row.interest_fen:
        post_entry(
            session,
            loan_id=loan.id,
            kind="interest",
            key=f"{loan.id}/{row.n}",
            effective_on=min(on, row.due_on),
            postings=accrual_postings(row.n, row.interest_fen),
            now=now,
        )


def open_instalments(session: Session, *, loan_ids: Sequence[int]) -> Sequence[Instalment]:
    """List the instalments that are not fully paid, by loan and number."""
    return session.scalars(
        select(Instalment)
        .where(Instalment.loan_id.in_(loan_ids), Instalment.settled_on.is_(None))
        .order_by(Instalment.loan_id, Instalment.n)
        .execution_options(populate_existing=True)
    ).all()


def owed(row: Instalment) -> Owed:
    """Say what an instalment still asks for."""
    return Owed(
        n=row.n,
        interest_fen=row.interest_fen - row.paid_interest_fen,
        principal_fen=row.principal_fen - row.paid_principal_fen,
    )


def refresh_state(loan: Loan, rows: Sequence[Instalment], *, on: date, settled_on: date) -> None:
    """Set how late a loan is, and close it when nothing is open.

    Args:
        loan: The locked loan.
        rows: Its instalments that were open before the change.
        on: The business date of the look.
        settled_on: The date that is kept if this settles the loan.
    """
    open_rows = [row for row in rows if row.settled_on is None]
    days = max((model.days_past_due(row.due_on, on) for row in open_rows), default=0)
    loan.days_past_due = days
    loan.bucket = model.bucket(days)
    if not open_rows:
        loan.state = "closed"
        loan.settled_on = settled_on


def _outstanding(row: Instalment) -> int:
    return row.principal_fen + row.interest_fen - row.paid_principal_fen - row.paid_interest_fen
