"""Translates a product of the first anchor system into terms and a profile."""

import re
from dataclasses import replace
from typing import Any, Final

from cli.money_cases.reading import (
    Json,
    NotCovered,
    Told,
    day,
    decimal,
    fen,
    first_of,
    one_of,
    percent,
    whole,
)
from cli.money_cases.words import op_of
from kernel.money import Rounding
from servicing.engine.book import Kind
from servicing.engine.parts import Component
from servicing.engine.periods import Frequency, MonthEnd, Unit
from servicing.engine.profile import (
    FINERACT_CUMULATIVE,
    FINERACT_CUMULATIVE_DAILY,
    FINERACT_PROGRESSIVE,
    DayCount,
    Excess,
    Profile,
    Recalculation,
    Rest,
)
from servicing.engine.terms import FeeBase, FeeRule, Method, Terms
from servicing.engine.waterfall import Direction, Future, Rule, Timing, Waterfall, every_timing

# Amounts are never negative here, so away from zero is up and towards it is down.
_ROUNDINGS: Final = {
    "HALF_UP": Rounding.HALF_UP,
    "HALF_EVEN": Rounding.HALF_EVEN,
    "UP": Rounding.UP,
    "CEILING": Rounding.UP,
    "DOWN": Rounding.DOWN,
    "FLOOR": Rounding.DOWN,
}
UNITS: Final = {unit.name: unit for unit in Unit}
_IS_SO: Final = {"True": True, "False": False}
_IS_CUMULATIVE: Final = {"cumulative": True, "progressive": False}
_IS_FLAT: Final = {"FLAT": True, "DECLINING_BALANCE": False}
_IS_DAILY: Final = {"DAILY": True, "SAME_AS_REPAYMENT_PERIOD": False}
_DECLINING: Final = {
    "EQUAL_INSTALLMENTS": Method.EQUAL_INSTALMENT,
    "EQUAL_PRINCIPAL_PAYMENTS": Method.EQUAL_PRINCIPAL,
}
_DIRECTIONS: Final = {"HORIZONTAL": Direction.HORIZONTAL, "VERTICAL": Direction.VERTICAL}
_MONTH_ENDS: Final = {
    "LAST_DAY_OF_MONTH": MonthEnd.CLAMP,
    "FIRST_DAY_OF_NEXT_MONTH": MonthEnd.ROLL,
}
_RESTS: Final = {"DAILY": Rest.DAILY, "SAME_AS_REPAYMENT_PERIOD": Rest.PERIOD}
_SETTLES_AT_DUE_DATE: Final = {"TILL_PRECLOSURE_DATE": False, "TILL_REST_FREQUENCY_DATE": True}
_IS_COMPOUNDING: Final = {"NONE": False, "INTEREST": True, "INTEREST_MONTHLY": True}
_DAYS: Final = {"30": 30, "360": 360, "364": 364, "365": 365, "ACTUAL": None, "n/a": None}
_CHARGE_OFFS: Final = ("REGULAR", "ZERO_INTEREST", "ACCELERATE_MATURITY")
_EXCESS: Final = {
    "REDUCE_EMI_AMOUNT": Excess.REDUCE_INSTALMENT,
    "REDUCE_NUMBER_OF_INSTALLMENTS": Excess.REDUCE_TERM,
    "RESCHEDULE_NEXT_REPAYMENTS": Excess.RESCHEDULE_NEXT,
}
_FUTURE: Final = {
    "NEXT_INSTALLMENT": Future.NEXT,
    "LAST_INSTALLMENT": Future.LAST,
    "REAMORTIZATION": Future.REAMORTISE,
}
_KINDS: Final = {
    "GOODWILL_CREDIT": Kind.GOODWILL_CREDIT,
    "MERCHANT_ISSUED_REFUND": Kind.MERCHANT_REFUND,
    "PAYOUT_REFUND": Kind.PAYOUT_REFUND,
    "INTEREST_REFUND": Kind.INTEREST_REFUND,
    "CHARGE_ADJUSTMENT": Kind.CHARGE_ADJUSTMENT,
    "DOWN_PAYMENT": Kind.DOWN_PAYMENT,
    "REPAYMENT": Kind.REPAYMENT,
}
_COMPONENTS: Final = {
    "PENALTY": Component.PENALTY,
    "PENALTIES": Component.PENALTY,
    "FEE": Component.FEE,
    "FEES": Component.FEE,
    "INTEREST": Component.INTEREST,
    "PRINCIPAL": Component.PRINCIPAL,
}
_RULE: Final = r"(PAST_DUE|DUE|IN_ADVANCE)(?:\{([^}]*)\}|_([A-Z]+))"
_LATE: Final = "overdue|late_"
_APPLIED_ON: Final = "submitted_on"
_BEGINNINGS: Final = ("start_date", "start", "periods_from")
_INTEREST_GRACES: Final = ("grace_interest", "interest_free")
_LAST_UNPAID: Final = "ADJUST_LAST_UNPAID_PERIOD"
_ADVANCED: Final = every_timing(
    Component.PENALTY, Component.FEE, Component.PRINCIPAL, Component.INTEREST
)


