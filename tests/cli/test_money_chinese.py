"""Cases of Chinese products in words of many kinds: plans, costs, early ends, lateness.

Every expected figure is computed here by a formula or by hand, never by the engine.
"""

import calendar
import json
from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cli.money_cases import run


def cents(exact: Fraction, rounding: str = ROUND_HALF_UP) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        value = Decimal(exact.numerator) / Decimal(exact.denominator)
        return value.quantize(Decimal("0.01"), rounding=rounding)


def annuity(
    principal: str, rate: str, count: int, rounding: str = ROUND_HALF_UP, periods: int = 12
) -> list[tuple[Decimal, Decimal, Decimal]]:
    """Principal, interest and balance of each row; the last takes what is left."""
    each, left = Fraction(rate) / periods, Decimal(principal)
    growth = (1 + each) ** count
    level = Fraction(principal) * each * growth / (growth - 1) if each else Fraction(left) / count
    payment, rows = cents(level, rounding), []
    for n in range(1, count + 1):
        interest = cents(Fraction(left) * each, rounding)
        part = left if n == count else min(left, payment - interest)
        left -= part
        rows.append((part, interest, left))
    return rows


def verdict(tmp_path: Path, name: str, expected: dict[str, Any], **given: Any) -> str:
    case = {"id": "own", "name": name, "input": given, "expected": expected}
    path, lines = tmp_path / "cases.json", list[str]()
    path.write_text(json.dumps([case], default=str), encoding="utf-8")
    run([path], lines.append)
    return lines[0]


class TestPlans:
    @pytest.mark.parametrize("count", [1, 2, 7, 13, 37, 60])
    @pytest.mark.parametrize(
        ("principal", "rate"),
        [("1.00", "0.24"), ("99999999.99", "0.0435"), ("12345.67", "0"), ("0.60", "0.36")],
    )
    @pytest.mark.parametrize("rounding", ["HALF_UP", "HALF_EVEN"])
    def test_of_equal_instalments_follow_the_formula(
        self, tmp_path: Path, count: int, principal: str, rate: str, rounding: str
    ) -> None:
        mode = {"HALF_UP": ROUND_HALF_UP, "HALF_EVEN": ROUND_HALF_EVEN}[rounding]
        rows = annuity(principal, rate, count, mode)
        given = {"amount": principal, "contract_rate": rate, "periods": count}
        given["rounding"] = f"{rounding} 0.01, last row absorbs"
        expected = {
            "rows(principal,interest,balance)": [list(row) for row in rows],
            "schedule": [{"n": n, "interest": row[1]} for n, row in enumerate(rows, start=1)],
            "total_interest": sum(row[1] for row in rows),
        }
        assert verdict(tmp_path, "等额本息", expected, **given) == "PASS own"

    @pytest.mark.parametrize(
        ("frequency", "periods"),
        [({"frequency": "weekly"}, 52), ({"frequency": "quarterly"}, 4)],
    )
    def test_of_other_periods_bear_their_share_of_the_year(
        self, tmp_path: Path, frequency: dict[str, str], periods: int
    ) -> None:
        rows = annuity("5000", "0.1825", 10, periods=periods)
        given = {"principal": 5000, "annual_rate": "0.1825", "installments": 10} | frequency
        expected = {"rows(principal, interest, remaining)": [list(row) for row in rows]}
        assert verdict(tmp_path, "annuity", expected, method="annuity", **given) == "PASS own"

    def test_of_fifteen_days_bear_them_over_the_products_year(self, tmp_path: Path) -> None:
        # 3,600 × 18 % × 15 / 360 = 27.00, and so on down by 1,200 each time.
        given = {"principal": 3600, "annual_rate": "0.18", "terms": 3, "period_days": 15}
        expected = {
            "rows(due_date,principal,interest)": [
                ["2026-03-16", "1200.00", "27.00"],
                ["2026-03-31", "1200.00", "18.00"],
                ["2026-04-15", "1200.00", "9.00"],
            ]
        }
        assert verdict(tmp_path, "等额本金", expected, start="2026-03-01", **given) == "PASS own"

    @pytest.mark.parametrize("start", ["2026-01-28", "2026-01-29", "2027-10-31", "2023-11-30"])
    def test_keep_the_day_of_the_month_or_its_end(self, tmp_path: Path, start: str) -> None:
        first = date.fromisoformat(start)
        dates = []
        for n in range(1, 15):
            year, month = divmod(first.year * 12 + first.month - 1 + n, 12)
            last = calendar.monthrange(year, month + 1)[1]
            dates.append(str(date(year, month + 1, min(first.day, last))))
        given = {"principal": 1400, "annual_rate": "0.12", "n": 14, "start": start}
        expected = {"due_dates": dates, "maturity_date": dates[-1]}
        assert verdict(tmp_path, "先息后本", expected, **given) == "PASS own"

    def test_of_interest_first_ask_for_principal_at_the_end(self, tmp_path: Path) -> None:
        expected = {
            "monthly_interest": "150.00",
            "first_payment": "150.00",
            "last_payment": "10150.00",
            "total_interest": "900.00",
            "irr_nominal_annual": "18.00%",
        }
        given = {"principal": 10000, "daily_rate": "0.0005", "months": 6}
        assert verdict(tmp_path, "先息后本", expected, **given) == "PASS own"

    @pytest.mark.parametrize(
        ("name", "method"),
        [
            ("equal principal, month end", None),
            ("some product", "EQUAL_PRINCIPAL"),
            ("some product", "等额本金"),
        ],
    )
    def test_are_known_by_their_method_in_either_language(
        self, tmp_path: Path, name: str, method: str | None
    ) -> None:
        given = {"principal": 3000, "annual_rate": "0.12", "terms": 3, "method": method}
        given = {key: value for key, value in given.items() if value is not None}
        assert verdict(tmp_path, name, {"total_interest": "60.00"}, **given) == "PASS own"

    def test_of_a_method_that_nobody_knows_are_skipped(self, tmp_path: Path) -> None:
        given = {"principal": 3000, "annual_rate": "0.12", "terms": 3, "method": "by the moon"}
        word = verdict(tmp_path, "等额", {"total_interest": "60.00"}, **given)
        assert word == "SKIP own the method bythemoon is not known here"

    def test_of_whole_yuan_leave_the_rest_to_the_last_row(self, tmp_path: Path) -> None:
        given = {"principal": 1000, "annual_rate": "0", "terms": 3, "rounding": "HALF_UP 1 yuan"}
        expected = {"rows(payment,balance)": [["333", "667"], ["333", "334"], ["334", "0"]]}
        assert verdict(tmp_path, "等额本息", expected, **given) == "PASS own"


