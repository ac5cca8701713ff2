"""Every item of a product survives: typed, stored, taken out, brought in, read by the engine."""

import json
from dataclasses import fields
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from kernel.money import Rounding
from servicing.admin.product_editor import document_from, fields_of
from servicing.admin.product_profiles import profile_words
from servicing.admin.product_summary import changes, summary
from servicing.engine.parts import Component
from servicing.engine.periods import Anchor, MonthEnd
from servicing.engine.profile import (
    PROFILES,
    Draws,
    Excess,
    InterestBy,
    InterestRounding,
    LastRow,
    LevelBy,
    PartBy,
    Profile,
    Recalculation,
    Rest,
)
from servicing.engine.terms import FeeBase, FeeEvent, Method, PenaltyBase, Terms
from servicing.engine.waterfall import DebtState, Direction, Future, Timing, Waterfall
from servicing.product_document import read_document, write_document
from servicing.product_form import (
    DAY_COUNTS,
    MOST_FEES,
    MOST_OF,
    MOST_TIERS,
    PAYMENT_KINDS,
    AllocationForm,
    ProductForm,
    ProfileForm,
)
from servicing.products import read_form, read_product


def maybe(strategy: Any) -> Any:
    return st.none() | strategy


def some(kind: Any) -> Any:
    return st.sampled_from([value.value for value in kind])


LABELS = st.text(
    st.characters(whitelist_categories=("L", "N"), whitelist_characters="·（）% ,:"),
    min_size=1,
    max_size=60,
).filter(lambda text: text == text.strip() != "")
SHARES = st.decimals(0, Decimal("0.9999999"), places=7).map(lambda part: f"{part:f}")
AMOUNTS = st.integers(0, 10**12)
COUNTS = st.integers(0, 480)
PERIODS = st.sampled_from(["weekly", "two-weekly", "15-day", "monthly"]) | st.builds(
    lambda every, unit: f"{min(every, MOST_OF[unit])}-{unit}",
    st.integers(1, 99),
    st.sampled_from(sorted(MOST_OF)),
)
OF_PROFILE = {
    "named": st.sampled_from(sorted(PROFILES)),
    "rounding": maybe(some(Rounding)),
    "instalment_multiple_fen": maybe(st.integers(1, 10_000)),
    "instalment_rounding": maybe(some(Rounding)),
    "last_row": maybe(some(LastRow)),
    "day_count": maybe(st.sampled_from(DAY_COUNTS)),
    "interest_by": maybe(some(InterestBy)),
    "part_by": maybe(some(PartBy)),
    "level_by": maybe(some(LevelBy)),
    "interest_rounding": maybe(some(InterestRounding)),
    "month_end": maybe(some(MonthEnd)),
    "anchor": maybe(some(Anchor)),
    "recalculation": maybe(some(Recalculation)),
    "rest": maybe(some(Rest)),
    "excess": maybe(some(Excess)),
    "is_compounding": maybe(st.booleans()),
    "settles_at_due_date": maybe(st.booleans()),
    "draws": maybe(some(Draws)),
    "first_day_late": maybe(st.integers(0, 1)),
}
_PRICE = {"amount_fen": AMOUNTS, "share": SHARES}
_WHO = {"name": LABELS, "payee": LABELS}
TIER = st.fixed_dictionaries({"from_paid": COUNTS, **_PRICE})


def costs(fee: dict[str, Any]) -> bool:
    return any(step["amount_fen"] or Decimal(step["share"]) for step in fee.get("tiers") or [fee])


