"""Keep the proofs of money that came by bank transfer or over the counter."""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant

revision = "e5a17c3f90b8"
down_revision = "d4c7e19b0a52"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "loan_receipt",
        sa.Column("id", big_id, nullable=False),
        sa.Column("loan_id", big_id, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("taken_by", sa.String(length=120), nullable=False),
        sa.Column("is_void", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_loan_receipt_amount")),
        sa.CheckConstraint(
            "channel IN ('bank-transfer', 'cash-desk')", name=op.f("ck_loan_receipt_channel")
        ),
        sa.ForeignKeyConstraint(
            ["loan_id"], ["loan.id"], name=op.f("fk_loan_receipt_loan_id_loan")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_receipt")),
    )
    op.create_index(op.f("ix_loan_receipt_loan_id"), "loan_receipt", ["loan_id"])
    op.create_index(
        "uq_loan_receipt_proof",
        "loan_receipt",
        ["channel", "reference"],
        unique=True,
        postgresql_where=sa.text("NOT is_void"),
        sqlite_where=sa.text("NOT is_void"),
    )
