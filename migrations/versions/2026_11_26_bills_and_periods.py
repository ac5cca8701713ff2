"""Keep the platform's bills and what they differ in; book entries by day, month and creditor."""

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import Instant, Json

revision = "c83e1f5a07d2"
down_revision = "8d41c6e2b7f9"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    _create_bills()
    _create_differences()
    _create_periods()
    _widen_refunds()
    _date_entries()
    for table in ("pay_bill_line", "period_balance"):
        for statement in append_only_statements(op.get_bind().dialect.name, table):
            op.execute(statement)


def _create_bills() -> None:
    op.create_table(
        "pay_bill",
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("fetched_at", Instant(), nullable=False),
        sa.Column("matched_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("on_date", "kind", name=op.f("pk_pay_bill")),
    )
    op.create_table(
        "pay_bill_line",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("bill_on", sa.Date(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("transaction_id", sa.String(length=32), nullable=False),
        sa.Column("out_trade_no", sa.String(length=32), nullable=False),
        sa.Column("out_refund_no", sa.String(length=64), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("refund_status", sa.String(length=12), nullable=False),
        sa.CheckConstraint("kind IN ('payment', 'refund')", name=op.f("ck_pay_bill_line_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pay_bill_line")),
        sa.UniqueConstraint("bill_on", "n", name=op.f("uq_pay_bill_line_bill_on_n")),
    )
    for column in ("transaction_id", "out_refund_no"):
        op.create_index(op.f(f"ix_pay_bill_line_{column}"), "pay_bill_line", [column])


def _create_differences() -> None:
    op.create_table(
        "pay_difference",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("bill_on", sa.Date(), nullable=False),
        sa.Column("happened_at", Instant(), nullable=False),
        sa.Column("transaction_id", sa.String(length=32), nullable=False),
        sa.Column("out_trade_no", sa.String(length=32), nullable=False),
        sa.Column("out_refund_no", sa.String(length=64), nullable=False),
        sa.Column("customer_id", _BIG, nullable=True),
        sa.Column("loan_id", _BIG, nullable=True),
        sa.Column("there_fen", sa.BigInteger(), nullable=True),
        sa.Column("here_fen", sa.BigInteger(), nullable=True),
        sa.Column("suspense_fen", sa.BigInteger(), nullable=False),
        sa.Column("open_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("resolution", sa.String(length=24), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.Column("resolved_by", sa.String(length=64), nullable=False),
        sa.CheckConstraint("state IN ('open', 'resolved')", name=op.f("ck_pay_difference_state")),
        sa.CheckConstraint(
            "state = 'open' OR open_fen = 0", name=op.f("ck_pay_difference_resolved_is_cleared")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_pay_difference_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(
            ["loan_id"], ["loan.id"], name=op.f("fk_pay_difference_loan_id_loan")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pay_difference")),
        sa.UniqueConstraint("key", name=op.f("uq_pay_difference_key")),
    )
    for columns in (["loan_id"], ["transaction_id"], ["state", "opened_at"]):
        name = "_".join(["ix_pay_difference", *columns])
        op.create_index(op.f(name), "pay_difference", columns)


def _create_periods() -> None:
    op.create_table(
        "accounting_period",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=False),
        sa.Column("closed_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_accounting_period")),
    )
    op.create_table(
        "period_balance",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("creditor", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("balance_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["month"],
            ["accounting_period.month"],
            name=op.f("fk_period_balance_month_accounting_period"),
        ),
        sa.PrimaryKeyConstraint("month", "creditor", "account", name=op.f("pk_period_balance")),
    )
    op.create_table(
        "books_proof",
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("differences", Json, nullable=False),
        sa.Column("totals", Json, nullable=False),
        sa.Column("proven_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("on_date", name=op.f("pk_books_proof")),
    )


def _widen_refunds() -> None:
    """Let a refund have a difference for its source; a batch forgets checks unless told them."""
    states = "state IN ('ready', 'processing', 'succeeded', 'closed', 'abnormal')"
    kept = (
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refund_amount")),
        sa.CheckConstraint(states, name=op.f("ck_refund_state")),
    )
    with op.batch_alter_table("refund", table_args=kept) as batch:
        batch.alter_column("payment_id", existing_type=_BIG, nullable=True)
        batch.add_column(sa.Column("difference_id", _BIG, nullable=True))
        batch.create_foreign_key(
            op.f("fk_refund_difference_id_pay_difference"),
            "pay_difference",
            ["difference_id"],
            ["id"],
        )
        batch.create_check_constraint(
            op.f("ck_refund_source"), "(payment_id IS NULL) <> (difference_id IS NULL)"
        )


def _date_entries() -> None:
    """Book what is there on the day of its fact, in the books of its loan's funder."""
    columns = (
        sa.Column("creditor", sa.String(length=32), nullable=False, server_default="own"),
        sa.Column("booked_on", sa.Date(), nullable=False, server_default="1970-01-01"),
        sa.Column("adjusts", sa.String(length=7), nullable=True),
    )
    for column in columns:
        op.add_column("ledger_entry", column)
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    trigger = "ledger_entry_no_update"
    op.execute(
        f"ALTER TABLE ledger_entry DISABLE TRIGGER {trigger}"
        if is_postgresql
        else f"DROP TRIGGER {trigger}"
    )
    op.execute(
        "UPDATE ledger_entry SET booked_on = effective_on, creditor = COALESCE("
        "(SELECT loan.funder FROM loan WHERE loan.id = ledger_entry.loan_id), 'own')"
    )
    op.execute(
        f"ALTER TABLE ledger_entry ENABLE TRIGGER {trigger}"
        if is_postgresql
        else append_only_statements("sqlite", "ledger_entry")[0]
    )
    if is_postgresql:  # from here on who books an entry says where
        for name in ("creditor", "booked_on"):
            op.alter_column("ledger_entry", name, server_default=None)
    op.create_index(op.f("ix_ledger_entry_booked_on"), "ledger_entry", ["booked_on"])