def terms_of(terms: Json, config: Json, events: list[Json], begins_on: str | None = None) -> Terms:
    """Return the terms of a case, with what its application and product set-up changed.

    Args:
        terms: As the case writes them.
        config: How its product is set up.
        events: Its steps.
        begins_on: When its first period begins, for a case without a day of application.
    """
    submitted = next((event for event in events if op_of(event) == "submit"), {})
    rate = submitted.get("annual_rate_pct", terms.get("annual_rate_pct", 0))
    count = whole(submitted.get("installments", terms.get("installments")), 1)
    one_of(
        dict.fromkeys(_CHARGE_OFFS), config.get("charge_off_behaviour") or "REGULAR", "charge-off"
    )
    first = next((event["date"] for event in events if op_of(event) == "first_due"), None)
    first = submitted.get("first_due", terms.get("first_due", first))
    applied_on = first_of(submitted, "date", default=terms.get(_APPLIED_ON))
    begins_on = first_of(terms, *_BEGINNINGS, default=None if applied_on else begins_on)
    later, free = _interest_graces(terms)
    return Terms(
        principal_fen=fen(submitted.get("principal", terms["principal"])),
        start_on=day(applied_on or begins_on or _first_date(events)),
        rate_annual=percent(rate),
        terms=count,
        method=_method(terms),
        frequency=_frequency(terms, submitted, count),
        profile=profile_of(terms, config),
        first_due_on=day(first) if first else None,
        periods_from=day(begins_on) if begins_on else None,
        grace_principal=whole(terms.get("grace_principal_periods")),
        grace_interest=later,
        interest_free=free,
        down_payment=percent(config.get("down_payment_pct", 0)),
        waterfall=_waterfall(terms, config, events),
        grace_days=whole(config.get("arrears_grace_days")),
        late_fees=_late_fees(terms, config),
        has_tranches=_is_cumulative(config) and bool(config.get("multi_disburse")),
    )


def _interest_graces(terms: Json) -> tuple[int, int]:
    """Read the periods whose interest comes later, and those that bear none.

    The form on which a loan is applied for hands its interest-free periods over as interest that
    comes later, and has no other. Terms without a day of application say what they mean.
    """
    later, free = (whole(terms.get(f"{name}_periods")) for name in _INTEREST_GRACES)
    return (free, 0) if _APPLIED_ON in terms else (later, free)


def _late_fees(terms: Json, config: Json) -> tuple[FeeRule, ...]:
    """Read out of the set-up what an instalment costs once it is late."""
    written = [f"{key} {_words(config[key])}" for key in config if re.search(_LATE, key)]
    if not written:
        if re.search(_LATE, str(terms.get("product")).lower()):
            raise NotCovered("a late fee without its rate")
        return ()
    text = " ".join(written)
    share = re.search(r"\d+(\.\d+)?", text)
    if share is None:
        raise NotCovered(f"the late fee {text}")
    has_interest = "interest" in text.lower()
    return (
        FeeRule(
            name="late-fee",
            share=percent(share[0]),
            base=FeeBase.PRINCIPAL_AND_INTEREST if has_interest else FeeBase.PRINCIPAL,
            component=Component.PENALTY,
        ),
    )


