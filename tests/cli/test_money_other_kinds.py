"""Cases like the published ones of Chinese products and of the second anchor system.

Every expected figure is computed here from a formula or by hand, never by the engine.
"""

import json
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cli.money_cases import run


def money(exact: Fraction | Decimal, rounding: str = ROUND_HALF_UP, to: str = "0.01") -> Decimal:
    if isinstance(exact, Fraction):
        exact = Decimal(exact.numerator) / exact.denominator
    return (exact / Decimal(to)).quantize(Decimal(1), rounding=rounding) * Decimal(to)


def lines_of(tmp_path: Path, *cases: Any) -> list[str]:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(cases, default=str), encoding="utf-8")
    lines: list[str] = []
    run([path], lines.append)
    return lines


def verdict(tmp_path: Path, case: dict[str, Any]) -> str:
    return lines_of(tmp_path, {"id": "own", **case})[0]


def level_of(principal: Decimal, rate: Fraction, count: int) -> Fraction:
    """Principal × r × (1 + r)^n / ((1 + r)^n - 1)."""
    if not rate:
        return Fraction(principal) / count
    growth = (1 + rate) ** count
    return Fraction(principal) * rate * growth / (growth - 1)


def monthly_irr(principal: Decimal, payments: list[Decimal]) -> Decimal:
    """The monthly rate at which payments are worth the principal, by halving."""
    with localcontext() as context:
        context.prec = 40
        low, high = Decimal(0), Decimal(1)
        for _ in range(100):
            middle = (low + high) / 2
            worth = sum(pay / (1 + middle) ** n for n, pay in enumerate(payments, start=1))
            low, high = (middle, high) if worth > principal else (low, middle)
        return low


def places(value: Decimal, count: int = 4) -> str:
    return str(money(value, to=str(Decimal(1).scaleb(-count))))


