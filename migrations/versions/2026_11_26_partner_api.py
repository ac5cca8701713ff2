"""Lay what the partner API needs: partners of keys, their customers, and webhooks."""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant, Json

revision = "8d41c6e2b7f9"
down_revision = "8d31f0c4a7b2"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WAITING = sa.text("delivered_at IS NULL")


def upgrade() -> None:
    """Apply the change."""
    op.add_column("api_key", sa.Column("partner", sa.String(length=24), nullable=True))
    op.add_column("api_key", sa.Column("rate_per_minute", sa.Integer(), nullable=True))
    op.create_index("ix_application_channel_id", "application", ["channel", "id"])
    op.create_index(
        "ix_loan_event_recorded_at_loan_id_seq", "loan_event", ["recorded_at", "loan_id", "seq"]
    )
    _lay_customers()
    _lay_news()
    _lay_deliveries()


def _lay_customers() -> None:
    op.create_table(
        "partner_customer",
        sa.Column("partner", sa.String(length=24), nullable=False),
        sa.Column("customer_id", _BIG_ID, nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("linked_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_partner_customer_customer_id_customer")
        ),
        sa.PrimaryKeyConstraint("partner", "customer_id", name=op.f("pk_partner_customer")),
        sa.UniqueConstraint(
            "partner", "reference", name=op.f("uq_partner_customer_partner_reference")
        ),
    )
    op.create_index("ix_partner_customer_customer_id", "partner_customer", ["customer_id"])


def _lay_news() -> None:
    op.create_table(
        "webhook_event",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("customer_id", _BIG_ID, nullable=False),
        sa.Column("is_of_customer", sa.Boolean(), nullable=False),
        sa.Column("partner", sa.String(length=24), nullable=True),
        sa.Column("content", Json, nullable=False),
        sa.Column("happened_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_webhook_event_customer_id_customer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
    )
    op.create_index("ix_webhook_event_customer_id", "webhook_event", ["customer_id"])
    op.create_index("ix_webhook_event_partner", "webhook_event", ["partner"])
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("partner", sa.String(length=24), nullable=False),
        sa.Column("sees_whole_book", sa.Boolean(), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("secret_enc", sa.Text(), nullable=False),
        sa.Column("kinds", Json, nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.Column("disabled_why", sa.String(length=64), nullable=True),
        sa.Column("silences", sa.Integer(), nullable=False),
        sa.Column("paused_until", Instant(), nullable=True),
        sa.Column("lease_token", sa.String(length=64), nullable=True),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.CheckConstraint(
            "state IN ('active', 'disabled', 'removed')",
            name=op.f("ck_webhook_endpoint_state_is_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
    )
    op.create_index("ix_webhook_endpoint_partner", "webhook_endpoint", ["partner"])


def _lay_deliveries() -> None:
    endpoint, event = ["webhook_endpoint.id"], ["webhook_event.id"]
    op.create_table(
        "webhook_delivery",
        sa.Column("endpoint_id", _BIG_ID, nullable=False),
        sa.Column("event_id", _BIG_ID, nullable=False),
        sa.Column("customer_id", _BIG_ID, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_tried_at", Instant(), nullable=True),
        sa.Column("next_try_at", Instant(), nullable=False),
        sa.Column("delivered_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            endpoint,
            name=op.f("fk_webhook_delivery_endpoint_id_webhook_endpoint"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], event, name=op.f("fk_webhook_delivery_event_id_webhook_event")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "event_id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index("ix_webhook_delivery_event_id", "webhook_delivery", ["event_id"])
    op.create_index(
        "ix_webhook_delivery_waiting",
        "webhook_delivery",
        ["endpoint_id", "customer_id", "event_id"],
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )
    op.create_table(
        "webhook_attempt",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("endpoint_id", _BIG_ID, nullable=False),
        sa.Column("event_id", _BIG_ID, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("fault", sa.String(length=64), nullable=True),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            endpoint,
            name=op.f("fk_webhook_attempt_endpoint_id_webhook_endpoint"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], event, name=op.f("fk_webhook_attempt_event_id_webhook_event")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempt")),
    )
    op.create_index("ix_webhook_attempt_endpoint_id_id", "webhook_attempt", ["endpoint_id", "id"])
