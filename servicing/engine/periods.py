"""Due dates: how far apart they lie and what happens at the end of a month.

Dates are business dates. Holidays are none of its business: a due date stays where it falls.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

MONTHS_A_YEAR = 12
DAYS_A_WEEK = 7
WEEKS_A_YEAR = 52
DAYS_A_YEAR = 365


class Unit(StrEnum):
    """What a frequency counts."""

    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"


class MonthEnd(StrEnum):
    """Where a due date goes that its month does not have."""

    CLAMP = "clamp"
    ROLL = "roll"


class Anchor(StrEnum):
    """On which day of a month monthly instalments fall due."""

    SAME_DAY = "same-day"
    MONTH_START = "month-start"
    MONTH_END = "month-end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequency:
    """How far due dates lie apart.

    Attributes:
        every: In units, > 0.
    """

    unit: Unit = Unit.MONTHS
    every: int = 1

    @property
    def months(self) -> int:
        """Months between due dates, 0 if it does not count months."""
        counted = {Unit.MONTHS: 1, Unit.YEARS: MONTHS_A_YEAR}
        return counted.get(self.unit, 0) * self.every

    @property
    def days(self) -> int:
        """Days between due dates, 0 if it counts months."""
        counted = {Unit.DAYS: 1, Unit.WEEKS: DAYS_A_WEEK}
        return counted.get(self.unit, 0) * self.every

    @property
    def share_of_year(self) -> Fraction:
        """What one period nominally is of a year of 12 months, 52 weeks or 365 days."""
        if self.months:
            return Fraction(self.months, MONTHS_A_YEAR)
        if self.unit is Unit.WEEKS:
            return Fraction(self.every, WEEKS_A_YEAR)
        return Fraction(self.days, DAYS_A_YEAR)

    @property
    def periods_a_year(self) -> Decimal:
        """How many periods a year has."""
        share = self.share_of_year
        return Decimal(share.denominator) / share.numerator


MONTHLY = Frequency()


def month_after(start: date, months: int, *, month_end: MonthEnd = MonthEnd.CLAMP) -> date:
    """Return the same day some months later; a day that is not there is clamped or rolled on."""
    index = start.year * MONTHS_A_YEAR + start.month - 1 + months
    year, month = divmod(index, MONTHS_A_YEAR)
    last = calendar.monthrange(year, month + 1)[1]
    if start.day <= last:
        return date(year, month + 1, start.day)
    end = date(year, month + 1, last)
    return end if month_end is MonthEnd.CLAMP else end + timedelta(days=1)


def step(
    start: date, frequency: Frequency, count: int, *, month_end: MonthEnd = MonthEnd.CLAMP
) -> date:
    """Return the date some periods after a start."""
    if frequency.months:
        return month_after(start, frequency.months * count, month_end=month_end)
    return start + timedelta(days=frequency.days * count)


def periods_between(
    start: date, on: date, frequency: Frequency, *, month_end: MonthEnd = MonthEnd.CLAMP
) -> int | None:
    """Count the periods after which a later date follows a start; None if it never does."""
    months = (on.year - start.year) * MONTHS_A_YEAR + on.month - start.month
    apart = months // frequency.months if frequency.months else (on - start).days // frequency.days
    nearby = (apart, apart - 1)  # a day that rolled on lies in the month after
    dates = {step(start, frequency, count, month_end=month_end): count for count in nearby}
    return dates.get(on)


def _apart(
    start: date, known: Sequence[date], frequency: Frequency, month_end: MonthEnd
) -> list[int | None]:
    later = [on for on in known if on >= start]
    return [periods_between(start, on, frequency, month_end=month_end) for on in later]


def dates_after(
    known: Sequence[date],
    count: int,
    frequency: Frequency,
    *,
    month_end: MonthEnd = MonthEnd.CLAMP,
) -> tuple[date, ...]:
    """Continue a series of due dates, the day before its first one included.

    It goes on from the earliest date that the later ones follow from, so a loan of the 31st stays
    one although its last instalment fell due on the 30th.
    """
    start, since = next(
        (start, apart[-1] or 0)
        for start in known
        if None not in (apart := _apart(start, known, frequency, month_end))
    )
    steps = range(since + 1, since + count + 1)
    return tuple(step(start, frequency, n, month_end=month_end) for n in steps)


def first_due(start: date, frequency: Frequency, *, anchor: Anchor, month_end: MonthEnd) -> date:
    """Return when the first instalment falls due if nothing else is agreed."""
    if anchor is Anchor.MONTH_START:
        return month_after(start.replace(day=1), 1)
    if anchor is Anchor.MONTH_END:
        return start.replace(day=calendar.monthrange(start.year, start.month)[1])
    return step(start, frequency, 1, month_end=month_end)


def due_dates(
    *,
    start: date,
    count: int,
    frequency: Frequency,
    first: date | None = None,
    month_end: MonthEnd = MonthEnd.CLAMP,
    anchor: Anchor = Anchor.SAME_DAY,
) -> tuple[date, ...]:
    """List so many due dates after a disbursement, or from a first one that was agreed.

    Every date is counted from the start, so a loan of the 31st falls due on the last day of short
    months and on the 31st of the others.
    """
    usual = first_due(start, frequency, anchor=anchor, month_end=month_end)
    if anchor is Anchor.MONTH_END:
        month = (first or usual).replace(day=1)
        return tuple(month_after(month, n + 1) - timedelta(days=1) for n in range(count))
    if first is None and anchor is Anchor.SAME_DAY:
        return tuple(step(start, frequency, n + 1, month_end=month_end) for n in range(count))
    return tuple(step(first or usual, frequency, n, month_end=month_end) for n in range(count))
