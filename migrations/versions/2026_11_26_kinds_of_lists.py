"""Say of each list what its values are and whether an entry needs a second person."""

import sqlalchemy as sa
from alembic import op

revision = "c3d81f60a7e5"
down_revision = "6fa1d83e02c9"
branch_labels = None
depends_on = None

_STATUTORY = (("own-blocked", "本公司名单", False), ("prevention", "反洗钱特别预防措施名单", True))


def upgrade() -> None:
    """Apply the change."""
    for column in (
        sa.Column("title", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("kind", sa.String(length=16), nullable=False, server_default="text"),
        sa.Column("match", sa.String(length=16), nullable=False, server_default="exact"),
        sa.Column("needs_second", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("risk_list", column)
    lists = sa.table("risk_list", *map(sa.column, ("name", "title", "kind", "needs_second")))
    op.execute(lists.update().values(title=lists.c.name))
    for name, title, needs_second in _STATUTORY:
        said = {"title": title, "kind": "identity", "needs_second": needs_second}
        op.execute(lists.update().where(lists.c.name == name).values(said))
