"""What the machine made of applications day by day, as pictures; they are counted in queries."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from flask_babel import gettext

from servicing.queries import MachineDay, MachineShare

_GREEN: Final = "#2fb344"
_RED: Final = "#d63939"
_ORANGE: Final = "#f59f00"
_GRID: Final = {"left": 16, "right": 24, "top": 36, "bottom": 4, "containLabel": True}
_WIDEST: Final = 24
_STACKED: Final[Mapping[str, Any]] = {"type": "bar", "stack": "all", "barMaxWidth": _WIDEST}
_DOT: Final[Mapping[str, Any]] = {"type": "scatter", "symbolSize": 8}
_HUNDRED: Final = 100
_A_SECOND_MS: Final = 1_000


def shares(days: Sequence[MachineDay]) -> dict[str, Any]:
    """Draw, of each day's applications, what the machine approved, declined and left to people.

    The three fill a day's bar; those whose applicants asked for a person, and the ones that the
    person decided otherwise, are dots on it. Days without applications stay empty.
    """
    parts = (
        _share(gettext("通过"), _GREEN, days, lambda one: one.approve),
        _share(gettext("拒绝"), _RED, days, lambda one: one.decline),
        _share(gettext("转人工"), _ORANGE, days, lambda one: one.review),
    )
    dots = (
        _share(gettext("申诉"), "#4263eb", days, lambda one: one.appealed, form=_DOT),
        _share(gettext("改判"), "#ae3ec9", days, lambda one: one.overturned, form=_DOT),
    )
    return {
        **_frame(days),
        "yAxis": {"type": "value", "max": _HUNDRED, "axisLabel": {"formatter": "{value}%"}},
        "series": [*parts, *dots],
    }


def times(days: Sequence[MachineDay]) -> dict[str, Any]:
    """Draw how long the median and the slowest in a hundred took on each day, in seconds."""
    return {
        **_frame(days),
        "yAxis": {"type": "value", "axisLabel": {"formatter": gettext("{value} 秒")}},
        "series": [
            _seconds(gettext("中位"), "#0ca678", [day.share.p50_ms for day in days]),
            _seconds(gettext("最慢百分之一"), "#f76707", [day.share.p99_ms for day in days]),
        ],
    }


def _frame(days: Sequence[MachineDay]) -> dict[str, Any]:
    axis = [f"{day.on.month}-{day.on.day:02}" for day in days]
    return {
        "tooltip": {"trigger": "axis"},
        "legend": {"top": 0},
        "grid": _GRID,
        "xAxis": {"type": "category", "data": axis},
    }


def _share(
    name: str,
    colour: str,
    days: Sequence[MachineDay],
    count: Callable[[MachineShare], int],
    *,
    form: Mapping[str, Any] = _STACKED,
) -> dict[str, Any]:
    found = [count(day.share) for day in days]
    data = [_percent(n, day.share.total) if n else None for n, day in zip(found, days, strict=True)]
    return {"name": name, "color": colour, "data": data, **form}


def _percent(part: int, whole: int) -> str:
    return str(round(Decimal(part * _HUNDRED) / whole, 1))


def _seconds(name: str, colour: str, found: Sequence[int | None]) -> dict[str, Any]:
    data = [None if ms is None else str(Decimal(ms) / _A_SECOND_MS) for ms in found]
    return {"name": name, "color": colour, "data": data, "type": "bar", "barMaxWidth": _WIDEST}
