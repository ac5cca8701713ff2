"""Tables of the loan book: who, on which line, what was booked, what is owed, what was posted.

Payment orders, payments and refunds are not here but in servicing.payments.tables. Money is a
BIGINT count of fen; personal fields are encrypted and found by blind index only. The events of
loans, their plans, the ledger and the consents are append-only: triggers on both databases refuse
to change or delete a row.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId, FenColumn

_CODE: Final = 32
_LABEL: Final = 120
_INDEX: Final = 40
_HASH: Final = 64
_KEY: Final = 128


class Customer(Base):
    """A borrower; personal fields are tokens of kernel.crypto."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name_enc: Mapped[str] = mapped_column(Text)
    phone_enc: Mapped[str] = mapped_column(Text)
    phone_index: Mapped[str] = mapped_column(String(_INDEX), unique=True)
    id_number_enc: Mapped[str] = mapped_column(Text)
    id_number_index: Mapped[str] = mapped_column(String(_INDEX), unique=True)
    # Index of phone and the last four signs of the id number together, for binding in WeChat.
    identity_index: Mapped[str] = mapped_column(String(_INDEX), index=True)
    is_student: Mapped[bool]
    employer: Mapped[str | None] = mapped_column(String(_LABEL))
    created_at: Mapped[datetime]


class Consent(Base):
    """One consent given or withdrawn; the last row of a purpose is the one in force."""

    __tablename__ = "consent"
    __table_args__ = (Index(None, "customer_id", "purpose"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId)
    purpose: Mapped[str] = mapped_column(String(_CODE))
    text_hash: Mapped[str] = mapped_column(String(_HASH))
    channel: Mapped[str] = mapped_column(String(_CODE))
    is_withdrawal: Mapped[bool]
    at: Mapped[datetime]


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
        Index(None, "submitted_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    application_no: Mapped[str] = mapped_column(String(_CODE), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    funder: Mapped[str] = mapped_column(String(_CODE))
    merchandise: Mapped[str] = mapped_column(String(_LABEL))
    merchant_name: Mapped[str] = mapped_column(String(_LABEL))
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    rate_annual: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    terms: Mapped[int]
    channel: Mapped[str] = mapped_column(String(_CODE))
    attributes: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(_CODE))
    decision_id: Mapped[int | None] = mapped_column(BigId)
    strategy_version: Mapped[str | None] = mapped_column(String(_LABEL))
    reasons: Mapped[list[Any]]
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(_LABEL))


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
    funder: Mapped[str] = mapped_column(String(_CODE))
    granted_fen: Mapped[int] = mapped_column(FenColumn)
    held_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    utilised_fen: Mapped[int] = mapped_column(FenColumn, default=0)
    state: Mapped[str] = mapped_column(String(_CODE), default="active")
    frozen_reason: Mapped[str | None] = mapped_column(String(_LABEL))
    frozen_at: Mapped[datetime | None]
    graded_to: Mapped[date | None]
    grade: Mapped[str | None] = mapped_column(String(_CODE))
    opened_at: Mapped[datetime]
    # The last day on which it may be drawn; afterwards it is closed until it is renewed.
    expires_on: Mapped[date | None]


class LineChange(Base):
    """What was granted on a line, and until when, before and after somebody changed it."""

    __tablename__ = "line_change"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("credit_line.id"), type_=BigId, index=True)
    kind: Mapped[str] = mapped_column(String(_CODE))
    granted_before_fen: Mapped[int] = mapped_column(FenColumn)
    granted_after_fen: Mapped[int] = mapped_column(FenColumn)
    expires_before: Mapped[date | None]
    expires_after: Mapped[date | None]
    # The change that this one takes back.
    undoes_id: Mapped[int | None] = mapped_column(
        ForeignKey("line_change.id"), type_=BigId, unique=True
    )
    actor: Mapped[str] = mapped_column(String(_LABEL))
    recorded_at: Mapped[datetime]


class CostDisclosure(Base):
    """A cost table (综合融资成本明示表) as it was shown, and its confirmation."""

    __tablename__ = "cost_disclosure"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    content: Mapped[dict[str, Any]]
    content_hash: Mapped[str] = mapped_column(String(_HASH))
    seconds_shown: Mapped[int]
    confirmed_at: Mapped[datetime]


