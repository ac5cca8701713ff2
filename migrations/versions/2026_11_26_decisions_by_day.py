"""Keep each day's decisions in a partition of its own, on PostgreSQL."""

from alembic import op

from kernel.append_only import append_only_statements

revision = "6b41d9e07c35"
down_revision = "5e2c7a91d3f4"
branch_labels = None
depends_on = None

_PARTITIONED = (
    "CREATE TABLE decision_record (LIKE decision_record_before,"
    " CONSTRAINT pk_decision_record PRIMARY KEY (decided_on, id))"
    " PARTITION BY RANGE (decided_on)"
)


def upgrade() -> None:
    """Apply the change."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for statement in (
        "ALTER TABLE decision_record RENAME TO decision_record_before",
        "ALTER TABLE decision_record_before RENAME CONSTRAINT pk_decision_record TO pk_before",
        "DROP TRIGGER decision_record_no_update ON decision_record_before",
        "DROP TRIGGER decision_record_no_delete ON decision_record_before",
        "DROP FUNCTION decision_record_refuse",
        _PARTITIONED,
        "CREATE TABLE decision_record_rest PARTITION OF decision_record DEFAULT",
        "INSERT INTO decision_record SELECT * FROM decision_record_before",
        "DROP TABLE decision_record_before",
        *append_only_statements("postgresql", "decision_record"),
    ):
        op.execute(statement)
