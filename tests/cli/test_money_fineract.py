"""Plans like the published ones with other amounts, dates and products.

Every expected figure is computed from a formula, never by the engine.
"""

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from money_case_making import (
    annuity,
    by_days,
    disburse,
    fineract,
    levelled,
    money,
    months_after,
    repay_level,
    rows_of,
    verdict,
)


class TestProgressiveSchedules:
    @pytest.mark.parametrize("principal", ["100", "137.77", "1000", "12345.67"])
    @pytest.mark.parametrize(
        ("rate", "count", "start"),
        [
            ("7", 6, date(2024, 1, 1)),
            ("9.4822", 6, date(2024, 1, 1)),
            ("11.9", 9, date(2023, 12, 31)),
            ("24", 12, date(2024, 1, 31)),
            ("35.99", 24, date(2023, 8, 29)),
        ],
    )
    @pytest.mark.parametrize("day_count", ["30/360", "30/365", "ACTUAL/360", "ACTUAL/ACTUAL"])
    def test_of_months(
        self, tmp_path: Path, principal: str, rate: str, count: int, start: date, day_count: str
    ) -> None:
        month, year = day_count.split("/")
        dates = [months_after(start, n) for n in range(count + 1)]
        shares = by_days(dates, None if year == "ACTUAL" else int(year))
        if month == "30":
            shares = [Fraction(30, int(year))] * count
        factors = [Fraction(rate) / 100 * share for share in shares]
        rows = rows_of(dates, levelled(Decimal(principal), factors), Decimal(principal))
        case = fineract(
            disburse(start, principal),
            expected={"schedule": rows},
            config={
                "schedule_engine": "progressive",
                "days_in_month": month,
                "days_in_year": year,
            },
            principal=principal,
            annual_rate_pct=rate,
            installments=count,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(
        ("unit", "every", "days", "year"),
        [("WEEKS", 1, 7, 364), ("WEEKS", 2, 14, 364), ("DAYS", 15, 15, 360), ("DAYS", 10, 10, 365)],
    )
    @pytest.mark.parametrize("count", [1, 5, 13])
    def test_of_weeks_and_days(
        self, tmp_path: Path, unit: str, every: int, days: int, year: int, count: int
    ) -> None:
        start, principal = date(2024, 2, 20), Decimal("860.40")
        dates = [start + timedelta(days=days * n) for n in range(count + 1)]
        factors = [Fraction("0.136") * share for share in by_days(dates, year)]
        rows = rows_of(dates, levelled(principal, factors), principal)
        case = fineract(
            disburse(start, principal),
            expected={"schedule": rows},
            config={
                "schedule_engine": "progressive",
                "days_in_month": "ACTUAL",
                "days_in_year": str(year),
            },
            principal=str(principal),
            annual_rate_pct="13.6",
            installments=count,
            repay_unit=unit,
            repay_every=every,
        )
        assert verdict(tmp_path, case) == "PASS own"


class TestCumulativeSchedules:
    @pytest.mark.parametrize("principal", ["5000", "7777.77"])
    @pytest.mark.parametrize(("rate", "count"), [("12", 6), ("18.5", 10), ("9", 18)])
    @pytest.mark.parametrize("multiple", ["1", None, "5"])
    @pytest.mark.parametrize("period", ["SAME_AS_REPAYMENT_PERIOD", "DAILY"])
    def test_of_equal_instalments(
        self,
        tmp_path: Path,
        principal: str,
        rate: str,
        count: int,
        multiple: str | None,
        period: str,
    ) -> None:
        dates = [months_after(date(2022, 10, 31), n) for n in range(count + 1)]
        yearly, whole = Fraction(rate) / 100, Decimal(principal)
        is_daily = period == "DAILY"
        level_by = yearly * (Fraction(30, 365) if is_daily else Fraction(1, 12))
        level = money(annuity(whole, [level_by] * count), to=Decimal(multiple or "0.01"))
        shares = by_days(dates, 365) if is_daily else [Fraction(1, 12)] * count
        parts = repay_level(whole, level, [yearly * share for share in shares], ROUND_HALF_EVEN)
        case = fineract(
            disburse(dates[0], principal),
            expected={"schedule": rows_of(dates, parts, whole)},
            config={"schedule_engine": "cumulative", "installment_multiple_of": multiple},
            principal=principal,
            annual_rate_pct=rate,
            installments=count,
            interest_calc_period=period,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(
        ("days", "year", "count"), [(15, "360", 4), (15, "ACTUAL", 6), (10, "365", 3)]
    )
    def test_of_days_in_which_a_year_is_as_long_as_the_product_says(
        self, tmp_path: Path, days: int, year: str, count: int
    ) -> None:
        principal, length = Decimal(3000), 365 if year == "ACTUAL" else int(year)
        dates = [date(2022, 3, 1) + timedelta(days=days * n) for n in range(count + 1)]
        factors = [Fraction("0.12") * days / length] * count
        level = money(annuity(principal, factors))
        parts = repay_level(principal, level, factors, ROUND_HALF_EVEN)
        case = fineract(
            disburse(dates[0], principal),
            expected={"schedule": rows_of(dates, parts, principal)},
            config={"schedule_engine": "cumulative", "days_in_year": year},
            principal="3000",
            annual_rate_pct="12",
            installments=count,
            repay_unit="DAYS",
            repay_every=days,
            interest_calc_period="SAME_AS_REPAYMENT_PERIOD",
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("principal", "count"), [("1000", 3), ("4321", 7), ("950.05", 12)])
    def test_of_flat_interest(self, tmp_path: Path, principal: str, count: int) -> None:
        dates = [months_after(date(2023, 5, 15), n) for n in range(count + 1)]
        whole = Decimal(principal)
        interest = money(Fraction(principal) * Fraction("0.135") / 12 * count)
        each, share = money(interest / count), money(whole / count)
        parts = [(share, each)] * (count - 1)
        parts.append((whole - share * (count - 1), interest - each * (count - 1)))
        case = fineract(
            disburse(dates[0], principal),
            expected={"schedule": rows_of(dates, parts, whole)},
            config={"schedule_engine": "cumulative"},
            principal=principal,
            annual_rate_pct="13.5",
            installments=count,
            interest_method="FLAT",
            interest_calc_period="SAME_AS_REPAYMENT_PERIOD",
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("count", "grace"), [(4, 0), (7, 2), (12, 11)])
    def test_of_equal_principal_with_grace(self, tmp_path: Path, count: int, grace: int) -> None:
        dates = [months_after(date(2023, 11, 30), n) for n in range(count + 1)]
        left, parts = Decimal("6100.10"), []
        share = money(left / (count - grace))
        for n in range(count):
            interest = money(Fraction(left) * Fraction("0.21") / 12)
            repaid = Decimal(0) if n < grace else left if n == count - 1 else share
            parts.append((repaid, interest))
            left -= repaid
        case = fineract(
            disburse(dates[0], "6100.10"),
            expected={"schedule": rows_of(dates, parts, Decimal("6100.10"))},
            config={"schedule_engine": "cumulative"},
            principal="6100.10",
            annual_rate_pct="21",
            installments=count,
            grace_principal_periods=grace,
            amortization="EQUAL_PRINCIPAL_PAYMENTS",
            interest_calc_period="SAME_AS_REPAYMENT_PERIOD",
        )
        assert verdict(tmp_path, case) == "PASS own"
