"""Lay the tables of strategies' life: facts, backtests, shadows, challengers."""

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import Instant, Json

revision = "da64f1bdd441"
down_revision = "8c41e7d20b6a"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "risk_fact",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("happened_at", Instant(), nullable=False),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risk_fact")),
        sa.UniqueConstraint("key", name=op.f("uq_risk_fact_key")),
    )
    op.create_index("ix_risk_fact_subject_kind", "risk_fact", ["subject", "kind"], unique=False)
    op.create_table(
        "strategy_backtest",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.Column("strategy_hash", sa.String(length=64), nullable=False),
        sa.Column("against_hash", sa.String(length=64), nullable=True),
        sa.Column("data", sa.String(length=200), nullable=False),
        sa.Column("data_hash", sa.String(length=64), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_backtest")),
    )
    op.create_index(
        "ix_strategy_backtest_strategy", "strategy_backtest", ["strategy"], unique=False
    )
    op.create_table(
        "strategy_challenge",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("strategy_hash", sa.String(length=64), nullable=False),
        sa.Column("champion_hash", sa.String(length=64), nullable=False),
        sa.Column("share_permille", sa.Integer(), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("rails", Json, nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("counted_until", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_by", sa.String(length=64), nullable=True),
        sa.Column("ended_why", sa.String(length=400), nullable=True),
        sa.CheckConstraint(
            "share_permille BETWEEN 1 AND 500",
            name=op.f("ck_strategy_challenge_share_is_a_minority"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_challenge")),
    )
    op.create_index(
        "ix_strategy_challenge_ended_at", "strategy_challenge", ["ended_at"], unique=False
    )
    op.create_table(
        "strategy_shadow",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("strategy_hash", sa.String(length=64), nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("seen_id", sa.String(length=32), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_shadow")),
    )
    op.create_index("ix_strategy_shadow_ended_at", "strategy_shadow", ["ended_at"], unique=False)
    op.create_table(
        "challenge_reading",
        sa.Column("challenge_id", _BIG_ID, nullable=False),
        sa.Column("arm", sa.String(length=12), nullable=False),
        sa.Column("read_at", Instant(), nullable=False),
        sa.Column("decisions", sa.Integer(), nullable=False),
        sa.Column("approved", sa.Integer(), nullable=False),
        sa.Column("reviewed", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("p99_ms", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["challenge_id"],
            ["strategy_challenge.id"],
            name=op.f("fk_challenge_reading_challenge_id_strategy_challenge"),
        ),
        sa.PrimaryKeyConstraint(
            "challenge_id", "arm", "read_at", name=op.f("pk_challenge_reading")
        ),
    )
    op.create_table(
        "shadow_decision",
        sa.Column("shadow_id", _BIG_ID, nullable=False),
        sa.Column("decision_id", sa.String(length=32), nullable=False),
        sa.Column("decided", sa.String(length=8), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shadow_id"],
            ["strategy_shadow.id"],
            name=op.f("fk_shadow_decision_shadow_id_strategy_shadow"),
        ),
        sa.PrimaryKeyConstraint("shadow_id", "decision_id", name=op.f("pk_shadow_decision")),
    )
    op.create_index(
        "ix_decision_record_decided_at",
        "decision_record",
        ["decided_at"],
        unique=False,
        postgresql_using="brin",
    )
    dialect = op.get_bind().dialect.name
    for table in ("risk_fact", "strategy_backtest", "shadow_decision", "challenge_reading"):
        for statement in append_only_statements(dialect, table):
            op.execute(statement)
