"""Lay the way of an application: evidence, course, review; decisions are the service's now.

Applications name their decision by its number. The former judge's records go with it: no release
has stored any, and the card that grades keeps its texts.
"""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant, Json

revision = "8d31f0c4a7b2"
down_revision = "9a41c6e2d7b8"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.drop_column("application", "decision_id")
    op.add_column("application", sa.Column("decision_no", sa.String(length=32), nullable=True))
    op.add_column("application", sa.Column("told", Json, nullable=True))
    _drop_judge()
    _lay_course()
    _lay_evidence()
    _lay_review()


def _drop_judge() -> None:
    op.drop_table("risk_decision")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION IF EXISTS risk_decision_refuse()")


def _lay_course() -> None:
    op.create_table(
        "application_course",
        sa.Column("application_id", _BIG_ID, nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("moved_at", Instant(), nullable=False),
        sa.Column("machine_outcome", sa.String(length=32), nullable=True),
        sa.Column("machine_decided_at", Instant(), nullable=True),
        sa.Column("machine_ms", _BIG_ID, nullable=True),
        sa.Column("appealed_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "state IN ('submitted', 'gathering', 'decided')",
            name=op.f("ck_application_course_state_is_known"),
        ),
        _of_application("application_course"),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_application_course")),
    )
    op.create_index(
        "ix_application_course_open",
        "application_course",
        ["application_id"],
        postgresql_where=sa.text("state <> 'decided'"),
        sqlite_where=sa.text("state <> 'decided'"),
    )
    op.create_index(
        op.f("ix_application_course_machine_decided_at"),
        "application_course",
        ["machine_decided_at"],
    )
    op.execute(
        "INSERT INTO application_course (application_id, state, moved_at) "
        "SELECT id, 'submitted', submitted_at FROM application WHERE state = 'submitted'"
    )


def _lay_evidence() -> None:
    op.create_table(
        "application_evidence",
        sa.Column("application_id", _BIG_ID, nullable=False),
        sa.Column("subsystem", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("fallback", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("leased_until", Instant(), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("values", Json, nullable=True),
        sa.Column("failure", sa.String(length=120), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'answered', 'failed', 'timed_out')",
            name=op.f("ck_application_evidence_state_is_known"),
        ),
        _of_application("application_evidence"),
        sa.PrimaryKeyConstraint(
            "application_id", "subsystem", name=op.f("pk_application_evidence")
        ),
    )
    op.create_index(
        "ix_application_evidence_waiting",
        "application_evidence",
        ["due_at"],
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )


def _lay_review() -> None:
    op.create_table(
        "application_review",
        sa.Column("application_id", _BIG_ID, nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("reviewer", sa.String(length=120), nullable=True),
        sa.Column("taken_until", Instant(), nullable=True),
        sa.Column("closed_at", Instant(), nullable=True),
        _of_application("application_review"),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_application_review")),
    )


def _of_application(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["application_id"],
        ["application.id"],
        name=op.f(f"fk_{table}_application_id_application"),
    )
