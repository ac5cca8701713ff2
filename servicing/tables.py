"""Tables of the system of record. Money is BIGINT fen under CHECK; the ledger is append-only.

Rows are written by servicing.operations alone.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    DDL,
    CheckConstraint,
    ForeignKey,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    event,
)
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base, BigId, FenColumn


class Customer(Base):
    """A borrower; personal fields are encrypted, equality goes by blind index."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name_enc: Mapped[str] = mapped_column(Text)
    phone_enc: Mapped[str] = mapped_column(Text)
    phone_index: Mapped[str] = mapped_column(String(40), unique=True)
    id_number_enc: Mapped[str] = mapped_column(Text)
    id_number_index: Mapped[str] = mapped_column(String(40), unique=True)
    # Phone and last four signs of the id number together: what a borrower proves at binding.
    identity_index: Mapped[str] = mapped_column(String(40), index=True)
    is_student: Mapped[bool]
    created_at: Mapped[datetime]


class Consent(Base):
    """One consent given or withdrawn; the last row of a purpose is the one in force."""

    __tablename__ = "consent"
    __table_args__ = (Index(None, "customer_id", "purpose"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    purpose: Mapped[str] = mapped_column(String(40))
    text_hash: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(20))
    is_withdrawal: Mapped[bool]
    at: Mapped[datetime]


class CostDisclosure(Base):
    """The cost table (综合融资成本明示表) as the borrower confirmed it."""

    __tablename__ = "cost_disclosure"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    content: Mapped[dict[str, Any]]
    content_hash: Mapped[str] = mapped_column(String(64))
    seconds_shown: Mapped[int]
    confirmed_at: Mapped[datetime]


class Loan(Base):
    """One instalment loan; `closed_to` is the last business date to which it was aged."""

    __tablename__ = "loan"
    __table_args__ = (
        CheckConstraint("principal_fen > 0", name="principal_is_positive"),
        CheckConstraint("terms > 0", name="terms_are_positive"),
        CheckConstraint("state IN ('active', 'closed')", name="state_is_known"),
        CheckConstraint("days_past_due >= 0", name="lateness_is_not_negative"),
        Index(None, "state", "closed_to"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_no: Mapped[str] = mapped_column(String(32), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    disclosure_id: Mapped[int] = mapped_column(ForeignKey("cost_disclosure.id"))
    funder: Mapped[str] = mapped_column(String(20))
    merchant_name: Mapped[str] = mapped_column(String(80))
    merchandise: Mapped[str] = mapped_column(String(80))
    principal_fen: Mapped[int] = mapped_column(FenColumn)
    rate_annual: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    terms: Mapped[int]
    disbursed_on: Mapped[date]
    state: Mapped[str] = mapped_column(String(12))
    days_past_due: Mapped[int]
    bucket: Mapped[str] = mapped_column(String(4))
    closed_to: Mapped[date]
    settled_on: Mapped[date | None]


class Instalment(Base):
    """One row of the plan and what was paid on it."""

    __tablename__ = "instalment"
    __table_args__ = (
        CheckConstraint("paid_principal_fen BETWEEN 0 AND principal_fen", name="principal"),
        CheckConstraint("paid_interest_fen BETWEEN 0 AND interest_fen", name="interest"),
        Index(None, "settled_on", "due_on"),
    )

    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    due_on: Mapped[date]
    principal_fen: Mapped[int] = mapped_column(FenColumn)
    interest_fen: Mapped[int] = mapped_column(FenColumn)
    paid_principal_fen: Mapped[int] = mapped_column(FenColumn)
    paid_interest_fen: Mapped[int] = mapped_column(FenColumn)
    is_accrued: Mapped[bool]
    settled_on: Mapped[date | None]


class LedgerEntry(Base):
    """One balanced entry; corrections are further entries."""

    __tablename__ = "ledger_entry"
    __table_args__ = (UniqueConstraint("kind", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), index=True)
    kind: Mapped[str] = mapped_column(String(24))
    key: Mapped[str] = mapped_column(String(80))
    effective_on: Mapped[date]
    recorded_at: Mapped[datetime]


class LedgerPosting(Base):
    """One side of an entry; debits positive, credits negative."""

    __tablename__ = "ledger_posting"
    __table_args__ = (CheckConstraint("amount_fen <> 0", name="amount_is_not_zero"),)

    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entry.id"), primary_key=True)
    account: Mapped[str] = mapped_column(String(32), primary_key=True)
    amount_fen: Mapped[int] = mapped_column(FenColumn)


APPEND_ONLY: Final = ("consent", "ledger_entry", "ledger_posting")


def append_only_statements(dialect: str, table: str) -> tuple[str, ...]:
    """Return the DDL by which a table refuses changes; the migration runs the same.

    Args:
        dialect: "sqlite" or "postgresql".
        table: Its name.
    """
    message = f"{table} is append-only"
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for verb in ("UPDATE", "DELETE")
        )
    refuse = f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
    changes = f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW"
    return (
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS {refuse}",
        f"CREATE TRIGGER {table}_no_change {changes} EXECUTE FUNCTION {table}_refuse()",
    )


def _listen() -> None:
    for table in APPEND_ONLY:
        for dialect in ("sqlite", "postgresql"):
            for statement in append_only_statements(dialect, table):
                ddl = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
                event.listen(Base.metadata.tables[table], "after_create", ddl)


_listen()
