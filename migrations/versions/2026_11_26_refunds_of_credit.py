"""Keep what loans owe their borrowers, send it back, and let months close over open differences."""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant

revision = "b7d20e94c5a1"
down_revision = "4f0a6c92d1be"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STATES = (
    "state IN ('ready', 'processing', 'succeeded', 'closed', 'abnormal', 'manual', 'transferred')"
)
_SOURCE = (
    "(payment_id IS NULL) <> (difference_id IS NULL)"
    " OR (credit_loan_id IS NOT NULL AND difference_id IS NULL)"
)


def upgrade() -> None:
    """Apply the change."""
    _keep_credit()
    _widen_refunds()
    for name, kind in (
        ("accepted_at", Instant()),
        ("accepted_by", sa.String(length=64)),
        ("accepted_why", sa.String(length=200)),
    ):
        op.add_column("pay_difference", sa.Column(name, kind, nullable=True))


def _keep_credit() -> None:
    """Give each loan what its own events left overpaid, by its entries on the payable account."""
    column = sa.Column("credit_fen", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("loan", column)
    op.execute(
        "UPDATE loan SET credit_fen = COALESCE((SELECT -SUM(p.amount_fen) FROM ledger_posting p"
        " JOIN ledger_entry e ON e.id = p.entry_id WHERE e.loan_id = loan.id"
        " AND p.account = 'refund-payable' AND e.kind NOT IN ('overpayment', 'refund')), 0)"
    )
    with_credit = sa.text("credit_fen > 0")
    op.create_index(
        "ix_loan_credit",
        "loan",
        ["id"],
        postgresql_where=with_credit,
        sqlite_where=with_credit,
    )


def _widen_refunds() -> None:
    """Let a refund give back a loan's credit; a batch on SQLite forgets checks unless told them."""
    kept = ()
    if op.get_bind().dialect.name == "postgresql":
        for name in ("source", "state"):
            op.drop_constraint(op.f(f"ck_refund_{name}"), "refund")
    else:
        kept = (sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refund_amount")),)
    with op.batch_alter_table("refund", table_args=kept) as batch:
        batch.add_column(sa.Column("credit_loan_id", _BIG, nullable=True))
        batch.add_column(
            sa.Column("asked_by", sa.String(length=64), nullable=False, server_default="")
        )
        batch.add_column(sa.Column("transfer_ref", sa.String(length=64), nullable=True))
        batch.create_foreign_key(
            op.f("fk_refund_credit_loan_id_loan"), "loan", ["credit_loan_id"], ["id"]
        )
        batch.create_check_constraint(op.f("ck_refund_state"), _STATES)
        batch.create_check_constraint(op.f("ck_refund_source"), _SOURCE)
        batch.create_index(op.f("ix_refund_credit_loan_id"), ["credit_loan_id"])
