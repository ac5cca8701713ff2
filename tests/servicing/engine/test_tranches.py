"""Further draws, their lapse, and what the merchant pays, in the engine alone."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from kernel.money import Rounding
from servicing.engine import events
from servicing.engine.payments import EventRefused
from servicing.engine.plan import Tranche, plan
from servicing.engine.profile import HOUSE, Draws
from servicing.engine.replay import replay
from servicing.engine.terms import FeeRule, Method, TermsRefused

START, LATER = date(2026, 1, 31), date(2026, 3, 10)
END = date(2027, 2, 1)


@pytest.fixture(scope="module")
def parts(make_terms: Any) -> Any:
    return make_terms(principal_fen=300_000, terms=6, tranches=3, draw_until=date(2026, 5, 1))


def drawn(fen: int, on: date = START) -> events.Disbursement:
    return events.Disbursement(id=f"draw/{on}/{fen}", on=on, amount_fen=fen)


class TestFurtherDraws:
    def test_leave_the_term_and_repay_all_that_was_drawn(self, parts: Any) -> None:
        state = replay(parts, [drawn(100_000), drawn(150_000, LATER)], LATER)
        assert (len(state.rows), state.undrawn_fen) == (6, 50_000)
        assert state.due.principal_fen == 250_000
        levels = {row.due.total_fen for row in state.rows[2:-1]}
        assert len(levels) == 1

    def test_of_a_loan_without_agreed_parts_are_planned_like_any_other(
        self, make_terms: Any
    ) -> None:
        """Other systems lend more on a running loan although nothing was said of parts."""
        whole = make_terms(principal_fen=100_000, terms=6)
        state = replay(whole, [drawn(100_000), drawn(50_000, LATER)], LATER)
        assert (len(state.rows), state.undrawn_fen) == (6, 0)
        assert state.due.principal_fen == 150_000

    @pytest.mark.parametrize(
        ("fen", "on", "why"),
        [
            (200_001, LATER, "no more is drawn"),
            (1_000, date(2026, 5, 2), "no later"),
            (0, LATER, "needs an amount"),
        ],
    )
    def test_keep_to_what_was_agreed(self, parts: Any, fen: int, on: date, why: str) -> None:
        with pytest.raises(EventRefused, match=why):
            replay(parts, [drawn(100_000), drawn(fen, on)], END)

    def test_need_instalments_to_come(self, parts: Any) -> None:
        endless = replace(parts, draw_until=None)
        late = drawn(1_000, date(2026, 8, 1))
        with pytest.raises(EventRefused, match="no instalment to come"):
            replay(endless, [drawn(100_000), late], END)

    def test_do_not_go_onto_a_plan_that_was_fixed(self, parts: Any) -> None:
        aged = events.ReAge(id="age", on=LATER, first_due_on=date(2026, 4, 1), terms=3)
        with pytest.raises(EventRefused, match="takes no more"):
            replay(parts, [drawn(100_000), aged, drawn(1_000, date(2026, 3, 20))], END)

    def test_end_with_the_last_part_the_lapse_and_the_loan(self, parts: Any) -> None:
        first = drawn(100_000)
        more = [drawn(1_000, LATER), drawn(1_000, date(2026, 3, 11))]
        assert replay(parts, [first, *more], LATER.replace(day=12)).undrawn_fen == 0
        lapse = events.UndrawnLapse(id="lapse", on=LATER)
        assert replay(parts, [first, lapse], LATER).undrawn_fen == 0
        with pytest.raises(EventRefused, match="nothing that could be drawn"):
            replay(parts, [first, lapse, replace(lapse, id="again")], END)
        paid = events.Payment(id="paid", on=START, amount_fen=110_000)
        assert replay(parts, [first, paid], LATER).undrawn_fen == 0

    def test_bear_each_fee_once(self, make_terms: Any) -> None:
        fees = (FeeRule(name="定额", amount_fen=50), FeeRule(name="比例", share=Decimal("0.01")))
        terms = make_terms(principal_fen=120_000, terms=3, method=Method.EQUAL_PRINCIPAL, fees=fees)
        tranches = [Tranche(on=START, amount_fen=60_000), Tranche(on=LATER, amount_fen=60_000)]
        rows = plan(terms, tranches).instalments
        assert [row.due.principal_fen for row in rows] == [20_000, 50_000, 50_000]
        assert [row.due.fee_fen for row in rows] == [250, 550, 550]

    def test_bear_a_fee_that_came_later_on_what_it_is_a_share_of(self, make_terms: Any) -> None:
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.EQUAL_PRINCIPAL,
            tranches=2,
        )
        fee = events.InstalmentFee(id="f", on=START, share=Decimal("0.01"))
        state = replay(terms, [drawn(150_000), fee, drawn(150_000, LATER)], LATER)
        assert [row.due.principal_fen for row in state.rows] == [50_000, 125_000, 125_000]
        assert [row.due.fee_fen for row in state.rows] == [500, 1_250, 1_250]

    def test_are_at_least_one(self, make_terms: Any) -> None:
        with pytest.raises(TermsRefused):
            make_terms(tranches=0)


class TestSubsidy:
    @pytest.fixture
    def terms(self, make_terms: Any) -> Any:
        return make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            tranches=2,
            subsidy_rate_annual=Decimal("0.12"),
        )

    def test_follows_what_was_drawn_and_when(self, terms: Any) -> None:
        whole = replay(terms, [drawn(300_000)], START)
        assert [row.subsidy.fen for row in whole.rows] == [3_000, 2_000, 1_000]
        later = replay(terms, [drawn(150_000), drawn(150_000, LATER)], LATER)
        # 1,000 yuan for a month, and 1,500 more for twenty of thirty days; then half of 2,500.
        assert [row.subsidy.fen for row in later.rows] == [1_500, 2_000, 1_250]

    def test_is_paid_oldest_first_and_what_is_too_much_stays_on_the_last(self, terms: Any) -> None:
        paid = events.SubsidyPayment(id="paid", on=START, amount_fen=6_500)
        state = replay(terms, [drawn(300_000), paid], START)
        assert [row.subsidy.paid_fen for row in state.rows] == [3_000, 2_000, 1_500]

    @pytest.mark.parametrize("fen", [0, -1])
    def test_is_never_given_back_before_it_was_paid(self, terms: Any, fen: int) -> None:
        paid = events.SubsidyPayment(id="paid", on=START, amount_fen=fen)
        with pytest.raises(EventRefused):
            replay(terms, [drawn(300_000), paid], START)

    def test_is_not_paid_where_none_was_agreed(self, make_terms: Any) -> None:
        paid = events.SubsidyPayment(id="paid", on=START, amount_fen=1)
        with pytest.raises(EventRefused):
            replay(make_terms(), [drawn(1_200_000), paid], START)

    def test_ends_with_the_loan(self, terms: Any) -> None:
        ended = events.Prepayment(id="paid", on=LATER, amount_fen=300_000)
        state = replay(terms, [drawn(300_000), ended], LATER)
        assert sum(row.subsidy.fen for row in state.rows) == 3_000 + 667
        assert all(row.subsidy.is_final for row in state.rows)


def test_an_event_charges_an_amount_or_nothing(parts: Any) -> None:
    nothing = events.EventCharge(name="服务费", amount_fen=0)
    moved = events.MovedDueDate(
        id="moved",
        on=START,
        due_on=date(2026, 2, 28),
        to=date(2026, 3, 5),
        charges=(nothing,),
    )
    with pytest.raises(EventRefused, match="needs an amount"):
        replay(parts, [drawn(100_000), moved], START)


class TestDrawsOnFlatPlans:
    """How a further draw falls on a plan that follows no balance, by the product's own rule."""

    SECOND = date(2026, 3, 10)
    DUE = (date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30))

    def flat(self, make_terms: Any, draws: Draws, **changes: Any) -> Any:
        return make_terms(
            principal_fen=300_000,
            terms=3,
            method=Method.FLAT_INTEREST,
            profile=replace(HOUSE, draws=draws),
            **changes,
        )

    @pytest.mark.parametrize(
        ("draws", "principals"),
        [
            (Draws.ADDED, [40_000, 55_000, 55_000]),
            (Draws.WHOLE, [40_000, 50_000, 60_000]),
            (Draws.REST, [40_000, 55_000, 55_000]),
        ],
    )
    def test_adds_makes_anew_or_spreads_the_rest(
        self, make_terms: Any, draws: Draws, principals: list[int]
    ) -> None:
        told = [drawn(120_000), drawn(30_000, self.SECOND)]
        state = replay(self.flat(make_terms, draws), told, self.SECOND)
        assert [row.due.principal_fen for row in state.rows] == principals

    @pytest.mark.parametrize(
        ("draws", "principals"),
        [(Draws.ADDED, [12_500, 31_300, 31_200]), (Draws.REST, [12_500, 31_200, 31_300])],
    )
    def test_rounds_what_it_spreads(
        self, make_terms: Any, draws: Draws, principals: list[int]
    ) -> None:
        terms = self.flat(make_terms, draws, rate_annual=Decimal(0))
        profile = replace(terms.profile, rounding=Rounding.HALF_EVEN, instalment_multiple_fen=100)
        told = [drawn(37_500), drawn(37_500, self.SECOND)]
        state = replay(replace(terms, profile=profile), told, self.SECOND)
        assert [row.due.principal_fen for row in state.rows] == principals

    def test_made_anew_takes_what_was_paid_before(self, make_terms: Any) -> None:
        terms = self.flat(make_terms, Draws.WHOLE, rate_annual=Decimal(0))
        paid = events.Payment(id="paid", on=self.DUE[0], amount_fen=70_000)
        told = [drawn(120_000), paid, drawn(30_000, self.SECOND)]
        state = replay(terms, told, self.SECOND)
        assert [row.paid.principal_fen for row in state.rows] == [40_000, 30_000, 0]
        balances = [record.balance_fen for record in state.records]
        assert balances == [120_000, 50_000, 80_000]

    def test_made_anew_keeps_to_grace_and_to_moved_due_dates(self, make_terms: Any) -> None:
        terms = self.flat(make_terms, Draws.WHOLE, grace_principal=1)
        moved = events.MovedDueDate(id="m", on=START, due_on=self.DUE[1], to=date(2026, 3, 9))
        told = [drawn(120_000), moved, drawn(30_000, self.SECOND)]
        rows = replay(terms, told, self.SECOND).rows
        assert [row.due.principal_fen for row in rows] == [0, 60_000, 90_000]
        assert [row.due.interest_fen for row in rows] == [1_800, 1_800, 2_250]

    def test_after_more_terms_falls_on_instalments_to_come_only(self, make_terms: Any) -> None:
        terms = self.flat(make_terms, Draws.WHOLE, rate_annual=Decimal(0))
        longer = events.ExtraTerms(id="x", on=START, from_due_on=self.DUE[0], extra=1)
        told = [drawn(120_000), longer, drawn(30_000, self.SECOND)]
        rows = replay(terms, told, self.SECOND).rows
        assert [row.due.principal_fen for row in rows] == [30_000, 40_000, 40_000, 40_000]

    def test_the_rest_takes_what_was_overpaid_on_its_own_day(self, make_terms: Any) -> None:
        terms = self.flat(make_terms, Draws.REST, rate_annual=Decimal(0))
        paid = events.Payment(id="paid", on=self.DUE[0], amount_fen=125_000)
        told = [drawn(120_000), paid, drawn(6_000, self.SECOND)]
        state = replay(terms, told, self.SECOND)
        assert (state.overpaid_fen, state.outstanding.principal_fen) == (0, 1_000)
        assert state.records[1].parts.principal_fen == 120_000
        assert state.rows[1].settled_on == self.SECOND


