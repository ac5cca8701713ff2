"""Runs cases of Chinese products: flat fees, annuities, equal principal, interest first, the cap.

A case names its product in words and gives its figures under names of its own; rates come out with
as many decimals as the case writes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any, Final

from cli.money_cases.reading import (
    Json,
    NotCovered,
    day,
    decimal,
    fen,
    money,
    one_of,
    percent,
    whole,
)
from kernel.money import Rounding
from servicing.engine import events
from servicing.engine.cost import AnnualCost, annual_cost, highest_flat_fee
from servicing.engine.parts import Parts
from servicing.engine.periods import MONTHS_A_YEAR
from servicing.engine.plan import Plan, plan
from servicing.engine.profile import ACTUAL_360, ACTUAL_364, ACTUAL_365, HOUSE, Profile
from servicing.engine.quote import QuoteKind, quote
from servicing.engine.replay import replay
from servicing.engine.terms import Method, PenaltyRule, Terms

# A case without dates is as good on any day; this one has no month that ends early after it.
_START: Final = date(2026, 1, 1)
_MONTHS: Final = Decimal(MONTHS_A_YEAR)
_METHODS: Final = (
    ("等额本息", Method.EQUAL_INSTALMENT),
    ("等额本金", Method.EQUAL_PRINCIPAL),
    ("等本等息", Method.FLAT_FEE),
    ("先息后本", Method.INTEREST_FIRST),
    ("一次", Method.BULLET),
    ("到期还本付息", Method.BULLET),
)
_CAP: Final = Decimal("0.24")
_YEARS: Final = {"annual/360": 360, "annual/365": 365}
_DAY_COUNTS: Final = {"360": ACTUAL_360, "364": ACTUAL_364, "365": ACTUAL_365}
_ROUNDINGS: Final = {"HALF_UP": Rounding.HALF_UP, "HALF_EVEN": Rounding.HALF_EVEN}


def compute(case: Json) -> dict[str, Any]:
    """Return what comes out under each name that a case expects."""
    given, expected = case["input"], case["expected"]
    name = str(case.get("name", ""))
    if all(str(key).isdigit() for key in expected):
        return _highest_fees(given, expected)
    told = _Told(given, name)
    return {key: _figure(told, key, wanted) for key, wanted in expected.items()}


def _highest_fees(given: Json, expected: Json) -> dict[str, Any]:
    """The fee that stays at a cap, for each number of instalments."""
    cap = decimal(given.get("cap", _CAP))
    return {
        count: _decimals(
            highest_flat_fee(terms=int(count), cap_annual=cap, periods_a_year=_MONTHS), wanted
        )
        for count, wanted in expected.items()
    }


class _Told:
    """A product of a case with its plan and its cost."""

    def __init__(self, given: Json, name: str) -> None:
        self.given = given
        self.terms = _terms(given, name)
        self.plan: Plan = plan(self.terms)

    @property
    def cost(self) -> AnnualCost:
        """The cost of the plan; fees that are paid at the start make what is received smaller."""
        upfront = sum(fen(self.given[key]) for key in _UPFRONT if key in self.given)
        payments = [row.due.total_fen for row in self.plan.instalments]
        received = self.terms.principal_fen - upfront
        return annual_cost(received, payments, periods_a_year=_MONTHS)


_UPFRONT: Final = ("upfront_fee", "upfront_charge")


def _first(given: Json, *names: str) -> Any:
    return next((given[name] for name in names if name in given), None)


def _terms(given: Json, name: str) -> Terms:
    principal = _first(given, "principal", "amount", "loan_amount")
    count = _first(given, "instalments", "installments", "terms", "n", "months", "periods")
    if principal is None or count is None:
        raise NotCovered("a case without principal or instalments")
    fee = _first(given, "monthly_fee_rate", "fee_rate", "monthly_fee")
    return Terms(
        principal_fen=fen(principal),
        start_on=_start(given),
        rate_annual=_annual_rate(given),
        terms=whole(count),
        method=_method(name, given, has_fee=fee is not None),
        fee_rate=decimal(fee or 0),
        profile=_profile(given),
    )


def _start(given: Json) -> date:
    value = _first(
        given, "start", "disbursed_on", "disbursement", "disbursement_date", "start_date"
    )
    return day(value) if value else _START


def _annual_rate(given: Json) -> Decimal:
    """A rate may be given by the year, the month or the day; a formula only repeats the first."""
    annual = _first(given, "annual_rate", "rate_annual", "nominal_annual_rate", "rate")
    monthly = _first(given, "monthly_rate", "rate_monthly", "monthly_interest_rate")
    daily = _first(given, "daily_rate", "rate_daily")
    if annual is not None:
        one_of({"annual/12": 12}, monthly or "annual/12", "a month that costs")
        one_of(_YEARS, daily or "annual/360", "a day that costs")
        return decimal(annual)
    if monthly is not None:
        return decimal(monthly) * MONTHS_A_YEAR
    return decimal(daily) * _YEARS["annual/360"] if daily is not None else Decimal(0)


def _method(name: str, given: Json, *, has_fee: bool) -> Method:
    text = f"{name} {given.get('method', '')}"
    for words, method in _METHODS:
        if words in text:
            return method
    if has_fee:
        return Method.FLAT_FEE
    try:
        return Method(str(given.get("method", "")).replace("_", "-").lower())
    except ValueError:
        raise NotCovered(f"the product {name}") from None


def _profile(given: Json) -> Profile:
    """The house's rules, unless the case rounds or counts days in another way."""
    rounding = re.search(r"[A-Z]+(_[A-Z]+)+", str(given.get("rounding", "")))
    year = _first(given, "day_count", "day_basis", "daily_rate", "year_days")
    days = re.search(r"\d{3}", str(year or ""))
    return replace(
        HOUSE,
        rounding=one_of(_ROUNDINGS, rounding[0] if rounding else "HALF_UP", "the rounding"),
        day_count=one_of(_DAY_COUNTS, days[0] if days and "/" in str(year) else "360", "a year of"),
    )


