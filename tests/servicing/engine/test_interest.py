"""Shares of a year against day counts that were worked out by hand."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from kernel.money import Rounding
from servicing.engine.interest import Period, Segment, interest_fen, level_share, share
from servicing.engine.periods import Frequency, Unit
from servicing.engine.profile import (
    ACTUAL_360,
    ACTUAL_364,
    ACTUAL_365,
    ACTUAL_ACTUAL,
    FINERACT_PROGRESSIVE,
    HOUSE,
    THIRTY_360,
    DayCount,
    InterestRounding,
)

MONTHLY = Frequency()
JANUARY = Period(from_on=date(2024, 1, 1), due_on=date(2024, 2, 1))
OVER_NEW_YEAR = Period(from_on=date(2023, 12, 1), due_on=date(2024, 1, 1))


def by_days(day_count: DayCount):
    return replace(FINERACT_PROGRESSIVE, day_count=day_count)


class TestShare:
    @pytest.mark.parametrize(
        ("day_count", "wanted"),
        [
            (THIRTY_360, Fraction(30, 360)),
            (ACTUAL_360, Fraction(31, 360)),
            (ACTUAL_364, Fraction(31, 364)),
            (ACTUAL_365, Fraction(31, 365)),
            (ACTUAL_ACTUAL, Fraction(31, 366)),
            (DayCount(month_days=30), Fraction(30, 366)),
        ],
    )
    def test_of_a_month_follows_the_day_count(self, day_count: DayCount, wanted: Fraction) -> None:
        profile = by_days(day_count)
        got = share(profile, MONTHLY, JANUARY, JANUARY.from_on, JANUARY.due_on)
        assert got == wanted

    def test_is_split_where_the_year_changes_its_length(self) -> None:
        got = share(
            by_days(ACTUAL_ACTUAL),
            MONTHLY,
            OVER_NEW_YEAR,
            OVER_NEW_YEAR.from_on,
            OVER_NEW_YEAR.due_on,
        )
        assert got == Fraction(30, 365) + Fraction(1, 366)

    def test_of_a_part_is_in_proportion_where_the_profile_says_so(self) -> None:
        got = share(by_days(THIRTY_360), MONTHLY, JANUARY, date(2024, 1, 1), date(2024, 1, 8))
        assert got == Fraction(30, 360) * Fraction(7, 31)

    def test_of_a_part_in_the_house_counts_days_up_to_the_whole(self) -> None:
        first = share(HOUSE, MONTHLY, JANUARY, date(2024, 1, 1), date(2024, 1, 11))
        rest = share(HOUSE, MONTHLY, JANUARY, date(2024, 1, 11), date(2024, 2, 1))
        assert first == Fraction(10, 360)
        assert first + rest == Fraction(1, 12)
        nearly_all = share(HOUSE, MONTHLY, JANUARY, date(2024, 1, 1), date(2024, 1, 31))
        assert nearly_all == Fraction(1, 12)

    @pytest.mark.parametrize(
        ("frequency", "wanted"),
        [
            (Frequency(unit=Unit.WEEKS, every=2), Fraction(2, 52)),
            (Frequency(unit=Unit.DAYS, every=15), Fraction(15, 360)),
            (Frequency(every=3), Fraction(3, 12)),
        ],
    )
    def test_of_a_whole_period_in_the_house_is_nominal(
        self, frequency: Frequency, wanted: Fraction
    ) -> None:
        assert share(HOUSE, frequency, JANUARY, JANUARY.from_on, JANUARY.due_on) == wanted

    def test_of_a_short_first_period_counts_its_days(self) -> None:
        short = Period(from_on=date(2026, 1, 1), due_on=date(2026, 1, 21), periods=0)
        assert share(HOUSE, MONTHLY, short, short.from_on, short.due_on) == Fraction(20, 360)

    def test_of_no_days_is_nothing(self) -> None:
        assert share(HOUSE, MONTHLY, JANUARY, JANUARY.due_on, JANUARY.from_on) == 0


class TestLevelShare:
    def test_takes_a_month_for_thirty_days(self) -> None:
        profile = replace(HOUSE, day_count=ACTUAL_365)
        assert level_share(profile, MONTHLY) == Decimal(30) / 365
        assert level_share(profile, Frequency(unit=Unit.DAYS, every=14)) == Decimal(14) / 365
        assert level_share(replace(HOUSE, day_count=DayCount()), MONTHLY) == Decimal(30) / 365


class TestInterestFen:
    def halves(self, rate: str) -> list[Segment]:
        middle = date(2024, 1, 11)
        return [
            Segment(
                from_on=JANUARY.from_on,
                to_on=middle,
                balance_fen=30_000,
                rate_annual=Decimal(rate),
            ),
            Segment(
                from_on=middle, to_on=JANUARY.due_on, balance_fen=60_000, rate_annual=Decimal(rate)
            ),
        ]

    @pytest.mark.parametrize(
        ("rounding", "wanted"),
        [(InterestRounding.ONCE, 65), (InterestRounding.PER_SEGMENT, 66)],
    )
    def test_is_rounded_once_or_for_each_balance(
        self, rounding: InterestRounding, wanted: int
    ) -> None:
        # 30,000 × 10/365 + 60,000 × 21/365 of 1.53 % is 12.58 + 52.82 fen.
        profile = replace(by_days(ACTUAL_365), interest_rounding=rounding)
        profile = replace(profile, rounding=Rounding.HALF_UP)
        assert interest_fen(profile, MONTHLY, JANUARY, self.halves("0.0153")) == wanted

    def test_takes_half_a_fen_for_half_a_fen(self) -> None:
        # 60 × 70 % / 12 is 3.5 fen, 300 × 10 % / 12 is 2.5 fen.
        exactly_half = Segment(
            from_on=JANUARY.from_on,
            to_on=JANUARY.due_on,
            balance_fen=60,
            rate_annual=Decimal("0.7"),
        )
        assert interest_fen(HOUSE, MONTHLY, JANUARY, [exactly_half]) == 4
        even = replace(HOUSE, rounding=Rounding.HALF_EVEN)
        assert interest_fen(even, MONTHLY, JANUARY, [exactly_half]) == 4
        fewer = replace(exactly_half, balance_fen=300, rate_annual=Decimal("0.1"))
        assert interest_fen(HOUSE, MONTHLY, JANUARY, [fewer]) == 3
        assert interest_fen(even, MONTHLY, JANUARY, [fewer]) == 2
