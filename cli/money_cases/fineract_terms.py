"""Translates a product of the first anchor system into terms and a profile."""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Final

from cli.money_cases.reading import FEN_A_YUAN, Json, NotCovered, day, fen, percent, whole
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
from servicing.engine.terms import Method, Terms
from servicing.engine.waterfall import Direction, Future, Rule, Timing, Waterfall, every_timing

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
_ADVANCED: Final = every_timing(
    Component.PENALTY, Component.FEE, Component.PRINCIPAL, Component.INTEREST
)


def terms_of(terms: Json, config: Json, events: list[Json]) -> Terms:
    """Return the terms of a case, with what its application and product set-up changed."""
    submitted = next((event for event in events if event["op"] == "submit"), {})
    rate = submitted.get("annual_rate_pct", terms.get("annual_rate_pct", 0))
    count = whole(submitted.get("installments", terms.get("installments")), 1)
    if config.get("charge_off_behaviour") not in (
        None,
        "REGULAR",
        "ZERO_INTEREST",
        "ACCELERATE_MATURITY",
    ):
        raise NotCovered(f"charge-off behaviour {config['charge_off_behaviour']}")
    return Terms(
        principal_fen=fen(submitted.get("principal", terms["principal"])),
        start_on=day(submitted.get("date", terms.get("submitted_on", _first_date(events)))),
        rate_annual=percent(rate),
        terms=count,
        method=_method(terms),
        frequency=_frequency(terms, submitted, count),
        profile=profile_of(terms, config),
        grace_principal=whole(terms.get("grace_principal_periods")),
        grace_interest=whole(terms.get("grace_interest_periods")),
        interest_free=whole(terms.get("interest_free_periods")),
        down_payment=percent(config.get("down_payment_pct", 0)),
        waterfall=_waterfall(terms, config, events),
        grace_days=whole(config.get("arrears_grace_days")),
        has_tranches=_is_cumulative(config) and bool(config.get("multi_disburse")),
    )


def _first_date(events: list[Json]) -> str:
    return str(next(event["date"] for event in events if "date" in event))


def _method(terms: Json) -> Method:
    if terms.get("interest_method") == "FLAT":
        return Method.FLAT_INTEREST
    if terms.get("amortization") == "EQUAL_PRINCIPAL_PAYMENTS":
        return Method.EQUAL_PRINCIPAL
    return Method.EQUAL_INSTALMENT