def chinese(name: str, expected: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {"name": name, "input": given, "expected": expected}


class TestChineseProducts:
    @pytest.mark.parametrize(
        ("principal", "count", "fee"),
        [(9000, 9, "0.0085"), (5000, 3, "0.0139"), (10000, 24, "0.0113"), (3700, 36, "0.004")],
    )
    def test_flat_fees_cost_more_than_they_look(
        self, tmp_path: Path, principal: int, count: int, fee: str
    ) -> None:
        whole, each = Decimal(principal), money(principal * Decimal(fee))
        share = money(whole / count)
        payments = [share + each] * (count - 1) + [whole - share * (count - 1) + each]
        rate = monthly_irr(whole, payments)
        case = chinese(
            "等本等息 monthly flat fee -> IRR",
            {
                "monthly_payment": str(payments[0]),
                "last_payment": str(payments[-1]),
                "nominal_annual": places(Decimal(fee) * 12),
                "irr_nominal_annual(12*monthly)": places(rate * 12),
                "irr_effective_annual": places((1 + rate) ** 12 - 1),
                "above_24pct_cap": bool(rate * 12 > Decimal("0.24005")),
                "above_12pct_cap": bool(rate * 12 > Decimal("0.12005")),
                "total_fee": str(each * count),
            },
            principal=principal,
            instalments=count,
            monthly_fee_rate=fee,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("cap", "counts"), [("0.24", (2, 5, 48)), ("0.156", (3, 12, 60))])
    def test_the_highest_fee_under_a_cap(
        self, tmp_path: Path, cap: str, counts: tuple[int, ...]
    ) -> None:
        rate = Fraction(cap) / 12
        highest = {n: level_of(Decimal(1), rate, n) - Fraction(1, n) for n in counts}
        expected = {str(n): str(money(fee, to="0.000001")) for n, fee in highest.items()}
        assert verdict(tmp_path, chinese("highest fee", expected, cap=cap)) == "PASS own"

    @pytest.mark.parametrize(
        ("principal", "rate", "count"),
        [
            ("10000", "0.24", 12),
            ("6888.88", "0.1825", 9),
            ("50000", "0.0725", 36),
            ("1000", "0", 6),
        ],
    )
    @pytest.mark.parametrize("name", ["等额本息", "等额本金", "先息后本", "到期还本付息"])
    def test_plans_are_those_of_the_formula(
        self, tmp_path: Path, principal: str, rate: str, count: int, name: str
    ) -> None:
        monthly, left = Fraction(rate) / 12, Decimal(principal)
        level = money(level_of(left, monthly, count))
        share, rows = money(left / count), []
        for n in range(1, count + 1):
            interest = money(Fraction(left) * monthly)
            planned = {"等额本息": level - interest, "等额本金": share}.get(name, Decimal(0))
            repaid = left if n == count else planned
            left -= repaid
            rows.append([str(repaid), str(interest), str(repaid + interest), str(left)])
        if name == "到期还本付息":
            interest = money(Fraction(principal) * monthly * count)
            total = Decimal(principal) + interest
            rows = [[principal, str(interest), str(total), "0.00"]]
        total_interest = sum(Decimal(row[1]) for row in rows)
        case = chinese(
            name,
            {
                "rows(principal,interest,payment,balance)": rows,
                "total_interest": str(total_interest),
                "total_payment": str(Decimal(principal) + total_interest),
            },
            principal=principal,
            annual_rate=rate,
            instalments=count,
            monthly_rate="annual/12",
            rounding="HALF_UP 0.01, last row absorbs",
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("paid", "days"), [(1, 1), (3, 17), (0, 20)])
    @pytest.mark.parametrize("year", [360, 365])
    def test_settling_early_costs_the_balance_and_the_days(
        self, tmp_path: Path, paid: int, days: int, year: int
    ) -> None:
        left, share = Decimal(9600), Decimal(1600)
        left -= share * paid
        interest = money(Fraction(left) * Fraction("0.216") * days / year)
        case = chinese(
            "提前结清 等额本金",
            {
                "remaining_principal": str(left),
                "interest_to_date": str(interest),
                "settlement": str(left + interest),
            },
            principal="9600",
            annual_rate="0.216",
            instalments=6,
            paid_instalments=paid,
            days=days,
            start="2025-06-30",
            daily_rate=f"annual/{year}",
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("days", "grace"), [(3, 3), (4, 3), (60, 0), (31, None)])
    def test_a_penalty_is_on_overdue_principal_only(
        self, tmp_path: Path, days: int, grace: int | None
    ) -> None:
        exact = Fraction(2000) * Fraction("0.16") * Fraction("1.5") * days / 360
        wanted = Decimal(0) if grace is not None and days <= grace else money(exact)
        given = {} if grace is None else {"grace_days": grace}
        case = chinese(
            "罚息 等额本金",
            {"penalty": str(wanted)},
            principal="8000",
            annual_rate="0.16",
            instalments=4,
            overdue_days=days,
            penalty_multiplier="1.5",
            **given,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(
        "given",
        [
            {"rounding": "HALF_DOWN"},
            {"monthly_rate": "annual/11"},
            {"daily_rate": "annual/364.25"},
            {"day_count": "actual/366"},
            {"principal": "many"},
        ],
    )
    def test_a_rule_without_a_word_here_is_no_other_rule(
        self, tmp_path: Path, given: dict[str, str]
    ) -> None:
        agreed = {"principal": "100", "annual_rate": "0.12", "instalments": 2, **given}
        case = chinese("等额本息", {"total_interest": "1.50"}, **agreed)
        assert verdict(tmp_path, case).startswith("SKIP own ")


def frappe(*steps: dict[str, Any], figures: dict[str, Any], **terms: Any) -> dict[str, Any]:
    return {
        "system": "frappe/lending",
        "source": {"commit": "002b084f"},
        "terms": {
            "amortization": "EQUAL_INSTALLMENTS",
            "repay_every": 1,
            "repay_unit": "MONTHS",
            "rounding": "see test",
            "product_config": {"schedule_engine": "frappe"},
            **terms,
        },
        "events": list(steps),
        "expected": [{"after_event": len(steps), "figures": figures}],
    }


def disburse(on: str, amount: str) -> dict[str, str]:
    return {"op": "disburse", "date": on, "amount": amount}


def repay(on: str, amount: object) -> dict[str, str]:
    return {"op": "repay", "date": on, "amount": str(amount)}


def first_due(on: str) -> dict[str, str]:
    return {"op": "first_due", "date": on}


class TestSecondSystem:
    @pytest.mark.parametrize(
        ("principal", "rate", "count", "start"),
        [
            ("280000", "8.4", 20, date(2025, 1, 27)),
            ("91500", "17.25", 7, date(2024, 2, 5)),
            ("500000", "25", 12, date(2023, 12, 28)),
        ],
    )
    def test_instalments_are_whole_units_upwards_and_interest_is_by_days(
        self, tmp_path: Path, principal: str, rate: str, count: int, start: date
    ) -> None:
        yearly, left = Fraction(rate) / 100, Decimal(principal)
        level = money(level_of(left, yearly / 12, count), ROUND_CEILING, "1")
        since, rows, total = start, [], Decimal(0)
        for n in range(1, count + 1):
            year, month = divmod(start.year * 12 + start.month - 1 + n, 12)
            on = date(year, month + 1, start.day)
            interest = money(Fraction(left) * yearly * (on - since).days / 365)
            repaid = left if n == count else level - interest
            left, since, total = left - repaid, on, total + interest
            row = {"idx": n - 1, "principal": repaid, "interest": interest, "balance": left}
            rows.append({**row, "due_date": on})
        case = frappe(
            disburse(str(start), principal),
            figures={
                "monthly_repayment_amount": str(level),
                "total_interest": str(total),
                "total_payment": str(Decimal(principal) + total),
                "number_of_rows": count,
                "rows_zero_based": [json.loads(json.dumps(row, default=str)) for row in rows],
            },
            principal=principal,
            annual_rate_pct=rate,
            installments=count,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("on", "days"), [("2024-07-06", 63 + 32 + 2), ("2024-05-20", 16)])
    @pytest.mark.parametrize(("base", "is_whole"), [("principal+interest", 1), ("principal", 0)])
    def test_a_penalty_counts_both_its_ends(
        self, tmp_path: Path, on: str, days: int, base: str, is_whole: int
    ) -> None:
        level = money(level_of(Decimal(500_000), Fraction(25, 1200), 12), ROUND_CEILING, "1")
        exact = Fraction(level) * Fraction(25, 100) * days / 365
        figures = {"penalty_amount": str(money(exact))} if is_whole else {"instalment": str(level)}
        case = frappe(
            disburse("2024-04-01", "500000"),
            first_due("2024-05-05"),
            {"op": "business_date", "date": on},
            figures=figures,
            principal="500000",
            annual_rate_pct="25",
            penalty_rate_pct="25",
            installments=12,
            product_config={"penalty_base": base, "penalty_days": "inclusive"},
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("short", "wanted"), [("99.99", "99.99"), ("0.01", "0.01")])
    def test_a_trifle_short_of_a_loan_on_demand_is_waived(
        self, tmp_path: Path, short: str, wanted: str
    ) -> None:
        interest = money(Fraction(700_000) * Fraction("0.11") * 45 / 365)
        paid = 700_000 + interest - Decimal(short)
        on = date(2021, 2, 10) + timedelta(days=45)
        case = frappe(
            disburse("2021-02-10", "700000"),
            repay(str(on), paid),
            figures={
                "excess_amount": f"-{wanted}",
                "status": "Closed",
                "journal": [{"account": "interest waiver", "debit": wanted, "credit": "0"}],
            },
            principal="700000",
            annual_rate_pct="11",
            amortization="DEMAND",
            product_config={"days_in_year": "365", "auto_closure_tolerance": "-100..100"},
        )
        assert verdict(tmp_path, case) == "PASS own"

    def test_days_past_due_begin_with_one(self, tmp_path: Path) -> None:
        level = money(level_of(Decimal(60_000), Fraction(14, 1200), 10), ROUND_CEILING, "1")
        case = frappe(
            disburse("2024-01-15", "60000"),
            first_due("2024-02-05"),
            repay("2024-02-07", level),
            figures={
                "days_past_due_by_date": {
                    "2024-02-04": 0,
                    "2024-02-05": 1,
                    "2024-02-06": 2,
                    "2024-02-07": 0,
                    "2024-03-05": 1,
                    "2024-04-09": 36,
                }
            },
            principal="60000",
            annual_rate_pct="14",
            installments=10,
        )
        assert verdict(tmp_path, case) == "PASS own"

    def test_each_point_sees_what_had_happened_by_then(self, tmp_path: Path) -> None:
        first = {"after_event": 1, "figures": {"total_amount_paid": "0"}}
        case = frappe(
            disburse("2024-01-15", "60000"),
            repay("2024-02-15", "100"),
            repay("2024-02-16", "50"),
            figures={"total_amount_paid": "150"},
            principal="60000",
            annual_rate_pct="14",
            installments=10,
        )
        case["expected"] = [first, {"after_event": 2, "figures": {"total_amount_paid": "100"}}]
        case["expected"].append({"after_event": 3, "figures": {"total_amount_paid": "150"}})
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(
        ("kind", "dates"),
        [
            ("Monthly as per repayment start date", ["2024-01-31", "2024-02-29", "2024-03-31"]),
            (
                "Pro-rated calendar months, Start of the next month",
                ["2024-02-01", "2024-03-01", "2024-04-01"],
            ),
            (
                "Pro-rated calendar months, End of the current month",
                ["2024-01-31", "2024-02-29", "2024-03-31"],
            ),
        ],
    )
    def test_due_dates_follow_the_kind_of_schedule(
        self, tmp_path: Path, kind: str, dates: list[str]
    ) -> None:
        case = frappe(
            disburse("2024-01-31", "900"),
            first_due("2024-01-31"),
            figures={"due_dates": {kind: dates}},
            principal="900",
            annual_rate_pct="0",
            installments=3,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(
        "change",
        [
            {"product_config": {"days_in_year": "366"}},
            {"product_config": {"repayment_schedule_type": "By the moon"}},
            {"product_config": {"schedule_engine": "other"}},
            {"repay_unit": "MOONS"},
            {"interest_method": "COMPOUND"},
            {"penalty_rate_pct": "5", "product_config": {"penalty_base": "the sky"}},
            {"annual_rate_pct": "7.5 (product 1) / 25 (product 2)"},
            {"limit_start": "2024-02-01", "limit_end": "2024-03-01"},
        ],
    )
    def test_a_rule_without_a_word_here_is_no_other_rule(
        self, tmp_path: Path, change: dict[str, Any]
    ) -> None:
        agreed = {"principal": "900", "annual_rate_pct": "0", "installments": 3, **change}
        case = frappe(disburse("2024-01-31", "900"), figures={"number_of_rows": 3}, **agreed)
        assert verdict(tmp_path, case).startswith("SKIP own ")

    def test_a_payment_that_is_none_is_skipped(self, tmp_path: Path) -> None:
        case = frappe(
            disburse("2024-01-31", "900"),
            repay("2024-02-29", "1") | {"type": "Security Deposit Adjustment"},
            figures={"number_of_rows": 3},
            principal="900",
            annual_rate_pct="0",
            installments=3,
        )
        assert verdict(tmp_path, case).startswith("SKIP own ")
