"""`fenqi conformance`: what the steps of the first anchor system's cases mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.money_cases import run
from cli.money_cases.compare import differences
from cli.money_cases.shape import shaped

TERMS = {
    "principal": "3000",
    "annual_rate_pct": "0",
    "interest_method": "FLAT",
    "installments": 3,
    "repay_every": 1,
    "repay_unit": "MONTHS",
    "submitted_on": "2026-01-31",
    "product_config": {"schedule_engine": "cumulative", "arrears_grace_days": 3},
}
DRAW = {"op": "disburse", "date": "2026-01-31", "amount": "3000"}
CLOSE = {"op": "run_cob"}
PAUSE = {"op": "delinquency_pause", "start": "2026-03-02", "end": "2026-03-20"}
DOWN_PAYMENT = {
    "schedule_engine": "progressive",
    "down_payment_pct": "25",
    "auto_down_payment": True,
}
DRAWN = {"date": "2026-01-31", "type": "Disbursement", "amount": "3000"}
CHARGE_OFF = {"op": "charge_off", "date": "2026-02-10"}


def day(on: str) -> dict[str, str]:
    return {"op": "business_date", "date": on}


def money(op: str, on: str, amount: str) -> dict[str, str]:
    return {"op": op, "date": on, "amount": amount}


def told(
    *steps: dict[str, Any], terms: dict[str, Any] | None = None, **expected: Any
) -> dict[str, Any]:
    return {
        "id": "own",
        "system": "apache/fineract",
        "terms": TERMS | (terms or {}),
        "events": [DRAW, *steps],
        "expected": [{"after_event": 1 + len(steps), **expected}],
    }


def verdict(tmp_path: Path, case: dict[str, Any]) -> str:
    path, lines = tmp_path / "cases.json", list[str]()
    path.write_text(json.dumps([case]), encoding="utf-8")
    run([path], lines.append)
    return lines[0]


def product(**config: Any) -> dict[str, Any]:
    return {"product_config": TERMS["product_config"] | config}  # type: ignore[operator]


class TestUndoing:
    """Two payments: the first of the loan is not the first of the second one's day."""

    PAID = (
        money("repay", "2026-02-05", "500"),
        money("repay", "2026-02-09", "70"),
    )

    def undo(self, **said: Any) -> dict[str, Any]:
        return {"op": "undo", "txn_date": "2026-02-09", **said}

    @pytest.mark.parametrize(
        ("undone", "left"),
        [
            ([{"nth": 1}], "2500"),
            ([{"nth": 1, "txn_date": "2026-02-05"}], "2930"),
            ([{"nth": 2}], "2500"),
            ([{"nth": 2}, {"nth": 1}], "3000"),
            ([{"nth": 1, "type": "Repayment"}], "2500"),
            ([{"type": "Repayment"}], "2500"),
        ],
    )
    def test_means_one_of_the_day_unless_it_can_only_mean_one_of_the_loan(
        self, tmp_path: Path, undone: list[dict[str, Any]], left: str
    ) -> None:
        case = told(*self.PAID, *(self.undo(**said) for said in undone), outstanding_amount=left)
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize("said", [{"nth": 3}, {"nth": 2, "type": "Goodwill Credit"}])
    def test_of_what_is_not_there_is_skipped(self, tmp_path: Path, said: dict[str, Any]) -> None:
        case = told(*self.PAID, self.undo(**said), status="Active")
        assert verdict(tmp_path, case).startswith("SKIP own which transaction is undone")

    def test_all_that_was_lent_leaves_the_plan_of_the_application(self, tmp_path: Path) -> None:
        case = told(
            {"op": "approve", "date": "2026-01-31", "amount": "3000"},
            *self.PAID,
            {"op": "undo_disbursal"},
            status="Approved",
            schedule=[{"type": "disbursement", "amount": "3000"}, {"n": 1}, {"n": 2}, {"n": 3}],
            transactions=[],
        )
        assert verdict(tmp_path, case) == "PASS own"

    def test_the_last_draw_takes_what_money_did_since_with_it(self, tmp_path: Path) -> None:
        case = told(
            self.PAID[0],
            money("disburse", "2026-02-08", "600"),
            self.PAID[1],
            {"op": "undo_last_disbursal"},
            {"op": "undo", "type": "Repayment", "txn_date": "2026-02-05"},
            outstanding_amount="3000",
            total={"principal": "3000"},
        )
        assert verdict(tmp_path, case) == "PASS own"

    def test_a_waiver_lets_the_charge_be_owed_again(self, tmp_path: Path) -> None:
        charge = {"op": "add_charge", "charge": "ANY", "amount": "9", "due_date": "2026-02-03"}
        steps = (day("2026-02-08"), charge, {"op": "waive_charge"})
        waived = told(
            *steps,
            outstanding_amount="3000",
            transactions_include=[
                {"date": "2026-02-03", "type": "Waive loan charges", "amount": "9", "fees": "0"}
            ],
        )
        assert verdict(tmp_path, waived) == "PASS own"
        again = told(*steps, {"op": "undo_waive_charge"}, outstanding_amount="3009")
        assert verdict(tmp_path, again) == "PASS own"
        none = told({"op": "waive_charge", "due_date": "2026-02-03"}, status="Active")
        assert verdict(tmp_path, none) == "SKIP own which charge is waived"


