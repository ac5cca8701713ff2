"""Translates a Chinese product of a case into terms: a case names it in words of its own."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from cli.money_cases.reading import (
    Json,
    NotCovered,
    day,
    decimal,
    fen,
    first_of,
    letters,
    one_of,
    percent,
    whole,
)
from kernel.money import Rounding
from servicing.engine.periods import MONTHLY, MONTHS_A_YEAR, Frequency, Unit
from servicing.engine.profile import ACTUAL_360, ACTUAL_364, ACTUAL_365, HOUSE, Profile
from servicing.engine.terms import FeeRule, Method, PenaltyRule, Terms

# A case without dates is as good on any day; this one has no month that ends early after it.
_START: Final = date(2026, 1, 1)
_METHODS: Final = (
    ("等额本息", Method.EQUAL_INSTALMENT),
    ("等额本金", Method.EQUAL_PRINCIPAL),
    ("等本等息", Method.FLAT_FEE),
    ("先息后本", Method.INTEREST_FIRST),
    ("按月付息", Method.INTEREST_FIRST),
    ("一次", Method.BULLET),
    ("到期还本付息", Method.BULLET),
)
_SAID_METHODS: Final = {
    "annuity": Method.EQUAL_INSTALMENT,
    "equalinstalments": Method.EQUAL_INSTALMENT,
    "equalinstallment": Method.EQUAL_INSTALMENT,
    "equalinstallments": Method.EQUAL_INSTALMENT,
    "equalprincipalpayments": Method.EQUAL_PRINCIPAL,
    "interestonly": Method.INTEREST_FIRST,
    "interestfirstprincipallast": Method.INTEREST_FIRST,
    "flat": Method.FLAT_FEE,
    **{letters(method.value): method for method in Method},
}
_YEARS: Final = {"annual/360": 360, "annual/365": 365, "annual/364": 364}
_DAY_COUNTS: Final = {"360": ACTUAL_360, "364": ACTUAL_364, "365": ACTUAL_365}
_ROUNDINGS: Final = {
    "HALF_UP": Rounding.HALF_UP,
    "HALF_EVEN": Rounding.HALF_EVEN,
    "UP": Rounding.UP,
    "CEILING": Rounding.UP,
    "DOWN": Rounding.DOWN,
    "FLOOR": Rounding.DOWN,
}
_FREQUENCIES: Final = {
    "monthly": MONTHLY,
    "weekly": Frequency(unit=Unit.WEEKS),
    "biweekly": Frequency(unit=Unit.WEEKS, every=2),
    "twoweekly": Frequency(unit=Unit.WEEKS, every=2),
    "halfmonthly": Frequency(unit=Unit.DAYS, every=15),
    "15day": Frequency(unit=Unit.DAYS, every=15),
    "15days": Frequency(unit=Unit.DAYS, every=15),
    "quarterly": Frequency(unit=Unit.MONTHS, every=3),
}
_UNITS: Final = {unit.name: unit for unit in Unit}
_PRINCIPALS: Final = (
    "principal",
    "amount",
    "loan_amount",
    "remaining_principal",
    "outstanding_principal",
    "overdue_principal",
    "balance",
)
_COUNTS: Final = (
    "instalments",
    "installments",
    "terms",
    "n",
    "months",
    "periods",
    "number_of_instalments",
    "number_of_installments",
    "term_months",
)
# Of a claim of which only what is left, or for how many days, is told there is no plan to know.
_DAYS_TOLD: Final = r"(^|_)days($|_(late|overdue|past|after|since))|^dpd$"
_LEFT: Final = ("remaining_principal", "outstanding_principal", "overdue_principal", "balance")
_ANNUAL: Final = (
    "annual_rate",
    "rate_annual",
    "nominal_annual_rate",
    "annual_interest_rate",
    "contract_rate",
    "contract_annual_rate",
    "contract_rate_annual",
    "rate",
)
_FEE_RATES: Final = ("monthly_fee_rate", "fee_rate", "fee_rate_per_instalment", "monthly_flat_rate")
_FEES: Final = ("monthly_fee", "fee_per_instalment", "instalment_fee")
_MULTIPLIERS: Final = (
    "penalty_multiplier",
    "multiplier",
    "penalty_factor",
    "factor",
    "multiple",
)
_UPLIFTS: Final = ("penalty_uplift", "uplift", "surcharge", "markup", "penalty_surcharge")
_STANDARD_UPLIFT: Final = "0.5"


def terms_of(given: Json, name: str) -> Terms:
    """Return the terms of a case.

    Args:
        given: Its input.
        name: Its name, which may say what kind of product it is.

    Raises:
        NotCovered: It says too little, or something that has no word here.
    """
    principal, count = first_of(given, *_PRINCIPALS), first_of(given, *_COUNTS)
    is_rest = count is None and (
        first_of(given, *_LEFT) is not None or lookup(given, _DAYS_TOLD) is not None
    )
    if principal is None or (count is None and not is_rest):
        raise NotCovered("a case without principal or instalments")
    flat, fees = _fees(given)
    profile = _profile(given)
    first = first_of(given, "first_due", "first_due_on", "first_due_date")
    return Terms(
        principal_fen=fen(principal),
        start_on=_start(given),
        rate_annual=_annual_rate(given, profile),
        terms=whole(count, 1),
        method=Method.BULLET if is_rest else _method(name, given, has_fee=flat is not None),
        frequency=_frequency(given),
        first_due_on=day(first) if first else None,
        fee_rate=flat or Decimal(0),
        fees=fees,
        grace_principal=whole(first_of(given, "grace_principal", "grace_principal_periods")),
        grace_interest=whole(first_of(given, "grace_interest", "grace_interest_periods")),
        interest_free=whole(first_of(given, "interest_free", "interest_free_periods")),
        down_payment=decimal(first_of(given, "down_payment_rate", "down_payment", default=0)),
        instalment_fen=fen(first_of(given, "fixed_instalment", "instalment_amount", default=0)),
        profile=profile,
    )


def _start(given: Json) -> date:
    value = first_of(
        given, "start", "disbursed_on", "disbursement", "disbursement_date", "start_date"
    )
    return day(value) if value else _START


def _annual_rate(given: Json, profile: Profile) -> Decimal:
    """A rate may be given by the year, the month or the day; a formula only repeats the first."""
    annual = first_of(given, *_ANNUAL)
    monthly = first_of(given, "monthly_rate", "rate_monthly", "monthly_interest_rate")
    daily = first_of(given, "daily_rate", "rate_daily", "daily_interest_rate")
    if annual is None and given.get("annual_rate_pct") is not None:
        annual = percent(given["annual_rate_pct"])
    if annual is not None:
        one_of({"annual/12": 12}, monthly or "annual/12", "a month that costs")
        one_of(_YEARS, daily or "annual/360", "a day that costs")
        return decimal(annual)
    if monthly is not None:
        return decimal(monthly) * MONTHS_A_YEAR
    year = profile.day_count.year_days or _YEARS["annual/360"]
    return decimal(daily) * year if daily is not None else Decimal(0)


def _fees(given: Json) -> tuple[Decimal | None, tuple[FeeRule, ...]]:
    """Read what an instalment costs beside interest; alone, a rate makes a flat product.

    A fee below one is a share of the original principal, any other an amount.
    """
    rate, fee = first_of(given, *_FEE_RATES), first_of(given, *_FEES)
    if fee is not None and decimal(fee) < 1 and rate is None:
        rate, fee = fee, None
    rules = () if fee is None else (FeeRule(name="fee", amount_fen=fen(fee)),)
    if rate is None or not _bears_interest(given):
        return (None if rate is None else decimal(rate)), rules
    each = fen(first_of(given, *_PRINCIPALS)) * decimal(rate)
    return None, (*rules, FeeRule(name="fee-rate", amount_fen=HOUSE.fen(each)))


def _bears_interest(given: Json) -> bool:
    return first_of(given, *_ANNUAL, "monthly_rate", "daily_rate", "annual_rate_pct") is not None


def _method(name: str, given: Json, *, has_fee: bool) -> Method:
    """Read the method; who names none and a rate means the commonest, 等额本息."""
    said = first_of(given, "method", "repayment_method", "product", default="")
    for words, method in _METHODS:
        if words in f"{name} {said}":
            return method
    if said:
        return one_of(_SAID_METHODS, letters(said), "the method")
    named = [method for words, method in _SAID_METHODS.items() if words in letters(name)]
    if named:
        return named[0]
    if has_fee:
        return Method.FLAT_FEE
    if _bears_interest(given):
        return Method.EQUAL_INSTALMENT
    raise NotCovered(f"the product {name}")


def _frequency(given: Json) -> Frequency:
    days = first_of(given, "period_days", "days_per_period")
    if days is not None:
        return Frequency(unit=Unit.DAYS, every=whole(days))
    said = first_of(given, "frequency", "repayment_frequency")
    if said is not None:
        return one_of(_FREQUENCIES, letters(said), "the frequency")
    unit = one_of(_UNITS, str(given.get("repay_unit") or "MONTHS").upper(), "the unit")
    return Frequency(unit=unit, every=whole(given.get("repay_every"), 1))


def _profile(given: Json) -> Profile:
    """The house's rules, unless the case rounds or counts days in another way."""
    said = str(given.get("rounding", ""))
    rounding = re.search(r"[A-Z]+(_[A-Z]+)*", said)
    unit = re.search(r"\d+(\.\d+)?", said)
    year = first_of(given, "day_count", "day_basis", "year_days", "days_in_year", "daily_rate")
    days = re.search(r"(?<![\d.])3\d\d(?!\d)", str(year or ""))
    return replace(
        HOUSE,
        rounding=one_of(_ROUNDINGS, rounding[0] if rounding else "HALF_UP", "the rounding"),
        instalment_multiple_fen=max(1, fen(unit[0])) if unit else 1,
        day_count=one_of(_DAY_COUNTS, days[0] if days else "360", "a year of"),
    )


