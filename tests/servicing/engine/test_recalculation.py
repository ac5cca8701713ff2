"""Products whose interest follows what is really paid."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine import events
from servicing.engine.book import Kind, Status
from servicing.engine.events import Payment
from servicing.engine.parts import Component, Parts
from servicing.engine.profile import (
    ACTUAL_365,
    FINERACT_CUMULATIVE_DAILY,
    FINERACT_PROGRESSIVE,
    HOUSE,
    THIRTY_360,
    Excess,
    Recalculation,
    Rest,
)
from servicing.engine.replay import replay
from servicing.engine.terms import Method
from servicing.engine.waterfall import (
    HOUSE_WATERFALL,
    Direction,
    Future,
    Waterfall,
    every_timing,
)

START = date(2026, 1, 31)
FIRST, SECOND = date(2026, 2, 28), date(2026, 3, 31)
ACTUAL = replace(HOUSE, day_count=ACTUAL_365, recalculation=Recalculation.ACTUAL_BALANCE)
OPEN = replace(FINERACT_CUMULATIVE_DAILY, recalculation=Recalculation.OPEN_PERIOD)


def pay(on: date, fen: int, name: str = "paid") -> Payment:
    return Payment(id=name, on=on, amount_fen=fen)


class TestActualBalance:
    """Interest on what is really outstanding."""

    def test_lateness_costs_interest_until_today_and_not_beyond(self, terms, drawn) -> None:
        actual = replace(
            terms,
            method=Method.EQUAL_INSTALMENT,
            rate_annual=Decimal("0.07"),
            profile=replace(
                FINERACT_PROGRESSIVE,
                day_count=THIRTY_360,
                recalculation=Recalculation.ACTUAL_BALANCE,
            ),
        )
        state = replay(actual, [drawn], FIRST + timedelta(days=10))
        paid_up = replay(actual, [drawn], START)
        late = paid_up.rows[0].due.principal_fen
        # Ten of the 31 days on the principal that should have come back.
        extra = late * Decimal("0.07") / 12 * 10 / 31
        more = state.rows[1].due.interest_fen - paid_up.rows[1].due.interest_fen
        assert abs(more - extra) <= 1  # two balances are rounded instead of one
        assert state.due.principal_fen == 300_000

    def test_paying_early_saves_the_interest_of_the_days(self, terms, drawn) -> None:
        actual = replace(terms, method=Method.EQUAL_INSTALMENT, profile=ACTUAL)
        level = replay(actual, [drawn], START).rows[0].due.total_fen
        on = START + timedelta(days=10)
        state = replay(actual, [drawn, pay(on, level)], on)
        # Whole periods bear their nominal twelfth, days of one count by 365.
        interest = round(300_000 * Decimal("0.18") * 10 / 365)
        assert state.rows[0].due == Parts(principal_fen=level - interest, interest_fen=interest)
        assert state.rows[0].settled_on == on
        assert state.due.interest_fen < replay(actual, [drawn], START).due.interest_fen

    def test_principal_in_advance_of_an_interest_only_row_goes_to_the_last(
        self, terms, drawn
    ) -> None:
        actual = replace(terms, method=Method.INTEREST_FIRST, profile=ACTUAL)
        on = START + timedelta(days=10)
        state = replay(actual, [drawn, pay(on, 100_000)], on)
        interest = round(300_000 * Decimal("0.18") * 10 / 365)
        assert state.rows[0].paid == Parts(interest_fen=interest)
        assert state.paid.total_fen == 100_000
        assert state.outstanding.principal_fen == 200_000 + interest

    def test_settling_at_the_due_date_saves_nothing_of_the_period(self, terms, drawn) -> None:
        at_end = replace(ACTUAL, settles_at_due_date=True)
        actual = replace(terms, method=Method.EQUAL_INSTALMENT, profile=at_end)
        on = START + timedelta(days=10)
        state = replay(actual, [drawn, pay(on, 304_500)], on)
        assert (state.status, state.due.interest_fen) == (Status.CLOSED, 4_500)

    def test_a_pause_takes_out_its_days_and_a_rate_holds_from_its_day(self, terms, drawn) -> None:
        actual = replace(terms, method=Method.INTEREST_FIRST, profile=FINERACT_CUMULATIVE_DAILY)
        pause = events.InterestPause(
            id="p", on=START, first_on=date(2026, 2, 5), last_on=date(2026, 2, 10)
        )
        day = Decimal(300_000) * Decimal("0.18") / 365
        state = replay(actual, [drawn, pause], START)
        parts = round(day * 4) + round(day * 18)
        assert state.rows[0].due.interest_fen == parts
        halved = events.RateChange(
            id="r", on=START, from_on=date(2026, 2, 15), rate_annual=Decimal("0.09")
        )
        state = replay(actual, [drawn, halved], START)
        assert state.rows[0].due.interest_fen == round(day * 14) + round(day / 2 * 14)

    @pytest.mark.parametrize(
        ("future", "waived_fen", "wanted"),
        [
            # An instalment is 1,030.15; the ten days until then cost 14.79 of it.
            (Future.NEXT, 0, [(101_536, 1_479), (46_985, 0), (0, 0)]),
            (Future.NEXT, 1_000, [(101_536, 479), (47_985, 0), (0, 0)]),
            (Future.LAST, 0, [(0, 0), (46_985, 0), (103_015, 0)]),
        ],
    )
    def test_an_instalment_paid_early_is_level_however_little_of_it_is_interest(
        self, terms, drawn, future: Future, waived_fen: int, wanted: list[tuple[int, int]]
    ) -> None:
        actual = replace(
            terms,
            method=Method.EQUAL_INSTALMENT,
            profile=ACTUAL,
            waterfall=replace(HOUSE_WATERFALL, future=future),
        )
        on = START + timedelta(days=10)
        waiver = events.Waiver(id="w", on=on, component=Component.INTEREST, amount_fen=waived_fen)
        told = [drawn, *([waiver] if waived_fen else []), pay(on, 150_000)]
        state = replay(actual, told, on)
        paid = [(row.paid.principal_fen, row.paid.interest_fen) for row in state.rows]
        assert paid == wanted

    def test_equal_principal_paid_early_is_no_more_than_its_share(self, terms, drawn) -> None:
        order = every_timing(Component.INTEREST, Component.PRINCIPAL)
        vertical = replace(
            terms,
            profile=ACTUAL,
            waterfall=Waterfall(rules=order, direction=Direction.VERTICAL),
        )
        on = START + timedelta(days=1)
        interest = round(300_000 * Decimal("0.18") / 365)
        state = replay(vertical, [drawn, pay(on, 150_000 + interest)], on)
        assert [row.paid.principal_fen for row in state.rows] == [100_000, 50_000, 0]
        assert state.paid.interest_fen == interest

    def test_waived_principal_bears_no_interest(self, terms, drawn) -> None:
        actual = replace(terms, profile=ACTUAL)
        waiver = events.Waiver(id="w", on=START, component=Component.PRINCIPAL, amount_fen=100_000)
        state = replay(actual, [drawn, waiver], START)
        assert [row.due.interest_fen for row in state.rows] == [3_000, 3_000, 1_500]
        assert state.outstanding.principal_fen == 200_000

    @pytest.mark.parametrize("future", list(Future))
    def test_money_far_ahead_repays_no_more_than_was_lent(self, make_terms, drawn, future) -> None:
        order = Waterfall(rules=HOUSE_WATERFALL.rules, future=future)
        terms = make_terms(principal_fen=300_000, terms=3, profile=ACTUAL, waterfall=order)
        told = [
            drawn,
            Payment(id="a", on=date(2026, 2, 10), amount_fen=150_000),
            Payment(id="b", on=date(2026, 3, 10), amount_fen=200_000),
        ]
        state = replay(terms, told, date(2026, 3, 10))
        assert state.paid.principal_fen == 300_000
        assert state.overpaid_fen == 350_000 - state.paid.total_fen

    def test_a_trifle_that_remains_is_waived(self, make_terms) -> None:
        drawn = events.Disbursement(id="draw", on=START, amount_fen=365_000)
        terms = make_terms(
            principal_fen=365_000,
            rate_annual=Decimal("0.1"),
            terms=120,
            method=Method.BULLET,
            profile=ACTUAL,
            tolerance_fen=50,
        )
        on = START + timedelta(days=10)
        state = replay(terms, [drawn, pay(on, 366_000 - 50)], on)
        assert state.status is Status.CLOSED
        assert state.records[-2].kind is Kind.TOLERANCE_WAIVER
        assert state.records[-2].amount_fen == 50
        more = replay(terms, [drawn, pay(on, 366_000 - 51)], on)
        assert more.status is Status.ACTIVE


class TestOpenPeriod:
    """Periods that have ended stand, excess in the running one re-plans the rest."""

    @pytest.fixture
    def open_terms(self, make_terms):
        return make_terms(
            principal_fen=500_000,
            rate_annual=Decimal("0.12"),
            terms=6,
            start_on=date(2022, 11, 1),
            profile=OPEN,
        )

    drawn = events.Disbursement(id="draw", on=date(2022, 11, 1), amount_fen=500_000)

    def test_money_before_the_due_date_repays_principal_and_interest_stays(
        self, open_terms
    ) -> None:
        on = date(2022, 11, 27)
        state = replay(open_terms, [self.drawn, pay(on, 86_300)], on)
        interest = round(Decimal(500_000) * 26 * 12 / 36_500) + round(
            Decimal(413_700) * 4 * 12 / 36_500
        )
        assert state.rows[0].paid == Parts(principal_fen=86_300)
        assert state.rows[0].outstanding == Parts(interest_fen=interest)

    @pytest.mark.parametrize("excess", list(Excess))
    def test_paying_more_than_the_instalment_does_what_the_product_says(
        self, open_terms, excess: Excess
    ) -> None:
        terms = replace(open_terms, profile=replace(OPEN, excess=excess))
        on = date(2022, 12, 1)
        before = replay(terms, [self.drawn], on)
        state = replay(terms, [self.drawn, pay(on, 250_000)], on)
        assert state.rows[0].due.total_fen == 250_000
        assert state.due.principal_fen == 500_000
        level = before.rows[0].due.total_fen
        if excess is Excess.REDUCE_INSTALMENT:
            assert state.rows[2].due.total_fen < level
        elif excess is Excess.REDUCE_TERM:
            assert len(state.rows) == 5
            assert state.rows[1].due.total_fen == level
        else:
            assert state.rows[1].due.principal_fen == 0
            assert state.rows[3].due.total_fen == level

    def test_what_is_more_than_the_plan_owes_pays_a_charge_after_it(self, open_terms) -> None:
        on = date(2022, 11, 1)
        charge = events.Charge(id="c", on=on, amount_fen=70, due_on=date(2022, 11, 9))
        state = replay(open_terms, [self.drawn, pay(on, 500_100), charge], on)
        assert (state.outstanding.total_fen, state.overpaid_fen) == (0, 30)

    def test_what_is_more_than_the_loan_owes_is_overpaid(self, open_terms) -> None:
        on = date(2022, 12, 1)
        state = replay(open_terms, [self.drawn, pay(on, 500_000 + 4_932 + 1)], on)
        assert (state.status, state.overpaid_fen) == (Status.OVERPAID, 1)
        assert state.due.principal_fen == 500_000

    def test_an_excess_lowers_the_instalment_once(self, open_terms) -> None:
        first, second = date(2022, 12, 1), date(2023, 1, 1)
        told = [self.drawn, pay(first, 150_000, "a")]
        after_first = replay(open_terms, told, first)
        level = after_first.rows[1].due.total_fen
        after_second = replay(open_terms, [*told, pay(second, level, "b")], second)
        assert [row.due for row in after_second.rows] == [row.due for row in after_first.rows]

    def test_paying_all_in_the_period_ends_the_plan_there(self, open_terms) -> None:
        on = date(2022, 11, 27)
        interest = round(Decimal(500_000) * 26 * 12 / 36_500)
        state = replay(open_terms, [self.drawn, pay(on, 500_000 + interest)], on)
        assert state.status is Status.CLOSED
        assert [row.due_on for row in state.rows] == [on]

    def test_with_rest_at_the_period_end_a_payment_counts_from_then(self, open_terms) -> None:
        terms = replace(open_terms, profile=replace(OPEN, rest=Rest.PERIOD))
        on = date(2022, 11, 20)
        state = replay(terms, [self.drawn, pay(on, 20_000)], on)
        interest = round(Decimal(500_000) * 30 * 12 / 36_500)
        assert state.rows[0].due.interest_fen == interest
        assert state.rows[0].paid.interest_fen == interest

    def test_with_rest_at_the_period_end_even_the_first_day_costs_the_period(
        self, open_terms
    ) -> None:
        terms = replace(open_terms, profile=replace(OPEN, rest=Rest.PERIOD))
        on = date(2022, 11, 1)
        interest = round(Decimal(500_000) * 30 * 12 / 36_500)
        state = replay(terms, [self.drawn, pay(on, 500_000 + interest)], on)
        assert (state.status, state.overpaid_fen) == (Status.CLOSED, 0)

    def test_unpaid_interest_may_bear_interest(self, open_terms) -> None:
        on = date(2022, 12, 11)
        plain = replay(open_terms, [self.drawn, pay(on, 10)], on)
        terms = replace(open_terms, profile=replace(OPEN, is_compounding=True))
        compounding = replay(terms, [self.drawn, pay(on, 10)], on)
        extra = plain.rows[0].due.interest_fen * Decimal("0.12") * 10 / 365
        difference = compounding.rows[1].due.interest_fen - plain.rows[1].due.interest_fen
        assert abs(difference - extra) <= 1
