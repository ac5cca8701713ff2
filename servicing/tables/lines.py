"""Credit lines and their changes, and what is offered to a customer."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId, FenColumn
from servicing.tables.lengths import CODE, HASH, LABEL


class CreditLine(Base):
    """What a customer may draw from one funder: available = granted - held - utilised."""

    __tablename__ = "credit_line"
    __table_args__ = (
        UniqueConstraint("customer_id", "funder"),
        CheckConstraint("granted_fen >= 0", name="granted_is_not_negative"),
        CheckConstraint("held_fen >= 0", name="held_is_not_negative"),
        CheckConstraint("utilised_fen >= 0", name="utilised_is_not_negative"),
        CheckConstraint("state IN ('active', 'frozen', 'closed')", name="state_is_known"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId)
    funder: Mapped[str] = mapped_column(String(CODE))
    granted_fen: Mapped[int] = mapped_column(FenColumn)
    held_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    utilised_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    state: Mapped[str] = mapped_column(String(CODE), default="active")
    frozen_reason: Mapped[str | None] = mapped_column(String(LABEL))
    frozen_at: Mapped[datetime | None]
    graded_to: Mapped[date | None]
    grade: Mapped[str | None] = mapped_column(String(CODE))
    opened_at: Mapped[datetime]
    # The last day on which it may be drawn; afterwards it is closed until it is renewed.
    expires_on: Mapped[date | None]


class LineFreeze(Base):
    """Days, the first and the last included, on which nobody draws on a line; they may overlap."""

    __tablename__ = "line_freeze"
    __table_args__ = (
        CheckConstraint("last_on IS NULL OR last_on >= first_on", name="ends_after_it_begins"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("credit_line.id"), type_=BigId, index=True)
    first_on: Mapped[date]
    last_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(String(LABEL))
    opened_by: Mapped[str] = mapped_column(String(LABEL))
    opened_at: Mapped[datetime]
    lifted_by: Mapped[str | None] = mapped_column(String(LABEL))
    lifted_at: Mapped[datetime | None]


class LineChange(Base):
    """What was granted on a line, and until when, before and after somebody changed it."""

    __tablename__ = "line_change"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("credit_line.id"), type_=BigId, index=True)
    kind: Mapped[str] = mapped_column(String(CODE))
    granted_before_fen: Mapped[int] = mapped_column(FenColumn)
    granted_after_fen: Mapped[int] = mapped_column(FenColumn)
    expires_before: Mapped[date | None]
    expires_after: Mapped[date | None]
    # The change that this one takes back.
    undoes_id: Mapped[int | None] = mapped_column(
        ForeignKey("line_change.id"), type_=BigId, unique=True
    )
    actor: Mapped[str] = mapped_column(String(LABEL))
    recorded_at: Mapped[datetime]


class Offer(Base):
    """Something that a customer may take or leave until a day: what, what it costs, what became.

    `valid_until` is the last day; `waived_fen` is what we give up by it, by which its maker's
    authority is measured; `effects` are the numbers of the events that it came to.
    """

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint(
            "state IN ('offered', 'accepted', 'fulfilled', 'lapsed', 'withdrawn', 'declined',"
            " 'replaced')",
            name="state_is_known",
        ),
        CheckConstraint(
            "(loan_id IS NULL) <> (line_id IS NULL)", name="it_is_about_a_loan_or_a_line"
        ),
        Index(None, "state", "valid_until"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(CODE))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    line_id: Mapped[int | None] = mapped_column(
        ForeignKey("credit_line.id"), type_=BigId, index=True
    )
    details: Mapped[dict[str, Any]]
    # What was shown when it was made, and the cost table where it costs something.
    preview: Mapped[dict[str, Any]]
    cost_table: Mapped[dict[str, Any] | None]
    # Which version of the cost table was shown, by which the customer's yes names it.
    cost_table_hash: Mapped[str | None] = mapped_column(String(HASH))
    waived_fen: Mapped[int] = mapped_column(FenColumn)
    # How many events the loan had: what is paid towards a settlement comes after them.
    after_seq: Mapped[int]
    valid_until: Mapped[date]
    state: Mapped[str] = mapped_column(String(CODE))
    reason: Mapped[str] = mapped_column(String(LABEL))
    made_by: Mapped[str] = mapped_column(String(LABEL))
    made_at: Mapped[datetime]
    consent_id: Mapped[int | None] = mapped_column(ForeignKey("consent.id"), type_=BigId)
    disclosure_id: Mapped[int | None] = mapped_column(ForeignKey("cost_disclosure.id"), type_=BigId)
    accepted_at: Mapped[datetime | None]
    fulfilled_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(LABEL))
    # Where the customer declined it, and why if they said so.
    declined_in: Mapped[str | None] = mapped_column(String(CODE))
    decline_reason: Mapped[str | None] = mapped_column(String(LABEL))
    effects: Mapped[list[Any]]
    # The offer that this one was made in place of, on the day on which that was to be accepted.
    replaces_id: Mapped[int | None] = mapped_column(
        ForeignKey("offer.id"), type_=BigId, unique=True
    )


for _model in (LineChange,):
    keep_append_only(_model)
