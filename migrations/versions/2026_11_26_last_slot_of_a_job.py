"""Keep one row a periodic job instead of one a slot, and whether a daily one finished."""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant

revision = "b1d94c7a20e5"
down_revision = "3f6b8d21c4e7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change; what was queued before is forgotten, and jobs are safe to repeat."""
    op.drop_table("job_run")
    op.create_table(
        "job_run",
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("slot", sa.String(length=40), nullable=False),
        sa.Column("queued_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_run")),
    )
