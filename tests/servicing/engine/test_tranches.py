"""Further draws, their lapse, and what the merchant pays, in the engine alone."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from servicing.engine import events
from servicing.engine.payments import EventRefused
from servicing.engine.plan import Tranche, plan
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
