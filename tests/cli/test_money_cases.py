"""`fenqi conformance`: money cases against the engine."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import commands
from cli.money_cases import run
from cli.money_cases.compare import differences

TERMS = {
    "product": "any",
    "principal": "3000",
    "annual_rate_pct": "12",
    "interest_method": "DECLINING_BALANCE",
    "interest_calc_period": "SAME_AS_REPAYMENT_PERIOD",
    "amortization": "EQUAL_PRINCIPAL_PAYMENTS",
    "installments": 3,
    "repay_every": 1,
    "repay_unit": "MONTHS",
    "payment_strategy": "PENALTIES_FEES_INTEREST_PRINCIPAL_ORDER",
    "submitted_on": "2026-01-31",
    "rounding": "HALF_EVEN, 2 decimals",
    "product_config": {"decimals": 2, "schedule_engine": "cumulative"},
}
DRAW = {"op": "disburse", "date": "2026-01-31", "amount": "3000"}


def case(*steps: dict[str, Any], terms: dict[str, Any] | None = None, **expected: Any):
    return {
        "id": "own",
        "system": "apache/fineract",
        "terms": TERMS | (terms or {}),
        "events": [DRAW, *steps],
        "expected": [{"after_event": 1 + len(steps), **expected}],
    }


def check(tmp_path: Path, *cases: dict[str, Any]) -> tuple[int, list[str]]:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases), encoding="utf-8")
    lines: list[str] = []
    return run([path], lines.append), lines


def repay(on: str, amount: str) -> dict[str, str]:
    return {"op": "repay", "date": on, "amount": amount}


class TestRun:
    @pytest.mark.parametrize("name", ["servicing_cases.json", "servicing_cases_cn.json"])
    def test_every_case_that_we_have_passes(self, shared: Path, name: str) -> None:
        lines: list[str] = []
        assert run([shared / "cases" / name], lines.append) == 0
        assert not [line for line in lines if line.startswith("FAIL")]
        skipped = [line for line in lines if line.startswith("SKIP")]
        assert len(skipped) <= len(lines) // 20

    def test_counts_passes_failures_and_skips(self, tmp_path: Path) -> None:
        total = {"principal": "3000", "interest": "60"}
        status, lines = check(
            tmp_path,
            case(total=total),
            case(total=total | {"interest": "60.01"}),
            case({"op": "teleport"}, total=total),
            case(terms={"installments": 999}, total=total),
        )
        assert status == 1
        assert [line.split()[0] for line in lines] == ["PASS", "FAIL", "SKIP", "FAIL", "1"]
        assert lines[1].endswith("[0].total.interest is 60.00, expected 60.01")
        assert lines[2] == "SKIP own the step teleport"
        assert lines[-1] == "1 passed, 2 failed, 1 skipped"

    def test_writes_what_came_out_in_the_shape_of_what_is_expected(self, tmp_path: Path) -> None:
        source, target = tmp_path / "cases.json", tmp_path / "out.json"
        given = case(total={"interest": "0"})
        source.write_text(json.dumps([given]), encoding="utf-8")
        result = CliRunner().invoke(commands, ["conformance", str(source), "--emit", str(target)])
        assert result.exit_code == 1
        assert result.output.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"
        came_out = json.loads(target.read_text(encoding="utf-8"))
        assert came_out[0]["expected"][0]["total"]["interest"] == "60.00"


class TestDifferences:
    def test_look_at_what_is_expected_only(self) -> None:
        assert differences({"a": "1.50"}, {"a": "1.5", "b": 2}) == []
        assert differences({"c": 1}, {"a": 1}) == ["c did not come out"]
        assert differences([1], [1, 2]) == [" has 2 items, expected 1"]
        assert differences({"a": {"b": 1}}, {"a": 5}) == ["a is 5, expected {'b': 1}"]
        assert differences([1], None) == [" has None items, expected 1"]

    def test_find_each_part_in_an_item_of_its_own(self) -> None:
        twice = {"transactions_include": [{"type": "x"}, {"type": "x"}]}
        assert differences(twice, {"transactions_include": [{"type": "x"}]}) == [
            "transactions_include has no {'type': 'x'}"
        ]

    @pytest.mark.parametrize(
        ("expected", "got", "is_same"),
        [
            ("false", False, True),
            ("1", "1.00", True),
            ("Closed (obligations met)", "closed", False),
        ],
    )
    def test_compare_plain_values(self, expected: object, got: object, is_same: bool) -> None:
        assert (differences(expected, got) == []) is is_same

    def test_know_a_status_by_its_words(self) -> None:
        wanted = {"status": "CLOSED_OBLIGATIONS_MET"}
        assert differences(wanted, {"status": "Closed (obligations met)"}) == []
        assert differences(wanted, {"status": "Active"}) != []


class TestSteps:
    """Steps that no case here uses come out as the engine's words say."""

    @pytest.mark.parametrize(
        ("steps", "expected"),
        [
            (
                [
                    repay("2026-02-28", "1030"),
                    {"op": "waive_interest", "date": "2026-02-28", "amount": "5"},
                ],
                {"outstanding_amount": "2025"},
            ),
            (
                [
                    {"op": "write_off", "date": "2026-03-01"},
                    {"op": "recovery", "date": "2026-03-02", "amount": "9"},
                ],
                {"status": "CLOSED_WRITTEN_OFF"},
            ),
            (
                [
                    {"op": "add_charge", "charge": "LOAN_INSTALLMENT_FEE", "amount": "2"},
                    {"op": "business_date", "date": "2026-02-01"},
                    {"op": "add_charge", "charge": "ANY", "kind": "fee", "percent_of_amount": "1"},
                ],
                {"total": {"fees": "36"}},
            ),
            (
                [
                    {"op": "business_date", "date": "2026-02-01"},
                    {"op": "charge_off", "date": "2026-02-01"},
                    {"op": "undo_charge_off"},
                    {"op": "interest_pause", "start": "2026-02-01", "end": "2026-02-28"},
                ],
                {"total": {"interest": "30"}},
            ),
            (
                [
                    {
                        "op": "reschedule",
                        "rescheduleFromDate": "2026-03-31",
                        "submittedOnDate": "2026-02-01",
                        "newInterestRate": "6",
                        "adjustedDueDate": "2026-04-15",
                        "extraTerms": "1",
                    }
                ],
                {"total": {"principal": "3000"}},
            ),
            (
                [
                    {"op": "change_interest_rate", "date": "2026-03-01", "rate": "24"},
                    {"op": "write_off", "date": "2026-02-01"},
                    {"op": "undo_write_off"},
                ],
                {"total": {"interest": "90", "waived": "0"}},
            ),
            (
                [
                    {"op": "add_charge", "charge": "DISBURSEMENT", "amount": "3"},
                    {"op": "disburse", "date": "2026-01-31", "amount": "30"},
                ],
                {"total": {"principal": "3030", "fees": "3"}},
            ),
            (
                [
                    {"op": "delinquency_pause", "start": "2026-03-05", "end": "2026-03-20"},
                    {"op": "delinquency_resume", "date": "2026-03-10"},
                    {"op": "run_cob", "date": "2026-03-31"},
                ],
                {"delinquency": {"range": "RANGE_3", "date": "2026-02-28"}},
            ),
        ],
    )
    def test_are_told(self, tmp_path: Path, steps: list[dict], expected: dict) -> None:
        status, lines = check(tmp_path, case(*steps, **expected))
        assert (status, lines[0]) == (0, "PASS own")

    def test_that_should_be_refused_and_are_not_fail(self, tmp_path: Path) -> None:
        for step, word in ((repay("2026-02-28", "5"), "FAIL"), ({"op": "re_amortize"}, "PASS")):
            told = case({"op": "charge_off", "date": "2026-02-27"}, must_reject=step)
            assert check(tmp_path, told)[1][0].split()[0] == word

    @pytest.mark.parametrize(
        "step",
        [
            {"op": "undo_re_age"},
            {"op": "undo", "nth": 4, "txn_date": "2026-01-31"},
            {"op": "reschedule", "rescheduleFromDate": "2026-02-28"},
            {"op": "add_charge", "charge": "ANY", "kind": "fee"},
            {"op": "re_age", "frequencyNumber": "1"},
            {"op": "repay", "date": "2026-02-01", "amount": "1.005"},
        ],
    )
    def test_that_say_too_little_are_skipped(self, tmp_path: Path, step: dict) -> None:
        _, lines = check(tmp_path, case(step, total={}))
        assert lines[0].startswith("SKIP own ")

    @pytest.mark.parametrize(
        "terms",
        [
            {"payment_strategy": "WHATEVER_ORDER"},
            {"product_config": {"decimals": 0}},
            {"product_config": {"charge_off_behaviour": "OTHER"}},
        ],
    )
    def test_products_without_words_are_skipped(self, tmp_path: Path, terms: dict) -> None:
        _, lines = check(tmp_path, case(terms=terms, total={}))
        assert lines[0].startswith("SKIP own ")

    def test_what_nobody_computes_is_skipped(self, tmp_path: Path) -> None:
        _, lines = check(tmp_path, case(horoscope="good"))
        assert lines[0] == "SKIP own what is expected as horoscope"