class TestCosts:
    @pytest.mark.parametrize(
        ("fees", "fee"),
        [
            ({"monthly_fee": "12.50"}, "12.50"),
            ({"fee_per_instalment": 12.5}, "12.50"),
            ({"monthly_fee_rate": "0.001"}, "10.00"),
        ],
    )
    def test_count_fees_beside_interest(
        self, tmp_path: Path, fees: dict[str, Any], fee: str
    ) -> None:
        rows = annuity("10000", "0.12", 6)
        expected = {
            "monthly_fee": fee,
            "first_payment": rows[0][0] + rows[0][1] + Decimal(fee),
            "total_fee": Decimal(fee) * 6,
            "total_cost": sum(row[1] for row in rows) + Decimal(fee) * 6,
            "above_12pct_cap": True,
            "within_24pct_cap": True,
        }
        given = {"principal": 10000, "annual_rate": "0.12", "terms": 6} | fees
        assert verdict(tmp_path, "等额本息 + 服务费", expected, **given) == "PASS own"

    @pytest.mark.parametrize("fee", [{"upfront_fee": 300}, {"upfront_fee_rate": "0.03"}])
    def test_grow_with_what_is_paid_at_the_start(self, tmp_path: Path, fee: dict[str, Any]) -> None:
        # 10,000 are repaid after a month; 9,700 were left: 300 / 9,700 = 3.0927… % a month.
        expected = {
            "irr_monthly": "0.030928",
            "irr_nominal_annual(12*monthly)": "0.3711",
            "above_cap": True,
        }
        given = {"principal": 10000, "annual_rate": "0", "terms": 1, "cap": "0.24"} | fee
        assert verdict(tmp_path, "等额本息", expected, **given) == "PASS own"

    def test_of_weeks_are_those_of_52(self, tmp_path: Path) -> None:
        # 1,010 for 1,000 after a week: 1 % a week.
        expected = {"apr": "0.5200", "irr_monthly": "0.0100", "irr_effective": "0.6777"}
        given = {"principal": 1000, "terms": 1, "fee_rate": "0.01", "frequency": "weekly"}
        assert verdict(tmp_path, "等本等息", expected, **given) == "PASS own"


