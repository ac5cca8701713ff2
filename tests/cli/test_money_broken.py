"""Cases that are broken, or say what nobody knows, never stop the others or pass in silence."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.money_cases import CasesNotReadable, run

FINERACT = {
    "id": "first",
    "system": "apache/fineract",
    "terms": {
        "principal": "300",
        "annual_rate_pct": "12",
        "interest_method": "DECLINING_BALANCE",
        "interest_calc_period": "DAILY",
        "amortization": "EQUAL_INSTALLMENTS",
        "installments": 3,
        "repay_every": 1,
        "repay_unit": "MONTHS",
        "grace_principal_periods": 0,
        "payment_strategy": "ADVANCED_PAYMENT_ALLOCATION",
        "submitted_on": "2026-01-31",
        "rounding": "HALF_EVEN, 2 decimals",
        "product_config": {
            "decimals": 2,
            "days_in_month": "30",
            "days_in_year": "360",
            "schedule_engine": "progressive",
            "interest_recalculation": True,
            "arrears_grace_days": 3,
            "future_installment_rule": {"DEFAULT": "NEXT_INSTALLMENT"},
            "payment_allocation": "PAST_DUE{penalty,fee} > DUE{principal} > IN_ADVANCE{interest}",
        },
    },
    "events": [
        {"op": "business_date", "date": "2026-01-31"},
        {"op": "disburse", "date": "2026-01-31", "amount": "300"},
        {"op": "add_charge", "charge": "ANY", "kind": "fee", "due_date": "2026-03-01", "amount": 5},
        {"op": "repay", "date": "2026-03-01", "amount": "50"},
        {"op": "undo", "nth": 1, "txn_date": "2026-03-01"},
        {
            "op": "re_age",
            "date": "2026-03-02",
            "frequencyNumber": "1",
            "frequencyType": "MONTHS",
            "startDate": "2026-04-01",
            "numberOfInstallments": "2",
        },
    ],
    "expected": [
        {"after_event": 4, "schedule": [{"n": 1, "paid": "5"}], "total": {"principal": "300"}},
        {"after_event": 6, "transactions_include": [{"type": "Re-age"}], "status": "ACTIVE"},
    ],
}
FRAPPE = {
    "id": "second",
    "system": "frappe/lending",
    "source": {"commit": "002b084f"},
    "terms": {
        "principal": "300",
        "annual_rate_pct": "12",
        "penalty_rate_pct": "12",
        "amortization": "EQUAL_INSTALLMENTS",
        "installments": 3,
        "repay_every": 1,
        "repay_unit": "MONTHS",
        "rounding": "see test",
        "product_config": {"schedule_engine": "frappe", "auto_closure_tolerance": "-100..100"},
    },
    "events": [
        {"op": "disburse", "date": "2026-01-31", "amount": "300"},
        {"op": "repay", "date": "2026-02-28", "amount": "50"},
    ],
    "expected": [
        {
            "after_event": 2,
            "figures": {
                "rows_zero_based": [{"idx": 2, "balance": "0"}],
                "days_past_due_by_date": {"2026-03-01": 2},
                "journal": [{"account": "Loan Account", "debit": "300", "credit": "0"}],
                "excess_amount": "-253",
            },
        }
    ],
}
CHINESE = {
    "id": "third",
    "name": "等额本息",
    "input": {
        "principal": 300,
        "annual_rate": "0.12",
        "instalments": 3,
        "settle_on": "2026-02-09",
        "overdue_days": 3,
        "rounding": "HALF_UP 0.01",
    },
    "expected": {
        "rows(principal,interest)": [["99.01", "3.00"]],
        "settlement": "1",
        "penalty": "1",
        "irr_nominal_annual(12*monthly)": "0.12",
    },
}
JUNK = (None, "", "x", -1, 0, 10**12, "1e400", "NaN", [], {}, 1.5, True, "9999-12-31", [[]])


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value)) if _is_list(value) else ()
    for key in keys:
        yield (*path, key)
        yield from places_in(value[key], (*path, key))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def without(case: dict[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(case)
    del node_of(changed, place)[place[-1]]
    return changed


def having(case: dict[str, Any], place: tuple[Any, ...], junk: Any) -> dict[str, Any]:
    changed = copy.deepcopy(case)
    node_of(changed, place)[place[-1]] = junk
    return changed


def node_of(case: Any, place: tuple[Any, ...]) -> Any:
    for key in place[:-1]:
        case = case[key]
    return case


def lines_of(tmp_path: Path, *cases: Any) -> list[str]:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases, default=str), encoding="utf-8")
    lines: list[str] = []
    run([path], lines.append)
    return lines


class TestBrokenCases:
    @pytest.mark.parametrize("case", [FINERACT, FRAPPE, CHINESE], ids=lambda case: case["id"])
    def test_never_stop_the_others(self, tmp_path: Path, case: dict[str, Any]) -> None:
        broken = []
        for n, place in enumerate(places_in(case)):
            broken.append(without(case, place))
            broken += [having(case, place, junk) for junk in JUNK[n % 4 :: 4]]
        lines = lines_of(tmp_path, *broken, "no case", None)
        assert len(lines) == len(broken) + 3
        assert all(line.split()[0] in ("PASS", "FAIL", "SKIP") for line in lines[:-1])
        assert "\n" not in "".join(lines)

    @pytest.mark.parametrize(
        ("case", "why"),
        [
            (3, "#1 is no case"),
            ({"id": "x", "input": [], "expected": {}}, "x has no input that could be read"),
            ({"id": "x", "input": {}}, "x has no expected that could be read"),
            ({"id": "x", "terms": {}, "expected": []}, "x has no events that could be read"),
            (
                FINERACT | {"events": [{"date": "2026-01-31"}]},
                "first step 1 does not say what happens",
            ),
            (
                FINERACT | {"expected": [{"status": "active"}]},
                "first does not say after which step something is expected",
            ),
            (
                FRAPPE | {"terms": FRAPPE["terms"] | {"product_config": "x"}},
                (
                    "second cannot be run as it is written: AttributeError: "
                    "'str' object has no attribute 'get'"
                ),
            ),
        ],
    )
    def test_say_what_is_wrong_with_them_and_where(
        self, tmp_path: Path, case: Any, why: str
    ) -> None:
        assert lines_of(tmp_path, case)[0] == f"FAIL {why} (in cases.json)"

    @pytest.mark.parametrize(
        ("case", "why"),
        [
            (
                FRAPPE | {"events": [{"op": "repay", "date": "2026-01-31"}]},
                "second a loan that is never paid out",
            ),
            (
                FINERACT
                | {"terms": {"principal": "1", "repay_unit": "MONTHS", "repay_every": 1}}
                | {"events": [{"op": "submit"}], "expected": [{"after_event": 1, "status": ""}]},
                "first a case without any day",
            ),
        ],
    )
    def test_that_say_too_little_to_begin_are_skipped(
        self, tmp_path: Path, case: Any, why: str
    ) -> None:
        assert lines_of(tmp_path, case)[0] == f"SKIP {why}"

    def test_a_field_that_nobody_knows_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "cases.json"
        given = {"principal": 100, "annual_rate": "0.12", "terms": 3, "horoscope": "good"}
        cases = [
            {"id": name, "name": "等额本金", "input": given, "expected": {"total_interest": fen}}
            for name, fen in (("right", "2.00"), ("wrong", "1.00"))
        ]
        path.write_text(json.dumps(cases), encoding="utf-8")
        lines: list[str] = []
        said: list[str] = []
        assert run([path], lines.append, remark=said.append) == 0
        assert lines[:2] == ["PASS right", "SKIP wrong the field horoscope is not known here"]
        assert said == ["right passes, but the field horoscope is not known here"]

    @pytest.mark.parametrize("text", ["{", "{}", "3"])
    def test_files_that_hold_none_are_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "cases.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(CasesNotReadable):
            run([path], print)
