"""Let a claim leave the books, and principal come back onto a loan."""

import sqlalchemy as sa
from alembic import op

revision = "8c41e7d20b6a"
down_revision = "6b41d9e07c35"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change; until now no claim was charged off or written off."""
    credited = sa.Column("credited_fen", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("instalment", credited)
    for name in ("charged_off_on", "written_off_on"):
        op.add_column("loan", sa.Column(name, sa.Date(), nullable=True))
