"""Find a day's contacts without reading all of them."""

from alembic import op

revision = "3f6b8d21c4e7"
down_revision = "7c0d3b5e91aa"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_index("ix_contact_day", "contact", ["day"], unique=False)
