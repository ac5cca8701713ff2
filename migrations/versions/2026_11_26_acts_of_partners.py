"""Keep what partners let happen and how much they may, and let webhook secrets be changed."""

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import FenColumn, Instant

revision = "6e90b3d5c1f4"
down_revision = "b7d20e94c5a1"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COUNTS = sa.text("NOT is_void")


def upgrade() -> None:
    """Apply the change."""
    _lay_acts()
    _lay_limits()
    with op.batch_alter_table("webhook_endpoint") as table:
        table.add_column(sa.Column("secret_no", sa.Integer(), nullable=False, server_default="1"))
        table.add_column(sa.Column("old_secret_enc", sa.Text(), nullable=True))
        table.add_column(sa.Column("old_until", Instant(), nullable=True))
    with op.batch_alter_table("webhook_endpoint") as table:
        table.alter_column("secret_no", server_default=None)


def _lay_acts() -> None:
    op.create_table(
        "partner_act",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("partner", sa.String(length=24), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("loan_id", _BIG_ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("amount_fen", FenColumn, nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=True),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("is_void", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_fen >= 0", name=op.f("ck_partner_act_amount")),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_partner_act_loan_id_loan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_act")),
    )
    op.create_index("ix_partner_act_loan_id", "partner_act", ["loan_id"])
    op.create_index("ix_partner_act_partner_id", "partner_act", ["partner", "id"])
    op.create_index(
        "uq_partner_act_reference",
        "partner_act",
        ["partner", "reference"],
        unique=True,
        postgresql_where=_COUNTS,
        sqlite_where=_COUNTS,
    )


def _lay_limits() -> None:
    op.create_table(
        "partner_day",
        sa.Column("partner", sa.String(length=24), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used_fen", FenColumn, nullable=False),
        sa.CheckConstraint("used_fen >= 0", name=op.f("ck_partner_day_used")),
        sa.PrimaryKeyConstraint("partner", "act", "day", name=op.f("pk_partner_day")),
    )
    op.create_table(
        "partner_limit",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("partner", sa.String(length=24), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("each_fen", FenColumn, nullable=False),
        sa.Column("day_fen", FenColumn, nullable=False),
        sa.Column("set_by", sa.String(length=120), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "each_fen >= 0 AND day_fen >= each_fen", name=op.f("ck_partner_limit_amounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_limit")),
    )
    op.create_index("ix_partner_limit_partner_act", "partner_limit", ["partner", "act"])
    for statement in append_only_statements(op.get_bind().dialect.name, "partner_limit"):
        op.execute(statement)