class TestChineseCases:
    @pytest.mark.parametrize(
        ("name", "given", "expected"),
        [
            (
                "等额本金",
                {"principal": 3000, "annual_rate": "0.12", "instalments": 3},
                {
                    "rows(n,due_on,principal,interest,fee,total,balance)": [
                        ["1", "2026-02-01", "1000.00", "30.00", "0.00", "1030.00", "2000.00"],
                        ["2", "2026-03-01", "1000.00", "20.00", "0.00", "1020.00", "1000.00"],
                        ["3", "2026-04-01", "1000.00", "10.00", "0.00", "1010.00", "0.00"],
                    ],
                    "total_interest": "60.00",
                    "first_payment": "1030.00",
                    "irr_nominal_annual": "0.1200",
                },
            ),
            (
                "先息后本",
                {
                    "principal": 3000,
                    "monthly_rate": "0.01",
                    "instalments": 2,
                    "start": "2026-05-01",
                },
                {"total_cost": "60.00", "total_payment": "3060.00", "total_fee": "0.00"},
            ),
            (
                "提前结清 等额本金",
                {
                    "principal": 3000,
                    "annual_rate": "0.12",
                    "instalments": 3,
                    "paid_instalments": 1,
                    "days": 9,
                },
                {
                    "remaining_principal": "2000.00",
                    "interest_to_date": "6.00",
                    "settlement": "2006.00",
                },
            ),
            (
                "提前结清 等额本息",
                {
                    "principal": 3000,
                    "annual_rate": "0.12",
                    "instalments": 3,
                    "settle_on": "2026-01-11",
                    "rounding": "HALF_EVEN",
                    "daily_rate": "annual/365",
                },
                {"payoff": "3009.86"},
            ),
            (
                "罚息 等额本金",
                {"principal": 3000, "annual_rate": "0.18", "instalments": 3, "overdue_days": 10},
                {"penalty": "7.50"},
            ),
            (
                "有前端费用",
                {"principal": 1000, "instalments": 1, "monthly_fee_rate": "0", "upfront_fee": 100},
                {"irr_nominal_annual": "1.3333", "above_24pct_cap": True},
            ),
        ],
    )
    def test_are_read_by_their_words(
        self, tmp_path: Path, name: str, given: dict, expected: dict
    ) -> None:
        _, lines = check(tmp_path, {"id": "CN", "name": name, "input": given, "expected": expected})
        assert lines[0] == "PASS CN"

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"principal": 1}, {"total_interest": "0"}),
            ({"principal": 1, "instalments": 1}, {"total_interest": "0"}),
            ({"principal": 1, "instalments": 1, "method": "bullet"}, {"colour": "red"}),
            ({"principal": 1, "instalments": 1, "method": "bullet"}, {"rows(colour)": []}),
            ({"principal": 1, "instalments": 1, "method": "bullet"}, {"payoff": "1"}),
            ({"principal": 1, "instalments": 1, "method": "bullet"}, {"penalty": "1"}),
        ],
    )
    def test_that_say_too_little_are_skipped(
        self, tmp_path: Path, given: dict, expected: dict
    ) -> None:
        _, lines = check(tmp_path, {"id": "CN", "name": "?", "input": given, "expected": expected})
        assert lines[0].startswith("SKIP CN")