class TestDownPaymentsOnADueDate:
    @pytest.mark.parametrize(
        ("draws", "kinds", "balances"),
        [
            (Draws.WHOLE, ["down-payment", "normal"], [120_000, 80_000]),
            (Draws.REST, ["normal", "down-payment"], [60_000, 90_000]),
        ],
    )
    def test_stand_where_the_draw_belongs(
        self, make_terms: Any, draws: Draws, kinds: list[str], balances: list[int]
    ) -> None:
        terms = make_terms(
            principal_fen=300_000,
            terms=3,
            rate_annual=Decimal(0),
            method=Method.FLAT_INTEREST,
            profile=replace(HOUSE, draws=draws),
            down_payment=Decimal("0.25"),
        )
        due = date(2026, 2, 28)
        state = replay(terms, [drawn(120_000), drawn(40_000, due)], due)
        rows = [row for row in state.rows if row.due_on == due]
        assert [row.kind for row in rows] == kinds
        assert [row.balance_fen for row in rows] == balances


class TestChargesAfterMaturity:
    def test_keep_their_day_when_the_plan_moves_to_it(self, make_terms: Any) -> None:
        terms = make_terms(principal_fen=300_000, terms=3)
        late = events.Charge(id="c", on=START, amount_fen=500, due_on=date(2026, 6, 10))
        moved = events.MovedDueDate(
            id="m", on=START, due_on=date(2026, 4, 30), to=date(2026, 5, 15)
        )
        last = replay(terms, [drawn(300_000), late, moved], START).rows[-1]
        assert (last.from_on, last.due_on) == (date(2026, 5, 15), date(2026, 6, 10))
