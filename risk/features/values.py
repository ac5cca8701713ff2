"""What counts as a value. Whatever does not is missing, and missing never approves.

Numbers, truths and days are floats inside the engine (NaN where missing), texts are strings (None
where missing). A string for a number, a truth for a number, null, NaN, infinities, and numbers
beyond ±10^15 are no values: no fen amount, count or share of ours is that large, and every whole
number below is exact in float64.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from risk.features.catalogue import Kind

LIMIT: Final = 1e15
LAST_DAY: Final = float(date.max.toordinal())
NAN: Final = math.nan

_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def number(raw: object) -> float:
    """Read a number; NaN for anything else."""
    if (type(raw) is float or type(raw) is int) and -LIMIT < raw < LIMIT:
        return float(raw)
    return NAN


def truth(raw: object) -> float:
    """Read true, false, 1 or 0 as 1.0 or 0.0; NaN for anything else."""
    if type(raw) in {bool, int, float} and raw in {0, 1}:
        return 1.0 if raw else 0.0
    return NAN


def day(raw: object) -> float:
    """Read a date, its ISO text or its ordinal as the ordinal; NaN for anything else."""
    if type(raw) is date:
        return float(raw.toordinal())
    if type(raw) is float and 1 <= raw <= LAST_DAY and raw.is_integer():
        return raw
    if type(raw) is str and _ISO.fullmatch(raw):
        try:
            return float(date.fromisoformat(raw).toordinal())
        except ValueError:
            return NAN
    return NAN


def text(raw: object) -> str | None:
    """Read a text that is not blank; None for anything else."""
    return raw if type(raw) is str and raw.strip() else None


CLEAN: Final[Mapping[Kind, Callable[[object], float | str | None]]] = MappingProxyType(
    {Kind.NUMBER: number, Kind.TRUTH: truth, Kind.DAY: day, Kind.TEXT: text}
)


def is_missing(value: float | str | None) -> bool:
    """Say whether a cleaned value is missing."""
    return value is None or value != value  # noqa: PLR0124 - only NaN differs from itself


def shown(kind: Kind, value: float | str | None) -> float | str | bool | None:
    """Turn a cleaned value into what JSON and people read."""
    if value is None or isinstance(value, str) or is_missing(value):
        return value if isinstance(value, str) else None
    if kind is Kind.TRUTH:
        return bool(value)
    if kind is Kind.DAY:
        return date.fromordinal(int(value)).isoformat()
    return value
