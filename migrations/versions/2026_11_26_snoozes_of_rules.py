"""Keep for whom a rule of a strategy is silenced, and until when."""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant

revision = "5e2b90d7c4a1"
down_revision = "b7e20c5d91f3"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "rule_snooze",
        sa.Column("id", _ID, nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=120), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("ended_by", sa.String(length=64), nullable=True),
        sa.CheckConstraint("since < until", name=op.f("ck_rule_snooze_period_is_not_empty")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_snooze")),
    )
    op.create_index("ix_rule_snooze_until", "rule_snooze", ["until"], unique=False)
