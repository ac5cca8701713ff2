"""Amounts, dates and counts inside a normalised text.

Amounts come out as yuan with two decimals, dates as ISO dates where the words tell one, counts as
digits. It does not know what they are for.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

_DIGITS: Final = {sign: number for number, sign in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
}
_UNITS: Final = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_NUMBER: Final = r"(?:\d{1,9}(?:,\d{3})*(?:\.\d+)?|[零〇一二两三四五六七八九十百千万]+)"
_AMOUNT: Final = re.compile(rf"(?:¥|￥|rmb)?(?P<n>{_NUMBER})(?P<unit>万|千)?(?:元|块钱?|圆|rmb)")
_SIGNED: Final = re.compile(rf"(?:¥|￥)(?P<n>{_NUMBER})(?P<unit>万|千)?")
_COUNT: Final = re.compile(rf"(?P<n>{_NUMBER})(?:个)?(?:期|次(?!性)|笔|天)")
_FULL_DATE: Final = re.compile(r"(20\d{2})[-/.年](\d{1,2})[-/.月](\d{1,2})")
_MONTH_DAY: Final = re.compile(rf"(?P<m>{_NUMBER})月(?P<d>{_NUMBER})[日号]?")
_NEXT_MONTH: Final = re.compile(rf"下个?月(?P<d>{_NUMBER})[日号]")
_DAY: Final = re.compile(rf"(?<!月)(?P<d>{_NUMBER})[日号]")
_AHEAD: Final = {
    "大后天": 3,
    "后天": 2,
    "明天": 1,
    "明儿": 1,
    "今天": 0,
    "今儿": 0,
    "昨天": -1,
    "前天": -2,
}
_RELATIVE: Final = re.compile("|".join(_AHEAD))
_DECEMBER: Final = 12


def read_slots(text: str, *, on: date | None) -> dict[str, str]:
    """Read what can be read; absent slots are left out."""
    amount, when, count = _amount(text), _date(text, on), _COUNT.search(text)
    found = {"amount": amount, "date": when, "count": _number(count["n"]) if count else None}
    return {name: str(value) for name, value in found.items() if value is not None}


def _amount(text: str) -> str | None:
    found = _AMOUNT.search(text) or _SIGNED.search(text)
    if found is None:
        return None
    number = _number(found["n"])
    if number is None:
        return None
    return f"{number * _UNITS.get(found['unit'] or '', 1):.2f}"


def _number(text: str) -> Decimal | None:
    """Read digits or a Chinese number below a hundred million."""
    if text[0].isdigit():
        return Decimal(text.replace(",", ""))
    total, section, digit = 0, 0, 0
    for sign in text:
        if sign == "万":
            total, section, digit = (total + section + digit) * _UNITS[sign], 0, 0
        elif sign in _UNITS:
            section += (digit or 1) * _UNITS[sign]
            digit = 0
        else:
            digit = _DIGITS[sign]
    return Decimal(total + section + digit)


def _date(text: str, on: date | None) -> str | None:
    """Return an ISO date, or the words themselves where the day cannot be told."""
    full = _FULL_DATE.search(text)
    if full:
        return _iso(lambda: date(int(full[1]), int(full[2]), int(full[3])), full[0])
    for pattern, reader in _READERS:
        found = pattern.search(text)
        if found:
            return _iso(lambda: reader(found, on), found[0]) if on else found[0]  # noqa: B023 -- called at once
    return None


def _iso(make: Callable[[], date], said: str) -> str:
    try:
        return make().isoformat()
    except (ValueError, OverflowError, TypeError):
        return said


def _day_of(found: re.Match[str], name: str) -> int:
    return int(_number(found[name]) or 0)


def _in_next_month(found: re.Match[str], on: date) -> date:
    year, month = (on.year + 1, 1) if on.month == _DECEMBER else (on.year, on.month + 1)
    return date(year, month, _day_of(found, "d"))


def _of_the_year(found: re.Match[str], on: date) -> date:
    return date(on.year, _day_of(found, "m"), _day_of(found, "d"))


def _of_the_month(found: re.Match[str], on: date) -> date:
    return on.replace(day=_day_of(found, "d"))


def _from_today(found: re.Match[str], on: date) -> date:
    return on + timedelta(days=_AHEAD[found[0]])


_READERS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], date]], ...]] = (
    (_NEXT_MONTH, _in_next_month),
    (_MONTH_DAY, _of_the_year),
    (_DAY, _of_the_month),
    (_RELATIVE, _from_today),
)
