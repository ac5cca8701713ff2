"""Lay the tables of judgement; find applications by when they were submitted."""

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import Instant, Json

revision = "7aa0ae7fc22d"
down_revision = "7c0d3b5e91aa"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "risk_policy",
        sa.Column("version", sa.String(length=80), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("first_used_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_risk_policy")),
    )
    op.create_table(
        "risk_decision",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "application_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("strategy_version", sa.String(length=80), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["strategy_version"],
            ["risk_policy.version"],
            name=op.f("fk_risk_decision_strategy_version_risk_policy"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risk_decision")),
    )
    op.create_index(
        op.f("ix_risk_decision_application_id"), "risk_decision", ["application_id"], unique=False
    )
    op.create_table(
        "risk_grade",
        sa.Column(
            "customer_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("graded_on", sa.Date(), nullable=False),
        sa.Column("grade", sa.String(length=8), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("is_worst", sa.Boolean(), nullable=False),
        sa.Column("reasons", Json, nullable=False),
        sa.Column("card_version", sa.String(length=80), nullable=False),
        sa.Column("graded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["card_version"],
            ["risk_policy.version"],
            name=op.f("fk_risk_grade_card_version_risk_policy"),
        ),
        sa.PrimaryKeyConstraint("customer_id", "graded_on", name=op.f("pk_risk_grade")),
    )
    op.create_index(
        op.f("ix_application_submitted_at"), "application", ["submitted_at"], unique=False
    )
    for table in ("risk_policy", "risk_decision", "risk_grade"):
        for statement in append_only_statements(op.get_bind().dialect.name, table):
            op.execute(statement)
