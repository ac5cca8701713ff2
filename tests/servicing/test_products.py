"""The standard product plans, costs and refuses as it always did; terms are kept for good."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.money import Rounding, round_fen
from servicing.archive import (
    EventNotBookable,
    event_from_json,
    event_to_json,
    kind_of,
    terms_from_json,
    terms_to_json,
)
from servicing.caps import allowed_cost
from servicing.engine import events
from servicing.engine.book import Kind
from servicing.engine.cost import CostAboveCap
from servicing.engine.periods import Frequency, Unit
from servicing.engine.plan import Plan, plan
from servicing.engine.terms import PenaltyRule, Terms, TermsRefused
from servicing.products import STANDARD, ProductRefused

PRINCIPALS = st.integers(1_000, 5_000_000)
RATES = st.decimals("0", "0.24", places=4)
TERMS = st.integers(1, 36)
DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))
START = date(2026, 1, 1)


def _terms(principal: int, rate: Decimal | str, terms: int, start: date = START) -> Terms:
    return STANDARD.agree(
        principal_fen=principal, rate_annual=Decimal(rate), terms=terms, start_on=start
    )


def _plan(principal: int, rate: Decimal | str, terms: int, start: date = START) -> Plan:
    return plan(_terms(principal, rate, terms, start))


class TestPlan:
    def test_computes_the_known_plan_of_three_thousand_yuan(self) -> None:
        rows = [
            (str(row.due_on), row.due.principal_fen, row.due.interest_fen)
            for row in _plan(300_000, "0.18", 3, date(2026, 1, 31)).instalments
        ]
        assert rows == [
            ("2026-02-28", 98_515, 4_500),
            ("2026-03-31", 99_993, 3_022),
            ("2026-04-30", 101_492, 1_522),
        ]

    @given(principal=PRINCIPALS, rate=RATES, terms=TERMS, start=DAYS)
    def test_repays_the_principal_to_the_fen_in_level_instalments(
        self, principal: int, rate: Decimal, terms: int, start: date
    ) -> None:
        rows = _plan(principal, rate, terms, start).instalments
        assert len(rows) == terms
        assert sum(row.due.principal_fen for row in rows) == principal
        assert rows[-1].balance_fen == 0
        assert all(row.due.principal_fen >= 0 and row.due.interest_fen >= 0 for row in rows)
        assert len({row.due.total_fen for row in rows[:-1]}) <= 1
        assert abs(rows[-1].due.total_fen - rows[0].due.total_fen) <= terms

    @given(principal=PRINCIPALS, rate=RATES, terms=TERMS, start=DAYS)
    def test_bears_a_twelfth_of_the_rate_on_what_is_owed_each_month(
        self, principal: int, rate: Decimal, terms: int, start: date
    ) -> None:
        balance = principal
        for row in _plan(principal, rate, terms, start).instalments:
            exact = balance * rate / 12
            assert row.due.interest_fen == round_fen(exact, rounding=Rounding.HALF_UP)
            balance -= row.due.principal_fen

    @given(start=DAYS, terms=TERMS)
    def test_falls_due_on_the_same_day_each_month_or_the_last(
        self, start: date, terms: int
    ) -> None:
        for row in _plan(100_000, "0.1", terms, start).instalments:
            is_last = (row.due_on + timedelta(days=1)).day == 1
            assert row.due_on.day == start.day or (row.due_on.day < start.day and is_last)

    @pytest.mark.parametrize(
        ("principal", "rate", "terms"), [(0, "0.1", 3), (100, "-0.1", 3), (100, "0.1", 0)]
    )
    def test_refuses_terms_that_make_no_loan(self, principal: int, rate: str, terms: int) -> None:
        with pytest.raises(TermsRefused):
            _terms(principal, rate, terms)


class TestCost:
    @given(principal=st.integers(100_000, 5_000_000), rate=RATES, terms=TERMS)
    def test_of_a_plan_without_charges_is_its_rate(
        self, principal: int, rate: Decimal, terms: int
    ) -> None:
        agreed = _terms(principal, rate, terms)
        assert abs(allowed_cost(agreed, plan(agreed)).nominal - rate) < Decimal("0.0005")

    def test_at_the_cap_passes_and_above_it_is_refused(self) -> None:
        for rate, is_fine in (("0.24", True), ("0.25", False)):
            agreed = _terms(1_000_000, rate, 12)
            if is_fine:
                assert allowed_cost(agreed, plan(agreed))
            else:
                with pytest.raises(CostAboveCap):
                    allowed_cost(agreed, plan(agreed))

    def test_is_refused_where_no_cap_is_known(self) -> None:
        agreed = _terms(1_000_000, "0.01", 12, date(2014, 1, 1))
        with pytest.raises(CostAboveCap):
            allowed_cost(agreed, plan(agreed))


class TestPenalty:
    def test_is_off_in_the_standard_product(self) -> None:
        assert _terms(100_000, "0.216", 6).penalty is None

    def test_never_runs_above_the_cap(self) -> None:
        strict = replace(STANDARD, penalty_multiplier=Decimal("1.5"))
        terms = strict.agree(
            principal_fen=100_000, rate_annual=Decimal("0.216"), terms=6, start_on=START
        )
        assert terms.penalty is not None
        # A month of 31 days costs no more than a twelfth of the cap.
        assert terms.penalty.rate_a_day * 360 == Decimal("0.2322")
        assert terms.penalty.rate_a_day * 31 <= Decimal("0.24") / 12
        assert terms.penalty.grace_days == 3

    @pytest.mark.parametrize("multiplier", ["0", "-1", "1.51"])
    def test_of_more_than_half_as_much_again_is_no_product(self, multiplier: str) -> None:
        with pytest.raises(ProductRefused):
            replace(STANDARD, penalty_multiplier=Decimal(multiplier))


class TestArchive:
    @given(principal=PRINCIPALS, rate=RATES, terms=TERMS, start=DAYS, is_strict=st.booleans())
    def test_reads_terms_as_they_were_written(
        self, principal: int, rate: Decimal, terms: int, start: date, is_strict: bool
    ) -> None:
        agreed = _terms(principal, rate, terms, start)
        if is_strict:
            rule = PenaltyRule(rate_annual=Decimal("0.3"), cap_annual=Decimal("0.24"))
            agreed = replace(agreed, penalty=rule, frequency=Frequency(unit=Unit.WEEKS, every=2))
        stored = json.loads(json.dumps(terms_to_json(agreed)))
        assert terms_from_json(stored) == agreed

    @pytest.mark.parametrize(
        "event",
        [
            events.Payment(id="2", on=START, amount_fen=5),
            events.RateChange(id="3", on=START, from_on=START, rate_annual=Decimal("0.1")),
            events.InterestPause(id="4", on=START, first_on=START, last_on=None),
            events.Reversal(id="5", on=START, of="2"),
            events.Payment(id="6", on=START, amount_fen=5, kind=Kind.GOODWILL_CREDIT),
            events.PaymentHoliday(id="7", on=START, from_due_on=START, periods=2),
            events.ReAge(
                id="8",
                on=START,
                first_due_on=START,
                terms=3,
                frequency=Frequency(unit=Unit.WEEKS, every=2),
                interest=events.ReAgeInterest.PAYABLE,
            ),
            events.ReAge(id="9", on=START, first_due_on=START, terms=3),
            events.ChargeOff(id="10", on=START, effect=events.ChargeOffEffect.ACCELERATE),
            events.WriteOff(id="11", on=START),
            events.Recovery(id="12", on=START, amount_fen=5),
            events.Termination(id="13", on=START),
            events.Cancellation(id="14", on=START, amount_fen=5, bears_cost=True),
            events.ChargeBack(id="15", on=START, of="2", amount_fen=5),
            events.CreditBalanceRefund(id="16", on=START, amount_fen=5),
            events.InstalmentFee(id="17", on=START, share=Decimal("0.001")),
        ],
    )
    def test_reads_events_as_they_were_written(self, event: events.Event) -> None:
        stored = json.loads(json.dumps(event_to_json(event)))
        kept = event_from_json(kind_of(event), stored, event_id=event.id, on=event.on)
        assert kept == event

    def test_refuses_what_the_book_keeps_in_another_way(self) -> None:
        with pytest.raises(EventNotBookable):
            kind_of(events.CloseOfDay(id="2", on=START))
