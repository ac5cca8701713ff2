from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicing.engine.periods import (
    Anchor,
    Frequency,
    MonthEnd,
    Unit,
    dates_after,
    due_dates,
    month_after,
    step,
)


def texts(dates: tuple[date, ...]) -> list[str]:
    return [on.isoformat() for on in dates]


class TestDueDates:
    @pytest.mark.parametrize(
        ("month_end", "wanted"),
        [
            (MonthEnd.CLAMP, ["2027-02-28", "2027-03-31", "2027-04-30"]),
            (MonthEnd.ROLL, ["2027-03-01", "2027-03-31", "2027-05-01"]),
        ],
    )
    def test_of_the_thirty_first_are_clamped_or_rolled(
        self, month_end: MonthEnd, wanted: list[str]
    ) -> None:
        dates = due_dates(
            start=date(2027, 1, 31), count=3, frequency=Frequency(), month_end=month_end
        )
        assert texts(dates) == wanted

    @pytest.mark.parametrize(
        ("frequency", "wanted"),
        [
            (Frequency(unit=Unit.WEEKS, every=2), ["2026-01-19", "2026-02-02"]),
            (Frequency(unit=Unit.DAYS, every=15), ["2026-01-20", "2026-02-04"]),
            (Frequency(every=3), ["2026-04-05", "2026-07-05"]),
            (Frequency(unit=Unit.YEARS), ["2027-01-05", "2028-01-05"]),
        ],
    )
    def test_follow_the_frequency(self, frequency: Frequency, wanted: list[str]) -> None:
        assert texts(due_dates(start=date(2026, 1, 5), count=2, frequency=frequency)) == wanted

    @pytest.mark.parametrize(
        ("anchor", "wanted"),
        [
            (Anchor.MONTH_START, ["2026-02-01", "2026-03-01"]),
            (Anchor.MONTH_END, ["2026-01-31", "2026-02-28"]),
            (Anchor.SAME_DAY, ["2026-02-17", "2026-03-17"]),
        ],
    )
    def test_may_be_anchored_in_the_month(self, anchor: Anchor, wanted: list[str]) -> None:
        dates = due_dates(start=date(2026, 1, 17), count=2, frequency=Frequency(), anchor=anchor)
        assert texts(dates) == wanted

    def test_may_start_on_a_day_that_was_agreed(self) -> None:
        dates = due_dates(
            start=date(2026, 1, 17), count=2, frequency=Frequency(), first=date(2026, 2, 5)
        )
        assert texts(dates) == ["2026-02-05", "2026-03-05"]


class TestDatesAfter:
    @pytest.mark.parametrize(
        ("known", "month_end", "wanted"),
        [
            (["2026-01-31", "2026-02-28"], MonthEnd.CLAMP, ["2026-03-31", "2026-04-30"]),
            (["2026-01-30", "2026-02-28"], MonthEnd.CLAMP, ["2026-03-30", "2026-04-30"]),
            (["2026-10-31", "2026-11-30"], MonthEnd.ROLL, ["2026-12-30", "2027-01-30"]),
            (["2026-10-31", "2026-12-01"], MonthEnd.ROLL, ["2026-12-31", "2027-01-31"]),
            (["2026-01-31", "2026-06-30"], MonthEnd.CLAMP, ["2026-07-31", "2026-08-31"]),
            (["2026-01-31", "2026-02-28", "2026-03-10"], MonthEnd.CLAMP, ["2026-04-10"]),
            (["2024-02-29", "2024-03-29"], MonthEnd.CLAMP, ["2024-04-29"]),
        ],
    )
    def test_keep_the_day_of_the_month_that_the_series_has(
        self, known: list[str], month_end: MonthEnd, wanted: list[str]
    ) -> None:
        days = [date.fromisoformat(text) for text in known]
        found = dates_after(days, len(wanted), Frequency(), month_end=month_end)
        assert texts(found) == wanted

    @given(
        start=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
        count=st.integers(1, 20),
        more=st.integers(1, 12),
        frequency=st.sampled_from(
            [Frequency(), Frequency(every=3), Frequency(unit=Unit.WEEKS, every=2)]
        ),
        month_end=st.sampled_from(list(MonthEnd)),
    )
    def test_are_those_that_a_longer_loan_has(
        self, start: date, count: int, more: int, frequency: Frequency, month_end: MonthEnd
    ) -> None:
        whole = due_dates(start=start, count=count + more, frequency=frequency, month_end=month_end)
        known = [start, *whole[:count]]
        assert dates_after(known, more, frequency, month_end=month_end) == whole[count:]


class TestMonthAfter:
    @given(start=st.dates(date(2020, 1, 1), date(2030, 1, 1)), months=st.integers(-24, 24))
    def test_keeps_the_day_or_takes_the_last(self, start: date, months: int) -> None:
        on = month_after(start, months)
        assert (on.year * 12 + on.month) - (start.year * 12 + start.month) == months
        is_last = step(on, Frequency(unit=Unit.DAYS), 1).day == 1
        assert on.day == start.day or (on.day < start.day and is_last)


class TestFrequency:
    @pytest.mark.parametrize(
        ("frequency", "wanted"),
        [
            (Frequency(), 12),
            (Frequency(unit=Unit.YEARS), 1),
            (Frequency(unit=Unit.WEEKS, every=2), 26),
            (Frequency(unit=Unit.DAYS, every=73), 5),
        ],
    )
    def test_knows_how_many_periods_a_year_has(self, frequency: Frequency, wanted: int) -> None:
        assert frequency.periods_a_year == Decimal(wanted)
