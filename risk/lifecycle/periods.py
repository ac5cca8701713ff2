"""Which strategies soon end without another behind them: then nobody would be decided.

It reads what was published and changes nothing; areas above are told by an event, and alert staff.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from desk.queries import DocumentView, document_in_force, document_versions
from kernel.clock import business_date
from kernel.outbox import record
from risk.decisions.strategies import STRATEGY, strategies_in_force
from risk.events import StrategyEnding

WARNED_BEFORE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A strategy in force that ends, with nothing published that follows it.

    Attributes:
        ends_on: The first day on which it no longer decides.
    """

    strategy: str
    version: int
    ends_on: date


def endings(session: Session, *, on: date) -> tuple[Ending, ...]:
    """List the strategies that end within a week, today among it, and have no successor."""
    found = (_ending(session, view) for view in strategies_in_force(session, on=on))
    return tuple(each for each in found if each and each.ends_on <= on + WARNED_BEFORE)


def planned(session: Session, *, key: str, on: date) -> DocumentView | None:
    """Return the version that comes into force next, None if nothing is planned."""
    coming = [
        view
        for view in document_versions(session, kind=STRATEGY, key=key)
        if view.state == "approved" and view.effective_on is not None and view.effective_on > on
    ]
    return min(coming, key=lambda view: (view.effective_on, -view.version), default=None)


def tell_endings(session: Session, *, now: datetime) -> tuple[Ending, ...]:
    """Tell the areas above of strategies that end soon; may be repeated, they alert once."""
    found = endings(session, on=business_date(now))
    for each in found:
        record(
            session,
            StrategyEnding(
                strategy=each.strategy, version=each.version, ends_on=each.ends_on.isoformat()
            ),
            now=now,
        )
    return found


def _ending(session: Session, view: DocumentView) -> Ending | None:
    """Say when a strategy ends, None if another stands behind it on that day."""
    said = view.body.get("effective_to")
    if not said:
        return None
    ends_on = date.fromisoformat(said)
    behind = document_in_force(session, kind=STRATEGY, key=view.key, on=ends_on)
    if behind is not None and behind.version != view.version:
        return None
    return Ending(strategy=view.key, version=view.version, ends_on=ends_on)
