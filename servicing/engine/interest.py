"""What a period bears: shares of a year by day count, and interest on the balances within it.

Shares and interest are exact fractions, so that half a fen is half a fen; nothing is rounded before
the profile says so.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from servicing.engine.periods import Frequency, Unit
from servicing.engine.profile import DayCount, InterestBy, InterestRounding, PartBy, Profile

_LONG_YEAR = 366
_YEAR = 365
_CALENDAR_MONTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time that one instalment is for; half-open in days, both ends are due dates.

    Attributes:
        periods: How many periods of the frequency it is, so that it bears their nominal share; 0
            if it is of another length and its days count.
    """

    from_on: date
    due_on: date
    periods: int = 1

    @property
    def days(self) -> int:
        """How long it is."""
        return (self.due_on - self.from_on).days


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a period with one balance, fen, and one annual rate."""

    from_on: date
    to_on: date
    balance_fen: int
    rate_annual: Decimal


def share(
    profile: Profile, frequency: Frequency, period: Period, from_on: date, to_on: date
) -> Fraction:
    """Return which share of a year the days from one date to another in a period are."""
    if to_on <= from_on:
        return Fraction(0)
    nominal = _nominal_share(profile, frequency, from_on) if period.periods else None
    if nominal is None or _crosses_years(profile, from_on, to_on):
        return _days_share(profile.day_count, from_on, to_on)
    whole = nominal * period.periods
    if profile.part_by is PartBy.PROPORTION:
        return whole * (to_on - from_on).days / period.days
    return _share_so_far(profile, period, to_on, whole) - _share_so_far(
        profile, period, from_on, whole
    )


def _share_so_far(profile: Profile, period: Period, on: date, whole: Fraction) -> Fraction:
    """A whole period earns by the day until it has earned its nominal share."""
    if on >= period.due_on:
        return whole
    return min(whole, _days_share(profile.day_count, period.from_on, on))


def _crosses_years(profile: Profile, from_on: date, to_on: date) -> bool:
    """Days that lie in years of different length count by their own."""
    is_by_days = profile.interest_by is InterestBy.DAYS and profile.day_count.year_days is None
    return is_by_days and from_on.year != to_on.year


def _nominal_share(profile: Profile, frequency: Frequency, on: date) -> Fraction | None:
    """Return the share of a year that one period nominally is, None if its days decide."""
    if profile.interest_by is InterestBy.PERIODS:
        return period_share(profile, frequency)
    month_days, year_days = profile.day_count.month_days, profile.day_count.year_days
    if month_days and frequency.months:
        return Fraction(month_days * frequency.months, year_days or _days_in(on.year))
    return None


def period_share(profile: Profile, frequency: Frequency) -> Fraction:
    """Return the share of a year that a period is by agreement.

    Periods of days count by the product's year.
    """
    if frequency.unit is Unit.DAYS and profile.day_count.year_days:
        return Fraction(frequency.days, profile.day_count.year_days)
    return frequency.share_of_year


def _days_share(day_count: DayCount, from_on: date, to_on: date) -> Fraction:
    if to_on <= from_on:
        return Fraction(0)
    if day_count.year_days:
        return Fraction((to_on - from_on).days, day_count.year_days)
    years = range(from_on.year, to_on.year)
    cuts = [from_on, *(date(year, 12, 31) for year in years), to_on]
    return sum(
        (Fraction((to - since).days, _days_in(to.year)) for since, to in pairwise(cuts)),
        Fraction(0),
    )


def _days_in(year: int) -> int:
    return _LONG_YEAR if calendar.isleap(year) else _YEAR


def level_share(profile: Profile, frequency: Frequency) -> Decimal:
    """Return the share of a year that one period counts for in an equal instalment.

    By `MONTHS_OF_30` it is thirty days over the product's year, whatever the months are.
    """
    year_days = profile.day_count.year_days or _YEAR
    if frequency.months:
        return Decimal(_CALENDAR_MONTH * frequency.months) / year_days
    return Decimal(frequency.days) / year_days


def interest_fen(
    profile: Profile, frequency: Frequency, period: Period, segments: Sequence[Segment]
) -> int:
    """Return the interest of a period, or of the part of it that the segments cover, fen."""
    exact = [
        segment.balance_fen
        * Fraction(segment.rate_annual)
        * share(profile, frequency, period, segment.from_on, segment.to_on)
        for segment in segments
    ]
    if profile.interest_rounding is InterestRounding.PER_SEGMENT:
        return sum(profile.fen(part) for part in exact)
    return profile.fen(sum(exact, Fraction(0)))


def day_before(on: date) -> date:
    """Return the day before: what happens on a day bears on the step that leads to it."""
    return on - timedelta(days=1)


def day_after(on: date) -> date:
    """Return the day after."""
    return on + timedelta(days=1)