def _words(value: Any) -> str:
    is_table = isinstance(value, Told)
    return " ".join(f"{key} {value[key]}" for key in value) if is_table else str(value)


def _first_date(events: list[Json]) -> str:
    dates = [event["date"] for event in events if "date" in event]
    if not dates:
        raise NotCovered("a case without any day")
    return str(dates[0])


def _method(terms: Json) -> Method:
    one_of(_IS_DAILY, terms.get("interest_calc_period") or "DAILY", "interest by")
    is_flat = one_of(
        _IS_FLAT, terms.get("interest_method") or "DECLINING_BALANCE", "interest method"
    )
    declining = one_of(_DECLINING, terms.get("amortization") or "EQUAL_INSTALLMENTS", "the method")
    return Method.FLAT_INTEREST if is_flat else declining


def _frequency(terms: Json, submitted: Json, count: int) -> Frequency:
    """How far due dates lie apart; a term that was asked for overrules the product."""
    unit = one_of(UNITS, terms["repay_unit"], "the unit")
    every = whole(terms["repay_every"])
    if "term_days" in submitted:
        unit, every = Unit.DAYS, _each(submitted["term_days"], count)
    elif "term_months" in submitted:
        unit, every = Unit.MONTHS, _each(submitted["term_months"], count)
    if every <= 0:
        raise NotCovered(f"an instalment every {every} {unit}")
    return Frequency(unit=unit, every=every)


def _each(length: object, count: int) -> int:
    every, rest = divmod(whole(length), max(1, count))
    if rest:
        raise NotCovered(f"a term of {length} in {count} equal periods")
    return every


def _is_cumulative(config: Json) -> bool:
    name = str(config.get("schedule_engine") or "progressive").split()[0]
    return one_of(_IS_CUMULATIVE, name, "the schedule engine")


def profile_of(terms: Json, config: Json) -> Profile:
    """Return the profile that a product's set-up asks for."""
    multiple = config.get("installment_multiple_of")
    if whole(config.get("decimals"), 2) != 2:  # noqa: PLR2004 -- cents
        raise NotCovered("a currency without cents")
    return replace(
        _cumulative(terms, config) if _is_cumulative(config) else _progressive(config),
        rounding=_rounding(f"{config.get('rounding', '')} {terms.get('rounding', '')}"),
        instalment_multiple_fen=fen(multiple) if decimal(multiple or 0) else 1,
        month_end=one_of(
            _MONTH_ENDS, config.get("month_end_strategy") or "LAST_DAY_OF_MONTH", "a month's end"
        ),
        rest=one_of(_RESTS, config.get("rest_frequency") or "DAILY", "the rest"),
        settles_at_due_date=one_of(
            _SETTLES_AT_DUE_DATE, config.get("preclose") or "TILL_PRECLOSURE_DATE", "preclosure"
        ),
    )


def _rounding(text: str) -> Rounding:
    """Read `HALF_EVEN, 2 decimals`; half-even is what the system does unless it is told."""
    found = re.search(r"\b[A-Z]+(_[A-Z]+)*\b", text)
    return one_of(_ROUNDINGS, found[0] if found else "HALF_EVEN", "the rounding")


def _cumulative(terms: Json, config: Json) -> Profile:
    is_daily = one_of(
        _IS_DAILY, terms.get("interest_calc_period") or "SAME_AS_REPAYMENT_PERIOD", "interest by"
    )
    if is_daily and _method(terms) is Method.FLAT_INTEREST and decimal(terms["annual_rate_pct"]):
        raise NotCovered("flat interest by the day")
    base = FINERACT_CUMULATIVE_DAILY if is_daily else FINERACT_CUMULATIVE
    count = _day_count(config)
    return replace(
        base,
        day_count=replace(count, year_days=count.year_days or 365),
        recalculation=_recalculation(config, Recalculation.OPEN_PERIOD),
        excess=one_of(
            _EXCESS, config.get("prepayment_strategy") or "REDUCE_EMI_AMOUNT", "a prepayment"
        ),
        is_compounding=one_of(_IS_COMPOUNDING, config.get("compounding") or "NONE", "compounding"),
    )


