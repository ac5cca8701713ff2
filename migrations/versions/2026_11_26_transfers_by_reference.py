"""Find what a partner reported by the reference of its bank transfer."""

from alembic import op

revision = "b82d5f07a1c6"
down_revision = "3f6b2d81c9e4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_index(op.f("ix_partner_act_reference"), "partner_act", ["reference"])
