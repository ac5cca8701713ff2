"""However early or late a loan is paid, what ends it costs no more than the cap, to the fen."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servicing.caps import actual_cost, penalty_cap
from servicing.engine.book import Kind
from servicing.engine.cost import ROUNDING_TOLERANCE
from servicing.engine.events import (
    Cancellation,
    Charge,
    CreditBalanceRefund,
    Disbursement,
    Event,
    Payment,
    Prepayment,
    Waiver,
    WriteOff,
)
from servicing.engine.payments import EventRefused
from servicing.engine.periods import Frequency, Unit
from servicing.engine.quote import QuoteKind, payment_of, quote
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.engine.terms import EventFee, FeeEvent, FeeTier, Method, Terms
from servicing.products import STANDARD, Product
from servicing.settling import (
    beyond_cap,
    early_ending,
    event_charges,
    event_fee_fen,
    plan_within_cap,
    planned_ending,
)

START = date(2026, 1, 31)
CAP = Decimal("0.24")
FEE = EventFee(
    name="提前结清手续费",
    event=FeeEvent.EARLY_SETTLEMENT,
    payee="本公司",
    tiers=(FeeTier(share=Decimal("0.03")), FeeTier(from_paid=2, amount_fen=2_000)),
)
DEAR = replace(STANDARD, code="dear", rate_annual=CAP, penalty_multiplier=Decimal("1.5"))


def _terms(product: Product, terms: int = 3, principal: int = 300_000) -> Terms:
    return product.agree(
        principal_fen=principal, rate_annual=product.rate_annual, terms=terms, start_on=START
    )


def _drawn(terms: Terms) -> list[Event]:
    return [Disbursement(id="1", on=START, amount_fen=terms.principal_fen)]


def _day(days: int) -> date:
    return START + timedelta(days=days)


class TestEarlyEnding:
    def test_costs_the_days_and_nothing_else_below_the_cap(self) -> None:
        terms = _terms(STANDARD)
        ends = early_ending(terms, _drawn(terms), _day(10))
        assert (ends.plain_fen, ends.total_fen, ends.before) == (301_800, 301_800, ())

    def test_lets_a_fee_give_way_to_the_cap(self) -> None:
        terms = _terms(replace(STANDARD, event_fees=(FEE,)))
        ends = early_ending(terms, _drawn(terms), _day(10))
        assert (ends.fee_fen, ends.credit_fen, ends.total_fen) == (200, 0, 302_000)
        assert [type(event) for event in ends.before] == [Charge]

    def test_asks_for_the_fee_of_the_tier(self) -> None:
        terms = _terms(replace(STANDARD, event_fees=(FEE,)))
        asked = [event_fee_fen(FEE, base_fen=100_000, paid_terms=paid) for paid in (0, 1, 2, 3)]
        assert asked == [3_000, 3_000, 2_000, 2_000]
        state = replay(terms, _drawn(terms), START)
        assert event_charges(terms, state, FeeEvent.EXTENSION) == ()

    def test_asks_for_it_on_what_is_not_due_yet_by_the_instalments_that_were_paid(self) -> None:
        share = replace(FEE, tiers=(FeeTier(share=Decimal("0.01")), FeeTier(from_paid=1)))
        terms = _terms(replace(STANDARD, event_fees=(share,)))
        first, second = date(2026, 2, 28), date(2026, 3, 10)
        late = replay(terms, _drawn(terms), second)
        # 98,221 fen of 300,000 are overdue: settling early is about the others.
        (asked,) = event_charges(terms, late, FeeEvent.EARLY_SETTLEMENT)
        assert asked.amount_fen == 2_018
        paid = [*_drawn(terms), Payment(id="2", on=first, amount_fen=103_621)]
        in_time = replay(terms, paid, second)
        assert event_charges(terms, in_time, FeeEvent.EARLY_SETTLEMENT) == ()

    @pytest.mark.parametrize(("base_fen", "fee_fen"), [(150, 2), (249, 2), (250, 3), (149, 1)])
    def test_rounds_its_fee_half_up(self, base_fen: int, fee_fen: int) -> None:
        fee = replace(FEE, tiers=(FeeTier(share=Decimal("0.01")),))
        assert event_fee_fen(fee, base_fen=base_fen, paid_terms=0) == fee_fen

    def test_credits_what_a_charge_made_too_dear(self) -> None:
        terms = _terms(STANDARD)
        charge = Charge(id="2", on=_day(5), amount_fen=5_000, due_on=_day(5))
        ends = early_ending(terms, [*_drawn(terms), charge], _day(10))
        assert (ends.plain_fen, ends.credit_fen, ends.total_fen) == (306_800, 4_800, 302_000)

    def test_of_a_plan_that_is_paid_at_once_is_what_its_days_may_cost(self) -> None:
        terms = _terms(STANDARD)
        ends = planned_ending(terms, _drawn(terms), _day(10))
        assert ends.total_fen == 302_000


class TestPlanOfAFlatProduct:
    """What it costs does not fall with what is owed: of little, a whole fee is much."""

    FLAT = replace(
        STANDARD,
        code="flat",
        method=Method.FLAT_FEE,
        rate_annual=Decimal(0),
        fee_rate=Decimal("0.008"),
    )
    ON = date(2026, 2, 20)

    def _prepaid(self, fen: int) -> tuple[Terms, list[Event]]:
        terms = _terms(self.FLAT, terms=12, principal=1_200_000)
        return terms, [*_drawn(terms), Prepayment(id="2", on=self.ON, amount_fen=fen)]

    def test_stays_below_the_cap_when_most_of_it_is_prepaid(self) -> None:
        terms, told = self._prepaid(1_000_000)
        before = replay(terms, told, self.ON)
        assert actual_cost(before).nominal > Decimal("0.59")
        (waived,) = plan_within_cap(terms, told, self.ON)
        after = replay(terms, [*told, waived], self.ON)
        assert CAP < actual_cost(after).nominal <= CAP + ROUNDING_TOLERANCE
        assert after.outstanding.principal_fen == before.outstanding.principal_fen
        assert isinstance(waived, Waiver)
        less = replace(waived, amount_fen=waived.amount_fen - 1)
        one_less = actual_cost(replay(terms, [*told, less], self.ON)).nominal
        assert one_less > CAP + ROUNDING_TOLERANCE

    @pytest.mark.parametrize("fen", [100_000, 1_206_857])
    def test_is_left_alone_below_the_cap_and_where_nothing_is_left(self, fen: int) -> None:
        terms, told = self._prepaid(fen)
        assert plan_within_cap(terms, told, self.ON) == ()

    def test_of_another_product_follows_what_is_owed(self) -> None:
        terms = _terms(DEAR, terms=12, principal=1_200_000)
        told = [*_drawn(terms), Prepayment(id="2", on=self.ON, amount_fen=1_000_000)]
        assert plan_within_cap(terms, told, self.ON) == ()


class TestBeyondCap:
    def test_is_nothing_of_a_loan_that_is_paid_as_agreed(self) -> None:
        terms = _terms(STANDARD)
        paid = [*_drawn(terms), Payment(id="2", on=date(2026, 2, 28), amount_fen=103_621)]
        assert beyond_cap(terms, paid, date(2026, 2, 28)) == ()

    def test_is_nothing_of_a_claim_that_was_given_up_or_never_drawn(self) -> None:
        terms = _terms(STANDARD)
        early = Payment(id="2", on=_day(1), amount_fen=310_000)
        given_up = [*_drawn(terms), early, WriteOff(id="3", on=_day(1))]
        assert beyond_cap(terms, given_up, _day(1)) == ()
        assert beyond_cap(terms, [], _day(1)) == ()

    def test_gives_back_interest_first_and_of_fees_only_what_is_left(self) -> None:
        terms = _terms(STANDARD)
        fee = Charge(id="2", on=_day(1), amount_fen=5_000, due_on=_day(1))
        paid = Payment(id="3", on=_day(1), amount_fen=310_864 + 5_000)
        known = [*_drawn(terms), fee, paid]
        back = beyond_cap(terms, known, _day(1))
        # A day costs 200 fen of the 15,864 that were paid for it, 10,864 of them as interest.
        assert [(type(event), event.kind, event.amount_fen) for event in back] == [
            (Payment, Kind.INTEREST_REFUND, 10_864),
            (Payment, Kind.CHARGE_ADJUSTMENT, 4_800),
        ]
        assert [event.id for event in back] == ["4", "5"]


_LIFE = st.lists(
    st.tuples(
        st.sampled_from(["wait", "pay", "early", "plan", "prepay", "charge", "return"]),
        st.integers(1, 60),
    ),
    max_size=7,
)
_PRODUCTS = st.sampled_from(
    [
        DEAR,
        STANDARD,
        replace(DEAR, event_fees=(FEE,)),
        replace(DEAR, frequency=Frequency(unit=Unit.WEEKS)),
        replace(DEAR, method=Method.BULLET),
        replace(DEAR, method=Method.INTEREST_FIRST),
        replace(DEAR, method=Method.FLAT_FEE, rate_annual=Decimal(0), fee_rate=Decimal("0.011")),
    ]
)


class TestAnyLife:
    @settings(max_examples=200, deadline=None)
    @given(
        product=_PRODUCTS,
        count=st.integers(1, 6),
        principal=st.integers(100_000, 1_000_000),
        life=_LIFE,
        is_early=st.booleans(),
    )
    def test_costs_no_more_than_the_cap_however_it_ends(
        self,
        product: Product,
        count: int,
        principal: int,
        life: list[tuple[str, int]],
        is_early: bool,
    ) -> None:
        terms = _terms(product, count, principal)
        events, on = _lived(terms, life)
        state = replay(terms, events, on)
        if state.outstanding.total_fen:
            events = _ended(terms, events, on, is_early=is_early)
            state = replay(terms, events, on)
        assert state.outstanding.total_fen == 0
        if state.overpaid_fen:
            back = CreditBalanceRefund(
                id=str(len(events) + 1), on=on, amount_fen=state.overpaid_fen
            )
            state = replay(terms, [*events, back], on)
        assert state.overpaid_fen == 0
        assert actual_cost(state).nominal <= CAP + ROUNDING_TOLERANCE


def _ended(terms: Terms, events: list[Event], on: date, *, is_early: bool) -> list[Event]:
    """Pay just what ends a loan, and give back what was paid beyond the cap before."""
    ends = (early_ending if is_early else planned_ending)(terms, events, on)
    assert ends.total_fen >= 0
    events = [*events, *ends.before]
    number = str(len(events) + 1)
    if is_early:
        asked = quote(terms, events, on, QuoteKind.SETTLE)
        assert asked.total_fen == ends.total_fen
        if asked.total_fen:
            events.append(payment_of(asked, event_id=number))
    elif ends.total_fen:
        events.append(Payment(id=number, on=on, amount_fen=ends.total_fen))
    return [*events, *beyond_cap(terms, events, on)]


def _lived(terms: Terms, life: list[tuple[str, int]]) -> tuple[list[Event], date]:
    """Let a life happen as far as the loan lets it, as the book would write it."""
    events, on = _drawn(terms), _day(1)
    for step, size in life:
        state = replay(terms, events, on)
        if not state.outstanding.total_fen:
            break
        if step == "wait":
            on += timedelta(days=size)
            continue
        happened = _happening(state, step, size, number=len(events) + 1)
        try:
            replay(terms, [*events, happened], on)
        except EventRefused:
            continue
        events.append(happened)
        events += beyond_cap(terms, events, on)
    return events, on


def _happening(state: LoanState, step: str, size: int, *, number: int) -> Event:
    owed = [row.outstanding.total_fen for row in state.rows]
    due = next((fen for fen in owed if fen), 0)
    given: dict[str, Any] = {"id": str(number), "on": state.on}
    if step == "charge":
        return Charge(**given, amount_fen=size * 10, due_on=state.on)
    if step == "prepay":
        return Prepayment(**given, amount_fen=due + size * 500)
    if step == "return":
        return Cancellation(
            **given, amount_fen=sum(fen for _, fen in state.disbursed), bears_cost=size > 30
        )
    part = {"early": due, "plan": sum(owed), "pay": due * size // 60}[step]
    return Payment(**given, amount_fen=part)


class TestPenaltyCap:
    @pytest.mark.parametrize(
        ("frequency", "days", "a_year"),
        [
            (Frequency(), 31, 12),
            (Frequency(unit=Unit.WEEKS), 7, 52),
            (Frequency(unit=Unit.WEEKS, every=2), 14, 26),
            (Frequency(unit=Unit.DAYS, every=15), 15, 25),
        ],
    )
    def test_lets_no_period_cost_more_than_its_share_of_the_cap(
        self, frequency: Frequency, days: int, a_year: int
    ) -> None:
        rate = penalty_cap(frequency, START, lender_type="micro-loan")
        assert Decimal("0.23") < rate <= CAP
        if frequency.unit is not Unit.DAYS:
            assert rate / 360 * days <= CAP / a_year
