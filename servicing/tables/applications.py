"""What is applied for: its way, its evidence, its review."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base, BigId, FenColumn
from servicing.tables.lengths import CODE, LABEL


class Application(Base):
    """A request for one instalment purchase; states as in servicing.model.APPLICATION_STATES."""

    __tablename__ = "application"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount_is_positive"),
        CheckConstraint("terms > 0", name="terms_are_positive"),
        CheckConstraint(
            "state IN ('submitted', 'in_review', 'approved', 'declined', 'cancelled', 'booked')",
            name="state_is_known",
        ),
        Index(None, "state", "submitted_at"),
        Index("ix_application_board", "submitted_at", "state", "decided_by"),
        Index(None, "decided_at"),
        Index(None, "channel", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    application_no: Mapped[str] = mapped_column(String(CODE), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    funder: Mapped[str] = mapped_column(String(CODE))
    merchandise: Mapped[str] = mapped_column(String(LABEL))
    merchant_name: Mapped[str] = mapped_column(String(LABEL))
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    # What is applied for; the version in force at submission is the one that is drawn.
    product_code: Mapped[str] = mapped_column(String(CODE))
    product_version: Mapped[int]
    rate_annual: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    terms: Mapped[int]
    channel: Mapped[str] = mapped_column(String(CODE))
    attributes: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(CODE))
    # The machine's stored decision (risk.queries.decision), and its sentences by reason code.
    decision_no: Mapped[str | None] = mapped_column(String(CODE))
    strategy_version: Mapped[str | None] = mapped_column(String(LABEL))
    reasons: Mapped[list[Any]]
    told: Mapped[dict[str, Any] | None]
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(LABEL))


class ApplicationCourse(Base):
    """The machine's way to a decision on an application that was submitted here."""

    __tablename__ = "application_course"
    __table_args__ = (
        CheckConstraint("state IN ('submitted', 'gathering', 'decided')", name="state_is_known"),
        Index(
            "ix_application_course_open",
            "application_id",
            postgresql_where=text("state <> 'decided'"),
            sqlite_where=text("state <> 'decided'"),
        ),
        Index("ix_application_course_board", "machine_decided_at", "machine_outcome", "machine_ms"),
        Index(
            "ix_application_course_appealed",
            "machine_decided_at",
            postgresql_where=text("appealed_at IS NOT NULL"),
            sqlite_where=text("appealed_at IS NOT NULL"),
        ),
    )

    application_id: Mapped[int] = mapped_column(
        ForeignKey("application.id"), type_=BigId, primary_key=True
    )
    state: Mapped[str] = mapped_column(String(CODE))
    moved_at: Mapped[datetime]
    machine_outcome: Mapped[str | None] = mapped_column(String(CODE))
    machine_decided_at: Mapped[datetime | None]
    # From submission to the machine's decision.
    machine_ms: Mapped[int | None] = mapped_column(BigId)
    appealed_at: Mapped[datetime | None]
    # The strategy that chose whom to ask; None where all are asked.
    planned_by: Mapped[str | None] = mapped_column(String(LABEL))


class ApplicationEvidence(Base):
    """One inquiry of a sub-system about an application, and its answer, late ones too.

    `leased_until` keeps a second worker from asking meanwhile; `due_at` is when waiting ends.
    Steps follow one another; `timeout_s` and `attempts_most` are what was planned for a call.
    """

    __tablename__ = "application_evidence"
    __table_args__ = (
        CheckConstraint(
            "state IN ('planned', 'waiting', 'answered', 'failed', 'timed_out', 'not_asked')",
            name="state_is_known",
        ),
        Index(
            "ix_application_evidence_waiting",
            "due_at",
            postgresql_where=text("state = 'waiting'"),
            sqlite_where=text("state = 'waiting'"),
        ),
    )

    application_id: Mapped[int] = mapped_column(
        ForeignKey("application.id"), type_=BigId, primary_key=True
    )
    subsystem: Mapped[str] = mapped_column(String(CODE), primary_key=True)
    label: Mapped[str] = mapped_column(String(LABEL))
    fallback: Mapped[str] = mapped_column(String(CODE))
    step: Mapped[int] = mapped_column(server_default="1")
    timeout_s: Mapped[int] = mapped_column(server_default="5")
    attempts_most: Mapped[int] = mapped_column(server_default="3")
    state: Mapped[str] = mapped_column(String(CODE))
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    leased_until: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    is_late: Mapped[bool]
    values: Mapped[dict[str, Any] | None]
    failure: Mapped[str | None] = mapped_column(String(LABEL))


class ApplicationReview(Base):
    """An application's time before people: since when, until when, and who has it in hand.

    `kind` is in servicing.model.ReviewKind.
    """

    __tablename__ = "application_review"
    __table_args__ = (
        CheckConstraint("kind IN ('decision', 'terms')", name="kind_is_known"),
        Index(
            "ix_application_review_open",
            "due_at",
            postgresql_where=text("closed_at IS NULL"),
            sqlite_where=text("closed_at IS NULL"),
        ),
    )

    application_id: Mapped[int] = mapped_column(
        ForeignKey("application.id"), type_=BigId, primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(CODE), server_default="decision")
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime]
    reviewer: Mapped[str | None] = mapped_column(String(LABEL))
    taken_until: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
