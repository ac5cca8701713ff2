"""Tables of payments. Money is BIGINT fen under CHECK; what arrived is never changed or deleted.

Rows are written by servicing.payments.operations and servicing.payments.refunds alone.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId, FenColumn

_IN_FLIGHT = text("state IN ('created', 'open')")


class PaymentOrder(Base):
    """One attempt to pay; at most one is in flight for a loan, over all channels.

    `quote` holds what it is for: `{"on": …, "purpose": …, "lines": [{"n": …, "fen": …}]}`.
    """

    __tablename__ = "payment_order"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("state IN ('created', 'open', 'paid', 'closed', 'failed')", name="state"),
        Index(
            "uq_payment_order_in_flight",
            "loan_id",
            unique=True,
            postgresql_where=_IN_FLIGHT,
            sqlite_where=_IN_FLIGHT,
        ),
        Index("ix_payment_order_poll", "state", "next_query_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    out_trade_no: Mapped[str] = mapped_column(String(32), unique=True)
    key: Mapped[str] = mapped_column(String(128), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), index=True)
    channel: Mapped[str] = mapped_column(String(20))
    appid: Mapped[str] = mapped_column(String(32))
    mchid: Mapped[str] = mapped_column(String(32))
    openid_enc: Mapped[str] = mapped_column(String(400))
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    quote: Mapped[dict[str, Any]]
    description: Mapped[str] = mapped_column(String(127))
    state: Mapped[str] = mapped_column(String(8))
    prepay_id: Mapped[str | None] = mapped_column(String(64))
    refused_code: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    next_query_at: Mapped[datetime]
    queries: Mapped[int] = mapped_column(default=0)
    closed_at: Mapped[datetime | None]
    transaction_id: Mapped[str | None] = mapped_column(String(32), unique=True)
    success_at: Mapped[datetime | None]


class Payment(Base):
    """Money that arrived: what the loan took of it, and what has to go back."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("posted_fen >= 0", name="posted"),
        CheckConstraint("excess_fen >= 0", name="excess"),
        CheckConstraint("posted_fen + excess_fen = amount_fen", name="parts"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("payment_order.id"), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    loan_id: Mapped[int] = mapped_column(ForeignKey("loan.id"), index=True)
    transaction_id: Mapped[str] = mapped_column(String(32), unique=True)
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    posted_fen: Mapped[int] = mapped_column(FenColumn)
    excess_fen: Mapped[int] = mapped_column(FenColumn)
    value_date: Mapped[date]
    success_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class Refund(Base):
    """Money that goes back to its source, under one number until the platform has answered.

    It was a payment of ours, or is a difference that the platform's bill showed. What a loan owes
    its borrower names the loan; where no payment can take it back, a person transfers it.

    Attributes:
        credit_loan_id: The loan whose overpayment it gives back; None where no loan took the money.
        last_code: Why it did not go through at the last try, or why a person has to send it.
        asked_by: Who asked for it; empty for the machine that settled a payment.
        transfer_ref: The bank's number of the transfer, where a person sent it.
    """

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint(
            "(payment_id IS NULL) <> (difference_id IS NULL)"
            " OR (credit_loan_id IS NOT NULL AND difference_id IS NULL)",
            name="source",
        ),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint(
            "state IN ('ready', 'processing', 'succeeded', 'closed', 'abnormal',"
            " 'manual', 'transferred')",
            name="state",
        ),
        Index("ix_refund_send", "state", "next_try_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"), index=True)
    difference_id: Mapped[int | None] = mapped_column(ForeignKey("pay_difference.id"))
    credit_loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), index=True)
    out_refund_no: Mapped[str] = mapped_column(String(64), unique=True)
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    reason: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(12))
    provider_refund_id: Mapped[str | None] = mapped_column(String(64))
    last_code: Mapped[str | None] = mapped_column(String(64))
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    asked_by: Mapped[str] = mapped_column(String(64), default="")
    transfer_ref: Mapped[str | None] = mapped_column(String(64))


class PayBill(Base):
    """One of a day's two bills, as it was fetched; a day without trade has one, too.

    Attributes:
        net_fen: What the day did to our account at the platform, by this bill.
        brought_by: Who brought the file; empty where it was fetched.
        matched_at: When its lines were compared with our book; None before, and for funds.
    """

    __tablename__ = "pay_bill"

    on: Mapped[date] = mapped_column("on_date", primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    lines: Mapped[int]
    net_fen: Mapped[int] = mapped_column(FenColumn)
    content_hash: Mapped[str] = mapped_column(String(64))
    brought_by: Mapped[str] = mapped_column(String(64), default="", server_default="")
    fetched_at: Mapped[datetime]
    matched_at: Mapped[datetime | None]


class PayBillLine(Base):
    """One row of a trade bill; who paid is left out. It never changes."""

    __tablename__ = "pay_bill_line"
    __table_args__ = (
        UniqueConstraint("bill_on", "n"),
        CheckConstraint("kind IN ('payment', 'refund')", name="kind"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    bill_on: Mapped[date]
    n: Mapped[int]
    kind: Mapped[str] = mapped_column(String(8))
    at: Mapped[datetime]
    transaction_id: Mapped[str] = mapped_column(String(32), index=True)
    out_trade_no: Mapped[str] = mapped_column(String(32))
    out_refund_no: Mapped[str] = mapped_column(String(64), index=True)
    amount_fen: Mapped[int] = mapped_column(FenColumn)
    fee_fen: Mapped[int] = mapped_column(FenColumn)
    refund_status: Mapped[str] = mapped_column(String(12))


class PayDifference(Base):
    """What the platform's bill and our book do not agree on, until somebody has dealt with it.

    Attributes:
        kind: One of model.DifferenceKind.
        there_fen: What the bill says; None where it has no such row.
        here_fen: What our book says; None where it knows of none.
        suspense_fen: What it put on the suspense account: > 0 money that we hold for somebody,
            < 0 money that we miss.
        open_fen: What of it is there still.
        resolution: One of model.Resolution; empty while it is open.
        owner: The staff login of who took it up; empty for nobody.
        accepted_by: Who lets months be closed while it is open; None for nobody.
        accepted_why: Their reason.
    """

    __tablename__ = "pay_difference"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'resolved')", name="state"),
        CheckConstraint("state = 'open' OR open_fen = 0", name="resolved_is_cleared"),
        Index(None, "state", "opened_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(24))
    bill_on: Mapped[date]
    happened_at: Mapped[datetime]
    transaction_id: Mapped[str] = mapped_column(String(32), index=True)
    out_trade_no: Mapped[str] = mapped_column(String(32))
    out_refund_no: Mapped[str] = mapped_column(String(64))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    loan_id: Mapped[int | None] = mapped_column(ForeignKey("loan.id"), index=True)
    there_fen: Mapped[int | None] = mapped_column(FenColumn)
    here_fen: Mapped[int | None] = mapped_column(FenColumn)
    suspense_fen: Mapped[int] = mapped_column(FenColumn)
    open_fen: Mapped[int] = mapped_column(FenColumn)
    state: Mapped[str] = mapped_column(String(8))
    resolution: Mapped[str] = mapped_column(String(24))
    owner: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(String(200))
    opened_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str] = mapped_column(String(64))
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None] = mapped_column(String(64))
    accepted_why: Mapped[str | None] = mapped_column(String(200))


class PayNotice(Base):
    """One notify that passed the checks; repeats are counted, not stored again."""

    __tablename__ = "pay_notice"

    notice_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    event_type: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(String(64))
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    times: Mapped[int] = mapped_column(default=1)


keep_append_only(PayBillLine)