def _progressive(config: Json) -> Profile:
    if (config.get("prepayment_strategy") or _LAST_UNPAID) != _LAST_UNPAID:
        raise NotCovered(f"a prepayment that does {config['prepayment_strategy']}")
    if (config.get("compounding") or "NONE") != "NONE":
        raise NotCovered("a progressive schedule that compounds")
    return replace(
        FINERACT_PROGRESSIVE,
        day_count=_day_count(config),
        recalculation=_recalculation(config, Recalculation.ACTUAL_BALANCE),
    )


def _recalculation(config: Json, if_so: Recalculation) -> Recalculation:
    is_asked = one_of(_IS_SO, config.get("interest_recalculation") or False, "recalculation")
    return if_so if is_asked else Recalculation.NONE


def _day_count(config: Json) -> DayCount:
    def days(name: str) -> int | None:
        return one_of(_DAYS, str(config.get(name, "ACTUAL")).removeprefix("DAYS_"), name)

    return DayCount(month_days=days("days_in_month"), year_days=days("days_in_year"))


def _waterfall(terms: Json, config: Json, events: list[Json]) -> Waterfall:
    strategy = str(terms.get("payment_strategy", ""))
    rules, due_first = _rules(strategy, config.get("payment_allocation", ""))
    futures = dict(config.get("future_installment_rule", {}))
    for event in events:
        if op_of(event) == "disburse":
            break
        if event["op"] == "configure_product" and "future_installment_rule" in event:
            futures[event["transaction_type"]] = event["future_installment_rule"]
    default = one_of(_FUTURE, futures.pop("DEFAULT", "NEXT_INSTALLMENT"), "the future rule")
    processing = str(config.get("processing") or "HORIZONTAL").upper()
    return Waterfall(
        rules=rules,
        direction=one_of(_DIRECTIONS, processing, "processing"),
        future=default,
        future_by_kind={
            one_of(_KINDS, name, "a payment of"): one_of(_FUTURE, rule, "the future rule")
            for name, rule in futures.items()
        },
        has_due_charges_first=due_first,
    )


def _rules(strategy: str, allocation: Any) -> tuple[tuple[Rule, ...], bool]:
    if "ADVANCED" in strategy or not strategy:
        return _advanced_rules(allocation), False
    if "_IN_ADVANCE_" in strategy:
        due, advance = strategy.removeprefix("DUE_").split("_IN_ADVANCE_")
        late = [(timing, part) for timing in (Timing.PAST_DUE, Timing.DUE) for part in _order(due)]
        return (*late, *((Timing.IN_ADVANCE, part) for part in _order(advance))), True
    return every_timing(*_order(strategy)), False


def _advanced_rules(allocation: Any) -> tuple[Rule, ...]:
    """Read rules such as `PAST_DUE{penalty,fee} > DUE_PENALTY > IN_ADVANCE{principal}`."""
    text = ",".join(map(str, allocation)) if isinstance(allocation, list) else str(allocation)
    if not text:
        return _ADVANCED
    if re.sub(_RULE, "", text.upper()).strip(" >,"):
        raise NotCovered(f"the allocation {text}")
    rules: list[Rule] = []
    for name, inside, single in re.findall(_RULE, text.upper()):
        timing = Timing(name.lower().replace("_", "-"))
        parts = inside.split(",") if inside else [single]
        rules += [(timing, one_of(_COMPONENTS, part.strip(), "to pay")) for part in parts]
    return tuple(rules)


def credit_order(config: Json, kind: str) -> tuple[Component, ...]:
    """Read in which order a charge-back is owed again: words in a list or a text, or none."""
    rules = config.get("credit_allocation") or {}
    text = str(rules.get(kind, "") if isinstance(rules, Told) else rules).upper()
    words = re.findall(r"[A-Z]+", text.replace(kind, ""))
    return tuple(one_of(_COMPONENTS, word, "to credit") for word in words)


def _order(names: str) -> list[Component]:
    words = [word for word in names.split("_") if word not in ("ORDER", "STRATEGY")]
    found = [_COMPONENTS[word] for word in words if word in _COMPONENTS]
    if len(words) != len(Component) or len(set(found)) != len(Component):
        raise NotCovered(f"the allocation order {names}")
    return found
