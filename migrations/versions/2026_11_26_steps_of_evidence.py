"""Let evidence be asked for in steps, with the patience that a strategy plans, or not at all."""

import sqlalchemy as sa
from alembic import op

revision = "e1b5a3d07c94"
down_revision = "5b1e8f03a7d9"
branch_labels = None
depends_on = None

_CHECK = "ck_application_evidence_state_is_known"
_STATES = "'planned', 'waiting', 'answered', 'failed', 'timed_out', 'not_asked'"
_PLANNED = (("step", "1"), ("timeout_s", "5"), ("attempts_most", "3"))


def upgrade() -> None:
    """Apply the change; whatever was asked so far was asked at once, as the house declared it."""
    op.add_column(
        "application_course", sa.Column("planned_by", sa.String(length=120), nullable=True)
    )
    op.drop_index("ix_application_evidence_waiting", "application_evidence")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f(_CHECK), "application_evidence")
    with op.batch_alter_table("application_evidence") as batch:
        for name, usual in _PLANNED:
            batch.add_column(sa.Column(name, sa.Integer(), server_default=usual, nullable=False))
        batch.create_check_constraint(op.f(_CHECK), f"state IN ({_STATES})")
    op.create_index(
        "ix_application_evidence_waiting",
        "application_evidence",
        ["due_at"],
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )
