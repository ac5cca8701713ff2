"""What partners let happen through the API, and how much of it they may in a day."""

from datetime import date, datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId, FenColumn
from servicing.tables.lengths import CODE, LABEL, PARTNER, REASON, REFERENCE

_COUNTS: Final = text("NOT is_void")


class PartnerAct(Base):
    """One act of a partner on a loan.

    `reference` is how the partner's own books, or its bank's, name money that moved: it stands for
    one act. Void is one whose event was reversed before its reference was used again.
    """

    __tablename__ = "partner_act"
    __table_args__ = (
        Index(
            "uq_partner_act_reference",
            "partner",
            "reference",
            unique=True,
            postgresql_where=_COUNTS,
            sqlite_where=_COUNTS,
        ),
        CheckConstraint("amount_fen >= 0", name="amount"),
        Index(None, "partner", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner: Mapped[str] = mapped_column(String(PARTNER))
    act: Mapped[str] = mapped_column(String(CODE))
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    seq: Mapped[int]
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    channel: Mapped[str | None] = mapped_column(String(CODE))
    reference: Mapped[str | None] = mapped_column(String(REFERENCE), index=True)
    is_void: Mapped[bool] = mapped_column(default=False)
    recorded_at: Mapped[datetime]


class PartnerDay(Base):
    """How much of one kind of act a partner had happen on a business date, fen."""

    __tablename__ = "partner_day"
    __table_args__ = (CheckConstraint("used_fen >= 0", name="used"),)

    partner: Mapped[str] = mapped_column(String(PARTNER), primary_key=True)
    act: Mapped[str] = mapped_column(String(CODE), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    used_fen: Mapped[int] = mapped_column(FenColumn)


class PartnerLimit(Base):
    """How much a partner may, at once and in a day; the last row of an act is the one in force."""

    __tablename__ = "partner_limit"
    __table_args__ = (
        CheckConstraint("each_fen >= 0 AND day_fen >= each_fen", name="amounts"),
        Index(None, "partner", "act"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner: Mapped[str] = mapped_column(String(PARTNER))
    act: Mapped[str] = mapped_column(String(CODE))
    each_fen: Mapped[int] = mapped_column(FenColumn)
    day_fen: Mapped[int] = mapped_column(FenColumn)
    set_by: Mapped[str] = mapped_column(String(LABEL))
    reason: Mapped[str] = mapped_column(String(REASON), default="", server_default="")
    set_at: Mapped[datetime]


keep_append_only(PartnerLimit)
