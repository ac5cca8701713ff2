"""Note which event restructured a loan."""

import sqlalchemy as sa
from alembic import op

revision = "8e41c6d2f7b0"
down_revision = "2c7d90e4b1a6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    with op.batch_alter_table("class_mark") as batch:
        batch.add_column(sa.Column("event_seq", sa.Integer(), nullable=True))
        batch.create_unique_constraint(
            op.f("uq_class_mark_loan_id_event_seq"), ["loan_id", "event_seq"]
        )


def downgrade() -> None:
    """Take the change back."""
    with op.batch_alter_table("class_mark") as batch:
        batch.drop_constraint(op.f("uq_class_mark_loan_id_event_seq"), type_="unique")
        batch.drop_column("event_seq")
