"""Lay what runs behind decisions: outcomes of loans, counters, runs of backtests.

Decisions are found by subject and walked through by their instant.
"""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant, Json

revision = "2c7d90e4b1a6"
down_revision = "5e2b90d7c4a1"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    _lay_outcomes()
    _lay_counters()
    _lay_runs()
    _lay_indices()


def _lay_outcomes() -> None:
    op.create_table(
        "decision_outcome",
        sa.Column("decision_id", sa.String(length=32), nullable=False),
        sa.Column("strategy_hash", sa.String(length=64), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.Column("is_bad", sa.Boolean(), nullable=True),
        sa.Column("known_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decision_outcome")),
    )
    op.create_index(
        "ix_decision_outcome_strategy",
        "decision_outcome",
        ["strategy_hash", "decided_at"],
        unique=False,
    )
    op.create_table(
        "outcome_run",
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("since", Instant(), nullable=True),
        sa.Column("last_id", _BIG_ID, nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("on_date", name=op.f("pk_outcome_run")),
    )
    op.create_table(
        "loan_outcome",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("loan_id", _BIG_ID, nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("reached_on", sa.Date(), nullable=False),
        sa.Column("months_on_book", sa.Integer(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["loan_id"], ["loan.id"], name=op.f("fk_loan_outcome_loan_id_loan")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_outcome")),
    )
    op.create_index(
        "ix_loan_outcome_standing",
        "loan_outcome",
        ["loan_id", "outcome"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
        sqlite_where=sa.text("undone_at IS NULL"),
    )
    op.add_column(
        "challenge_reading", sa.Column("known", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "challenge_reading", sa.Column("bad", sa.Integer(), nullable=False, server_default="0")
    )


def _lay_counters() -> None:
    op.create_table(
        "counted_event",
        sa.Column("fact_key", sa.String(length=120), nullable=False),
        sa.Column("value_hash", sa.String(length=40), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("happened_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("fact_key", "value_hash", name=op.f("pk_counted_event")),
    )
    op.create_index(
        op.f("ix_counted_event_happened_at"), "counted_event", ["happened_at"], unique=False
    )
    op.create_index(
        op.f("ix_counted_event_value_hash_event_happened_at"),
        "counted_event",
        ["value_hash", "event", "happened_at"],
        unique=False,
    )
    op.create_table(
        "link_edge",
        sa.Column("value_hash", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("bad_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("value_hash", "subject", name=op.f("pk_link_edge")),
    )
    op.create_index(op.f("ix_link_edge_bad_at"), "link_edge", ["bad_at"], unique=False)
    op.create_index(op.f("ix_link_edge_seen_at"), "link_edge", ["seen_at"], unique=False)
    op.create_index(op.f("ix_link_edge_subject"), "link_edge", ["subject"], unique=False)


def _lay_runs() -> None:
    op.create_table(
        "backtest_run",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("question", Json, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("rows_total", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("beat_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("failure", sa.String(length=80), nullable=True),
        sa.Column("backtest_id", _BIG_ID, nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_backtest_run_state_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["backtest_id"],
            ["strategy_backtest.id"],
            name=op.f("fk_backtest_run_backtest_id_strategy_backtest"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_run")),
    )
    op.create_index(
        "ix_backtest_run_open",
        "backtest_run",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
        sqlite_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.create_index("ix_backtest_run_strategy", "backtest_run", ["strategy"], unique=False)


def _lay_indices() -> None:
    op.drop_index(op.f("ix_decision_record_decided_at"), table_name="decision_record")
    op.create_index(
        "ix_decision_record_decided_at", "decision_record", ["decided_at", "id"], unique=False
    )
    op.create_index(
        "ix_decision_record_subject", "decision_record", ["subject", "decided_at"], unique=False
    )