class TestWrittenOff:
    @pytest.mark.parametrize(
        "step",
        [
            money("repay", "2026-02-01", "50"),
            {"op": "undo", "nth": 1, "txn_date": "2026-02-10"},
        ],
    )
    def test_takes_no_payment_of_any_day_and_stays_so(
        self, tmp_path: Path, step: dict[str, Any]
    ) -> None:
        case = told({"op": "write_off", "date": "2026-02-10"}, must_reject=step)
        assert verdict(tmp_path, case) == "PASS own"


class TestChargeBacks:
    PAID = (
        money("goodwill_credit", "2026-02-05", "300"),
        money("repay", "2026-02-06", "200"),
        money("payout_refund", "2026-02-07", "100"),
    )

    @pytest.mark.parametrize(
        "allocation", [{"CHARGEBACK": ["PENALTY", "FEE"]}, "chargeback: penalty > fee > principal"]
    )
    def test_may_take_back_costs_first(self, tmp_path: Path, allocation: Any) -> None:
        charge = {"op": "add_charge", "charge": "ANY", "amount": "30", "due_date": "2026-02-03"}
        back = {"op": "chargeback", "date": "2026-02-08", "amount": "50"}
        case = told(
            charge,
            money("repay", "2026-02-06", "200"),
            back,
            terms=product(credit_allocation=allocation),
            transactions=[{"type": "Chargeback", "principal": "20", "fees": "30"}],
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(
        ("said", "amount", "word"),
        [
            ({}, "100", "PASS"),
            ({}, "101", "FAIL"),
            ({"of_payment": "1"}, "200", "PASS"),
            ({"of_down_payment": "1"}, "200", "SKIP"),
        ],
    )
    def test_take_back_what_was_paid_last_or_what_is_named(
        self, tmp_path: Path, said: dict[str, str], amount: str, word: str
    ) -> None:
        back = {"op": "chargeback", "date": "2026-02-08", "amount": amount, **said}
        case = told(*self.PAID, back, outstanding_amount=str(2400 + int(amount)))
        assert verdict(tmp_path, case).split()[0] == word


class TestCloses:
    def test_recognise_what_was_earned_to_the_day_before(self, tmp_path: Path) -> None:
        charge = {"op": "add_charge", "charge": "ANY", "amount": "9", "due_date": "2026-02-08"}
        accrual = {"date": "2026-02-08", "type": "Accrual", "amount": "9", "fees": "9"}
        early = told(charge, day("2026-02-08"), CLOSE, transactions=[DRAWN])
        late = told(charge, day("2026-02-09"), CLOSE, CLOSE, transactions=[accrual, DRAWN])
        assert verdict(tmp_path, early) == verdict(tmp_path, late) == "PASS own"

    @pytest.mark.parametrize(
        ("terms", "penalties"),
        [
            (product(overdue_charge={"percent_of_amount": "2"}), "20"),
            (product(late_fee="1 % of amount and interest"), "10.1"),
            (product(overdue_charge={"percent_of_amount_plus_interest": "1.5"}), "15.15"),
        ],
    )
    def test_charge_what_lateness_costs(
        self, tmp_path: Path, terms: dict[str, Any], penalties: str
    ) -> None:
        late = (day("2026-03-01"), CLOSE)
        case = told(*late, terms={"annual_rate_pct": "4", **terms}, total={"penalties": penalties})
        assert verdict(tmp_path, case) == "PASS own"

    def test_cannot_charge_lateness_that_has_no_price(self, tmp_path: Path) -> None:
        case = told(terms=product(late_fee="some"), status="Active")
        assert verdict(tmp_path, case) == "SKIP own the late fee late_fee some"
        case = told(terms={"product": "ANY_OVERDUE_FROM_AMOUNT"}, status="Active")
        assert verdict(tmp_path, case) == "SKIP own a late fee without its rate"


class TestLateness:
    """Grace of three days; a third of 3,000 fell due on 28 February."""

    def loan(self, days: int, name: str) -> dict[str, Any]:
        return {"delinquency_loan": [{"classification": name, "delinquentDays": str(days)}]}

    def test_is_classified_by_money_and_by_closes_that_are_not_paused(self, tmp_path: Path) -> None:
        paused = (day("2026-03-02"), PAUSE, day("2026-03-15"), CLOSE)
        for steps, days, name in (
            (paused, 0, "NO_DELINQUENCY"),
            ((*paused, day("2026-03-31"), CLOSE), 10, "RANGE_3"),
            ((day("2026-03-05"), CLOSE, day("2026-03-31")), 28, "RANGE_1"),
        ):
            assert verdict(tmp_path, told(*steps, **self.loan(days, name))) == "PASS own"

    def test_of_a_loan_that_owes_nothing_late_is_none(self, tmp_path: Path) -> None:
        none = [{"classification": "NO_DELINQUENCY", "delinquentDate": "null"}]
        paid = money("repay", "2026-03-15", "1000")
        case = told(day("2026-03-15"), CLOSE, paid, delinquency_loan=none)
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("paid", "days"), [("199", 28), ("200", 2)])
    def test_counts_from_a_charge_back_until_it_is_paid(
        self, tmp_path: Path, paid: str, days: int
    ) -> None:
        case = told(
            money("repay", "2026-02-28", "1000"),
            {"op": "chargeback", "date": "2026-03-05", "amount": "200"},
            day("2026-04-05"),
            money("repay", "2026-03-10", paid),
            CLOSE,
            delinquency_loan=[{"delinquentDays": str(days)}],
        )
        assert verdict(tmp_path, case) == "PASS own"

    def test_of_a_loan_that_was_only_paused_is_that_of_today(self, tmp_path: Path) -> None:
        case = told({"op": "undo_last_disbursal"}, **self.loan(0, "NO_DELINQUENCY"))
        assert verdict(tmp_path, case) == "PASS own"


