"""Keep whose money a posting is, what loans collect for payees and what those were paid.

And why limits of partners were set, who brought a bill, and why a challenge was stopped.
"""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant, Json

revision = "e3a90c5b71d8"
down_revision = "8e41c6d2f7b0"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OF_A_PAYEE = sa.text("payee IS NOT NULL")
_ON_ITS_WAY = sa.text("state = 'approved'")


def upgrade() -> None:
    """Apply the change."""
    reason = sa.Column("reason", sa.String(length=200), nullable=False, server_default="")
    op.add_column("partner_limit", reason)
    op.add_column("ledger_posting", sa.Column("payee", sa.String(length=120), nullable=True))
    op.create_index(
        "ix_ledger_posting_payee",
        "ledger_posting",
        ["payee", "entry_id"],
        postgresql_where=_OF_A_PAYEE,
        sqlite_where=_OF_A_PAYEE,
    )
    _add_shares()
    _add_payouts()
    brought = sa.Column("brought_by", sa.String(length=64), nullable=False, server_default="")
    op.add_column("pay_bill", brought)
    op.add_column("strategy_challenge", sa.Column("ended_for", Json, nullable=True))


def _add_shares() -> None:
    op.create_table(
        "loan_payee",
        sa.Column("loan_id", _BIG, nullable=False),
        sa.Column("payee", sa.String(length=120), nullable=False),
        sa.Column("collected_fen", sa.BigInteger(), nullable=False),
        sa.Column("given_back_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("collected_fen >= 0 AND given_back_fen >= 0", name="amounts"),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"]),
        sa.PrimaryKeyConstraint("loan_id", "payee"),
    )
    op.create_index("ix_loan_payee_payee", "loan_payee", ["payee"])


def _add_payouts() -> None:
    op.create_table(
        "payee_payout",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("creditor", sa.String(length=32), nullable=False),
        sa.Column("payee", sa.String(length=120), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("asked_by", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("approved_at", Instant(), nullable=False),
        sa.Column("bank_ref", sa.String(length=64), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("paid_by", sa.String(length=120), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("ended_by", sa.String(length=120), nullable=False),
        sa.Column("ended_why", sa.String(length=200), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name="amount"),
        sa.CheckConstraint("state IN ('approved', 'paid', 'returned', 'cancelled')", name="state"),
        sa.CheckConstraint(
            "(state IN ('paid', 'returned')) = (bank_ref IS NOT NULL)", name="sent_by_bank"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("bank_ref"),
    )
    op.create_index("ix_payee_payout_payee", "payee_payout", ["payee"])
    op.create_index(
        "uq_payee_payout_on_its_way",
        "payee_payout",
        ["creditor", "payee"],
        unique=True,
        postgresql_where=_ON_ITS_WAY,
        sqlite_where=_ON_ITS_WAY,
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("strategy_challenge", "ended_for")
    op.drop_column("pay_bill", "brought_by")
    op.drop_table("payee_payout")
    op.drop_table("loan_payee")
    op.drop_index("ix_ledger_posting_payee", "ledger_posting")
    op.drop_column("ledger_posting", "payee")
    op.drop_column("partner_limit", "reason")
