"""Lay the tables of the decision service and of API keys."""

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import Instant, Json

revision = "5e2c7a91d3f4"
down_revision = "5d2f6b91c3e4"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    _lay_api_keys()
    _lay_inputs()
    _lay_lists()
    _lay_decisions()


def _lay_api_keys() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_key_key_hash")),
    )


def _lay_inputs() -> None:
    op.create_table(
        "feature_vector",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("catalogue", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "known_at", name=op.f("pk_feature_vector")),
    )
    op.create_table(
        "link_value",
        sa.Column("value_hash", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("degree", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("last_bad_at", Instant(), nullable=True),
        sa.Column("exempt", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("value_hash", name=op.f("pk_link_value")),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Floats hardly compress, and trying costs more than the bytes.
        op.execute("ALTER TABLE feature_vector ALTER COLUMN blob SET STORAGE EXTERNAL")


def _lay_lists() -> None:
    op.create_table(
        "risk_list",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_risk_list")),
    )
    op.create_table(
        "risk_list_entry",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("list_name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("added_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("appeal", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_name"],
            ["risk_list.name"],
            name=op.f("fk_risk_list_entry_list_name_risk_list"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risk_list_entry")),
    )
    op.create_index(
        op.f("ix_risk_list_entry_list_name"), "risk_list_entry", ["list_name"], unique=False
    )


def _lay_decisions() -> None:
    op.create_table(
        "decision_key",
        sa.Column("caller_id", _BIG_ID, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=140), nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("decision_ids", sa.Text(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("caller_id", "key", name=op.f("pk_decision_key")),
    )
    op.create_table(
        "decision_record",
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("caller_id", _BIG_ID, nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("strategy_hash", sa.String(length=64), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("decided_on", "id", name=op.f("pk_decision_record")),
    )
    for statement in append_only_statements(op.get_bind().dialect.name, "decision_record"):
        op.execute(statement)
