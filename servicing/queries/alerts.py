"""What staff were alerted to: open and closed, by kind."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from servicing.tables import Alert

_GRAVITY: Final = {"high": 0, "medium": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """One alert."""

    id: int
    kind: str
    severity: str
    customer_id: int | None
    loan_id: int | None
    details: dict[str, Any]
    state: str
    raised_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    note: str | None


def alerts(
    session: Session, *, state: str = "open", kind: str = "", offset: int = 0, limit: int = 50
) -> tuple[AlertView, ...]:
    """List alerts of a state: open ones gravest first, closed ones as they were closed last.

    Args:
        session: A read session.
        state: `open` or `closed`.
        kind: Only those of this kind; empty for all.
        offset: How many to skip.
        limit: How many to return.
    """
    gravity = case(_GRAVITY, value=Alert.severity, else_=len(_GRAVITY))
    order = (Alert.closed_at.desc(),) if state == "closed" else (gravity, Alert.raised_at.desc())
    rows = session.scalars(
        select(Alert)
        .where(*_wanted(state, kind))
        .order_by(*order, Alert.id.desc())
        .offset(offset)
        .limit(limit)
    )
    return tuple(_view(row) for row in rows)


def alert_of(session: Session, *, alert_id: int) -> AlertView | None:
    """Return one alert, or None."""
    row = session.get(Alert, alert_id)
    return _view(row) if row else None


def count_alerts(session: Session, *, state: str = "open") -> dict[str, int]:
    """Count alerts of a state by kind, in the order of the kinds' names."""
    rows = session.execute(
        select(Alert.kind, func.count())
        .where(*_wanted(state, ""))
        .group_by(Alert.kind)
        .order_by(Alert.kind)
    )
    return {kind: count for kind, count in rows}  # noqa: C416 -- mypy takes no dict of rows


def _wanted(state: str, kind: str) -> list[ColumnElement[bool]]:
    return [Alert.state == state, *([Alert.kind == kind] if kind else [])]


def _view(row: Alert) -> AlertView:
    names = AlertView.__dataclass_fields__
    return AlertView(**{name: getattr(row, name) for name in names})
