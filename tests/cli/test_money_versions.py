"""Cases of the second anchor system: which version's rules they follow, and what overrules them.

Every expected figure is computed here by a formula or by hand, never by the engine.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.money_cases import run

OLD = {"commit": "3f2cbc13dcd0a6583e3adda6f862a1c8caa2eeff"}
NEW = {"commit": "002b084f613a7e020f31d3eb61dd9217474163ea"}
# 120,000 at 12 %: a twelfth of a year costs 1,200.00, the 31 days of January 1,223.01.
BY_MONTHS, BY_DAYS = "1200.00", "1223.01"
DRAW = {"op": "disburse", "date": "2026-01-01", "amount": "120000"}


def told(
    *steps: dict[str, Any],
    figures: dict[str, Any],
    source: dict[str, str] | None = None,
    config: dict[str, Any] | None = None,
    **terms: Any,
) -> dict[str, Any]:
    agreed = {"principal": "120000", "annual_rate_pct": "12", "installments": 12}
    return {
        "id": "own",
        "system": "frappe/lending",
        "source": source or {},
        "terms": {
            **agreed,
            "amortization": "EQUAL_INSTALLMENTS",
            "repay_every": 1,
            "repay_unit": "MONTHS",
            "product_config": config or {},
            **terms,
        },
        "events": list(steps),
        "expected": [{"after_event": len(steps), "figures": figures}],
    }


def verdict(tmp_path: Path, case: dict[str, Any]) -> str:
    path, lines = tmp_path / "cases.json", list[str]()
    path.write_text(json.dumps([case]), encoding="utf-8")
    run([path], lines.append)
    return lines[0]


class TestVersions:
    @pytest.mark.parametrize(
        ("source", "config", "interest"),
        [
            (OLD, {}, BY_MONTHS),
            (NEW, {}, BY_DAYS),
            ({}, {}, BY_DAYS),
            ({"commit": "0123456789"}, {}, BY_DAYS),
            (NEW, {"profile": "frappe-2024"}, BY_MONTHS),
            (NEW, {"days_in_month": "30"}, BY_MONTHS),
            (OLD, {"days_in_month": "ACTUAL"}, BY_DAYS),
            # 31 days of a year of 360: 1,240.00.
            (NEW, {"days_in_year": "360"}, "1240.00"),
        ],
    )
    def test_are_those_of_the_source_unless_the_product_says_otherwise(
        self, tmp_path: Path, source: dict[str, str], config: dict[str, Any], interest: str
    ) -> None:
        figures = {"rows_zero_based": [{"idx": 0, "interest": interest}]}
        assert verdict(tmp_path, told(DRAW, figures=figures, source=source, config=config)) == (
            "PASS own"
        )

    @pytest.mark.parametrize(
        ("source", "config", "days"),
        [
            (OLD, {}, 2),
            (NEW, {}, 3),
            (NEW, {"days_past_due_on_due_date": 0}, 2),
            (OLD, {"days_past_due_on_due_date": 1}, 3),
        ],
    )
    def test_differ_in_what_the_due_date_itself_counts(
        self, tmp_path: Path, source: dict[str, str], config: dict[str, Any], days: int
    ) -> None:
        figures = {"days_past_due_by_date": {"2026-02-03": days}}
        case = told(DRAW, figures=figures, source=source, config=config)
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(
        ("source", "interest"),
        [
            # 31 days to the first of February, or 32 with the day of lending: 39.4520… a day.
            (NEW, "1223.01"),
            (OLD, "1262.47"),
        ],
    )
    def test_differ_in_whether_lending_on_demand_costs_its_first_day(
        self, tmp_path: Path, source: dict[str, str], interest: str
    ) -> None:
        paid = {"op": "repay", "date": "2026-02-01", "amount": f"{120000 + float(interest):.2f}"}
        figures = {"paid_interest": interest, "pending_principal_amount": "0", "status": "Closed"}
        case = told(
            DRAW, paid, figures=figures, source=source, amortization="DEMAND", installments=None
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(
        ("source", "principal"),
        [
            # The instalment is 10,662; it costs 1,223.01 or 1,200.00. 100 come on top of it.
            (NEW, "9538.99"),
            (OLD, "9462.00"),
        ],
    )
    def test_differ_in_what_money_on_top_of_an_instalment_pays(
        self, tmp_path: Path, source: dict[str, str], principal: str
    ) -> None:
        paid = {"op": "repay", "date": "2026-02-01", "amount": "10762"}
        case = told(DRAW, paid, figures={"paid_principal": principal}, source=source)
        assert verdict(tmp_path, case) == "PASS own"

    def test_that_nobody_knows_by_name_are_skipped(self, tmp_path: Path) -> None:
        case = told(DRAW, figures={"number_of_rows": 12}, config={"profile": "frappe-1999"})
        assert verdict(tmp_path, case) == "SKIP own the profile frappe-1999 is not known here"


class TestFigures:
    @pytest.mark.parametrize(
        ("drawn", "status", "available"),
        [("120000", "Disbursed", "0"), ("70000", "Partially Disbursed", "50000")],
    )
    def test_of_a_loan_that_is_paid_out_bit_by_bit(
        self, tmp_path: Path, drawn: str, status: str, available: str
    ) -> None:
        figures = {
            "status": status,
            "after_disbursement": {"utilized": drawn, "available": available},
        }
        case = told(DRAW | {"amount": drawn}, figures=figures)
        assert verdict(tmp_path, case) == "PASS own"

    def test_of_a_loan_whose_closure_is_asked_for(self, tmp_path: Path) -> None:
        steps = [
            DRAW,
            {"op": "repay", "date": "2026-02-01", "amount": "121223.01"},
            {"op": "request_closure", "date": "2026-02-01"},
        ]
        figures = {"status": "Loan Closure Requested", "total_amount_paid": "121223.01"}
        case = told(*steps, figures=figures, amortization="DEMAND", installments=None)
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize("said", [{}, {"txn_date": "2026-02-01"}])
    def test_of_money_that_was_taken_back_count_it_no_more(
        self, tmp_path: Path, said: dict[str, str]
    ) -> None:
        steps = [
            DRAW,
            {"op": "repay", "date": "2026-02-01", "amount": "5000"},
            {"op": "cancel", "date": "2026-02-03", **said},
        ]
        figures = {
            "total_principal_paid": "0",
            "total_amount_paid": "0",
            "pending_principal": "120000",
            "days_past_due": 3,
        }
        assert verdict(tmp_path, told(*steps, figures=figures)) == "PASS own"

    def test_of_money_that_never_came_are_skipped(self, tmp_path: Path) -> None:
        case = told(DRAW, {"op": "undo", "date": "2026-02-03"}, figures={"total_amount_paid": "0"})
        assert verdict(tmp_path, case) == "SKIP own which payment is undone"