class TestJournals:
    CHARGES = (
        {"op": "add_charge", "charge": "ANY", "amount": "10", "due_date": "2026-02-01"},
        {"op": "add_charge", "kind": "penalty", "amount": "5", "due_date": "2026-02-01"},
    )

    def entries(self, *lines: tuple[str, str, str, str]) -> list[dict[str, Any]]:
        return [
            {"type": kind, "account": name, "debit": debit or None, "credit": credit or None}
            for kind, name, debit, credit in lines
        ]

    def test_split_goodwill_by_what_it_gives_up(self, tmp_path: Path) -> None:
        entries = self.entries(
            ("ASSET", "Loans Receivable", "", "25"),
            ("ASSET", "Interest/Fee Receivable", "", "15"),
            ("EXPENSE", "Goodwill Expense Account", "25", ""),
            ("INCOME", "Fee Charge Off", "15", ""),
        )
        given = {"transaction": "GOODWILL_CREDIT", "date": "2026-02-05", "entries": entries}
        credit = money("goodwill_credit", "2026-02-05", "40")
        assert verdict(tmp_path, told(*self.CHARGES, credit, journal=[given])) == "PASS own"

    @pytest.mark.parametrize(
        ("marks", "account"),
        [
            ([], "Credit Loss/Bad Debt"),
            ([{"op": "set_fraud"}], "Credit Loss/Bad Debt-Fraud"),
            ([{"op": "set_fraud"}, {"op": "unset_fraud"}], "Credit Loss/Bad Debt"),
        ],
    )
    def test_take_refunds_after_a_charge_off_as_a_smaller_loss(
        self, tmp_path: Path, marks: list[dict[str, str]], account: str
    ) -> None:
        refunded = self.entries(
            ("EXPENSE", account, "", "3000"),
            ("INCOME", "Fee Charge Off", "", "15"),
            ("LIABILITY", "Overpayment account", "", "85"),
            ("LIABILITY", "Suspense/Clearing account", "3100", ""),
        )
        back = self.entries(
            ("EXPENSE", account, "15", ""),
            ("LIABILITY", "Overpayment account", "85", ""),
            ("LIABILITY", "Suspense/Clearing account", "", "100"),
        )
        case = told(
            *self.CHARGES,
            *marks,
            CHARGE_OFF,
            money("merchant_issued_refund", "2026-02-11", "3100"),
            money("credit_balance_refund", "2026-02-12", "100"),
            journal=[
                {
                    "transaction": "MERCHANT_ISSUED_REFUND",
                    "date": "2026-02-11",
                    "entries": refunded,
                },
                {"transaction": "CREDIT_BALANCE_REFUND", "date": "2026-02-12", "entries": back},
            ],
        )
        assert verdict(tmp_path, case) == "PASS own"

    def test_are_the_same_in_any_order_and_number_of_lines(self) -> None:
        one = [{"type": "A", "account": "x", "debit": "3", "credit": None}]
        two = [{"type": "A", "account": "x", "debit": part, "credit": None} for part in "12"]
        assert differences({"entries": one}, {"entries": two}) == []
        assert differences({"entries": one}, {"entries": two[:1]}) != []


