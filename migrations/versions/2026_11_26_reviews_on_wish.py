"""Let people look at approved terms on the applicant's wish, and find reviews by deadline."""

import sqlalchemy as sa
from alembic import op

revision = "d4c7e19b0a52"
down_revision = "c3d81f60a7e5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change; all reviews so far are about whether to approve."""
    with op.batch_alter_table("application_review") as table:
        table.add_column(
            sa.Column("kind", sa.String(length=32), server_default="decision", nullable=False)
        )
        table.create_check_constraint("kind_is_known", "kind IN ('decision', 'terms')")
    op.create_index(
        "ix_application_review_open",
        "application_review",
        ["due_at"],
        postgresql_where=sa.text("closed_at IS NULL"),
        sqlite_where=sa.text("closed_at IS NULL"),
    )
