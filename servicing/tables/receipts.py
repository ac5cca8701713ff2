"""Proofs of money that came past WeChat Pay."""

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base, BigId, FenColumn
from servicing.tables.lengths import CODE, LABEL, REFERENCE

_COUNTS: Final = text("NOT is_void")


class LoanReceipt(Base):
    """The proof of money that was booked on a loan: which transfer, or which slip of the counter.

    A proof stands for one event. Void is one whose event was reversed before it was used again.
    """

    __tablename__ = "loan_receipt"
    __table_args__ = (
        Index(
            "uq_loan_receipt_proof",
            "channel",
            "reference",
            unique=True,
            postgresql_where=_COUNTS,
            sqlite_where=_COUNTS,
        ),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("channel IN ('bank-transfer', 'cash-desk')", name="channel"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    seq: Mapped[int]
    channel: Mapped[str] = mapped_column(String(CODE))
    reference: Mapped[str] = mapped_column(String(REFERENCE))
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    taken_by: Mapped[str] = mapped_column(String(LABEL))
    is_void: Mapped[bool] = mapped_column(default=False)
    recorded_at: Mapped[datetime]
