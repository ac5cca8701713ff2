"""Cases say the same in other words, and lenders ask for more than the published cases show.

Every expected figure is computed here by a formula or by hand, never by the engine.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.money_cases import run

TERMS = {
    "principal": "3000",
    "annual_rate_pct": "12",
    "installments": 1,
    "repay_every": 1,
    "repay_unit": "MONTHS",
    "submitted_on": "2026-01-01",
    "product_config": {
        "schedule_engine": "progressive",
        "days_in_month": "30",
        "days_in_year": "360",
        "interest_recalculation": True,
    },
}


def draw(on: str = "2026-01-01", amount: str = "3000") -> dict[str, str]:
    return {"op": "disburse", "date": on, "amount": amount}


def today(on: str) -> dict[str, str]:
    return {"op": "business_date", "date": on}


def told(
    *steps: dict[str, Any], terms: dict[str, Any] | None = None, **expected: Any
) -> dict[str, Any]:
    return {
        "id": "own",
        "system": "apache/fineract",
        "terms": TERMS | (terms or {}),
        "events": list(steps),
        "expected": [{"after_event": len(steps), **expected}],
    }


def verdict(tmp_path: Path, case: dict[str, Any]) -> str:
    path, lines = tmp_path / "cases.json", list[str]()
    path.write_text(json.dumps([case]), encoding="utf-8")
    run([path], lines.append)
    return lines[0]


class TestWords:
    @pytest.mark.parametrize(
        ("op", "first", "last"),
        [
            ("interest_pause", "start", "end"),
            ("pause_interest", "startDate", "endDate"),
            ("createInterestPause", "start_date", "end_date"),
            ("interest-freeze", "from", "to"),
        ],
    )
    @pytest.mark.parametrize("entered", ["2026-01-04", "2026-01-20"])
    def test_of_a_pause_are_one_whenever_it_is_entered(
        self, tmp_path: Path, op: str, first: str, last: str, entered: str
    ) -> None:
        pause = {"op": op, first: "2026-01-05", last: "2026-01-10"}
        # Six of 31 steps of a month that costs 30.00 bear nothing: 30 × 25 / 31 = 24.19.
        case = told(draw(), today(entered), pause, total={"interest": "24.19", "due": "3024.19"})
        assert verdict(tmp_path, case) == "PASS own"

    def test_that_say_nothing_of_the_first_day_are_skipped(self, tmp_path: Path) -> None:
        case = told(draw(), {"op": "interest_pause", "end": "2026-01-10"}, status="active")
        assert verdict(tmp_path, case) == "SKIP own from when interest_pause holds"

    @pytest.mark.parametrize(
        ("pay", "take"),
        [("repay", "undo"), ("payment", "reversal"), ("makeRepayment", "cancel")],
    )
    def test_of_payments_and_their_undoing(self, tmp_path: Path, pay: str, take: str) -> None:
        paid = {"op": pay, "date": "2026-02-01", "amount": "3030"}
        undone = {"op": take, "txnDate": "2026-02-01", "nth": 1}
        until = [{"op": "drawdown", "date": "2026-01-01", "amount": "3000"}, today("2026-02-01")]
        settled = told(*until, paid, status="closed", outstanding_amount="0")
        assert verdict(tmp_path, settled) == "PASS own"
        owed = told(*until, paid, undone, status="active", outstanding_amount="3030")
        assert verdict(tmp_path, owed) == "PASS own"

    def test_of_a_step_that_nobody_knows_are_repeated(self, tmp_path: Path) -> None:
        case = told(draw(), {"op": "make_magic"}, status="active")
        assert verdict(tmp_path, case) == "SKIP own the step make_magic"


class TestReAges:
    @pytest.mark.parametrize("op", ["re_age", "reAging"])
    def test_may_spread_all_interest_of_the_old_plan(self, tmp_path: Path, op: str) -> None:
        re_age = {
            "op": op,
            "frequencyNumber": "1",
            "frequencyType": "MONTHS",
            "startDate": "2026-02-15",
            "numberOfInstallments": "3",
            "reAgeInterestHandling": "EQUAL_AMORTIZATION_FULL_INTEREST",
        }
        rows = [
            {"due_date": "2026-01-15", "principal": "0", "interest": "0"},
            {"due_date": "2026-02-15", "principal": "1000", "interest": "10"},
            {"due_date": "2026-03-15", "principal": "1000", "interest": "10"},
            {"due_date": "2026-04-15", "principal": "1000", "interest": "10"},
        ]
        case = told(draw(), today("2026-01-15"), re_age, schedule=rows)
        assert verdict(tmp_path, case) == "PASS own"

    def test_may_begin_on_their_own_day(self, tmp_path: Path) -> None:
        re_age = {
            "op": "re_age",
            "frequencyNumber": "1",
            "frequencyType": "MONTHS",
            "startDate": "2026-03-15",
            "numberOfInstallments": "2",
        }
        rows = [
            {"due_date": "2026-02-01", "principal": "0", "interest": "0"},
            {"due_date": "2026-03-15", "principal": "1500", "outstanding": "1500"},
            {"due_date": "2026-04-15", "principal": "1500", "outstanding": "1500"},
        ]
        terms = {"annual_rate_pct": "0"}
        case = told(draw(), today("2026-03-15"), re_age, terms=terms, schedule=rows)
        assert verdict(tmp_path, case) == "PASS own"
        early = told(
            draw(),
            today("2026-03-15"),
            terms=terms,
            must_reject=re_age | {"startDate": "2026-03-14"},
        )
        assert verdict(tmp_path, early) == "PASS own"


class TestPlans:
    def test_of_given_periods_may_be_drawn_on_within_the_first(self, tmp_path: Path) -> None:
        terms = {"submitted_on": None, "installments": 1}
        terms = {name: value for name, value in (TERMS | terms).items() if value is not None}
        row = {"n": 1, "from_date": "2026-01-01", "due_date": "2026-02-01"}
        # 3000 bears 30.00 a month; drawn with 27 of 31 steps to go it is 26.13.
        case = told(draw("2026-01-05"), schedule=[row | {"interest": "26.13"}])
        assert verdict(tmp_path, case | {"terms": terms}) == "PASS own"
        named = told(draw("2026-01-05"), schedule=[{"due_date": "2026-02-01", "interest": "26.13"}])
        named["terms"] = terms | {"start_date": "2026-01-01"}
        assert verdict(tmp_path, named) == "PASS own"

    @pytest.mark.parametrize(
        ("approval", "due_on", "amount"),
        [
            ({"date": "2026-01-03", "amount": "2000"}, "2026-02-03", "2000"),
            ({"date": "2026-01-03"}, "2026-02-03", "3000"),
            ({}, "2026-02-01", "3000"),
            (
                {"date": "2026-01-03", "expectedDisbursementDate": "2026-01-10"},
                "2026-02-10",
                "3000",
            ),
        ],
    )
    def test_follow_what_is_approved_until_money_is_drawn(
        self, tmp_path: Path, approval: dict[str, str], due_on: str, amount: str
    ) -> None:
        interest = f"{int(amount) // 100}"
        rows = [{"n": 1, "due_date": due_on, "principal": amount, "interest": interest}]
        case = told({"op": "approve"} | approval, schedule=rows, status="approved")
        assert verdict(tmp_path, case) == "PASS own"

    def test_go_on_for_what_is_drawn_after_they_were_over(self, tmp_path: Path) -> None:
        terms = {"annual_rate_pct": "0", "interest_method": "FLAT"}
        terms["product_config"] = {"schedule_engine": "cumulative"}
        late = {"op": "disburse", "date": "2026-02-10", "amount": "500"}
        rows = [
            {"due_date": "2026-02-01", "principal": "3000", "balance": "0"},
            {"due_date": "2026-03-01", "principal": "500", "balance": "0", "days": 28},
        ]
        case = told(draw(), late, terms=terms, schedule=rows)
        assert verdict(tmp_path, case) == "PASS own"
        undone = told(draw(), late, {"op": "undo_last_disbursal"}, terms=terms, schedule=rows[:1])
        assert verdict(tmp_path, undone) == "PASS own"


class TestUndoing:
    @pytest.mark.parametrize("said", ["Merchant Issued Refund", "merchant-refund"])
    def test_knows_money_by_the_name_of_its_table(self, tmp_path: Path, said: str) -> None:
        refund = {"op": "merchant_issued_refund", "date": "2026-01-20", "amount": "1000"}
        undo = {"op": "undo", "type": said, "nth": 1, "txn_date": "2026-01-20"}
        terms = {"annual_rate_pct": "0"}
        case = told(draw(), today("2026-01-20"), refund, undo, terms=terms)
        case["expected"] = [
            {"after_event": 3, "outstanding_amount": "2000"},
            {"after_event": 4, "outstanding_amount": "3000"},
        ]
        assert verdict(tmp_path, case) == "PASS own"
