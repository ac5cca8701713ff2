"""What counts as a value. Whatever does not is missing, and missing never approves.

Numbers, truths and days are floats inside the engine (NaN where missing), texts are strings (None
where missing). A string for a number, a truth for a number, null, NaN, infinities, and numbers
beyond ±10^15 are no values: no fen amount, count or share of ours is that large, and every whole
number below is exact in float64. Nor is what the catalogue does not allow: a text that is none of
its dimension's choices, a number outside of its range.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from risk.features.catalogue import Catalogue, Dimension, Kind

LIMIT: Final = 1e15
LAST_DAY: Final = float(date.max.toordinal())
NAN: Final = math.nan

_NUMBERS: Final = frozenset({int, float})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What a dimension may hold beyond being of its kind; what lies outside is missing.

    Attributes:
        low: Of a number, within; likewise `high`.
        choices: Of a text; empty where any text may stand.
    """

    low: float = -LIMIT
    high: float = LIMIT
    choices: frozenset[str] = frozenset()

    def admits(self, value: float | str) -> bool:
        """Say whether a value that is there lies within."""
        if isinstance(value, str):
            return not self.choices or value in self.choices
        return self.low <= value <= self.high


def domain_of(dimension: Dimension) -> Domain | None:
    """Return what a dimension may hold, None where anything of its kind may stand."""
    if dimension.choices:
        return Domain(choices=frozenset(dimension.choices))
    bounds = dimension.bounds
    return None if bounds is None else Domain(low=bounds.low, high=bounds.high)


def domains_of(catalogue: Catalogue) -> Mapping[str, Domain]:
    """Find what dimensions may hold, by name."""
    found = ((each.name, domain_of(each)) for each in catalogue.dimensions)
    return MappingProxyType({name: domain for name, domain in found if domain is not None})


def admitted(row: Mapping[str, Any], domains: Mapping[str, Domain]) -> Mapping[str, Any]:
    """Make missing the numbers of a row that their dimensions cannot hold: so models read it."""
    odd = {
        name: None
        for name, domain in domains.items()
        if type(raw := row.get(name)) in _NUMBERS and not domain.admits(raw)  # type: ignore[arg-type]
    }
    return {**row, **odd} if odd else row


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
