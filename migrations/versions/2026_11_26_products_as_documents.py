"""Say on applications which version of which product they are for, and on loans if they end early.

Until now there was one product, in one version, that may be settled early.
"""

import sqlalchemy as sa
from alembic import op

revision = "9a41c6e2d7b8"
down_revision = "da64f1bdd441"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("application", "product_code", sa.String(length=32), "standard"),
    ("application", "product_version", sa.Integer(), "1"),
    ("loan", "settles_early", sa.Boolean(), sa.true()),
)


def upgrade() -> None:
    """Apply the change."""
    for table, name, kind, value in _COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=False, server_default=value))