def _figure(told: _Told, key: str, wanted: Any) -> Any:
    name = key.split("(", maxsplit=1)[0].strip()
    if name == "rows":
        return _rows(told, key)
    cap = re.fullmatch(r"above_(\d+)pct_cap", name)
    if cap:
        return _is_above(told, percent(cap[1]))
    maker = _FIGURES.get(name)
    if maker is None:
        raise NotCovered(f"the figure {key}")
    return maker(told, wanted)


def _rows(told: _Told, key: str) -> list[list[str]]:
    columns = [column.strip() for column in key[key.index("(") + 1 : -1].split(",")]
    lines = []
    for row in told.plan.instalments:
        values = {
            "n": str(row.n),
            "due_on": row.due_on.isoformat(),
            "principal": money(row.due.principal_fen),
            "interest": money(row.due.interest_fen),
            "fee": money(row.due.fee_fen),
            "payment": money(row.due.total_fen),
            "total": money(row.due.total_fen),
            "balance": money(row.balance_fen),
        }
        missing = [column for column in columns if column not in values]
        if missing:
            raise NotCovered(f"the column {missing[0]}")
        lines.append([values[column] for column in columns])
    return lines


def _decimals(exact: Decimal, wanted: Any) -> str:
    """Write a rate with as many decimals as a case does."""
    places = len(str(wanted).partition(".")[2])
    return str(exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))


def _payment(index: int) -> Callable[[_Told, Any], str]:
    return lambda told, _: money(told.plan.instalments[index].due.total_fen)


def _nominal_fee(told: _Told, wanted: Any) -> str:
    return _decimals(told.terms.fee_rate * MONTHS_A_YEAR or told.terms.rate_annual, wanted)


