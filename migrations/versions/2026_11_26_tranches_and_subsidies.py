"""Let loans be drawn in parts, merchants pay in the borrower's place, and fees belong to others."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "71c0e4b8d35a"
down_revision = "6e90b3d5c1f4"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_AMOUNTS = ("to_others_fen", "subsidy_fen", "earned_subsidy_fen", "paid_subsidy_fen")


def upgrade() -> None:
    """Apply the change; until now every loan was drawn at once, by nobody but the borrower."""
    for name in _AMOUNTS:
        op.add_column("instalment", _amount(name))
    op.add_column("loan", _amount("undrawn_fen"))
    op.add_column("loan", sa.Column("draw_until", sa.Date(), nullable=True))
    for name in ("draws", "rates"):
        op.add_column("loan", sa.Column(name, _JSON, nullable=True))
    subsidised = sa.Column("is_subsidised", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("loan", subsidised)
    _index("ix_loan_undrawn", "draw_until", "undrawn_fen > 0")
    _index("ix_loan_subsidised", "merchant_name", "is_subsidised")


def _amount(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _index(name: str, column: str, where: str) -> None:
    op.create_index(
        name, "loan", [column], postgresql_where=sa.text(where), sqlite_where=sa.text(where)
    )
