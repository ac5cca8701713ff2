"""Find a day's contacts without reading all of them."""

from alembic import op

revision = "3f6b8d21c4e7"
down_revision = "7aa0ae7fc22d"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_index("ix_contact_day", "contact", ["day"], unique=False)