class TestEarlyEnds:
    @pytest.mark.parametrize(
        "said",
        [
            {"paid_instalments": 3, "days": 10},
            {"instalments_paid": 3, "days_since_last_due": 10},
            {"settled_after_period": 3, "extra_days": 10},
            {"payoff_date": "2026-04-11"},
        ],
    )
    @pytest.mark.parametrize("name", ["提前结清 等额本息", "提前结清"])
    def test_cost_the_balance_and_interest_to_the_day(
        self, tmp_path: Path, said: dict[str, Any], name: str
    ) -> None:
        rows = annuity("10000", "0.24", 12)
        balance = rows[2][2]
        interest = cents(Fraction(balance) * Fraction("0.24") * 10 / 360)
        later = sum(row[1] for row in rows[3:])
        expected = {
            "remaining_principal": balance,
            "interest_to_date": interest,
            "payoff_amount": balance + interest,
            "interest_saved": later - interest,
            "principal": balance,
            "interest": interest,
            "total": balance + interest,
        }
        given = {"principal": 10000, "annual_rate": "0.24", "instalments": 12} | said
        assert verdict(tmp_path, name, expected, **given) == "PASS own"

    def test_of_what_is_left_need_no_plan(self, tmp_path: Path) -> None:
        # 7,718.17 × 24 % × 10 / 365 = 50.75.
        given = {"remaining_principal": "7718.17", "annual_rate": "0.24", "days": 10}
        expected = {"accrued_interest": "50.75", "payoff": "7768.92"}
        assert verdict(tmp_path, "提前结清", expected, day_count="actual/365", **given) == (
            "PASS own"
        )

    @pytest.mark.parametrize(
        ("effect", "count"), [("reduce_instalment", 9), ("减少月供", 9), ("reduce-term", 6)]
    )
    def test_of_a_part_reduce_instalments_or_the_term(
        self, tmp_path: Path, effect: str, count: int
    ) -> None:
        rows = annuity("10000", "0.24", 12)
        left = rows[2][2] - 3000
        given = {
            "principal": 10000,
            "annual_rate": "0.24",
            "instalments": 12,
            "paid_instalments": 3,
            "prepay_amount": 3000,
            "effect": effect,
        }
        same = rows[0][0] + rows[0][1]
        payment = sum(annuity(str(left), "0.24", 9)[0][:2]) if count == 9 else same
        expected = {"new_payment": payment, "remaining_instalments": count}
        assert verdict(tmp_path, "部分提前还款 等额本息", expected, **given) == "PASS own"

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            ({}, "an early settlement without its day"),
            ({"paid_instalments": 13}, "13 paid instalments of 12"),
            ({"paid_instalments": 12, "prepay_amount": 1}, ""),
        ],
    )
    def test_without_sense_are_not_computed(
        self, tmp_path: Path, said: dict[str, Any], why: str
    ) -> None:
        given = {"principal": 10000, "annual_rate": "0.24", "instalments": 12} | said
        word = verdict(tmp_path, "等额本息", {"payoff": "1", "new_payment": "1"}, **given)
        assert word.startswith("SKIP own") if not why else word == f"SKIP own {why}"


class TestLateness:
    @pytest.mark.parametrize(
        ("said", "penalty"),
        [
            # 1,000 × 18 % × 1.5 × 10 / 360 = 7.50.
            ({}, "7.50"),
            ({"multiplier": "1.3"}, "6.50"),
            ({"uplift": "30%"}, "6.50"),
            ({"uplift": "0.3"}, "6.50"),
            ({"penalty_rate_annual": "0.36"}, "10.00"),
            ({"penalty_daily_rate": "0.0006"}, "6.00"),
            ({"cap": "0.24"}, "6.67"),
            ({"grace_days": 10}, "0.00"),
            ({"grace_days": 9}, "7.50"),
            ({"day_count": "actual/365"}, "7.40"),
        ],
    )
    def test_costs_a_share_of_overdue_principal_a_day(
        self, tmp_path: Path, said: dict[str, Any], penalty: str
    ) -> None:
        given = {"overdue_principal": 1000, "contract_rate": "0.18", "overdue_days": 10}
        assert verdict(tmp_path, "罚息", {"penalty": penalty}, **given, **said) == "PASS own"

    def test_of_a_claim_that_is_only_told_by_its_days_needs_no_plan(self, tmp_path: Path) -> None:
        # 2,000 × 12 % × 1.5 × 30 / 360 = 30.00.
        given = {"principal": 2000, "annual_rate": "0.12", "days_overdue": 30}
        assert verdict(tmp_path, "罚息 1.5x", {"penalty": "30.00"}, **given) == "PASS own"

    def test_has_a_rate_a_year(self, tmp_path: Path) -> None:
        given = {"overdue_principal": 1000, "contract_rate": "0.18", "days_late": 10}
        expected = {
            "penalty_rate_annual": "0.2700",
            "late_interest": "7.50",
            "daily_penalty": "0.75",
        }
        assert verdict(tmp_path, "罚息", expected, **given) == "PASS own"

    @pytest.mark.parametrize(
        ("days", "bucket", "five_class"),
        [
            (0, "M0", "正常"),
            (1, "M1", "关注"),
            (30, "M1", "关注"),
            (31, "M2", "关注"),
            (90, "M3", "关注"),
            (91, "M4", "次级"),
            (180, "M6", "次级"),
            (181, "M6+", "次级"),
            (271, "M6+", "可疑"),
            (361, "M6+", "损失"),
        ],
    )
    def test_has_names(self, tmp_path: Path, days: int, bucket: str, five_class: str) -> None:
        expected = {"bucket": bucket, "five_class": five_class}
        assert verdict(tmp_path, "五级分类", expected, days_past_due=days) == "PASS own"

    @pytest.mark.parametrize("figure", ["bucket", "penalty"])
    def test_without_days_is_not_computed(self, tmp_path: Path, figure: str) -> None:
        given = {"principal": 1000, "annual_rate": "0.18", "terms": 1}
        assert verdict(tmp_path, "等额本息", {figure: "1"}, **given).startswith("SKIP own")
