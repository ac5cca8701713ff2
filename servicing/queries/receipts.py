"""Proofs of money that came past WeChat Pay, as our staff and as partners named them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from servicing.engine.replay import in_force
from servicing.queries.history import read_events
from servicing.tables import LoanReceipt, PartnerAct

# The one way whose references are of neither's making, so that both may hold the same.
BANK_TRANSFER: Final = "bank-transfer"
REPAYMENT: Final = "repayment"


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


def is_standing(session: Session, *, loan_id: int, seq: int) -> bool:
    """Say whether an event of a loan stands, or was reversed."""
    return any(event.id == str(seq) for event in in_force(read_events(session, loan_id=loan_id)))


def is_transfer_of_staff(session: Session, *, reference: str) -> bool:
    """Say whether our staff booked the bank transfer of that reference, and it stands."""
    found = session.scalars(
        select(LoanReceipt).where(
            LoanReceipt.channel == BANK_TRANSFER,
            LoanReceipt.reference == reference,
            LoanReceipt.is_void.is_(False),
        )
    )
    return any(is_standing(session, loan_id=row.loan_id, seq=row.seq) for row in found)


def is_transfer_of_partner(session: Session, *, reference: str) -> bool:
    """Say whether a partner reported the bank transfer of that reference, and it stands."""
    found = session.scalars(
        select(PartnerAct).where(
            PartnerAct.act == REPAYMENT,
            PartnerAct.channel == BANK_TRANSFER,
            PartnerAct.reference == reference,
            PartnerAct.is_void.is_(False),
        )
    )
    return any(is_standing(session, loan_id=row.loan_id, seq=row.seq) for row in found)
