"""Keep offers, freezes of what a loan costs, and changes of lines."""

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import Instant, Json

revision = "4f0a6c92d1be"
down_revision = "c81e5a07d942"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "line_change",
        sa.Column("id", _ID, nullable=False),
        sa.Column("line_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("granted_before_fen", sa.BigInteger(), nullable=False),
        sa.Column("granted_after_fen", sa.BigInteger(), nullable=False),
        sa.Column("expires_before", sa.Date(), nullable=True),
        sa.Column("expires_after", sa.Date(), nullable=True),
        sa.Column("undoes_id", _ID, nullable=True),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["line_id"], ["credit_line.id"], name=op.f("fk_line_change_line_id_credit_line")
        ),
        sa.ForeignKeyConstraint(
            ["undoes_id"], ["line_change.id"], name=op.f("fk_line_change_undoes_id_line_change")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_change")),
        sa.UniqueConstraint("undoes_id", name=op.f("uq_line_change_undoes_id")),
    )
    op.create_index(op.f("ix_line_change_line_id"), "line_change", ["line_id"], unique=False)
    op.create_table(
        "loan_freeze",
        sa.Column("id", _ID, nullable=False),
        sa.Column("loan_id", _ID, nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("opened_by", sa.String(length=120), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("lifted_by", sa.String(length=120), nullable=True),
        sa.Column("lifted_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "what IN ('interest', 'penalty')", name=op.f("ck_loan_freeze_what_is_known")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_loan_freeze_loan_id_loan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_freeze")),
    )
    op.create_index(op.f("ix_loan_freeze_loan_id"), "loan_freeze", ["loan_id"], unique=False)
    op.create_table(
        "offer",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("loan_id", _ID, nullable=True),
        sa.Column("line_id", _ID, nullable=True),
        sa.Column("details", Json, nullable=False),
        sa.Column("preview", Json, nullable=False),
        sa.Column("cost_table", Json, nullable=True),
        sa.Column("waived_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_seq", sa.Integer(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("made_by", sa.String(length=120), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("consent_id", _ID, nullable=True),
        sa.Column("disclosure_id", _ID, nullable=True),
        sa.Column("accepted_at", Instant(), nullable=True),
        sa.Column("fulfilled_at", Instant(), nullable=True),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("closed_by", sa.String(length=120), nullable=True),
        sa.Column("effects", Json, nullable=False),
        sa.CheckConstraint(
            "state IN ('offered', 'accepted', 'fulfilled', 'lapsed', 'withdrawn')",
            name=op.f("ck_offer_state_is_known"),
        ),
        sa.CheckConstraint(
            "(loan_id IS NULL) <> (line_id IS NULL)",
            name=op.f("ck_offer_it_is_about_a_loan_or_a_line"),
        ),
        sa.ForeignKeyConstraint(
            ["consent_id"], ["consent.id"], name=op.f("fk_offer_consent_id_consent")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_offer_customer_id_customer")
        ),
        sa.ForeignKeyConstraint(
            ["disclosure_id"],
            ["cost_disclosure.id"],
            name=op.f("fk_offer_disclosure_id_cost_disclosure"),
        ),
        sa.ForeignKeyConstraint(
            ["line_id"], ["credit_line.id"], name=op.f("fk_offer_line_id_credit_line")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_offer_loan_id_loan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
    )
    op.create_index(op.f("ix_offer_customer_id"), "offer", ["customer_id"], unique=False)
    op.create_index(op.f("ix_offer_line_id"), "offer", ["line_id"], unique=False)
    op.create_index(op.f("ix_offer_loan_id"), "offer", ["loan_id"], unique=False)
    op.create_index(
        op.f("ix_offer_state_valid_until"), "offer", ["state", "valid_until"], unique=False
    )
    op.add_column("credit_line", sa.Column("expires_on", sa.Date(), nullable=True))
    for statement in append_only_statements(op.get_bind().dialect.name, "line_change"):
        op.execute(statement)