FEES = st.one_of(
    st.fixed_dictionaries({**_WHO, **_PRICE, "at": st.just("instalment"), "base": some(FeeBase)}),
    st.fixed_dictionaries({**_WHO, **_PRICE, "at": some(FeeEvent)}),
    st.fixed_dictionaries(
        {**_WHO, "at": some(FeeEvent), "tiers": st.lists(TIER, min_size=1, max_size=MOST_TIERS)}
    ),
).filter(costs)
_RULES = [[timing.value, part.value] for timing in Timing for part in Component]
ORDER = st.one_of(
    st.fixed_dictionaries({"order": st.permutations([part.value for part in Component])}),
    st.fixed_dictionaries({"rules": st.permutations(_RULES)}),
)
ALLOCATION = st.builds(
    lambda order, more: order | more,
    ORDER,
    st.fixed_dictionaries(
        {},
        optional={
            "direction": some(Direction),
            "future": some(Future),
            "future_by_kind": st.dictionaries(some(PAYMENT_KINDS), some(Future)),
            "due_charges_first": st.booleans(),
        },
    ),
)
PENALTY = st.fixed_dictionaries(
    {"multiplier": st.decimals("0.01", "1.5", places=3).map(lambda times: f"{times:f}")},
    optional={
        "base": some(PenaltyBase),
        "grace_days": st.integers(0, 30),
        "year_days": st.integers(360, 365),
        "stops_after_days": maybe(st.integers(1, 3650)),
    },
)
GRACE = st.fixed_dictionaries(
    {},
    optional={
        "principal_terms": COUNTS,
        "interest_terms": COUNTS,
        "interest_free_terms": COUNTS,
        "late_days": st.integers(0, 30),
    },
)
NEEDED = {
    "code": st.from_regex(r"[a-z][a-z0-9-]{1,30}", fullmatch=True),
    "name": LABELS,
    "funder": st.sampled_from(["own", "partner-bank"]),
    "amount": st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)).map(
        lambda ends: {"least_fen": min(ends), "most_fen": max(ends)}
    ),
    "terms": st.lists(st.integers(1, 480), min_size=1, max_size=24, unique=True).map(sorted),
}
OPTIONAL = {
    "method": some(Method),
    "period": PERIODS,
    **dict.fromkeys(("rate_annual", "fee_rate", "subsidy_rate_annual", "down_payment"), SHARES),
    "rate_least": maybe(SHARES),
    "instalment_fen": AMOUNTS,
    "first_period_days": maybe(st.integers(1, 366)),
    "tranches": st.integers(1, 12),
    "draw_within_days": st.integers(1, 1095),
    "levels_whole_principal": st.booleans(),
    "closing_tolerance_fen": st.integers(0, 10_000),
    "profile": st.fixed_dictionaries({}, optional=OF_PROFILE),
    "grace": GRACE,
    "fees": st.lists(FEES, max_size=MOST_FEES),
    "penalty": maybe(PENALTY),
    "allocation": st.dictionaries(some(DebtState), ALLOCATION),
    "settles_early": st.booleans(),
    "is_offered": st.booleans(),
}
DOCUMENTS = st.fixed_dictionaries(NEEDED, optional=OPTIONAL)


def known(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


class TestRoundTrip:
    @settings(deadline=None)
    @given(document=DOCUMENTS)
    def test_leaves_every_item_as_it_was(self, document: dict[str, Any]) -> None:
        form = read_form(document)
        typed = document_from(MultiDict(fields_of(document)))
        assert read_form(typed) == form
        stored = json.loads(json.dumps(typed))
        written = write_document(stored)
        brought_in = read_document(written)
        assert read_form(brought_in) == form
        assert write_document(brought_in) == written
        assert read_product(brought_in, version=3) == read_product(document, version=3)

    @settings(deadline=None, max_examples=40)
    @given(document=DOCUMENTS)
    def test_what_differs_is_said_and_nothing_else(self, document: dict[str, Any]) -> None:
        assert changes(document, document_from(fields_of(document))) == []
        assert all(summary(document).values())

    def test_tries_every_item_that_there_is(self) -> None:
        """An item that is added to the form has to be added here too, or it is never tried."""
        assert {*NEEDED, *OPTIONAL} == set(ProductForm.model_fields)
        assert set(OF_PROFILE) == set(ProfileForm.model_fields)

    def test_a_product_can_set_whatever_the_engine_can_do(self) -> None:
        assert known(Profile) - {"name"} == set(ProfileForm.model_fields) - {"named"}
        assert known(Waterfall) - {"has_due_charges_first"} <= set(AllocationForm.model_fields)
        # By the loan itself or by law: the amount, its days, whose caps hold, fees for lateness.
        by_loan = {"principal_fen", "start_on", "first_due_on", "periods_from", "draw_until"}
        by_loan |= {"lender_type"}
        renamed = {
            "frequency": "period",
            "grace_principal": "grace",
            "grace_interest": "grace",
            "interest_free": "grace",
            "grace_days": "grace",
            "event_fees": "fees",
            "waterfall": "allocation",
            "waterfalls": "allocation",
            "tolerance_fen": "closing_tolerance_fen",
            "has_tranches": "levels_whole_principal",
        }
        items = {renamed.get(name, name) for name in known(Terms) - by_loan - {"late_fees"}}
        assert items <= set(ProductForm.model_fields)


class TestProfileWords:
    def test_say_every_choice_of_every_named_profile(self) -> None:
        said = profile_words()
        assert set(said) == set(PROFILES)
        assert said["house"]["day_count"] == "实际天数 / 360"
        assert said["frappe-2025"]["instalment_multiple"] == "1"
        assert said["house"]["instalment_rounding"] == "同尾数"
