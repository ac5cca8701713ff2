"""Lives of loans like the published ones with other amounts, dates and products.

Every expected figure is computed here from a formula or by hand, never by the engine.
"""

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from money_case_making import (
    annuity,
    by_days,
    disburse,
    fineract,
    levelled,
    money,
    months_after,
    repay,
    rows_of,
    verdict,
)

RECALCULATED = {
    "schedule_engine": "cumulative",
    "interest_recalculation": True,
    "rest_frequency": "DAILY",
    "compounding": "NONE",
    "preclose": "TILL_PRECLOSURE_DATE",
    "installment_multiple_of": "1",
}


class TestPrepayments:
    """More than an instalment on its due date, where interest follows the balance by days/365."""

    @pytest.mark.parametrize(("principal", "rate", "count"), [(5000, 12, 6), (8400, 19, 9)])
    @pytest.mark.parametrize("paid", [1500, 2345])
    @pytest.mark.parametrize(
        "strategy",
        ["REDUCE_EMI_AMOUNT", "REDUCE_NUMBER_OF_INSTALLMENTS", "RESCHEDULE_NEXT_REPAYMENTS"],
    )
    def test_change_what_the_product_says(
        self, tmp_path: Path, principal: int, rate: int, count: int, paid: int, strategy: str
    ) -> None:
        dates = [months_after(date(2023, 3, 31), n) for n in range(count + 1)]
        shares = [Fraction(rate, 100) * share for share in by_days(dates, 365)]
        level_by = Fraction(rate, 100) * Fraction(30, 365)
        level = money(annuity(Decimal(principal), [level_by] * count), to=Decimal(1))
        interest = money(principal * shares[0])
        parts, left = [(paid - interest, interest)], principal - (paid - interest)
        cut = paid - level if strategy.startswith("RESCHEDULE") else Decimal(0)
        if strategy == "REDUCE_EMI_AMOUNT":
            level = money(annuity(left, [level_by] * (count - 1)), to=Decimal(1))
        for n, share in enumerate(shares[1:], start=2):
            interest = money(Fraction(left) * share)
            planned = left if n == count else min(left, level - interest)
            skipped = min(cut, planned) if n < count else Decimal(0)
            cut -= skipped
            left -= planned - skipped
            parts.append((planned - skipped, interest))
            if not left:
                break
        case = fineract(
            disburse(dates[0], principal),
            {"op": "business_date", "date": str(dates[1])},
            repay(dates[1], paid),
            expected={
                "schedule": rows_of(dates[: len(parts) + 1], parts, Decimal(principal)),
                "transactions_include": [
                    {"type": "Repayment", "amount": str(paid), "interest": str(parts[0][1])}
                ],
            },
            config=RECALCULATED | {"prepayment_strategy": strategy},
            principal=str(principal),
            annual_rate_pct=str(rate),
            installments=count,
            payment_strategy="PENALTIES_FEES_INTEREST_PRINCIPAL_ORDER",
        )
        assert verdict(tmp_path, case) == "PASS own"


MONTHS_OF_30 = {
    "schedule_engine": "progressive",
    "interest_recalculation": True,
    "days_in_month": "30",
    "days_in_year": "360",
}


