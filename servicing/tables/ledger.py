"""What was posted, in which month, and whether it was proven."""

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId, FenColumn
from servicing.tables.lengths import CODE, KEY, LABEL, MONTH

# The house itself lends; a loan that another funds is in that creditor's books.
DEFAULT_CREDITOR: Final = "own"
_OF_A_PAYEE: Final = text("payee IS NOT NULL")


def _as_effective(context: DefaultExecutionContext) -> date:
    """An entry counts on the day of its fact, where nobody says otherwise."""
    on: date = context.get_current_parameters()["effective_on"]  # type: ignore[no-untyped-call]
    return on


class LedgerEntry(Base):
    """One balanced entry; its kind and key keep the same fact from being posted twice.

    Attributes:
        creditor: Whose books it is in.
        effective_on: The business date of the fact, which the borrower's account goes by.
        booked_on: The day on which it counts in the books: the same, unless its month is closed.
        adjusts: The closed month that it would have belonged to, such as "2026-09".
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (UniqueConstraint("kind", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), type_=BigId, index=True)
    kind: Mapped[str] = mapped_column(String(CODE))
    key: Mapped[str] = mapped_column(String(KEY))
    creditor: Mapped[str] = mapped_column(String(CODE), default=DEFAULT_CREDITOR)
    effective_on: Mapped[date]
    booked_on: Mapped[date] = mapped_column(default=_as_effective, index=True)
    adjusts: Mapped[str | None] = mapped_column(String(MONTH))
    recorded_at: Mapped[datetime]


class LedgerPosting(Base):
    """One leg of an entry: debits positive, credits negative; accounts as in servicing.chart.

    `payee` is whose money it is, where it is collected for somebody.
    """

    __tablename__ = "ledger_posting"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0", name="amount_is_not_zero"),
        Index(
            "ix_ledger_posting_payee",
            "payee",
            "entry_id",
            postgresql_where=_OF_A_PAYEE,
            sqlite_where=_OF_A_PAYEE,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entry.id"), type_=BigId, index=True)
    account: Mapped[str] = mapped_column(String(CODE))
    instalment_n: Mapped[int | None]
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    payee: Mapped[str | None] = mapped_column(String(LABEL))


class AccountingPeriod(Base):
    """A month whose books are closed: nothing is booked into it any more."""

    __tablename__ = "accounting_period"

    month: Mapped[str] = mapped_column(String(MONTH), primary_key=True)
    last_day: Mapped[date]
    closed_at: Mapped[datetime]
    closed_by: Mapped[str] = mapped_column(String(LABEL))


class PeriodBalance(Base):
    """What an account of a creditor came to at the end of a closed month, fen."""

    __tablename__ = "period_balance"

    month: Mapped[str] = mapped_column(ForeignKey("accounting_period.month"), primary_key=True)
    creditor: Mapped[str] = mapped_column(String(CODE), primary_key=True)
    account: Mapped[str] = mapped_column(String(CODE), primary_key=True)
    balance_fen: Mapped[int] = mapped_column(FenColumn)


class BooksProof(Base):
    """What a proof of the books found, the last one of a day; no differences: all agreed.

    Attributes:
        totals: By account of a claim: general ledger, sub-ledger and schedule, fen.
    """

    __tablename__ = "books_proof"

    on: Mapped[date] = mapped_column("on_date", primary_key=True)
    differences: Mapped[list[Any]]
    totals: Mapped[dict[str, Any]]
    proven_at: Mapped[datetime]


for _model in (LedgerEntry, LedgerPosting, PeriodBalance):
    keep_append_only(_model)
