"""What loans collect for others, and what was paid out to them."""

from datetime import date, datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base, BigId, FenColumn
from servicing.tables.lengths import CODE, LABEL, REASON, REFERENCE

_ON_ITS_WAY: Final = text("state = 'approved'")


class LoanPayee(Base):
    """What a loan's fees came to for somebody else by now, fen; its postings say when."""

    __tablename__ = "loan_payee"
    __table_args__ = (
        CheckConstraint("collected_fen >= 0 AND given_back_fen >= 0", name="amounts"),
        Index(None, "payee"),
    )

    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, primary_key=True)
    payee: Mapped[str] = mapped_column(String(LABEL), primary_key=True)
    collected_fen: Mapped[int] = mapped_column(FenColumn)
    given_back_fen: Mapped[int] = mapped_column(FenColumn)


class PayeePayout(Base):
    """One payment to a payee of what was collected for them; one at a time is on its way.

    Attributes:
        creditor: In whose books the fees were collected, and from whose money they are paid.
        until_on: The last day whose collections are in it.
        state: One of servicing.payouts.PayoutState.
        bank_ref: The bank's number of the transfer, once it was sent.
        ended_why: Why it was called off, or came back.
    """

    __tablename__ = "payee_payout"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("state IN ('approved', 'paid', 'returned', 'cancelled')", name="state"),
        CheckConstraint(
            "(state IN ('paid', 'returned')) = (bank_ref IS NOT NULL)", name="sent_by_bank"
        ),
        Index(
            "uq_payee_payout_on_its_way",
            "creditor",
            "payee",
            unique=True,
            postgresql_where=_ON_ITS_WAY,
            sqlite_where=_ON_ITS_WAY,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(String(CODE), unique=True)
    creditor: Mapped[str] = mapped_column(String(CODE))
    payee: Mapped[str] = mapped_column(String(LABEL), index=True)
    until_on: Mapped[date]
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    state: Mapped[str] = mapped_column(String(CODE))
    asked_by: Mapped[str] = mapped_column(String(LABEL))
    reason: Mapped[str] = mapped_column(String(REASON))
    approved_at: Mapped[datetime]
    bank_ref: Mapped[str | None] = mapped_column(String(REFERENCE), unique=True)
    paid_on: Mapped[date | None]
    paid_by: Mapped[str] = mapped_column(String(LABEL), default="")
    ended_on: Mapped[date | None]
    ended_by: Mapped[str] = mapped_column(String(LABEL), default="")
    ended_why: Mapped[str] = mapped_column(String(REASON), default="")