class TestProgressiveRecalculation:
    @pytest.mark.parametrize(("principal", "rate", "count"), [("100", "7", 6), ("2500", "22", 8)])
    @pytest.mark.parametrize(("months", "days"), [(1, 7), (2, 20), (3, 0)])
    def test_an_overdue_balance_bears_interest_until_the_day_of_looking(
        self, tmp_path: Path, principal: str, rate: str, count: int, months: int, days: int
    ) -> None:
        dates = [months_after(date(2024, 1, 1), n) for n in range(count + 1)]
        on, monthly = dates[months] + timedelta(days=days), Fraction(rate) / 1200
        whole = Decimal(principal)
        factors = [monthly] * count
        plan = levelled(whole, factors)
        level = sum(plan[0])
        left, parts = whole, []
        for n in range(count):
            since, to = dates[n], dates[n + 1]
            if to <= on:
                interest = money(Fraction(whole) * monthly)
            elif since < on:
                share = Fraction((on - since).days, (to - since).days)
                interest = money(Fraction(whole) * monthly * share)
                interest += money(Fraction(left) * monthly * (1 - share))
            else:
                interest = money(Fraction(left) * monthly)
            repaid = left if n == count - 1 else level - interest
            left -= repaid
            parts.append((repaid, interest))
        case = fineract(
            disburse(dates[0], principal),
            {"op": "business_date", "date": str(on)},
            {"op": "run_cob"},
            expected={"schedule": rows_of(dates, parts, whole)},
            config=MONTHS_OF_30,
            principal=principal,
            annual_rate_pct=rate,
            installments=count,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("principal", "rate"), [("100", "7"), ("3333", "18")])
    @pytest.mark.parametrize("day", [date(2024, 2, 29), date(2024, 2, 12), date(2024, 3, 1)])
    def test_a_terminated_loan_owes_its_balance_and_the_interest_to_the_day(
        self, tmp_path: Path, principal: str, rate: str, day: date
    ) -> None:
        dates = [months_after(date(2024, 1, 1), n) for n in range(7)]
        monthly, whole = Fraction(rate) / 1200, Decimal(principal)
        first = levelled(whole, [monthly] * 6)[0]
        left = whole - first[0]
        share = Fraction((day - dates[1]).days, (dates[2] - dates[1]).days)
        parts = [first, (left, money(Fraction(left) * monthly * share))]
        case = fineract(
            disburse(dates[0], principal),
            {"op": "business_date", "date": "2024-02-01"},
            repay("2024-02-01", sum(first)),
            {"op": "business_date", "date": str(day)},
            {"op": "terminate_contract", "date": str(day)},
            expected={"schedule": rows_of([*dates[:2], day], parts, whole)},
            config=MONTHS_OF_30,
            principal=principal,
            annual_rate_pct=rate,
            installments=6,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("first", "second"), [("100", "100"), ("640", "1000.01")])
    def test_a_second_tranche_on_a_due_date_is_levelled_with_what_is_left(
        self, tmp_path: Path, first: str, second: str
    ) -> None:
        dates = [months_after(date(2024, 1, 1), n) for n in range(7)]
        monthly = Fraction("9.4822") / 1200
        before = levelled(Decimal(first), [monthly] * 6)[0]
        drawn = Decimal(first) + Decimal(second)
        parts = [before, *levelled(drawn - before[0], [monthly] * 5)]
        rows = rows_of(dates, parts, drawn)
        case = fineract(
            disburse(dates[0], first),
            disburse(dates[1], second),
            expected={"schedule": rows},
            config=MONTHS_OF_30 | {"interest_recalculation": False},
            principal=str(drawn),
            annual_rate_pct="9.4822",
            installments=6,
        )
        assert verdict(tmp_path, case) == "PASS own"


COMPONENTS = ("penalties", "fees", "interest", "principal")


class Debt:
    """A loan without interest as a table; money is put on it by hand."""

    def __init__(self, dues: dict[date, dict[str, int]]) -> None:
        self.owed = {on: dict(parts) for on, parts in dues.items()}
        self.paid = {on: dict.fromkeys(COMPONENTS, 0) for on in dues}

    def put(self, on: date, component: str, most: int) -> int:
        taken = min(most, self.owed[on].get(component, 0))
        self.owed[on][component] = self.owed[on].get(component, 0) - taken
        self.paid[on][component] += taken
        return taken

    def open(self, days: list[date]) -> list[date]:
        return [on for on in days if sum(self.owed[on].values())]

    def settle(self, amount: int, day: date, order: tuple[str, ...], future: str) -> None:
        """Past due, then due, then in advance: instalment by instalment."""
        days = sorted(self.owed)
        for on in [on for on in days if on <= day]:
            for component in order:
                amount -= self.put(on, component, amount)
        while amount and self.open([on for on in days if on > day]):
            ahead = self.open([on for on in days if on > day])
            takers = {"next": ahead[:1], "last": ahead[-1:], "all": ahead}[future]
            each = int((Decimal(amount) / len(takers)).quantize(Decimal(1), ROUND_HALF_EVEN))
            shares = [each] * (len(takers) - 1) + [amount - each * (len(takers) - 1)]
            for on, share in zip(takers, shares, strict=True):
                for component in order:
                    took = self.put(on, component, share)
                    share, amount = share - took, amount - took  # noqa: PLW2901 -- it is spent


