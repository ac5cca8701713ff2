"""Keep since when the purchase of a loan is undone, as its events say."""

from datetime import date

import sqlalchemy as sa
from alembic import op

revision = "5b1e8f03a7d9"
down_revision = "e5a17c3f90b8"
branch_labels = None
depends_on = None

_LOAN = sa.table("loan", sa.column("id", sa.BigInteger), sa.column("cancelled_on", sa.Date))
_EVENT = sa.table(
    "loan_event",
    sa.column("loan_id", sa.BigInteger),
    sa.column("seq", sa.Integer),
    sa.column("kind", sa.String),
    sa.column("value_date", sa.Date),
    sa.column("payload", sa.JSON),
)


def upgrade() -> None:
    """Apply the change."""
    op.add_column("loan", sa.Column("cancelled_on", sa.Date(), nullable=True))
    for loan_id, on in _cancelled().items():
        op.execute(sa.update(_LOAN).where(_LOAN.c.id == loan_id).values(cancelled_on=on))


def _cancelled() -> dict[int, date]:
    """Find the loans with a cancellation that was not reversed."""
    ends = sa.select(_EVENT).where(_EVENT.c.kind.in_(["cancellation", "reversal"]))
    found: dict[int, date] = {}
    seqs: dict[tuple[int, str], int] = {}
    for row in op.get_bind().execute(ends.order_by(_EVENT.c.loan_id, _EVENT.c.seq)):
        if row.kind == "cancellation":
            found[row.loan_id] = row.value_date
            seqs[row.loan_id, str(row.seq)] = row.loan_id
        elif (row.loan_id, str(row.payload["of"])) in seqs:
            found.pop(row.loan_id, None)
    return found