def penalty_of(given: Json, terms: Terms) -> PenaltyRule:
    """Return what lateness costs: by default half as much again as the contract's own rate."""
    rate = first_of(given, "penalty_rate_annual", "penalty_annual_rate", "penalty_rate")
    daily = first_of(given, "penalty_daily_rate", "penalty_rate_daily", "daily_penalty_rate")
    cap = first_of(given, "penalty_cap_annual", "cap_annual", "cap")
    year = terms.profile.day_count.year_days or _YEARS["annual/360"]
    if rate is None and daily is not None:
        rate = decimal(daily) * year
    return PenaltyRule(
        rate_annual=terms.rate_annual * _multiplier(given) if rate is None else decimal(rate),
        cap_annual=None if cap is None else decimal(cap),
        grace_days=whole(given.get("grace_days")),
        year_days=year,
    )


def _multiplier(given: Json) -> Decimal:
    factor, uplift = first_of(given, *_MULTIPLIERS), first_of(given, *_UPLIFTS)
    if factor is not None:
        return decimal(factor)
    said = str(_STANDARD_UPLIFT if uplift is None else uplift)
    return 1 + (percent(said.removesuffix("%")) if said.endswith("%") else decimal(said))


def lookup(given: Json, pattern: str) -> Any:
    """Return the first field whose name a pattern finds; its words may come in any spelling."""
    return next((given[name] for name in given if re.search(pattern, name.lower())), None)
