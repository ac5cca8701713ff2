"""Cost tables that borrowers confirmed, as they were shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from servicing.tables import CostDisclosure


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedTable:
    """A cost table (综合融资成本明示表) with how long it was shown, and when it was confirmed."""

    content: Mapping[str, Any]
    seconds_shown: int
    confirmed_at: datetime


def confirmed_table(session: Session, *, disclosure_id: int) -> ConfirmedTable:
    """Return a cost table that was confirmed; it is never deleted."""
    row = session.get_one(CostDisclosure, disclosure_id)
    return ConfirmedTable(
        content=row.content, seconds_shown=row.seconds_shown, confirmed_at=row.confirmed_at
    )