class TestWhatIsWritten:
    def test_lies_beside_what_is_expected(self) -> None:
        got = {
            "status": "active",
            "schedule": [{"n": 1, "fees": "0.00"}, {"n": 2}],
            "transactions": [
                {"date": "d", "type": "Disbursement", "amount": "9"},
                {"date": "d", "type": "Repayment", "amount": "1"},
                {"date": "d", "type": "Repayment", "amount": "2"},
            ],
        }
        paid = {"date": "d", "type": "Repayment", "amount": "2"}
        wrong = {"date": "d", "type": "Repayment", "amount": "3"}
        lost = {"date": "d", "type": "Accrual"}
        assert shaped({"transactions": [paid], "colour": 1}, got) == {"transactions": [paid]}
        assert shaped({"transactions": [paid, wrong, lost]}, got) == {
            "transactions": [paid, got["transactions"][1]]
        }
        whole = [paid, {"type": "Disbursement", "date": "d"}]
        assert shaped({"transactions": whole}, got) == {
            "transactions": [paid, whole[1], got["transactions"][1]]
        }
        assert shaped({"schedule": [{"n": 1}]}, got) == {"schedule": [{"n": 1}, {"n": 2}]}
        assert shaped(None, None) is None
        assert shaped({"transactions": [paid]}, {"transactions": 1}) == {"transactions": 1}


class TestScenarios:
    @pytest.mark.parametrize(
        ("is_applied_for", "interest"), [(True, ["0", "20", "10"]), (False, ["0", "10", "10"])]
    )
    def test_hand_over_free_periods_of_an_application_as_grace(
        self, tmp_path: Path, is_applied_for: bool, interest: list[str]
    ) -> None:
        declining = {
            "annual_rate_pct": "4",
            "interest_method": "DECLINING_BALANCE",
            "interest_calc_period": "SAME_AS_REPAYMENT_PERIOD",
            "grace_principal_periods": 2,
            "interest_free_periods": 1,
        }
        rows = [{"interest": value} for value in interest]
        case = told(terms=declining, schedule=rows)
        if not is_applied_for:
            del case["terms"]["submitted_on"]
        assert verdict(tmp_path, case) == "PASS own"

    def test_are_not_approved_before_somebody_says_so(self, tmp_path: Path) -> None:
        case = told(status="SUBMITTED_AND_PENDING_APPROVAL")
        case["events"], case["expected"][0]["after_event"] = [day("2026-01-31")], 1
        assert verdict(tmp_path, case) == "PASS own"


class TestDownPayments:
    def test_are_paid_out_of_what_was_overpaid_first(self, tmp_path: Path) -> None:
        case = told(
            money("repay", "2026-02-05", "2270"),
            money("disburse", "2026-02-28", "400"),
            terms={"product_config": DOWN_PAYMENT},
            outstanding_amount="300",
            schedule=[
                {"type": "disbursement", "amount": "3000"},
                {"n": 1, "principal": "750"},
                {"n": 2, "due_date": "2026-02-28", "balance": "1500"},
                {"type": "disbursement", "amount": "400"},
                {"n": 3, "principal": "100", "paid": "100", "balance": "1800"},
                {"n": 4},
                {"n": 5},
            ],
            transactions_include=[
                {"date": "2026-02-28", "type": "Down Payment", "amount": "80"},
            ],
        )
        assert verdict(tmp_path, case) == "PASS own"
