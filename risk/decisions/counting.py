"""Counters over a time window, read for a decision and laid beside what the application states.

What they came to is kept with the decision like any value, so that it replays. Without the value
that a counter goes by there is no count, which is missing and not zero.

    CounterUnserved  422  nobody tells of its event with such a value, or not for so long
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from kernel.crypto import FieldCipher
from kernel.database import Database
from kernel.errors import Invalid
from risk.decisions.asking import Asked
from risk.decisions.sharing import COUNTED_FOR, value_hash
from risk.features.catalogue import Catalogue, Kind
from risk.strategy.language import Counter
from risk.tables import CountedEvent

_APPLICATION: Final = "application"

TOLD: Final[Mapping[str, frozenset[str]]] = {
    _APPLICATION: frozenset({"device", "wifi", "phone", "address", "employer"}),
}
"""Events that areas above tell, with the kinds of values that each may carry."""

_MOST: Final = 1_000  # enough for any threshold; a hub is not counted to its end


class CounterUnserved(Invalid):
    """Nobody tells of a counter's event with such a value, or it is not kept for so long."""

    code = "strategy-counter-unserved"
    message_zh = "策略的时间窗口计数无法提供：没有这种事件或字段，或窗口超过90天"


def kind_of(dimension: str) -> str:
    """Name the kind of value that a dimension holds: `device_id` is a device."""
    return dimension.removesuffix("_id").removesuffix("_name")


def counted_fields(catalogue: Catalogue) -> tuple[tuple[str, str], ...]:
    """Pair each kind of value that counters may go by with the field that states it."""
    kinds = frozenset().union(*TOLD.values())
    names = (each.name for each in catalogue.dimensions if each.kind is Kind.TEXT)
    return tuple((kind_of(name), name) for name in names if kind_of(name) in kinds)


def assert_served(counters: Iterable[Counter]) -> None:
    """Make sure that what a strategy counts is told of and kept.

    Raises:
        CounterUnserved: See there. A count that is always zero would approve by absence.
    """
    for counter in counters:
        if (
            kind_of(counter.by) not in TOLD.get(counter.event, ())
            or timedelta(seconds=counter.window_s) > COUNTED_FOR
        ):
            raise CounterUnserved(f"{counter.name} cannot be counted")


def counted(
    database: Database,
    cipher: FieldCipher,
    asked: Asked,
    counters: Iterable[Counter],
    now: datetime,
    *,
    is_told: bool,
) -> Asked:
    """Lay counts beside what an application states; without counters it stays as it is.

    Args:
        database: Where events are kept.
        cipher: Hashes values as they are kept.
        asked: What is to be decided.
        counters: What is counted.
        now: The end of each window.
        is_told: Whether this application was told before; if not, it is added to its own counts.
    """
    found = {}
    for counter in counters:
        kind = kind_of(counter.by)
        value = asked.links.get(kind) or asked.application.get(counter.by)
        if isinstance(value, str) and value:
            hashed = value_hash(cipher, kind=kind, value=value)
            before = _count(database, counter, hashed, now)
            found[counter.name] = before + (counter.event == _APPLICATION and not is_told)
    return replace(asked, application={**asked.application, **found}) if found else asked


def _count(database: Database, counter: Counter, hashed: str, now: datetime) -> int:
    event = CountedEvent
    within = (
        select(event.fact_key)
        .where(
            event.value_hash == hashed,
            event.event == counter.event,
            event.happened_at > now - timedelta(seconds=counter.window_s),
            event.happened_at <= now,
        )
        .limit(_MOST)
        .subquery()
    )
    with database.peek() as session:
        return session.scalar(select(func.count()).select_from(within)) or 0
