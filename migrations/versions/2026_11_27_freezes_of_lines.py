"""Lay the freezes of credit lines: each with its days and reason, and any number at once."""

import sqlalchemy as sa
from alembic import op

from kernel.clock import business_date
from kernel.database import Instant

revision = "5c0e9b7a41d6"
down_revision = "b82d5f07a1c6"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    table = op.create_table(
        "line_freeze",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("line_id", _BIG_ID, nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("opened_by", sa.String(length=120), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("lifted_by", sa.String(length=120), nullable=True),
        sa.Column("lifted_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "last_on IS NULL OR last_on >= first_on",
            name=op.f("ck_line_freeze_ends_after_it_begins"),
        ),
        sa.ForeignKeyConstraint(
            ["line_id"], ["credit_line.id"], name=op.f("fk_line_freeze_line_id_credit_line")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_freeze")),
    )
    op.create_index(op.f("ix_line_freeze_line_id"), "line_freeze", ["line_id"])
    _keep_frozen(table)


def _keep_frozen(table: sa.Table) -> None:
    """Let lines that are frozen already stay so, without an end."""
    line = sa.table(
        "credit_line",
        sa.column("id"),
        sa.column("state"),
        sa.column("frozen_reason"),
        sa.column("frozen_at", Instant()),
    )
    found = sa.select(line.c.id, line.c.frozen_reason, line.c.frozen_at).where(
        line.c.state == "frozen"
    )
    rows = [
        {
            "line_id": line_id,
            "first_on": business_date(frozen_at),
            "reason": reason,
            "opened_by": "machine",
            "opened_at": frozen_at,
        }
        for line_id, reason, frozen_at in op.get_bind().execute(found)
    ]
    if rows:
        op.bulk_insert(table, rows)


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("line_freeze")
