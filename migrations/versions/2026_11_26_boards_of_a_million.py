"""Let the boards count a month of a million applications from indexes alone."""

import sqlalchemy as sa
from alembic import op

revision = "3f6b2d81c9e4"
down_revision = "e1b5a3d07c94"
branch_labels = None
depends_on = None

_WIDENED = (
    (
        "application",
        "ix_application_submitted_at",
        ("ix_application_board", ["submitted_at", "state", "decided_by"]),
    ),
    (
        "application_course",
        "ix_application_course_machine_decided_at",
        ("ix_application_course_board", ["machine_decided_at", "machine_outcome", "machine_ms"]),
    ),
    (
        "risk_list_entry",
        "ix_risk_list_entry_list_name",
        ("ix_risk_list_entry_list_name_value", ["list_name", "value"]),
    ),
)


def upgrade() -> None:
    """Apply the change."""
    for table, narrow, (wide, columns) in _WIDENED:
        op.drop_index(narrow, table_name=table)
        op.create_index(wide, table, columns)
    op.create_index(
        "ix_application_course_appealed",
        "application_course",
        ["machine_decided_at"],
        postgresql_where=sa.text("appealed_at IS NOT NULL"),
        sqlite_where=sa.text("appealed_at IS NOT NULL"),
    )