def _is_above(told: _Told, cap: Decimal) -> bool:
    return told.cost.nominal.quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN) > cap


def _settled_part(of: Callable[[Parts], int]) -> Callable[[_Told, Any], str]:
    """What ends the loan on the day of a case, or a part of it; what was due before is paid."""

    def figure(told: _Told, _: Any) -> str:
        on = _settles_on(told)
        happened: list[events.Event] = [_draw(told.terms)]
        happened += [
            events.Payment(id=f"paid-{row.n}", on=row.due_on, amount_fen=row.due.total_fen)
            for row in told.plan.instalments
            if row.due_on <= on
        ]
        return money(of(quote(told.terms, happened, on, QuoteKind.SETTLE).parts))

    return figure


def _draw(terms: Terms) -> events.Disbursement:
    return events.Disbursement(id="draw", on=terms.start_on, amount_fen=terms.principal_fen)


def _settles_on(told: _Told) -> date:
    value = _first(told.given, "settle_on", "payoff_date", "settlement_date", "prepay_on", "on")
    if value is not None:
        return day(value)
    paid = _first(told.given, "paid_instalments", "instalments_paid", "after_instalments", "paid")
    days = _first(told.given, "days", "days_after_due", "days_since_due", "days_since_last_due")
    if paid is None or days is None:
        raise NotCovered("an early settlement without its day")
    rows = told.plan.instalments
    since = rows[whole(paid) - 1].due_on if whole(paid) else told.terms.start_on
    return since + timedelta(days=whole(days))


def _penalty(told: _Told, _: Any) -> str:
    """What lateness has cost some days after the first due date, nothing having been paid."""
    days = _first(told.given, "overdue_days", "days_overdue", "days_late", "days")
    if days is None:
        raise NotCovered("a penalty without its days")
    factor = _first(told.given, "penalty_multiplier", "multiplier") or "1.5"
    rate = _first(told.given, "penalty_rate_annual", "penalty_annual_rate")
    rule = PenaltyRule(
        rate_annual=decimal(rate) if rate else told.terms.rate_annual * decimal(factor),
        grace_days=whole(told.given.get("grace_days")),
        year_days=told.terms.profile.day_count.year_days or 360,
    )
    terms = replace(told.terms, penalty=rule)
    on = told.plan.instalments[0].due_on + timedelta(days=whole(days))
    row = replay(terms, [_draw(terms)], on).rows[0]
    return money(row.due.penalty_fen)


_FIGURES: Final[Mapping[str, Callable[[_Told, Any], Any]]] = {
    "monthly_payment": _payment(0),
    "first_payment": _payment(0),
    "instalment": _payment(0),
    "last_payment": _payment(-1),
    "nominal_annual": _nominal_fee,
    "irr_nominal_annual": lambda told, wanted: _decimals(told.cost.nominal, wanted),
    "irr_effective_annual": lambda told, wanted: _decimals(told.cost.effective, wanted),
    "total_interest": lambda told, _: money(told.plan.total.interest_fen),
    "total_fee": lambda told, _: money(told.plan.total.fee_fen),
    "total_cost": lambda told, _: money(told.plan.total.total_fen - told.plan.total.principal_fen),
    "total_payment": lambda told, _: money(told.plan.total.total_fen),
    "settlement": _settled_part(lambda parts: parts.total_fen),
    "settlement_amount": _settled_part(lambda parts: parts.total_fen),
    "payoff": _settled_part(lambda parts: parts.total_fen),
    "payoff_amount": _settled_part(lambda parts: parts.total_fen),
    "remaining_principal": _settled_part(lambda parts: parts.principal_fen),
    "interest_to_date": _settled_part(lambda parts: parts.interest_fen),
    "accrued_interest": _settled_part(lambda parts: parts.interest_fen),
    "penalty": _penalty,
    "penalty_interest": _penalty,
}