class Loan(Base):
    """One booked instalment loan; `closed_to` is the last business date that was closed for it.

    The terms and the events are the truth; state, lateness and the instalments are what the engine
    makes of them, kept so that they can be read and searched.
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
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_no: Mapped[str] = mapped_column(String(_CODE), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    # A purchase that was approved by itself, outside any line, has neither of the two.
    line_id: Mapped[int | None] = mapped_column(
        ForeignKey("credit_line.id"), type_=BigId, index=True
    )
    application_id: Mapped[int | None] = mapped_column(
        ForeignKey("application.id"), type_=BigId, unique=True
    )
    disclosure_id: Mapped[int] = mapped_column(ForeignKey("cost_disclosure.id"), type_=BigId)
    funder: Mapped[str] = mapped_column(String(_CODE))
    merchandise: Mapped[str] = mapped_column(String(_LABEL))
    merchant_name: Mapped[str] = mapped_column(String(_LABEL))
    principal_fen: Mapped[int] = mapped_column(FenColumn)
    rate_annual: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    terms: Mapped[int]
    disbursed_on: Mapped[date]
    # What was agreed, as servicing.archive writes it, and the product that it came from.
    product_code: Mapped[str] = mapped_column(String(_CODE))
    product_version: Mapped[int]
    agreed: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    bears_penalty: Mapped[bool]
    plan_version: Mapped[int]
    state: Mapped[str] = mapped_column(String(_CODE))
    days_past_due: Mapped[int]
    bucket: Mapped[str] = mapped_column(String(_CODE))
    closed_to: Mapped[date]
    settled_on: Mapped[date | None]
    # Since when the claim is off the books though it is owed, and since when it is given up.
    charged_off_on: Mapped[date | None]
    written_off_on: Mapped[date | None]

    @property
    def is_off_books(self) -> bool:
        """Whether nothing is earned on it any more."""
        return self.charged_off_on is not None or self.written_off_on is not None


class LoanEvent(Base):
    """One thing that happened to a loan; `seq` counts from 1, and is the event's id in the engine.

    `value_date` is from when it counts, `recorded_at` since when we know it.
    """

    __tablename__ = "loan_event"
    __table_args__ = (UniqueConstraint("kind", "key"),)

    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(_CODE))
    value_date: Mapped[date]
    payload: Mapped[dict[str, Any]]
    key: Mapped[str] = mapped_column(String(_KEY))
    actor: Mapped[str] = mapped_column(String(_LABEL))
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
    kind: Mapped[str] = mapped_column(String(_CODE))
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


class Offer(Base):
    """Something that a customer may take or leave until a day: what, what it costs, what became.

    `valid_until` is the last day; `waived_fen` is what we give up by it, by which its maker's
    authority is measured; `effects` are the numbers of the events that it came to.
    """

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint(
            "state IN ('offered', 'accepted', 'fulfilled', 'lapsed', 'withdrawn')",
            name="state_is_known",
        ),
        CheckConstraint(
            "(loan_id IS NULL) <> (line_id IS NULL)", name="it_is_about_a_loan_or_a_line"
        ),
        Index(None, "state", "valid_until"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(_CODE))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    line_id: Mapped[int | None] = mapped_column(
        ForeignKey("credit_line.id"), type_=BigId, index=True
    )
    details: Mapped[dict[str, Any]]
    # What was shown when it was made, and the cost table where it costs something.
    preview: Mapped[dict[str, Any]]
    cost_table: Mapped[dict[str, Any] | None]
    waived_fen: Mapped[int] = mapped_column(FenColumn)
    # How many events the loan had: what is paid towards a settlement comes after them.
    after_seq: Mapped[int]
    valid_until: Mapped[date]
    state: Mapped[str] = mapped_column(String(_CODE))
    reason: Mapped[str] = mapped_column(String(_LABEL))
    made_by: Mapped[str] = mapped_column(String(_LABEL))
    made_at: Mapped[datetime]
    consent_id: Mapped[int | None] = mapped_column(ForeignKey("consent.id"), type_=BigId)
    disclosure_id: Mapped[int | None] = mapped_column(ForeignKey("cost_disclosure.id"), type_=BigId)
    accepted_at: Mapped[datetime | None]
    fulfilled_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(_LABEL))
    effects: Mapped[list[Any]]


class LoanFreeze(Base):
    """Days, the first and the last included, on which a loan bears no interest or no penalty."""

    __tablename__ = "loan_freeze"
    __table_args__ = (CheckConstraint("what IN ('interest', 'penalty')", name="what_is_known"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    what: Mapped[str] = mapped_column(String(_CODE))
    first_on: Mapped[date]
    last_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(String(_LABEL))
    event_seq: Mapped[int]
    opened_by: Mapped[str] = mapped_column(String(_LABEL))
    opened_at: Mapped[datetime]
    lifted_by: Mapped[str | None] = mapped_column(String(_LABEL))
    lifted_at: Mapped[datetime | None]


class LedgerEntry(Base):
    """One balanced entry; its kind and key keep the same fact from being posted twice."""

    __tablename__ = "ledger_entry"
    __table_args__ = (UniqueConstraint("kind", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    kind: Mapped[str] = mapped_column(String(_CODE))
    key: Mapped[str] = mapped_column(String(_KEY))
    effective_on: Mapped[date]
    recorded_at: Mapped[datetime]


class LedgerPosting(Base):
    """One leg of an entry: debits positive, credits negative; accounts as in servicing.chart."""

    __tablename__ = "ledger_posting"
    __table_args__ = (CheckConstraint("amount_fen <> 0", name="amount_is_not_zero"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entry.id"), type_=BigId, index=True)
    account: Mapped[str] = mapped_column(String(_CODE))
    instalment_n: Mapped[int | None]
    amount_fen: Mapped[int] = mapped_column(FenColumn)


class Complaint(Base):
    """What a customer complained of; text and answer are encrypted."""

    __tablename__ = "complaint"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'answered', 'closed')", name="state_is_known"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    complaint_no: Mapped[str] = mapped_column(String(_CODE), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId)
    category: Mapped[str] = mapped_column(String(_CODE))
    channel: Mapped[str] = mapped_column(String(_CODE))
    text_enc: Mapped[str] = mapped_column(Text)
    answer_enc: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(_CODE))
    opened_at: Mapped[datetime]
    answer_due_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[str | None] = mapped_column(String(_LABEL))
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(_LABEL))


class Hold(Base):
    """A bar on contacts: what may not be sent, why, until when, opened and lifted by whom."""

    __tablename__ = "hold"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId)
    complaint_id: Mapped[int | None] = mapped_column(ForeignKey("complaint.id"), type_=BigId)
    reason: Mapped[str] = mapped_column(String(_CODE))
    scope: Mapped[str] = mapped_column(String(_CODE))
    opened_at: Mapped[datetime]
    opened_by: Mapped[str] = mapped_column(String(_LABEL))
    until: Mapped[datetime | None]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(String(_LABEL))
    lift_reason: Mapped[str | None] = mapped_column(String(_LABEL))


class Alert(Base):
    """Something staff must look at; the key keeps one cause from alerting twice."""

    __tablename__ = "alert"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'closed')", name="state_is_known"),
        Index(None, "state", "raised_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(_KEY), unique=True)
    kind: Mapped[str] = mapped_column(String(_CODE))
    severity: Mapped[str] = mapped_column(String(_CODE))
    customer_id: Mapped[int | None] = mapped_column(
        ForeignKey("customer.id"), type_=BigId, index=True
    )
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId)
    details: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(_CODE))
    raised_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(_LABEL))
    note: Mapped[str | None] = mapped_column(String(_LABEL))


class DayClose(Base):
    """One business date that was closed for the whole book."""

    __tablename__ = "day_close"

    on: Mapped[date] = mapped_column("on_date", primary_key=True)
    counts: Mapped[dict[str, Any]]
    finished_at: Mapped[datetime]


for _model in (LoanEvent, PlanVersion, LedgerEntry, LedgerPosting, Consent, LineChange):
    keep_append_only(_model)
