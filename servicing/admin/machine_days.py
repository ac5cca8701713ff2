"""What the machine made of applications day by day, as pictures; they are counted in queries."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from flask_babel import gettext

from servicing.queries import MachineDay, MachineShare

_GREEN: Final = "#2fb344"
_RED: Final = "#d63939"
_ORANGE: Final = "#f59f00"
_GRID: Final = {"left": 16, "right": 24, "top": 36, "bottom": 4, "containLabel": True}
_HUNDRED: Final = 100
_A_SECOND_MS: Final = 1_000


def shares(days: Sequence[MachineDay]) -> dict[str, Any]:
    """Draw, of each day's applications, what the machine approved, declined and left to people.

    The three fill the day; those whose applicants asked for a person, and the ones that the person
    decided otherwise, are lines over it.
    """
    areas = (
        _line(gettext("通过"), _GREEN, days, lambda one: one.approve, is_area=True),
        _line(gettext("拒绝"), _RED, days, lambda one: one.decline, is_area=True),
        _line(gettext("转人工"), _ORANGE, days, lambda one: one.review, is_area=True),
    )
    lines = (
        _line(gettext("申诉"), "#4263eb", days, lambda one: one.appealed),
        _line(gettext("改判"), "#ae3ec9", days, lambda one: one.overturned),
    )
    return {
        **_frame(days),
        "yAxis": {"type": "value", "max": _HUNDRED, "axisLabel": {"formatter": "{value}%"}},
        "series": [*areas, *lines],
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
        "xAxis": {"type": "category", "data": axis, "boundaryGap": False},
    }


def _line(
    name: str,
    colour: str,
    days: Sequence[MachineDay],
    count: Callable[[MachineShare], int],
    *,
    is_area: bool = False,
) -> dict[str, Any]:
    style = {"stack": "all", "areaStyle": {"opacity": "0.25"}} if is_area else {}
    return {
        "name": name,
        "type": "line",
        "showSymbol": len(days) == 1,
        "color": colour,
        "data": [_percent(count(day.share), day.share.total) for day in days],
        **style,
    }


def _percent(part: int, whole: int) -> str | None:
    return str(round(Decimal(part * _HUNDRED) / whole, 1)) if whole else None


def _seconds(name: str, colour: str, found: Sequence[int | None]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "line",
        "showSymbol": len(found) == 1,
        "color": colour,
        "data": [None if ms is None else str(Decimal(ms) / _A_SECOND_MS) for ms in found],
    }