FUTURES = {"NEXT_INSTALLMENT": "next", "LAST_INSTALLMENT": "last", "REAMORTIZATION": "all"}
ADVANCED_ORDER = ("penalties", "fees", "principal", "interest")
ROW_ORDER = ("penalties", "fees", "interest", "principal")


class TestAllocation:
    """Money on loans without interest, against a table that is filled by hand."""

    @pytest.mark.parametrize("future", FUTURES)
    @pytest.mark.parametrize("op", ["repay", "goodwill_credit", "merchant_issued_refund"])
    @pytest.mark.parametrize("paid", [("03-15", "275.50"), ("02-01", "333.33"), ("04-20", "512")])
    def test_of_what_is_past_due_due_and_in_advance(
        self, tmp_path: Path, future: str, op: str, paid: tuple[str, str]
    ) -> None:
        dates = [months_after(date(2023, 1, 1), n) for n in range(7)]
        debt = Debt({on: {"principal": 200_00} for on in dates[1:]})
        has_charge = FUTURES[future] != "all"
        steps = [disburse(dates[0], "1200")]
        if has_charge:
            debt.owed[dates[2]] |= {"penalties": 10_00}
            debt.owed[dates[4]] |= {"fees": 7_50}
            steps += [
                charge("penalty", "2023-02-17", "10"),
                charge("fee", "2023-04-09", "7.50"),
            ]
        day, amount = date.fromisoformat(f"2023-{paid[0]}"), paid[1]
        debt.settle(int(Decimal(amount) * 100), day, ADVANCED_ORDER, FUTURES[future])
        steps += [
            {"op": "business_date", "date": str(day)},
            {"op": op, "date": str(day), "amount": amount},
        ]
        rule = {"DEFAULT": "NEXT_INSTALLMENT"}
        kind = {"repay": "DEFAULT"}.get(op, op.upper())
        case = fineract(
            *steps,
            expected={"schedule": paid_rows(debt), "transactions_include": [told(debt)]},
            config={
                "schedule_engine": "progressive",
                "future_installment_rule": rule | {kind: future},
            },
            principal="1200",
            installments=6,
        )
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize("amounts", [("90", "480.01"), ("1000", "50"), ("410", "810")])
    def test_in_the_order_of_a_strategy(self, tmp_path: Path, amounts: tuple[str, str]) -> None:
        dates = [months_after(date(2023, 1, 31), n) for n in range(4)]
        debt = Debt({on: {"principal": 400_00} for on in dates[1:]})
        debt.owed[dates[1]] |= {"penalties": 20_00}
        debt.owed[dates[2]] |= {"fees": 5_00}
        steps = [
            disburse(dates[0], "1200"),
            charge("penalty", "2023-02-10", "20"),
            charge("fee", "2023-03-10", "5"),
        ]
        for day, amount in zip((date(2023, 3, 15), date(2023, 3, 31)), amounts, strict=True):
            debt.settle(int(Decimal(amount) * 100), day, ROW_ORDER, "next")
            steps += [{"op": "business_date", "date": str(day)}, repay(day, amount)]
        case = fineract(
            *steps,
            expected={"schedule": paid_rows(debt)},
            config={"schedule_engine": "cumulative"},
            principal="1200",
            installments=3,
            payment_strategy="PENALTIES_FEES_INTEREST_PRINCIPAL_ORDER",
        )
        assert verdict(tmp_path, case) == "PASS own"

    def test_vertically_finishes_a_component_before_the_next(self, tmp_path: Path) -> None:
        steps = [
            disburse("2023-01-01", "300"),
            charge("penalty", "2023-01-20", "9"),
            charge("penalty", "2023-02-20", "9"),
            charge("fee", "2023-02-21", "4"),
            {"op": "business_date", "date": "2023-03-15"},
            repay("2023-03-15", "20"),
        ]
        rows = [{"n": 1, "paid": "9"}, {"n": 2, "paid": "11"}, {"n": 3, "paid": "0"}]
        case = fineract(
            *steps,
            expected={"schedule": rows},
            config={"schedule_engine": "progressive", "processing": "VERTICAL"},
            principal="300",
            installments=3,
        )
        case["expected"][0]["transactions_include"] = [{"penalties": "18", "fees": "2"}]
        assert verdict(tmp_path, case) == "PASS own"

    def test_by_rules_of_the_case_may_leave_something_unpaid(self, tmp_path: Path) -> None:
        case = fineract(
            disburse("2023-01-01", "300"),
            charge("penalty", "2023-01-20", "9"),
            {"op": "business_date", "date": "2023-02-15"},
            repay("2023-02-15", "105"),
            expected={"schedule": [{"n": 1, "paid": "100"}, {"n": 2, "paid": "5"}, {"n": 3}]},
            config={
                "schedule_engine": "progressive",
                "payment_allocation": ["PAST_DUE_PRINCIPAL", "IN_ADVANCE_PRINCIPAL"],
            },
            principal="300",
            installments=3,
        )
        assert verdict(tmp_path, case) == "PASS own"