class TestFrappeCases:
    def frappe(self, figures: dict, *steps: dict, **terms: Any) -> dict[str, Any]:
        agreed = {
            "principal": "3000",
            "annual_rate_pct": "12",
            "installments": 3,
            "amortization": "EQUAL_INSTALLMENTS",
            "rounding": "see test",
            "product_config": {"schedule_engine": "frappe"},
        }
        draw = {"op": "disburse", "date": "2026-01-31", "amount": "3000"}
        return {
            "id": "F",
            "system": "frappe/lending",
            "terms": agreed | terms,
            "events": [draw, *steps],
            "expected": [
                {"after_event": 1, "status": "x"},
                {"after_event": 1 + len(steps), "figures": figures},
            ],
        }

    @pytest.mark.parametrize(
        ("figures", "word"),
        [
            ({"total_principal": "3000", "outstanding_principal": "3000.00"}, "PASS"),
            (
                {
                    "due_dates": {
                        "Monthly as per cycle date": ["2026-02-28", "2026-03-31", "2026-04-30"]
                    }
                },
                "PASS",
            ),
            ({"due_dates": {"By the moon": []}}, "SKIP"),
            ({"colour": "red"}, "SKIP"),
            ({"journal": [{"account": "Loan Account", "debit": "3000", "credit": "0"}]}, "PASS"),
            ({"number_of_rows": 4}, "FAIL"),
            ({"last_instalment": "1015.99", "maturity_date": "2026-04-30"}, "PASS"),
            ({"total_amount_paid": "0", "total_interest_paid": "0"}, "PASS"),
        ],
    )
    def test_give_their_figures(self, tmp_path: Path, figures: dict, word: str) -> None:
        told = self.frappe(figures)
        told["expected"] = told["expected"][1:]
        _, lines = check(tmp_path, told)
        assert lines[0].split()[0] == word

    @pytest.mark.parametrize(
        ("steps", "figures"),
        [
            (
                [{"op": "accrue", "to": "2026-03-01"}],
                {"accrued_interest": "29.59", "interest_amount": "29.59"},
            ),
            (
                [{"op": "repay", "date": "2026-03-02", "amount": "3029.59"}],
                {"pending_principal_amount": "0", "paid_interest": "29.59"},
            ),
            (
                [
                    {"op": "accrue", "to": "2026-03-01"},
                    {
                        "op": "repay",
                        "type": "Interest Waiver",
                        "date": "2026-03-02",
                        "amount": "9.59",
                    },
                ],
                {"accrued_interest": "20.00"},
            ),
        ],
    )
    def test_of_loans_on_demand_count_days(
        self, tmp_path: Path, steps: list[dict], figures: dict
    ) -> None:
        told = self.frappe(figures, *steps, amortization="DEMAND", installments=None)
        told["expected"] = told["expected"][1:]
        assert check(tmp_path, told)[1][0] == "PASS F"

    @pytest.mark.parametrize(
        ("steps", "status"),
        [
            ([{"op": "repay", "type": "Full Settlement"}], "Settled"),
            ([{"op": "write_off"}, {"op": "repay", "type": "Write Off Settlement"}], "Settled"),
            ([{"op": "write_off"}, {"op": "repay", "type": "Write Off Recovery"}], "Written Off"),
        ],
    )
    def test_of_settled_loans_say_so(self, tmp_path: Path, steps: list[dict], status: str) -> None:
        said = {"date": "2026-03-05", "amount": "500"}
        told = self.frappe({"status": status}, *({**said, **step} for step in steps))
        told["expected"] = told["expected"][1:]
        assert check(tmp_path, told)[1][0] == "PASS F"

    def test_of_fixed_instalments_last_for_as_long_as_it_takes(self, tmp_path: Path) -> None:
        rows = [{"idx": 3, "due_date": "2026-05-31", "payment_date": "2026-05-31"}]
        figures = {"number_of_rows": 4, "rows_zero_based": rows}
        fixed = {"amortization": "FIXED_AMOUNT", "instalment": "800", "installments": 2}
        told = self.frappe(figures, **fixed)
        told["expected"] = told["expected"][1:]
        assert check(tmp_path, told)[1][0] == "PASS F"

    def test_of_points_without_figures_say_what_is_missing(self, tmp_path: Path) -> None:
        _, lines = check(tmp_path, self.frappe({"number_of_rows": 3}))
        assert lines[0] == "FAIL F [0].status did not come out"

    def test_of_unknown_methods_and_steps_are_skipped(self, tmp_path: Path) -> None:
        first = self.frappe({"number_of_rows": 3}, amortization="BY_THE_MOON")
        second = self.frappe({"number_of_rows": 3}, {"op": "teleport", "date": "2026-03-01"})
        _, lines = check(tmp_path, first, second)
        assert [line.split()[0] for line in lines[:2]] == ["SKIP", "SKIP"]

    def test_of_lines_are_read_as_sums(self, tmp_path: Path) -> None:
        paid = {"op": "repay", "date": "2026-02-28", "amount": "1000"}
        words = "principal part of the payment"
        for wanted, word in ((f"3000 - {words}", "PASS"), (f"2999 - {words}", "FAIL")):
            told = self.frappe({"after_repayment": {"utilized": wanted}}, paid, credit_limit="3000")
            told["expected"] = told["expected"][1:]
            _, lines = check(tmp_path, told)
            assert lines[0].split()[0] == word
