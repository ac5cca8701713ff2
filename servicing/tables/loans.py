"""Loans: what was agreed and happened, what it comes to, and what it is called when late."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId, FenColumn
from servicing.tables.lengths import CODE, HASH, KEY, LABEL, REASON


class CostDisclosure(Base):
    """A cost table (综合融资成本明示表) as it was shown, and its confirmation."""

    __tablename__ = "cost_disclosure"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    content: Mapped[dict[str, Any]]
    content_hash: Mapped[str] = mapped_column(String(HASH))
    seconds_shown: Mapped[int]
    confirmed_at: Mapped[datetime]


class Loan(Base):
    """One booked instalment loan; `closed_to` is the last business date that was closed for it.

    The terms and the events are the truth; state, lateness, `principal_fen` as far as it was drawn
    and the instalments are what the engine makes of them, kept to be read and searched.
    """

    __tablename__ = "loan"
    __table_args__ = (
        CheckConstraint("principal_fen > 0", name="principal_is_positive"),
        CheckConstraint("terms > 0", name="terms_are_positive"),
        CheckConstraint("state IN ('active', 'closed')", name="state_is_known"),
        Index(None, "state", "bucket"),
        Index(
            "ix_loan_active",
            "id",
            postgresql_where=text("state = 'active'"),
            sqlite_where=text("state = 'active'"),
        ),
        Index(
            "ix_loan_credit",
            "id",
            postgresql_where=text("credit_fen > 0"),
            sqlite_where=text("credit_fen > 0"),
        ),
        Index(
            "ix_loan_undrawn",
            "draw_until",
            postgresql_where=text("undrawn_fen > 0"),
            sqlite_where=text("undrawn_fen > 0"),
        ),
        Index(
            "ix_loan_subsidised",
            "merchant_name",
            postgresql_where=text("is_subsidised"),
            sqlite_where=text("is_subsidised"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_no: Mapped[str] = mapped_column(String(CODE), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    # A purchase that was approved by itself, outside any line, has neither of the two.
    line_id: Mapped[int | None] = mapped_column(
        ForeignKey("credit_line.id"), type_=BigId, index=True
    )
    application_id: Mapped[int | None] = mapped_column(
        ForeignKey("application.id"), type_=BigId, unique=True
    )
    disclosure_id: Mapped[int] = mapped_column(ForeignKey("cost_disclosure.id"), type_=BigId)
    funder: Mapped[str] = mapped_column(String(CODE))
    merchandise: Mapped[str] = mapped_column(String(LABEL))
    merchant_name: Mapped[str] = mapped_column(String(LABEL))
    principal_fen: Mapped[int] = mapped_column(FenColumn)
    rate_annual: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    terms: Mapped[int]
    disbursed_on: Mapped[date]
    # Of several tranches: what may still be drawn, until when, and day and amount of each draw.
    undrawn_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    draw_until: Mapped[date | None]
    draws: Mapped[list[Any] | None]
    # From which day on which rate holds instead of the agreed one, if it was ever changed.
    rates: Mapped[list[Any] | None]
    # Whether the merchant pays in the borrower's place.
    is_subsidised: Mapped[bool] = mapped_column(default=False)
    # What was agreed, as servicing.archive writes it, and the product that it came from.
    product_code: Mapped[str] = mapped_column(String(CODE))
    product_version: Mapped[int]
    agreed: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    bears_penalty: Mapped[bool]
    settles_early: Mapped[bool]
    plan_version: Mapped[int]
    state: Mapped[str] = mapped_column(String(CODE))
    # How late it is by the last close or event: since which due date, and what that is called.
    grace_days: Mapped[int]
    late_since: Mapped[date | None]
    days_past_due: Mapped[int]
    bucket: Mapped[str] = mapped_column(String(CODE))
    five_class: Mapped[str] = mapped_column(String(CODE))
    ecl_stage: Mapped[int]
    # The worst class that a mark asks for, and how far penalty had run after the last event.
    class_floor: Mapped[str | None] = mapped_column(String(CODE))
    running: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    closed_to: Mapped[date]
    settled_on: Mapped[date | None]
    # What was overpaid and is owed to the borrower until it has gone back.
    credit_fen: Mapped[int] = mapped_column(FenColumn, default=0, server_default=text("0"))
    # Since when the claim is off the books though it is owed, and since when it is given up.
    charged_off_on: Mapped[date | None]
    written_off_on: Mapped[date | None]
    # Since when its purchase is undone.
    cancelled_on: Mapped[date | None]

    @property
    def is_off_books(self) -> bool:
        """Whether nothing is earned on it any more."""
        return self.charged_off_on is not None or self.written_off_on is not None


class LatenessChange(Base):
    """Since when a loan has been called what: a row a change; the last up to a day says it."""

    __tablename__ = "lateness_change"
    __table_args__ = (Index(None, "loan_id", "from_on"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId)
    from_on: Mapped[date]
    late_since: Mapped[date | None]
    bucket: Mapped[str] = mapped_column(String(CODE))
    five_class: Mapped[str] = mapped_column(String(CODE))
    ecl_stage: Mapped[int]
    recorded_at: Mapped[datetime]


class ClassMark(Base):
    """Why a loan is classed no better than so for a while: restructured, or a person's judgement.

    `until_on` is the first day on which it counts no more; `ended_at` that it was taken back. The
    event that restructured a loan marks it once, and gives no other reason.
    """

    __tablename__ = "class_mark"
    __table_args__ = (
        UniqueConstraint("loan_id", "event_seq"),
        CheckConstraint("kind IN ('restructured', 'staff')", name="kind_is_known"),
        CheckConstraint("until_on IS NULL OR until_on > from_on", name="ends_after_it_begins"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    kind: Mapped[str] = mapped_column(String(CODE))
    at_least: Mapped[str] = mapped_column(String(CODE))
    from_on: Mapped[date]
    until_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(String(REASON))
    event_seq: Mapped[int | None]
    marked_by: Mapped[str] = mapped_column(String(LABEL))
    marked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = mapped_column(String(LABEL))


class LoanEvent(Base):
    """One thing that happened to a loan; `seq` counts from 1, and is the event's id in the engine.

    `value_date` is from when it counts, `recorded_at` since when we know it.
    """

    __tablename__ = "loan_event"
    __table_args__ = (
        UniqueConstraint("kind", "key"),
        Index(None, "recorded_at", "loan_id", "seq"),
    )

    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(CODE))
    value_date: Mapped[date]
    payload: Mapped[dict[str, Any]]
    key: Mapped[str] = mapped_column(String(KEY))
    actor: Mapped[str] = mapped_column(String(LABEL))
    recorded_at: Mapped[datetime]


class PlanVersion(Base):
    """A plan that was in force from an event on: number, due date, principal, interest and fee."""

    __tablename__ = "plan_version"

    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    from_seq: Mapped[int]
    rows: Mapped[list[Any]]
    recorded_at: Mapped[datetime]


class Instalment(Base):
    """One row of a loan's plan: what is due, paid, waived, and recognised as income; fen."""

    __tablename__ = "instalment"
    __table_args__ = (
        CheckConstraint("principal_fen >= 0", name="principal_is_not_negative"),
        CheckConstraint("interest_fen >= 0", name="interest_is_not_negative"),
        CheckConstraint(
            "paid_principal_fen >= 0 AND paid_principal_fen <= principal_fen",
            name="principal_is_not_overpaid",
        ),
        CheckConstraint(
            "paid_interest_fen >= 0 AND paid_interest_fen <= interest_fen",
            name="interest_is_not_overpaid",
        ),
        Index(
            "ix_instalment_unsettled",
            "due_on",
            "loan_id",
            postgresql_where=text("settled_on IS NULL"),
            sqlite_where=text("settled_on IS NULL"),
        ),
    )

    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(CODE))
    from_on: Mapped[date]
    due_on: Mapped[date]
    principal_fen: Mapped[int] = mapped_column(FenColumn)
    interest_fen: Mapped[int] = mapped_column(FenColumn)
    fee_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    penalty_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    paid_principal_fen: Mapped[int] = mapped_column(FenColumn)
    paid_interest_fen: Mapped[int] = mapped_column(FenColumn)
    paid_fee_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    paid_penalty_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    waived_principal_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    waived_interest_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    waived_fee_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    waived_penalty_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    earned_interest_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    earned_fee_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    earned_penalty_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    # What of the fee is collected for others; and what the merchant pays beside the borrower.
    to_others_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    subsidy_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    earned_subsidy_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    paid_subsidy_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    # Principal that came back onto the loan, part of principal_fen.
    credited_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    settled_on: Mapped[date | None]

    @hybrid_property
    def open_principal_fen(self) -> int:
        """Principal that is still owed."""
        return self.principal_fen - self.paid_principal_fen - self.waived_principal_fen

    @hybrid_property
    def open_fen(self) -> int:
        """All that is still owed."""
        return (
            self.open_principal_fen
            + self.interest_fen
            - self.paid_interest_fen
            - self.waived_interest_fen
            + self.fee_fen
            - self.paid_fee_fen
            - self.waived_fee_fen
            + self.penalty_fen
            - self.paid_penalty_fen
            - self.waived_penalty_fen
        )


class LoanFreeze(Base):
    """Days, the first and the last included, on which a loan bears no interest or no penalty."""

    __tablename__ = "loan_freeze"
    __table_args__ = (CheckConstraint("what IN ('interest', 'penalty')", name="what_is_known"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    what: Mapped[str] = mapped_column(String(CODE))
    first_on: Mapped[date]
    last_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(String(LABEL))
    event_seq: Mapped[int]
    opened_by: Mapped[str] = mapped_column(String(LABEL))
    opened_at: Mapped[datetime]
    lifted_by: Mapped[str | None] = mapped_column(String(LABEL))
    lifted_at: Mapped[datetime | None]


for _model in (LatenessChange, LoanEvent, PlanVersion):
    keep_append_only(_model)
