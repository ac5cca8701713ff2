"""Lay the tables of the first slice: kernel, addresses, loan book."""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant, Json
from servicing.tables import APPEND_ONLY, append_only_statements

revision = "2f506dfc8e10"
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
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("address_enc", sa.String(length=400), nullable=False),
        sa.Column("address_index", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("retired_at", Instant(), nullable=True),
        sa.Column("retired_reason", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_address")),
    )
    op.create_index(
        op.f("ix_contact_address_customer_id"), "contact_address", ["customer_id"], unique=False
    )
    op.create_index(
        "uq_contact_address_in_force",
        "contact_address",
        ["kind", "address_index"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
        sqlite_where=sa.text("retired_at IS NULL"),
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
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint("id_number_index", name=op.f("uq_customer_id_number_index")),
        sa.UniqueConstraint("phone_index", name=op.f("uq_customer_phone_index")),
    )
    op.create_index(
        op.f("ix_customer_identity_index"), "customer", ["identity_index"], unique=False
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
        "consent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
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
        "loan",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("loan_no", sa.String(length=32), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "disclosure_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("funder", sa.String(length=20), nullable=False),
        sa.Column("merchant_name", sa.String(length=80), nullable=False),
        sa.Column("merchandise", sa.String(length=80), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("rate_annual", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("terms", sa.Integer(), nullable=False),
        sa.Column("disbursed_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("days_past_due", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(length=4), nullable=False),
        sa.Column("closed_to", sa.Date(), nullable=False),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.CheckConstraint("state IN ('active', 'closed')", name=op.f("ck_loan_state_is_known")),
        sa.CheckConstraint("days_past_due >= 0", name=op.f("ck_loan_lateness_is_not_negative")),
        sa.CheckConstraint("principal_fen > 0", name=op.f("ck_loan_principal_is_positive")),
        sa.CheckConstraint("terms > 0", name=op.f("ck_loan_terms_are_positive")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_loan_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(
            ["disclosure_id"],
            ["cost_disclosure.id"],
            name=op.f("fk_loan_disclosure_id_cost_disclosure"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan")),
        sa.UniqueConstraint("loan_no", name=op.f("uq_loan_loan_no")),
    )
    op.create_index(op.f("ix_loan_customer_id"), "loan", ["customer_id"], unique=False)
    op.create_index(op.f("ix_loan_state_closed_to"), "loan", ["state", "closed_to"], unique=False)
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
            "paid_interest_fen BETWEEN 0 AND interest_fen", name=op.f("ck_instalment_interest")
        ),
        sa.CheckConstraint(
            "paid_principal_fen BETWEEN 0 AND principal_fen", name=op.f("ck_instalment_principal")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_instalment_loan_id_loan")),
        sa.PrimaryKeyConstraint("loan_id", "n", name=op.f("pk_instalment")),
    )
    op.create_index(
        op.f("ix_instalment_settled_on_due_on"),
        "instalment",
        ["settled_on", "due_on"],
        unique=False,
    )
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("loan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
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
        "ledger_posting",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_fen <> 0", name=op.f("ck_ledger_posting_amount_is_not_zero")),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["ledger_entry.id"], name=op.f("fk_ledger_posting_entry_id_ledger_entry")
        ),
        sa.PrimaryKeyConstraint("entry_id", "account", name=op.f("pk_ledger_posting")),
    )
    dialect = op.get_bind().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_statements(dialect, table):
            op.execute(statement)