def charge(kind: str, due_on: str, amount: str) -> dict[str, Any]:
    return {
        "op": "add_charge",
        "charge": "LOAN_ANY_FEE",
        "kind": kind,
        "due_date": due_on,
        "amount": amount,
    }


def paid_rows(debt: Debt) -> list[dict[str, Any]]:
    return [
        {
            "due_date": on,
            "paid": str(Decimal(sum(debt.paid[on].values())) / 100),
            "outstanding": str(Decimal(sum(debt.owed[on].values())) / 100),
        }
        for on in sorted(debt.owed)
    ]


def told(debt: Debt) -> dict[str, str]:
    sums = {name: sum(paid[name] for paid in debt.paid.values()) for name in COMPONENTS}
    return {name: str(Decimal(sums[name]) / 100) for name in COMPONENTS}


class TestChangesOfPlan:
    @pytest.mark.parametrize(("extra", "since"), [(1, 2), (3, 3), (5, 1)])
    def test_extra_terms_spread_what_is_left(self, tmp_path: Path, extra: int, since: int) -> None:
        dates = [months_after(date(2023, 7, 31), n) for n in range(5 + extra)]
        left = Decimal(4000 - 1000 * (since - 1))
        count = 4 - (since - 1) + extra
        share = money(left / count, to=Decimal(1))
        parts = [(Decimal(1000), Decimal(0))] * (since - 1) + [(share, Decimal(0))] * (count - 1)
        parts.append((left - share * (count - 1), Decimal(0)))
        case = self.rescheduled(dates[since], extraTerms=str(extra))
        case["expected"][0]["schedule"] = rows_of(dates, parts, Decimal(4000))
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("periods", "since"), [(1, 2), (2, 3), (3, 1)])
    def test_grace_moves_principal_on(self, tmp_path: Path, periods: int, since: int) -> None:
        dates = [months_after(date(2023, 7, 31), n) for n in range(5 + periods)]
        repaid = [Decimal(1000)] * 4
        repaid[since - 1 : since - 1] = [Decimal(0)] * periods
        case = self.rescheduled(dates[since], graceOnPrincipal=str(periods))
        parts = [(one, Decimal(0)) for one in repaid]
        case["expected"][0]["schedule"] = rows_of(dates, parts, Decimal(4000))
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize(("rate", "since"), [("6", 2), ("30.6", 3)])
    def test_a_flat_loan_is_repriced_from_a_row_on(
        self, tmp_path: Path, rate: str, since: int
    ) -> None:
        dates = [months_after(date(2023, 7, 31), n) for n in range(5)]
        new = 4000 * Decimal(rate) / 1200
        parts = [(Decimal(1000), Decimal(40) if n < since else new) for n in range(1, 5)]
        case = self.rescheduled(dates[since], newInterestRate=rate)
        case["terms"]["annual_rate_pct"] = "12"
        case["expected"][0]["schedule"] = rows_of(dates, parts, Decimal(4000))
        assert verdict(tmp_path, case) == "PASS own"

    @pytest.mark.parametrize("to", ["2023-10-10", "2023-12-30"])
    def test_a_moved_due_date_takes_the_following_with_it(self, tmp_path: Path, to: str) -> None:
        moved = date.fromisoformat(to)
        dates = [date(2023, 7, 31), date(2023, 8, 31)]
        dates += [months_after(moved, n) for n in range(3)]
        case = self.rescheduled(date(2023, 9, 30), adjustedDueDate=to)
        parts = [(Decimal(1000), Decimal(0))] * 4
        case["expected"][0]["schedule"] = rows_of(dates, parts, Decimal(4000))
        assert verdict(tmp_path, case) == "PASS own"

    def rescheduled(self, since: date, **change: str) -> dict[str, Any]:
        return fineract(
            disburse("2023-07-31", "4000"),
            {"op": "business_date", "date": "2023-08-05"},
            {
                "op": "reschedule",
                "rescheduleFromDate": str(since),
                "submittedOnDate": "2023-08-05",
                **change,
            },
            expected={},
            config={"schedule_engine": "cumulative", "installment_multiple_of": "1"},
            principal="4000",
            installments=4,
            interest_method="FLAT",
            interest_calc_period="SAME_AS_REPAYMENT_PERIOD",
        )

    @pytest.mark.parametrize(("day", "missed"), [("2023-03-10", 2), ("2023-05-31", 4)])
    def test_re_amortising_spreads_what_is_past_due(
        self, tmp_path: Path, day: str, missed: int
    ) -> None:
        dates = [months_after(date(2023, 1, 1), n) for n in range(7)]
        each = money(Decimal(100 * missed) / (6 - missed))
        repaid = [Decimal(0)] * missed + [100 + each] * (5 - missed)
        repaid.append(600 - sum(repaid))
        case = fineract(
            disburse(dates[0], "600"),
            {"op": "business_date", "date": day},
            {"op": "re_amortize"},
            expected={"schedule": rows_of(dates, [(one, Decimal(0)) for one in repaid], 600)},
            config={"schedule_engine": "progressive"},
            principal="600",
            installments=6,
        )
        assert verdict(tmp_path, case) == "PASS own"


