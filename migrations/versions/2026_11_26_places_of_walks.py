"""Say when a snooze was ended, keep how far walks have come, find the last decisions by an index.

A snooze that was ended before this has no instant any more; to be strict it counts as never begun.
"""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant, Json

revision = "6fa1d83e02c9"
down_revision = "e3a90c5b71d8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.add_column("rule_snooze", sa.Column("ended_at", Instant(), nullable=True))
    op.execute("UPDATE rule_snooze SET ended_at = started_at WHERE ended_by IS NOT NULL")
    op.create_table(
        "risk_walk",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("place", Json, nullable=False),
        sa.Column("moved_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_risk_walk")),
    )
    op.create_index(op.f("ix_application_decided_at"), "application", ["decided_at"])
