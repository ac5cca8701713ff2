"""Proofs of money that came past WeChat Pay."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from servicing.tables import LoanReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptView:
    """The proof of an event: which transfer it was, or which slip of the counter."""

    channel: str
    reference: str


def receipt_of(session: Session, *, loan_id: int, seq: int) -> ReceiptView | None:
    """Return the proof of an event of a loan; None if it is no money that came past WeChat Pay."""
    row = session.scalar(
        select(LoanReceipt).where(LoanReceipt.loan_id == loan_id, LoanReceipt.seq == seq)
    )
    if row is None:
        return None
    return ReceiptView(channel=row.channel, reference=row.reference)
