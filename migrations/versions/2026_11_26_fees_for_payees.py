"""Keep why limits of partners were set."""

import sqlalchemy as sa
from alembic import op

revision = "e3a90c5b71d8"
down_revision = "2c7d90e4b1a6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    reason = sa.Column("reason", sa.String(length=200), nullable=False, server_default="")
    op.add_column("partner_limit", reason)


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("partner_limit", "reason")