def _frequency(terms: Json, submitted: Json, count: int) -> Frequency:
    if "term_days" in submitted:
        return Frequency(unit=Unit.DAYS, every=int(submitted["term_days"]) // count)
    if "term_months" in submitted:
        return Frequency(every=int(submitted["term_months"]) // count)
    return Frequency(unit=Unit(terms["repay_unit"].lower()), every=int(terms["repay_every"]))


def _is_cumulative(config: Json) -> bool:
    return str(config.get("schedule_engine", "")).startswith("cumulative")


def profile_of(terms: Json, config: Json) -> Profile:
    """Return the profile that a product's set-up asks for."""
    multiple = config.get("installment_multiple_of")
    text = f"{terms.get('rounding', '')} {config.get('rounding', '')}"
    if whole(config.get("decimals"), 2) != 2:  # noqa: PLR2004 -- cents
        raise NotCovered("a currency without cents")
    return replace(
        _cumulative(terms, config) if _is_cumulative(config) else _progressive(config),
        rounding=Rounding.HALF_UP if "HALF_UP" in text else Rounding.HALF_EVEN,
        instalment_multiple_fen=int(Decimal(str(multiple)) * FEN_A_YUAN) if multiple else 1,
        rest=Rest.PERIOD if "SAME_AS" in str(config.get("rest_frequency")) else Rest.DAILY,
        settles_at_due_date=config.get("preclose") == "TILL_REST_FREQUENCY_DATE",
    )


def _cumulative(terms: Json, config: Json) -> Profile:
    is_daily = terms.get("interest_calc_period") == "DAILY"
    base = FINERACT_CUMULATIVE_DAILY if is_daily else FINERACT_CUMULATIVE
    count = _day_count(config)
    return replace(
        base,
        day_count=replace(count, year_days=count.year_days or 365),
        recalculation=_recalculation(config, Recalculation.OPEN_PERIOD),
        excess=_EXCESS.get(str(config.get("prepayment_strategy")), Excess.REDUCE_INSTALMENT),
        is_compounding=str(config.get("compounding", "NONE")) != "NONE",
    )


def _progressive(config: Json) -> Profile:
    rolls = config.get("month_end_strategy") == "FIRST_DAY_OF_NEXT_MONTH"
    return replace(
        FINERACT_PROGRESSIVE,
        day_count=_day_count(config),
        recalculation=_recalculation(config, Recalculation.ACTUAL_BALANCE),
        month_end=MonthEnd.ROLL if rolls else MonthEnd.CLAMP,
    )


def _recalculation(config: Json, if_so: Recalculation) -> Recalculation:
    return if_so if config.get("interest_recalculation") else Recalculation.NONE


def _day_count(config: Json) -> DayCount:
    def days(name: str) -> int | None:
        value = re.sub(r"\D", "", str(config.get(name, "")))
        return int(value) if value else None

    return DayCount(month_days=days("days_in_month"), year_days=days("days_in_year"))


def _waterfall(terms: Json, config: Json, events: list[Json]) -> Waterfall:
    strategy = str(terms.get("payment_strategy", ""))
    rules, due_first = _rules(strategy, str(config.get("payment_allocation", "")))
    futures = dict(config.get("future_installment_rule", {}))
    for event in events:
        if event["op"] == "disburse":
            break
        if event["op"] == "configure_product" and "future_installment_rule" in event:
            futures[event["transaction_type"]] = event["future_installment_rule"]
    default = _FUTURE[futures.pop("DEFAULT", "NEXT_INSTALLMENT")]
    is_vertical = str(config.get("processing", "")).upper() == "VERTICAL"
    return Waterfall(
        rules=rules,
        direction=Direction.VERTICAL if is_vertical else Direction.HORIZONTAL,
        future=default,
        future_by_kind={
            _KINDS[name]: _FUTURE[rule] for name, rule in futures.items() if name in _KINDS
        },
        has_due_charges_first=due_first,
    )


def _rules(strategy: str, allocation: str) -> tuple[tuple[Rule, ...], bool]:
    if "{" in allocation:
        return _advanced_rules(allocation), False
    if "ADVANCED" in strategy or not strategy:
        return _ADVANCED, False
    if "_IN_ADVANCE_" in strategy:
        due, advance = strategy.removeprefix("DUE_").split("_IN_ADVANCE_")
        late = [(timing, part) for timing in (Timing.PAST_DUE, Timing.DUE) for part in _order(due)]
        return (*late, *((Timing.IN_ADVANCE, part) for part in _order(advance))), True
    return every_timing(*_order(strategy)), False


def _advanced_rules(allocation: str) -> tuple[Rule, ...]:
    """Read rules such as `PAST_DUE{penalty,fee} > DUE{penalty} > PAST_DUE_PRINCIPAL`."""
    rules: list[Rule] = []
    for name, inside in re.findall(r"(PAST_DUE|DUE|IN_ADVANCE)\{([^}]*)\}", allocation):
        timing = Timing(name.lower().replace("_", "-"))
        rules += [(timing, _COMPONENTS[part.strip().upper()]) for part in inside.split(",")]
    return tuple(rules)


def _order(names: str) -> list[Component]:
    found = [_COMPONENTS[word] for word in names.split("_") if word in _COMPONENTS]
    if len(set(found)) != len(Component):
        raise NotCovered(f"the allocation order {names}")
    return found