class TestLateness:
    @pytest.mark.parametrize(
        ("grace", "day", "name", "delinquent"),
        [
            (3, "2023-02-04", "NO_DELINQUENCY", 0),
            (3, "2023-02-05", "RANGE_1", 1),
            (0, "2023-02-02", "RANGE_1", 1),
            (0, "2023-02-05", "RANGE_3", 4),
            (5, "2023-03-09", "RANGE_30", 31),
            (0, "2023-12-31", "RANGE_240", 333),
        ],
    )
    def test_counts_from_the_day_after_the_due_date_less_grace(
        self, tmp_path: Path, grace: int, day: str, name: str, delinquent: int
    ) -> None:
        on = date.fromisoformat(day)
        due = [months_after(date(2023, 1, 1), n) for n in range(1, 4)]
        amount = 100 * sum(1 for one in due if one < on)
        since = due[0] + timedelta(days=grace)
        loan = {
            "classification": name,
            "delinquentAmount": str(amount),
            "delinquentDate": since.strftime("%d %B %Y"),
            "delinquentDays": str(delinquent),
            "pastDueDays": str((on - due[0]).days),
        }
        case = fineract(
            disburse("2023-01-01", "300"),
            {"op": "business_date", "date": day},
            {"op": "run_cob"},
            expected={"delinquency_loan": [loan]},
            config={"schedule_engine": "progressive", "arrears_grace_days": grace},
            principal="300",
            installments=3,
        )
        assert verdict(tmp_path, case) == "PASS own"
