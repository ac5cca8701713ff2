"""Lay the tables of the first slice: kernel, contact, loan book, payments."""

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import Instant, Json

revision = "28f60f914f75"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "clock_offset",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("offset_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_offset")),
    )
    op.create_table(
        "contact_address",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("channel_kind", sa.String(length=10), nullable=False),
        sa.Column("address_enc", sa.Text(), nullable=False),
        sa.Column("address_index", sa.String(length=64), nullable=False),
        sa.Column("address_hint", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("retired_at", Instant(), nullable=True),
        sa.Column("retired_reason", sa.String(length=40), nullable=True),
        sa.CheckConstraint(
            "channel_kind IN ('wechat', 'phone')", name=op.f("ck_contact_address_channel_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_address")),
    )
    op.create_index(
        op.f("ix_contact_address_customer_id"), "contact_address", ["customer_id"], unique=False
    )
    op.create_index(
        "ix_contact_address_index",
        "contact_address",
        ["address_index", "channel_kind"],
        unique=False,
    )
    op.create_index(
        "uq_contact_address_customer",
        "contact_address",
        ["customer_id", "channel_kind"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL AND customer_id IS NOT NULL"),
        sqlite_where=sa.text("retired_at IS NULL AND customer_id IS NOT NULL"),
    )
    op.create_index(
        "uq_contact_address_wechat",
        "contact_address",
        ["address_index"],
        unique=True,
        postgresql_where=sa.text(
            "channel_kind = 'wechat' AND retired_at IS NULL AND customer_id IS NOT NULL"
        ),
        sqlite_where=sa.text(
            "channel_kind = 'wechat' AND retired_at IS NULL AND customer_id IS NOT NULL"
        ),
    )
    op.create_table(
        "contact_quota",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("counter", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.CheckConstraint("n >= 0", name=op.f("ck_contact_quota_n")),
        sa.PrimaryKeyConstraint("customer_id", "day", "counter", name=op.f("pk_contact_quota")),
    )
    op.create_table(
        "contact_rule",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("value", Json, nullable=False),
        sa.Column("citation", sa.Text(), nullable=False),
        sa.Column("how_read", sa.String(length=10), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("loaded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("code", "effective_from", name=op.f("pk_contact_rule")),
    )
    op.create_table(
        "contact_template",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("provider_template_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("link", sa.String(length=120), nullable=False),
        sa.Column("valid_s", sa.Integer(), nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("loaded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("code", "version", "channel", name=op.f("pk_contact_template")),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name_enc", sa.Text(), nullable=False),
        sa.Column("phone_enc", sa.Text(), nullable=False),
        sa.Column("phone_index", sa.String(length=40), nullable=False),
        sa.Column("id_number_enc", sa.Text(), nullable=False),
        sa.Column("id_number_index", sa.String(length=40), nullable=False),
        sa.Column("identity_index", sa.String(length=40), nullable=False),
        sa.Column("is_student", sa.Boolean(), nullable=False),
        sa.Column("employer", sa.String(length=120), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint("id_number_index", name=op.f("uq_customer_id_number_index")),
        sa.UniqueConstraint("phone_index", name=op.f("uq_customer_phone_index")),
    )
    op.create_index(
        op.f("ix_customer_identity_index"), "customer", ["identity_index"], unique=False
    )
    op.create_table(
        "day_close",
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("finished_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("on_date", name=op.f("pk_day_close")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("answer", Json, nullable=True),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("action", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_table(
        "job_run",
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("slot", sa.String(length=40), nullable=False),
        sa.Column("queued_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("job", "slot", name=op.f("pk_job_run")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event", sa.String(length=80), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("relayed_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["id"],
        unique=False,
        postgresql_where=sa.text("relayed_at IS NULL"),
        sqlite_where=sa.text("relayed_at IS NULL"),
    )
    op.create_table(
        "pay_notice",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("event_type", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("first_at", Instant(), nullable=False),
        sa.Column("last_at", Instant(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_pay_notice")),
    )
    op.create_table(
        "application",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("application_no", sa.String(length=32), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("funder", sa.String(length=32), nullable=False),
        sa.Column("merchandise", sa.String(length=120), nullable=False),
        sa.Column("merchant_name", sa.String(length=120), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("rate_annual", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("terms", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column(
            "decision_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("strategy_version", sa.String(length=120), nullable=True),
        sa.Column("reasons", Json, nullable=False),
        sa.Column("submitted_at", Instant(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("decided_by", sa.String(length=120), nullable=True),
        sa.CheckConstraint(
            "state IN ('submitted', 'in_review', 'approved', 'declined', 'cancelled', 'booked')",
            name=op.f("ck_application_state_is_known"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_application_amount_is_positive")),
        sa.CheckConstraint("terms > 0", name=op.f("ck_application_terms_are_positive")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_application_customer_id_customer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
        sa.UniqueConstraint("application_no", name=op.f("uq_application_application_no")),
    )
    op.create_index(
        op.f("ix_application_customer_id"), "application", ["customer_id"], unique=False
    )
    op.create_index(
        op.f("ix_application_state_submitted_at"),
        "application",
        ["state", "submitted_at"],
        unique=False,
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("is_withdrawal", sa.Boolean(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_consent_customer_id_customer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index(
        op.f("ix_consent_customer_id_purpose"), "consent", ["customer_id", "purpose"], unique=False
    )
    op.create_table(
        "contact",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("address_id", sa.BigInteger(), nullable=False),
        sa.Column("recipient", sa.String(length=10), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("template_code", sa.String(length=40), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("not_before", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("lease_owner", sa.String(length=32), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reserved_on", sa.Date(), nullable=True),
        sa.Column("reserved", sa.String(length=120), nullable=True),
        sa.Column("sending_at", Instant(), nullable=True),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("provider_id", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.String(length=120), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("delivery", sa.String(length=20), nullable=True),
        sa.Column("delivered_at", Instant(), nullable=True),
        sa.CheckConstraint("recipient = 'debtor'", name=op.f("ck_contact_recipient")),
        sa.ForeignKeyConstraint(
            ["address_id"],
            ["contact_address.id"],
            name=op.f("fk_contact_address_id_contact_address"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("key", name=op.f("uq_contact_key")),
    )
    op.create_index("ix_contact_customer_id", "contact", ["customer_id", "id"], unique=False)
    op.create_index(
        "ix_contact_leased",
        "contact",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state IN ('claimed', 'sending')"),
        sqlite_where=sa.text("state IN ('claimed', 'sending')"),
    )
    op.create_index(
        "ix_contact_provider_id",
        "contact",
        ["provider_id"],
        unique=False,
        postgresql_where=sa.text("provider_id IS NOT NULL"),
        sqlite_where=sa.text("provider_id IS NOT NULL"),
    )
    op.create_index(
        "ix_contact_ready",
        "contact",
        ["priority", "not_before", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'ready'"),
        sqlite_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "ix_contact_unknown",
        "contact",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'unknown'"),
        sqlite_where=sa.text("state = 'unknown'"),
    )
    op.create_table(
        "cost_disclosure",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("content", Json, nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("seconds_shown", sa.Integer(), nullable=False),
        sa.Column("confirmed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_cost_disclosure_customer_id_customer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_disclosure")),
    )
    op.create_index(
        op.f("ix_cost_disclosure_customer_id"), "cost_disclosure", ["customer_id"], unique=False
    )
    op.create_table(
        "credit_line",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("funder", sa.String(length=32), nullable=False),
        sa.Column("granted_fen", sa.BigInteger(), nullable=False),
        sa.Column("held_fen", sa.BigInteger(), nullable=False),
        sa.Column("utilised_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("frozen_reason", sa.String(length=120), nullable=True),
        sa.Column("frozen_at", Instant(), nullable=True),
        sa.Column("graded_to", sa.Date(), nullable=True),
        sa.Column("grade", sa.String(length=32), nullable=True),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "state IN ('active', 'frozen', 'closed')", name=op.f("ck_credit_line_state_is_known")
        ),
        sa.CheckConstraint("granted_fen >= 0", name=op.f("ck_credit_line_granted_is_not_negative")),
        sa.CheckConstraint("held_fen >= 0", name=op.f("ck_credit_line_held_is_not_negative")),
        sa.CheckConstraint(
            "utilised_fen >= 0", name=op.f("ck_credit_line_utilised_is_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_credit_line_customer_id_customer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_line")),
        sa.UniqueConstraint(
            "customer_id", "funder", name=op.f("uq_credit_line_customer_id_funder")
        ),
    )
    op.create_table(
        "contact_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.String(length=120), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_contact_event_contact_id_contact")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_event")),
    )
    op.create_index(
        op.f("ix_contact_event_contact_id"), "contact_event", ["contact_id"], unique=False
    )
    op.create_table(
        "loan",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("loan_no", sa.String(length=32), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "application_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "disclosure_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("funder", sa.String(length=32), nullable=False),
        sa.Column("merchandise", sa.String(length=120), nullable=False),
        sa.Column("merchant_name", sa.String(length=120), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("rate_annual", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("terms", sa.Integer(), nullable=False),
        sa.Column("disbursed_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("days_past_due", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(length=32), nullable=False),
        sa.Column("closed_to", sa.Date(), nullable=False),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.CheckConstraint("state IN ('active', 'closed')", name=op.f("ck_loan_state_is_known")),
        sa.CheckConstraint("principal_fen > 0", name=op.f("ck_loan_principal_is_positive")),
        sa.CheckConstraint("terms > 0", name=op.f("ck_loan_terms_are_positive")),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_loan_application_id_application")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_loan_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(
            ["disclosure_id"],
            ["cost_disclosure.id"],
            name=op.f("fk_loan_disclosure_id_cost_disclosure"),
        ),
        sa.ForeignKeyConstraint(
            ["line_id"], ["credit_line.id"], name=op.f("fk_loan_line_id_credit_line")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan")),
        sa.UniqueConstraint("application_id", name=op.f("uq_loan_application_id")),
        sa.UniqueConstraint("loan_no", name=op.f("uq_loan_loan_no")),
    )
    op.create_index(
        "ix_loan_active",
        "loan",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'active'"),
        sqlite_where=sa.text("state = 'active'"),
    )
    op.create_index(op.f("ix_loan_customer_id"), "loan", ["customer_id"], unique=False)
    op.create_index(op.f("ix_loan_line_id"), "loan", ["line_id"], unique=False)
    op.create_index(op.f("ix_loan_state_bucket"), "loan", ["state", "bucket"], unique=False)
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=32), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("loan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("details", Json, nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("raised_at", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("closed_by", sa.String(length=120), nullable=True),
        sa.Column("note", sa.String(length=120), nullable=True),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_alert_state_is_known")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_alert_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_alert_loan_id_loan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.UniqueConstraint("key", name=op.f("uq_alert_key")),
    )
    op.create_index(op.f("ix_alert_customer_id"), "alert", ["customer_id"], unique=False)
    op.create_index(op.f("ix_alert_state_raised_at"), "alert", ["state", "raised_at"], unique=False)
    op.create_table(
        "complaint",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("complaint_no", sa.String(length=32), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("loan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("text_enc", sa.Text(), nullable=False),
        sa.Column("answer_enc", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("answer_due_at", Instant(), nullable=False),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("answered_by", sa.String(length=120), nullable=True),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("closed_by", sa.String(length=120), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'answered', 'closed')", name=op.f("ck_complaint_state_is_known")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_complaint_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_complaint_loan_id_loan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaint")),
        sa.UniqueConstraint("complaint_no", name=op.f("uq_complaint_complaint_no")),
    )
    op.create_index(op.f("ix_complaint_customer_id"), "complaint", ["customer_id"], unique=False)
    op.create_table(
        "instalment",
        sa.Column("loan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("interest_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_interest_fen", sa.BigInteger(), nullable=False),
        sa.Column("is_accrued", sa.Boolean(), nullable=False),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "interest_fen >= 0", name=op.f("ck_instalment_interest_is_not_negative")
        ),
        sa.CheckConstraint(
            "paid_interest_fen >= 0 AND paid_interest_fen <= interest_fen",
            name=op.f("ck_instalment_interest_is_not_overpaid"),
        ),
        sa.CheckConstraint(
            "paid_principal_fen >= 0 AND paid_principal_fen <= principal_fen",
            name=op.f("ck_instalment_principal_is_not_overpaid"),
        ),
        sa.CheckConstraint(
            "principal_fen >= 0", name=op.f("ck_instalment_principal_is_not_negative")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_instalment_loan_id_loan")),
        sa.PrimaryKeyConstraint("loan_id", "n", name=op.f("pk_instalment")),
    )
    op.create_index(
        "ix_instalment_unsettled",
        "instalment",
        ["due_on", "loan_id"],
        unique=False,
        postgresql_where=sa.text("settled_on IS NULL"),
        sqlite_where=sa.text("settled_on IS NULL"),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("loan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loan_id"], ["loan.id"], name=op.f("fk_ledger_entry_loan_id_loan")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_ledger_entry_kind_key")),
    )
    op.create_index(op.f("ix_ledger_entry_loan_id"), "ledger_entry", ["loan_id"], unique=False)
    op.create_table(
        "payment_order",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("out_trade_no", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("loan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("appid", sa.String(length=32), nullable=False),
        sa.Column("mchid", sa.String(length=32), nullable=False),
        sa.Column("openid_enc", sa.String(length=400), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("quote", Json, nullable=False),
        sa.Column("description", sa.String(length=127), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("prepay_id", sa.String(length=64), nullable=True),
        sa.Column("refused_code", sa.String(length=64), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("next_query_at", Instant(), nullable=False),
        sa.Column("queries", sa.Integer(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("transaction_id", sa.String(length=32), nullable=True),
        sa.Column("success_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "state IN ('created', 'open', 'paid', 'closed', 'failed')",
            name=op.f("ck_payment_order_state"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payment_order_amount")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_payment_order_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(
            ["loan_id"], ["loan.id"], name=op.f("fk_payment_order_loan_id_loan")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_order")),
        sa.UniqueConstraint("key", name=op.f("uq_payment_order_key")),
        sa.UniqueConstraint("out_trade_no", name=op.f("uq_payment_order_out_trade_no")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_payment_order_transaction_id")),
    )
    op.create_index(
        op.f("ix_payment_order_customer_id"), "payment_order", ["customer_id"], unique=False
    )
    op.create_index(op.f("ix_payment_order_loan_id"), "payment_order", ["loan_id"], unique=False)
    op.create_index(
        "ix_payment_order_poll", "payment_order", ["state", "next_query_at"], unique=False
    )
    op.create_index(
        "uq_payment_order_in_flight",
        "payment_order",
        ["loan_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('created', 'open')"),
        sqlite_where=sa.text("state IN ('created', 'open')"),
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("loan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "complaint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("opened_by", sa.String(length=120), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("lifted_at", Instant(), nullable=True),
        sa.Column("lifted_by", sa.String(length=120), nullable=True),
        sa.Column("lift_reason", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(
            ["complaint_id"], ["complaint.id"], name=op.f("fk_hold_complaint_id_complaint")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_hold_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_hold_loan_id_loan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_customer_id"), "hold", ["customer_id"], unique=False)
    op.create_table(
        "ledger_posting",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("instalment_n", sa.Integer(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_fen <> 0", name=op.f("ck_ledger_posting_amount_is_not_zero")),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["ledger_entry.id"], name=op.f("fk_ledger_posting_entry_id_ledger_entry")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_posting")),
    )
    op.create_index(
        op.f("ix_ledger_posting_entry_id"), "ledger_posting", ["entry_id"], unique=False
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("loan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("transaction_id", sa.String(length=32), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("posted_fen", sa.BigInteger(), nullable=False),
        sa.Column("excess_fen", sa.BigInteger(), nullable=False),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.Column("success_at", Instant(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payment_amount")),
        sa.CheckConstraint("excess_fen >= 0", name=op.f("ck_payment_excess")),
        sa.CheckConstraint("posted_fen + excess_fen = amount_fen", name=op.f("ck_payment_parts")),
        sa.CheckConstraint("posted_fen >= 0", name=op.f("ck_payment_posted")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_payment_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_payment_loan_id_loan")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["payment_order.id"], name=op.f("fk_payment_order_id_payment_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("order_id", name=op.f("uq_payment_order_id")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_payment_transaction_id")),
    )
    op.create_index(op.f("ix_payment_customer_id"), "payment", ["customer_id"], unique=False)
    op.create_index(op.f("ix_payment_loan_id"), "payment", ["loan_id"], unique=False)
    op.create_table(
        "refund",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("out_refund_no", sa.String(length=64), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("provider_refund_id", sa.String(length=64), nullable=True),
        sa.Column("last_code", sa.String(length=64), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "state IN ('ready', 'processing', 'succeeded', 'closed', 'abnormal')",
            name=op.f("ck_refund_state"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payment.id"], name=op.f("fk_refund_payment_id_payment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("out_refund_no", name=op.f("uq_refund_out_refund_no")),
    )
    op.create_index(op.f("ix_refund_payment_id"), "refund", ["payment_id"], unique=False)
    op.create_index("ix_refund_send", "refund", ["state", "next_try_at"], unique=False)
    dialect = op.get_bind().dialect.name
    for table in ("ledger_entry", "ledger_posting", "consent"):
        for statement in append_only_statements(dialect, table):
            op.execute(statement)
