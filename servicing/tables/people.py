"""Who borrows, what they consented to, and what they want looked into."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId
from servicing.tables.lengths import CODE, HASH, INDEX, KEY, LABEL, PARTNER, REFERENCE


class Customer(Base):
    """A borrower; personal fields are tokens of kernel.crypto."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name_enc: Mapped[str] = mapped_column(Text)
    phone_enc: Mapped[str] = mapped_column(Text)
    phone_index: Mapped[str] = mapped_column(String(INDEX), unique=True)
    id_number_enc: Mapped[str] = mapped_column(Text)
    id_number_index: Mapped[str] = mapped_column(String(INDEX), unique=True)
    # Index of phone and the last four signs of the id number together, for binding in WeChat.
    identity_index: Mapped[str] = mapped_column(String(INDEX), index=True)
    is_student: Mapped[bool]
    employer: Mapped[str | None] = mapped_column(String(LABEL))
    created_at: Mapped[datetime]


class PartnerCustomer(Base):
    """A customer whom a partner brought, under the partner's own reference."""

    __tablename__ = "partner_customer"
    __table_args__ = (UniqueConstraint("partner", "reference"),)

    partner: Mapped[str] = mapped_column(String(PARTNER), primary_key=True)
    customer_id: Mapped[int] = mapped_column(
        ForeignKey("customer.id"), type_=BigId, primary_key=True, index=True
    )
    reference: Mapped[str] = mapped_column(String(REFERENCE))
    linked_at: Mapped[datetime]


class Consent(Base):
    """One consent given or withdrawn; the last row of a purpose is the one in force."""

    __tablename__ = "consent"
    __table_args__ = (Index(None, "customer_id", "purpose"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId)
    purpose: Mapped[str] = mapped_column(String(CODE))
    text_hash: Mapped[str] = mapped_column(String(HASH))
    channel: Mapped[str] = mapped_column(String(CODE))
    is_withdrawal: Mapped[bool]
    at: Mapped[datetime]


class Complaint(Base):
    """What a customer complained of; text and answer are encrypted."""

    __tablename__ = "complaint"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'answered', 'closed')", name="state_is_known"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    complaint_no: Mapped[str] = mapped_column(String(CODE), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId)
    category: Mapped[str] = mapped_column(String(CODE))
    channel: Mapped[str] = mapped_column(String(CODE))
    text_enc: Mapped[str] = mapped_column(Text)
    answer_enc: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(CODE))
    opened_at: Mapped[datetime]
    answer_due_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[str | None] = mapped_column(String(LABEL))
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(LABEL))


class Hold(Base):
    """A bar on contacts: what may not be sent, why, until when, opened and lifted by whom."""

    __tablename__ = "hold"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId)
    complaint_id: Mapped[int | None] = mapped_column(ForeignKey("complaint.id"), type_=BigId)
    reason: Mapped[str] = mapped_column(String(CODE))
    scope: Mapped[str] = mapped_column(String(CODE))
    opened_at: Mapped[datetime]
    opened_by: Mapped[str] = mapped_column(String(LABEL))
    until: Mapped[datetime | None]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(String(LABEL))
    lift_reason: Mapped[str | None] = mapped_column(String(LABEL))


class Alert(Base):
    """Something staff must look at; the key keeps one cause from alerting twice."""

    __tablename__ = "alert"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'closed')", name="state_is_known"),
        Index(None, "state", "raised_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(KEY), unique=True)
    kind: Mapped[str] = mapped_column(String(CODE))
    severity: Mapped[str] = mapped_column(String(CODE))
    customer_id: Mapped[int | None] = mapped_column(
        ForeignKey("customer.id"), type_=BigId, index=True
    )
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId)
    details: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(CODE))
    raised_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(LABEL))
    note: Mapped[str | None] = mapped_column(String(LABEL))


for _model in (Consent,):
    keep_append_only(_model)
