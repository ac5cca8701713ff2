"""Translates a product of the second anchor system into terms and a profile."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from cli.money_cases.reading import (
    Json,
    NotCovered,
    day,
    fen,
    first_of,
    letters,
    one_of,
    percent,
    whole,
)
from cli.money_cases.words import op_of
from servicing.engine.parts import Component
from servicing.engine.periods import Anchor, Frequency, Unit
from servicing.engine.profile import (
    ACTUAL_360,
    ACTUAL_364,
    ACTUAL_365,
    ACTUAL_ACTUAL,
    FRAPPE_2024,
    FRAPPE_2025,
    PROFILES,
    InterestBy,
    Profile,
    Recalculation,
)
from servicing.engine.terms import MOST_TERMS, Method, PenaltyBase, PenaltyRule, Terms
from servicing.engine.waterfall import Rule, Timing, Waterfall

_METHODS: Final = {
    "EQUAL_INSTALLMENTS": Method.EQUAL_INSTALMENT,
    "FIXED_AMOUNT": Method.FIXED_INSTALMENT,
    "DEMAND": Method.BULLET,
    "LINE_OF_CREDIT": Method.EQUAL_INSTALMENT,
    "EQUAL_PRINCIPAL": Method.EQUAL_PRINCIPAL,
    "FLAT": Method.FLAT_INTEREST,
}
ANCHORS: Final = {
    "Monthly as per repayment start date": Anchor.SAME_DAY,
    "Monthly as per cycle date": Anchor.SAME_DAY,
    "Pro-rated calendar months, Start of the next month": Anchor.MONTH_START,
    "Pro-rated calendar months, End of the current month": Anchor.MONTH_END,
}
_UNITS: Final = {unit.name: unit for unit in Unit}
_IS_FLAT: Final = {"FLAT": True, "DECLINING_BALANCE": False}
_PENALTY_BASES: Final = {
    "principal": PenaltyBase.PRINCIPAL,
    "principal+interest": PenaltyBase.INSTALMENT,
}
# What a version of the system did is nowhere in a product, so a case says of which version it is.
# One that is not listed here did as the last one, which a product can say otherwise about.
_VERSIONS: Final = {"3f2cbc13": FRAPPE_2024, "002b084f": FRAPPE_2025}
_INTEREST_BY: Final = {
    "daily": InterestBy.DAYS,
    "days": InterestBy.DAYS,
    "actual": InterestBy.DAYS,
    "sameasrepaymentperiod": InterestBy.PERIODS,
    "months": InterestBy.PERIODS,
    "30": InterestBy.PERIODS,
}
_FIRST_DAYS: Final = {"0": 0, "1": 1}
_YEARS: Final = {"360": ACTUAL_360, "364": ACTUAL_364, "365": ACTUAL_365, "ACTUAL": ACTUAL_ACTUAL}
# What comes before its due date repays principal, or once, what interest the next row bears.
_RULES: Final[tuple[Rule, ...]] = (
    *((timing, part) for timing in (Timing.PAST_DUE, Timing.DUE) for part in Component),
    (Timing.IN_ADVANCE, Component.PRINCIPAL),
    (Timing.IN_ADVANCE, Component.INTEREST),
)
_INTEREST_FIRST: Final[tuple[Rule, ...]] = (*_RULES[:-2], _RULES[-1], _RULES[-2])
_ON_DEMAND: Final[tuple[Rule, ...]] = tuple(
    (timing, part) for timing in Timing for part in Component
)


def terms_of(raw: Json, config: Json, steps: Sequence[Json], base: Profile) -> Terms:
    """Return the terms of a case, by the rules of a version where its product says nothing else."""
    method = _method(raw)
    first = next((step for step in steps if op_of(step) == "first_due"), None)
    rate = _first_number(raw["annual_rate_pct"])
    start = next((day(step["date"]) for step in steps if op_of(step) == "disburse"), None)
    if start is None:
        raise NotCovered("a loan that is never paid out")
    unit = one_of(_UNITS, raw.get("repay_unit") or "MONTHS", "the unit")
    one_of({"frappe": True}, config.get("schedule_engine") or "frappe", "the schedule engine")
    _require_open_line(raw, steps)
    return Terms(
        principal_fen=fen(raw.get("principal") or raw["credit_limit"]),
        start_on=start,
        rate_annual=rate,
        terms=_count(raw, method),
        method=method,
        frequency=Frequency(unit=unit, every=whole(raw.get("repay_every"), 1)),
        profile=replace(_profile(base, raw, config, method), anchor=_anchor(config)),
        first_due_on=day(first["date"]) if first else None,
        instalment_fen=fen(raw.get("instalment", 0)),
        grace_principal=whole(raw.get("grace_principal_periods")),
        grace_interest=whole(raw.get("grace_interest_periods")),
        penalty=_penalty(raw, config),
        waterfall=Waterfall(rules=_rules(base, method)),
        tolerance_fen=_tolerance(config),
    )


def _count(raw: Json, method: Method) -> int:
    """A given instalment is paid for as long as it takes, a loan on demand until it is called."""
    count = whole(raw.get("installments"), MOST_TERMS if method is Method.BULLET else 1)
    return MOST_TERMS if method is Method.FIXED_INSTALMENT else count


def _method(raw: Json) -> Method:
    method = one_of(_METHODS, raw["amortization"], "the method")
    is_flat = one_of(_IS_FLAT, raw.get("interest_method") or "DECLINING_BALANCE", "interest")
    return Method.FLAT_INTEREST if is_flat else method


def _rules(base: Profile, method: Method) -> tuple[Rule, ...]:
    if method is Method.BULLET:
        return _ON_DEMAND
    return _INTEREST_FIRST if base.name == FRAPPE_2024.name else _RULES


def _anchor(config: Json) -> Anchor:
    kind = config.get("repayment_schedule_type") or "Monthly as per cycle date"
    return one_of(ANCHORS, kind, "the kind of schedule")


def _require_open_line(raw: Json, steps: Sequence[Json]) -> None:
    first, last = raw.get("limit_start"), raw.get("limit_end")
    drawn = [day(step["date"]) for step in steps if op_of(step) == "disburse"]
    if first and last and not all(day(first) <= on <= day(last) for on in drawn):
        raise NotCovered("a drawing while the line is not open")


def _first_number(text: Any) -> Decimal:
    """Several products may share a case; its figures then do not hang on the rate."""
    return percent(str(text).split()[0])


def version_of(raw: Json, config: Json, source: Json) -> Profile:
    """Return the rules that a case names, or those of the version that it comes from."""
    named = first_of(raw, "profile", default=config.get("profile"))
    if named is not None:
        return one_of(PROFILES, named, "the profile")
    commit = str(source.get("commit") or "")
    found = (profile for start, profile in _VERSIONS.items() if commit.startswith(start))
    return next(found, FRAPPE_2025)


def _profile(base: Profile, raw: Json, config: Json, method: Method) -> Profile:
    """Return the rules of a product; a loan on demand bears interest by the day."""
    basis = first_of(raw, "interest_calc_period", default=config.get("days_in_month"))
    counted = config.get("days_past_due_on_due_date")
    profile = replace(
        base,
        interest_by=base.interest_by
        if basis is None
        else one_of(_INTEREST_BY, letters(basis), "interest by"),
        day_count=one_of(_YEARS, str(config.get("days_in_year") or "365"), "a year of"),
        first_day_late=base.first_day_late
        if counted is None
        else one_of(_FIRST_DAYS, counted, "days past due on the due date of"),
    )
    if method is not Method.BULLET:
        return profile
    return replace(
        profile,
        interest_by=InterestBy.DAYS,
        recalculation=Recalculation.ACTUAL_BALANCE,
        instalment_multiple_fen=1,
    )


def counts_first_day(terms: Terms) -> bool:
    """Whether the day on which money was lent on demand costs interest, as it once did."""
    return terms.method is Method.BULLET and terms.profile.name == FRAPPE_2024.name


def _penalty(raw: Json, config: Json) -> PenaltyRule | None:
    if "penalty_rate_pct" not in raw:
        return None
    base = str(config.get("penalty_base") or "principal+interest").split("(")[-1].strip(") ")
    return PenaltyRule(
        rate_annual=percent(raw["penalty_rate_pct"]),
        base=one_of(_PENALTY_BASES, base, "a penalty on"),
        grace_days=whole(raw.get("grace_days")),
        year_days=365,
        counts_due_day="inclusive" in str(config.get("penalty_days", "inclusive")),
    )


def _tolerance(config: Json) -> int:
    text = str(config.get("auto_closure_tolerance", "0"))
    return fen(text.rsplit("..", maxsplit=1)[-1])
