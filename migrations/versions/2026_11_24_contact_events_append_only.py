"""Keep contact events append-only, as the audit of contacts has to be."""

from alembic import op

from kernel.append_only import append_only_statements

revision = "7c0d3b5e91aa"
down_revision = "494a7a46fc62"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    for statement in append_only_statements(op.get_bind().dialect.name, "contact_event"):
        op.execute(statement)
