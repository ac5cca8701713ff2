"""What holds for every loan, whatever its terms are and whatever happens to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from servicing.engine import events
from servicing.engine.book import Kind, Status
from servicing.engine.cost import annual_cost
from servicing.engine.events import Event, Reversal
from servicing.engine.journal import entries
from servicing.engine.parts import Component, total
from servicing.engine.payments import EventRefused
from servicing.engine.periods import Frequency, MonthEnd, Unit
from servicing.engine.plan import plan
from servicing.engine.profile import (
    ACTUAL_365,
    FINERACT_CUMULATIVE_DAILY,
    FINERACT_PROGRESSIVE,
    FRAPPE_2025,
    HOUSE,
    THIRTY_360,
    Excess,
    Profile,
    Recalculation,
    Rest,
)
from servicing.engine.quote import QuoteKind, payment_of, quote
from servicing.engine.replay import replay
from servicing.engine.retelling import retell
from servicing.engine.state import LoanRow, LoanState
from servicing.engine.terms import Method, PenaltyRule, Terms
from servicing.engine.waterfall import Direction, Future, Waterfall, every_timing

START = date(2026, 1, 31)
MONEY_IN = {
    Kind.REPAYMENT,
    Kind.PREPAYMENT,
    Kind.GOODWILL_CREDIT,
    Kind.MERCHANT_REFUND,
    Kind.INTEREST_REFUND,
    Kind.CHARGE_ADJUSTMENT,
}
PROFILES = (
    HOUSE,
    replace(HOUSE, month_end=MonthEnd.ROLL),
    replace(HOUSE, day_count=ACTUAL_365, recalculation=Recalculation.ACTUAL_BALANCE),
    replace(FINERACT_PROGRESSIVE, day_count=THIRTY_360),
    replace(
        FINERACT_PROGRESSIVE,
        day_count=THIRTY_360,
        recalculation=Recalculation.ACTUAL_BALANCE,
    ),
    *(
        replace(
            FINERACT_CUMULATIVE_DAILY,
            recalculation=Recalculation.OPEN_PERIOD,
            excess=excess,
            rest=rest,
        )
        for excess in Excess
        for rest in Rest
    ),
    FRAPPE_2025,
)
METHODS = (
    Method.EQUAL_INSTALMENT,
    Method.EQUAL_PRINCIPAL,
    Method.FLAT_FEE,
    Method.FLAT_INTEREST,
    Method.INTEREST_FIRST,
    Method.BULLET,
)
FREQUENCIES = (
    Frequency(),
    Frequency(every=3),
    Frequency(unit=Unit.WEEKS, every=2),
    Frequency(unit=Unit.DAYS, every=15),
)


@st.composite
def agreed(draw: st.DrawFn, profiles: Sequence[Profile] = PROFILES) -> Terms:
    count = draw(st.integers(1, 12))
    method = draw(st.sampled_from(METHODS))
    fee = draw(st.decimals("0", "0.01", places=4)) if method is Method.FLAT_FEE else Decimal(0)
    order = draw(st.permutations(list(Component)))
    return Terms(
        principal_fen=draw(st.integers(10_000, 5_000_000)),
        start_on=START,
        rate_annual=draw(st.sampled_from([Decimal(0), *map(Decimal, ("0.06", "0.18", "0.24"))])),
        terms=count,
        method=method,
        frequency=draw(st.sampled_from(FREQUENCIES)),
        profile=draw(st.sampled_from(list(profiles))),
        fee_rate=fee,
        grace_principal=draw(st.integers(0, count - 1)),
        interest_free=draw(st.integers(0, 2)),
        penalty=draw(st.sampled_from([None, PenaltyRule(rate_annual=Decimal("0.24"))])),
        waterfall=Waterfall(
            rules=every_timing(*order),
            direction=draw(st.sampled_from(list(Direction))),
            future=draw(st.sampled_from(list(Future))),
        ),
    )


@st.composite
def happenings(draw: st.DrawFn, terms: Terms, most: int = 6) -> list[Event]:
    """Draw events of which each can happen after those before it."""
    told: list[Event] = [events.Disbursement(id="draw", on=START, amount_fen=terms.principal_fen)]
    day = START
    for n in range(draw(st.integers(0, most))):
        day += timedelta(days=draw(st.integers(0, 45)))
        event = draw(one_event(terms, told, day, f"e{n}"))
        try:
            replay(terms, [*told, event], day)
        except EventRefused:
            continue
        told.append(event)
    return told


def one_event(terms: Terms, told: Sequence[Event], on: date, name: str) -> st.SearchStrategy[Event]:
    said = {"id": st.just(name), "on": st.just(on)}
    ids = st.sampled_from([event.id for event in told][1:] or ["none"])
    return st.one_of(
        st.builds(Reversal, **said, of=ids),
        st.builds(events.ChargeBack, **said, of=ids, amount_fen=st.integers(1, 50_000)),
        money(terms, said),
        charges(said, on),
        changes_of_plan(said, on),
        endings(terms, said),
    )


def money(terms: Terms, said: Mapping[str, Any]) -> st.SearchStrategy[Event]:
    amounts = st.integers(1, terms.principal_fen * 6 // 5)
    return st.one_of(
        st.builds(
            events.Payment,
            **said,
            amount_fen=amounts,
            kind=st.sampled_from([Kind.REPAYMENT, Kind.GOODWILL_CREDIT, Kind.MERCHANT_REFUND]),
        ),
        st.builds(events.Payment, **said, amount_fen=amounts),
        st.builds(
            events.Prepayment, **said, amount_fen=amounts, effect=st.sampled_from(list(Excess))
        ),
        st.builds(events.CreditBalanceRefund, **said, amount_fen=st.integers(1, 5_000)),
        st.builds(events.Recovery, **said, amount_fen=amounts),
    )


def charges(said: Mapping[str, Any], on: date) -> st.SearchStrategy[Event]:
    return st.one_of(
        st.builds(
            events.Charge,
            **said,
            amount_fen=st.integers(1, 5_000),
            due_on=st.just(on + timedelta(days=3)),
            component=st.sampled_from([Component.FEE, Component.PENALTY]),
        ),
        st.builds(
            events.Waiver,
            **said,
            component=st.sampled_from(list(Component)),
            amount_fen=st.integers(1, 5_000),
        ),
    )


def changes_of_plan(said: Mapping[str, Any], on: date) -> st.SearchStrategy[Event]:
    return st.one_of(
        st.builds(events.ReAmortisation, **said),
        st.builds(
            events.ReAge,
            **said,
            first_due_on=st.just(on + timedelta(days=20)),
            terms=st.integers(1, 6),
            interest=st.sampled_from([None, *events.ReAgeInterest]),
        ),
        st.builds(
            events.InterestPause,
            **said,
            first_on=st.just(on),
            last_on=st.just(on + timedelta(days=20)),
        ),
        st.builds(
            events.RateChange,
            **said,
            from_on=st.just(on),
            rate_annual=st.sampled_from([Decimal("0.03"), Decimal("0.2")]),
        ),
        st.builds(
            events.ExtraTerms,
            **said,
            from_due_on=st.just(on + timedelta(days=10)),
            extra=st.integers(1, 3),
        ),
        st.builds(
            events.PrincipalGrace,
            **said,
            from_due_on=st.just(on + timedelta(days=10)),
            periods=st.integers(1, 2),
        ),
        st.builds(
            events.PaymentHoliday,
            **said,
            from_due_on=st.just(on + timedelta(days=10)),
            periods=st.integers(1, 2),
            bears_interest=st.booleans(),
        ),
    )


def endings(terms: Terms, said: Mapping[str, Any]) -> st.SearchStrategy[Event]:
    return st.one_of(
        st.builds(
            events.Cancellation,
            **said,
            amount_fen=st.integers(1, terms.principal_fen),
            bears_cost=st.booleans(),
        ),
        st.builds(events.CloseOfDay, **said),
        st.builds(events.ChargeOff, **said, effect=st.sampled_from(list(events.ChargeOffEffect))),
        st.builds(events.Termination, **said),
        st.builds(events.WriteOff, **said, amount_fen=st.sampled_from([None, 5_000])),
    )


@st.composite
def lives(draw: st.DrawFn) -> tuple[Terms, list[Event]]:
    terms = draw(agreed())
    return terms, draw(happenings(terms))


def last_day(told: Sequence[Event]) -> date:
    return max(event.on for event in told)


def up_to_now(state: LoanState) -> LoanState:
    """Leave out from where penalty would run on: the last event on record, or the last look."""
    return replace(state, running=None)


def paid_in(state: LoanState) -> int:
    standing = [record for record in state.records if not record.is_reversed]
    return sum(record.amount_fen for record in standing if record.kind in MONEY_IN)


many = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])


class TestEveryPlan:
    @many
    @given(terms=agreed())
    def test_repays_the_principal_to_the_fen_in_as_many_instalments_as_promised(
        self, terms: Terms
    ) -> None:
        rows = plan(terms).instalments
        assert len(rows) == (1 if terms.method is Method.BULLET else terms.terms)
        assert sum(row.due.principal_fen for row in rows) == terms.principal_fen
        assert rows[-1].balance_fen == 0
        assert all(row.due.of(part) >= 0 for row in rows for part in Component)
        assert all(row.balance_fen >= 0 for row in rows)
        dates = [row.due_on for row in rows]
        assert dates == sorted(set(dates))

    @given(
        principal=st.integers(100_000, 5_000_000),
        rate=st.decimals("0.01", "0.24", places=4),
        count=st.integers(1, 36),
        method=st.sampled_from(
            [Method.EQUAL_INSTALMENT, Method.EQUAL_PRINCIPAL, Method.INTEREST_FIRST]
        ),
    )
    def test_costs_what_the_contract_says(
        self, principal: int, rate: Decimal, count: int, method: Method
    ) -> None:
        terms = Terms(
            principal_fen=principal, start_on=START, rate_annual=rate, terms=count, method=method
        )
        payments = [row.due.total_fen for row in plan(terms).instalments]
        cost = annual_cost(principal, payments, periods_a_year=Decimal(12))
        assert abs(cost.nominal - rate) < Decimal("0.0005")
        assert cost.effective >= cost.nominal


class TestEveryLife:
    @many
    @given(life=lives())
    def test_conserves_principal_and_money(self, life: tuple[Terms, list[Event]]) -> None:
        terms, told = life
        state = replay(terms, told, last_day(told))
        credited = sum(row.credited_fen for row in state.rows)
        assert state.due.principal_fen - credited == terms.principal_fen
        waived = total(row.waived for row in state.rows)
        assert state.due == state.paid + state.outstanding + waived
        refunded = sum(
            record.overpaid_fen
            for record in state.records
            if record.kind is Kind.CREDIT_BALANCE_REFUND and not record.is_reversed
        )
        taken_from_credit = sum(
            record.overpaid_fen
            for record in state.records
            if record.kind is Kind.CHARGE_BACK and not record.is_reversed
        )
        back = credited_from_overpaid(state)
        assert paid_in(state) == (
            state.paid.total_fen + state.overpaid_fen + refunded + taken_from_credit - back
        )

    @many
    @given(life=lives())
    def test_never_owes_less_than_nothing(self, life: tuple[Terms, list[Event]]) -> None:
        terms, told = life
        state = replay(terms, told, last_day(told))
        for row in state.rows:
            for part in Component:
                assert row.due.of(part) >= 0
                assert row.paid.of(part) >= 0
                assert row.outstanding.of(part) >= 0
            assert (row.settled_on is None) == (row.outstanding.total_fen > 0)
        assert state.overpaid_fen >= 0
        for record in state.records:
            assert min(record.overpaid_fen, *record.parts) >= 0

    @many
    @given(life=lives())
    def test_accounts_for_every_fen_of_a_payment(self, life: tuple[Terms, list[Event]]) -> None:
        terms, told = life
        for record in replay(terms, told, last_day(told)).records:
            if record.kind in MONEY_IN:
                assert record.parts.total_fen + record.overpaid_fen == record.amount_fen
                split = sum(allocation.parts.total_fen for allocation in record.allocations)
                assert split == record.parts.total_fen

    @many
    @given(life=lives())
    def test_books_balanced_entries(self, life: tuple[Terms, list[Event]]) -> None:
        terms, told = life
        for entry in entries(replay(terms, told, last_day(told)).records):
            assert sum(posting.fen for posting in entry.postings) == 0

    @many
    @given(life=lives())
    def test_tells_the_same_twice(self, life: tuple[Terms, list[Event]]) -> None:
        terms, told = life
        before = repr((terms, told))
        assert replay(terms, told, last_day(told)) == replay(terms, told, last_day(told))
        assert repr((terms, told)) == before

    @many
    @given(life=lives(), data=st.data())
    def test_looks_the_same_as_of_a_day_whatever_came_later(
        self, life: tuple[Terms, list[Event]], data: st.DataObject
    ) -> None:
        terms, told = life
        on = data.draw(st.dates(START, last_day(told)))
        known = [event for event in told if event.counts_on <= on]
        assert replay(terms, told, on) == replay(terms, known, on)

    @many
    @given(life=lives(), days=st.integers(0, 400), data=st.data())
    def test_is_told_the_same_with_and_without_what_came_last(
        self, life: tuple[Terms, list[Event]], days: int, data: st.DataObject
    ) -> None:
        terms, told = life
        day = START + timedelta(days=days)
        event = data.draw(one_event(terms, told, day, "more"))
        last = max(last_day(told), day)
        try:
            with_it = replay(terms, [*told, event], last)
        except EventRefused:
            with pytest.raises(EventRefused):
                retell(terms, told, event, before_on=last, after_on=last)
            return
        both = retell(terms, told, event, before_on=last_day(told), after_on=last)
        assert (both.before, both.after) == (replay(terms, told, last_day(told)), with_it)

    @many
    @given(life=lives(), days=st.integers(0, 60), data=st.data())
    def test_is_not_changed_by_what_does_nothing(
        self, life: tuple[Terms, list[Event]], days: int, data: st.DataObject
    ) -> None:
        """However often somebody looks, days cost what they cost."""
        terms, told = life
        last = last_day(told)
        nothing = events.CloseOfDay(id="look", on=data.draw(st.dates(START, last)))
        later = last + timedelta(days=days)
        looked, unseen = replay(terms, [*told, nothing], later), replay(terms, told, later)
        assert up_to_now(looked) == up_to_now(unseen)

    @many
    @given(life=lives(), amount=st.integers(1, 3_000_000))
    def test_a_reversal_restores_what_was_before(
        self, life: tuple[Terms, list[Event]], amount: int
    ) -> None:
        terms, told = life
        on = last_day(told)
        before = replay(terms, told, on)
        assume(before.status is not Status.WRITTEN_OFF)
        paid = events.Payment(id="paid", on=on, amount_fen=amount)
        after = replay(terms, [*told, paid, Reversal(id="undo", on=on, of="paid")], on)
        assert [unsettled(row) for row in after.rows] == [unsettled(row) for row in before.rows]
        assert after.overpaid_fen == before.overpaid_fen
        assert after.status == before.status

    @many
    @given(life=lives(), days=st.integers(0, 60))
    def test_a_quote_settles_the_loan_to_the_fen(
        self, life: tuple[Terms, list[Event]], days: int
    ) -> None:
        terms, told = life
        on = last_day(told) + timedelta(days=days)
        assume(replay(terms, told, on).status is Status.ACTIVE)
        asked = quote(terms, told, on, QuoteKind.SETTLE)
        assume(asked.total_fen > 0)
        paid = payment_of(asked, event_id="settle")
        state = replay(terms, [*told, paid], on)
        assert state.status is Status.CLOSED
        assert state.overpaid_fen == 0

    @many
    @given(life=lives(), days=st.integers(0, 60))
    def test_a_quote_of_what_is_due_leaves_nothing_due(
        self, life: tuple[Terms, list[Event]], days: int
    ) -> None:
        terms, told = life
        on = last_day(told) + timedelta(days=days)
        assume(replay(terms, told, on).status is Status.ACTIVE)
        asked = quote(terms, told, on, QuoteKind.DUE)
        assume(asked.total_fen > 0)
        paid = payment_of(asked, event_id="due")
        state = replay(terms, [*told, paid], on)
        assert state.due_now.total_fen == 0
        assert state.overpaid_fen == 0


def credited_from_overpaid(state: LoanState) -> int:
    """A credit that exceeds what was overpaid puts that part back onto the loan, and pays it."""
    kinds = (Kind.CREDIT_BALANCE_REFUND, Kind.CHARGE_BACK)
    return sum(
        record.overpaid_fen
        for record in state.records
        if record.kind in kinds and not record.is_reversed and record.parts.principal_fen
    )


def unsettled(row: LoanRow) -> LoanRow:
    return replace(row, settled_on=None)
