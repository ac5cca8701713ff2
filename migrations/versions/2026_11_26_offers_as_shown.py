"""Keep an offer's cost table as it was shown, a customer's no, and what an offer was replaced by."""

import sqlalchemy as sa
from alembic import op

revision = "b7e20c5d91f3"
down_revision = "71c0e4b8d35a"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STATES = "'offered', 'accepted', 'fulfilled', 'lapsed', 'withdrawn', 'declined', 'replaced'"


def upgrade() -> None:
    """Apply the change."""
    with op.batch_alter_table("offer") as offer:
        offer.add_column(sa.Column("cost_table_hash", sa.String(length=64), nullable=True))
        offer.add_column(sa.Column("declined_in", sa.String(length=32), nullable=True))
        offer.add_column(sa.Column("decline_reason", sa.String(length=120), nullable=True))
        offer.add_column(sa.Column("replaces_id", _ID, nullable=True))
        offer.create_foreign_key(
            op.f("fk_offer_replaces_id_offer"), "offer", ["replaces_id"], ["id"]
        )
        offer.create_unique_constraint(op.f("uq_offer_replaces_id"), ["replaces_id"])
        offer.drop_constraint(op.f("ck_offer_state_is_known"), type_="check")
        offer.create_check_constraint(op.f("ck_offer_state_is_known"), f"state IN ({_STATES})")
