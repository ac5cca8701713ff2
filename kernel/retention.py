"""How long rows are kept, as dated data of each area, and how they go: in pieces, oldest first.

A change of a period is a new row with a later date; which tables there are is the areas' business.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, inspect, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from kernel.clock import start_of_day
from kernel.database import Base

_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """For how many days rows of a kind are kept, from a date on.

    Attributes:
        citation: The law or the reason; `how_read` says how its text was read.
        owner: Who answers for it.
    """

    code: str
    days: int
    citation: str
    how_read: str
    effective_from: date
    owner: str


@cache
def periods(file: Path) -> Mapping[str, tuple[Kept, ...]]:
    """Read the periods of an area, by code, each by date.

    Raises:
        ValueError: One keeps nothing at all.
    """
    found: dict[str, list[Kept]] = {}
    for row in tomllib.loads(file.read_text("utf-8"))["kept"]:
        kept = Kept(**row)
        if kept.days < 1:
            raise ValueError(f"{kept.code} keeps nothing")
        found.setdefault(kept.code, []).append(kept)
    return {
        code: tuple(sorted(rows, key=lambda row: row.effective_from))
        for code, rows in found.items()
    }


def kept_since(file: Path, code: str, *, on: date) -> datetime:
    """Return the instant before which rows of a kind are over their time.

    Raises:
        LookupError: No period is in force for it: nothing may be deleted then.
    """
    in_force = [row for row in periods(file).get(code, ()) if row.effective_from <= on]
    if not in_force:
        raise LookupError(f"no period is in force for {code}")
    return start_of_day(on - timedelta(days=in_force[-1].days))


def forget(
    session: Session,
    model: type[Base],
    at: InstrumentedAttribute[Any],
    *,
    before: datetime,
    at_once: int = _AT_ONCE,
) -> int:
    """Delete some rows that are older than an instant; returns how many, 0 once all are gone."""
    keys = inspect(model).primary_key
    chosen = session.execute(select(*keys).where(at < before).order_by(at).limit(at_once)).all()
    if chosen:
        which = tuple_(*keys).in_([tuple(key) for key in chosen])
        session.execute(delete(model).where(which).execution_options(synchronize_session=False))
    return len(chosen)
