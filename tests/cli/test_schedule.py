"""`fenqi schedule`: the plan of each method as JSON."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import commands


def printed(*options: str) -> dict:
    given = ["--principal", "3000.00", "--terms", "3", "--start", "2026-01-31", "--json"]
    result = CliRunner().invoke(commands, ["schedule", *given, *options])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


class TestSchedule:
    def test_prints_an_annuity_with_its_cost(self) -> None:
        plan = printed("--rate-annual", "0.18")
        assert plan["instalments"][0] == {
            "n": 1,
            "due_on": "2026-02-28",
            "principal": "985.15",
            "interest": "45.00",
            "fee": "0.00",
            "total": "1030.15",
            "balance": "2014.85",
        }
        assert [row["due_on"] for row in plan["instalments"]][1:] == ["2026-03-31", "2026-04-30"]
        assert plan["totals"] == {
            "principal": "3000.00",
            "interest": "90.44",
            "fee": "0.00",
            "total": "3090.44",
        }
        assert plan["annual_cost"] == {"nominal": "0.179987", "effective": "0.195603"}

    @pytest.mark.parametrize(
        ("options", "totals"),
        [
            (("--method", "equal-principal"), ["1045.00", "1030.00", "1015.00"]),
            (("--method", "interest-first"), ["45.00", "45.00", "3045.00"]),
            (("--method", "bullet"), ["3135.00"]),
            (("--method", "flat-fee", "--rate-monthly", "0.0075"), ["1022.50"] * 3),
        ],
    )
    def test_prints_every_method(self, options: tuple[str, ...], totals: list[str]) -> None:
        rate = [] if "flat-fee" in options else ["--rate-annual", "0.18"]
        plan = printed(*options, *rate)
        assert [row["total"] for row in plan["instalments"]] == totals
        assert plan["instalments"][-1]["balance"] == "0.00"

    def test_a_flat_fee_by_the_year_is_a_twelfth_a_month(self) -> None:
        by_month = printed("--method", "flat-fee", "--rate-monthly", "0.0075")
        assert printed("--method", "flat-fee", "--rate-annual", "0.09") == by_month
        assert [row["fee"] for row in by_month["instalments"]] == ["22.50"] * 3

    def test_the_cost_of_a_bullet_counts_the_months_without_a_payment(self) -> None:
        cost = printed("--method", "bullet", "--rate-annual", "0.18")["annual_cost"]
        # (3135 / 3000)^(1/3) - 1, twelve times
        monthly = (Decimal(3135) / 3000) ** (Decimal(1) / 3) - 1
        assert cost["nominal"] == f"{monthly * 12:.6f}"

    @pytest.mark.parametrize(
        "options",
        [
            ("--rate-monthly", "0.01"),
            ("--rate-annual", "much"),
            ("--start", "yesterday"),
            ("--method", "whatever"),
        ],
    )
    def test_says_what_it_does_not_understand(self, options: tuple[str, ...]) -> None:
        given = ["--principal", "3000", "--terms", "3", "--start", "2026-01-31", *options]
        assert CliRunner().invoke(commands, ["schedule", *given]).exit_code == 2


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--rate-annual", "NaN"), "NaN is no rate"),
            (("--rate-annual", "Infinity"), "is no rate"),
            (("--rate-annual", "1e400"), "is no rate"),
            (("--rate-annual", "-0.1"), "is no rate"),
            (("--start", "9999-12-31"), "is no date"),
            (("--start", "2026-02-30"), "is no date"),
            (("--start", "20260131"), "is no date"),
            (("--method", "flat-fee", "--rate-annual", "0.1", "--rate-monthly", "0.01"), "either"),
        ],
    )
    def test_is_a_wrong_use_that_says_why(self, options: tuple[str, ...], said: str) -> None:
        given = ["--principal", "3000.00", "--terms", "3", "--start", "2026-01-31"]
        result = CliRunner().invoke(commands, ["schedule", *given, *options])
        assert result.exit_code == 2
        assert said in result.output

    def test_results_go_nowhere_where_there_is_no_folder(self, tmp_path: Path) -> None:
        cases = tmp_path / "cases.json"
        cases.write_text("[]", encoding="utf-8")
        gone = str(tmp_path / "gone" / "out.json")
        result = CliRunner().invoke(commands, ["conformance", str(cases), "--emit", gone])
        assert (result.exit_code, "is no folder" in result.output) == (2, True)
