"""What payments, lateness, charges and reversals do to a running loan."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine import events
from servicing.engine.book import Kind, RowKind, Status
from servicing.engine.events import Payment, Prepayment, Reversal
from servicing.engine.parts import Component, Parts
from servicing.engine.payments import EventRefused
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
from servicing.engine.state import LoanState
from servicing.engine.terms import Method, PenaltyBase, PenaltyRule
from servicing.engine.waterfall import Direction, Future, Timing, Waterfall, every_timing

START = date(2026, 1, 31)
FIRST, SECOND, THIRD = date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)
ACTUAL = replace(HOUSE, day_count=ACTUAL_365, recalculation=Recalculation.ACTUAL_BALANCE)
OPEN = replace(FINERACT_CUMULATIVE_DAILY, recalculation=Recalculation.OPEN_PERIOD)


def pay(on: date, fen: int, name: str = "paid", **more) -> Payment:
    return Payment(id=name, on=on, amount_fen=fen, **more)


def owed(state: LoanState) -> list[int]:
    return [row.outstanding.total_fen for row in state.rows]


@pytest.fixture
def terms(make_terms):
    return make_terms(principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL)


@pytest.fixture
def drawn():
    return events.Disbursement(id="draw", on=START, amount_fen=300_000)


class TestPayments:
    def test_go_to_the_oldest_instalment_interest_before_principal(self, terms, drawn) -> None:
        state = replay(terms, [drawn, pay(FIRST, 50_000)], FIRST)
        assert state.rows[0].paid == Parts(principal_fen=45_500, interest_fen=4_500)
        assert owed(state) == [54_500, 103_000, 101_500]

    def test_say_what_they_settled_of_which_instalment(self, terms, drawn) -> None:
        record = replay(terms, [drawn, pay(FIRST, 110_000)], FIRST).records[-1]
        assert record.parts == Parts(principal_fen=102_500, interest_fen=7_500)
        by_day = {}
        for allocation in record.allocations:
            by_day[allocation.due_on] = (
                by_day.get(allocation.due_on, 0) + allocation.parts.total_fen
            )
        assert by_day == {FIRST: 104_500, SECOND: 5_500}

    def test_early_and_late_ones_are_told_apart(self, terms, drawn) -> None:
        early, late = FIRST - timedelta(days=3), FIRST + timedelta(days=3)
        state = replay(terms, [drawn, pay(early, 4_000, "a"), pay(late, 500, "b")], late)
        assert (state.rows[0].advance_fen, state.rows[0].late_fen) == (4_000, 500)

    def test_beyond_the_debt_are_overpaid_and_can_go_back(self, terms, drawn) -> None:
        paid = pay(FIRST, 310_000)
        state = replay(terms, [drawn, paid], FIRST)
        assert (state.status, state.overpaid_fen) == (Status.OVERPAID, 1_000)
        back = events.CreditBalanceRefund(id="back", on=SECOND, amount_fen=1_000)
        assert replay(terms, [drawn, paid, back], SECOND).status is Status.CLOSED

    def test_a_refund_of_more_than_was_overpaid_is_owed_again(self, terms, drawn) -> None:
        told = [drawn, pay(FIRST, 310_000)]
        back = events.CreditBalanceRefund(id="back", on=SECOND, amount_fen=1_500)
        state = replay(terms, [*told, back], SECOND)
        assert (state.overpaid_fen, state.outstanding.principal_fen) == (0, 500)

    def test_what_was_overpaid_settles_a_charge_that_comes_later(self, terms, drawn) -> None:
        charge = events.Charge(id="fee", on=SECOND, amount_fen=400, due_on=SECOND)
        state = replay(terms, [drawn, pay(FIRST, 310_000), charge], SECOND)
        assert (state.overpaid_fen, state.outstanding.total_fen) == (600, 0)
        assert next(r for r in state.records if r.event_id == "paid").parts.fee_fen == 400

    @pytest.mark.parametrize("fen", [0, -5])
    def test_need_an_amount(self, terms, drawn, fen: int) -> None:
        for event in (
            pay(FIRST, fen),
            events.Charge(id="c", on=FIRST, amount_fen=fen, due_on=FIRST),
        ):
            with pytest.raises(EventRefused):
                replay(terms, [drawn, event], FIRST)

    def test_need_a_disbursed_loan(self, terms) -> None:
        with pytest.raises(EventRefused):
            replay(terms, [pay(FIRST, 5)], FIRST)
        assert replay(terms, [], FIRST).status is Status.APPROVED


class TestWaterfalls:
    def test_vertical_pays_a_component_over_all_instalments_first(self, terms, drawn) -> None:
        order = every_timing(*(Component.INTEREST, Component.PRINCIPAL))
        vertical = replace(terms, waterfall=Waterfall(rules=order, direction=Direction.VERTICAL))
        state = replay(vertical, [drawn, pay(SECOND + timedelta(days=1), 10_000)], THIRD)
        assert [row.paid for row in state.rows] == [
            Parts(interest_fen=4_500, principal_fen=2_500),
            Parts(interest_fen=3_000),
            Parts(),
        ]

    @pytest.mark.parametrize(
        ("future", "wanted"),
        [
            (Future.NEXT, [0, 3_000, 0]),
            (Future.LAST, [0, 0, 3_000]),
            (Future.REAMORTISE, [0, 1_500, 1_500]),
        ],
    )
    def test_say_which_instalment_takes_what_is_paid_in_advance(
        self, terms, drawn, future: Future, wanted: list[int]
    ) -> None:
        order = every_timing(Component.PRINCIPAL, Component.INTEREST)
        ahead = replace(terms, waterfall=Waterfall(rules=order, future=future))
        state = replay(ahead, [drawn, pay(FIRST, 107_500)], FIRST)
        assert [row.advance_fen for row in state.rows] == wanted

    def test_share_out_even_a_few_fen_without_inventing_any(self, terms, drawn) -> None:
        order = every_timing(Component.PRINCIPAL)
        waterfall = Waterfall(rules=order, future=Future.REAMORTISE)
        many = replace(terms, terms=5, waterfall=waterfall)
        state = replay(many, [drawn, pay(START, 3)], START)
        assert [row.paid.total_fen for row in state.rows] == [0, 0, 0, 0, 3]

    def test_may_have_a_rule_of_its_own_for_a_kind_of_credit(self, terms, drawn) -> None:
        order = every_timing(Component.PRINCIPAL, Component.INTEREST)
        waterfall = Waterfall(rules=order, future_by_kind={Kind.GOODWILL_CREDIT: Future.LAST})
        goodwill = pay(FIRST, 107_500, kind=Kind.GOODWILL_CREDIT)
        state = replay(replace(terms, waterfall=waterfall), [drawn, goodwill], FIRST)
        assert [row.advance_fen for row in state.rows] == [0, 0, 3_000]

    def test_charges_that_have_come_may_go_before_principal_in_advance(self, terms, drawn) -> None:
        due = [Component.PENALTY, Component.FEE, Component.INTEREST, Component.PRINCIPAL]
        ahead = [Component.PRINCIPAL, *due[:3]]
        rules = [(timing, part) for timing in (Timing.PAST_DUE, Timing.DUE) for part in due]
        rules += [(Timing.IN_ADVANCE, part) for part in ahead]
        waterfall = Waterfall(rules=tuple(rules), has_due_charges_first=True)
        on = START + timedelta(days=10)
        come = events.Charge(id="come", on=on, amount_fen=50, due_on=on)
        later = events.Charge(id="later", on=on, amount_fen=70, due_on=on + timedelta(days=2))
        told = [drawn, come, later, pay(on, 500)]
        state = replay(replace(terms, waterfall=waterfall), told, on)
        assert state.rows[0].paid == Parts(fee_fen=50, principal_fen=450)

    def test_what_is_in_no_rule_is_never_paid(self, terms, drawn) -> None:
        only = replace(terms, waterfall=Waterfall(rules=every_timing(Component.INTEREST)))
        state = replay(only, [drawn, pay(THIRD, 10_000)], THIRD)
        assert (state.paid, state.overpaid_fen) == (Parts(interest_fen=9_000), 1_000)


class TestCharges:
    def test_belong_to_the_instalment_in_whose_period_they_fall(self, terms, drawn) -> None:
        on = SECOND - timedelta(days=1)
        charge = events.Charge(id="c", on=on, amount_fen=60, due_on=on, component=Component.PENALTY)
        at_once = events.Charge(id="d", on=START, amount_fen=5, due_on=START)
        state = replay(terms, [drawn, at_once, charge], on)
        assert [row.due.penalty_fen for row in state.rows] == [0, 60, 0]
        assert state.rows[0].due.fee_fen == 5

    def test_after_maturity_stand_on_one_row_that_follows(self, terms, drawn) -> None:
        late = THIRD + timedelta(days=5)
        told = [
            drawn,
            events.Charge(id="a", on=late, amount_fen=60, due_on=late),
            events.Charge(id="b", on=late, amount_fen=40, due_on=late + timedelta(days=2)),
        ]
        row = replay(terms, told, late + timedelta(days=2)).rows[-1]
        assert (row.kind, row.due.fee_fen) == (RowKind.ADDITIONAL, 100)
        assert row.due_on == late + timedelta(days=2)

    def test_on_every_instalment_are_a_share_of_it(self, terms, drawn) -> None:
        fee = events.InstalmentFee(id="fee", on=START, share=Decimal("0.01"), amount_fen=1)
        state = replay(terms, [drawn, fee], START)
        assert [row.due.fee_fen for row in state.rows] == [1_046, 1_031, 1_016]

    def test_at_disbursement_are_paid_beside_it(self, terms) -> None:
        drawn = events.Disbursement(id="draw", on=START, amount_fen=300_000, fee_fen=4_500)
        state = replay(terms, [drawn], START)
        assert state.fees_at_disbursement == ((START, 4_500),)
        assert state.outstanding.principal_fen == 300_000
        assert [record.kind for record in state.records] == [
            Kind.REPAYMENT_AT_DISBURSEMENT,
            Kind.DISBURSEMENT,
        ]

    def test_are_waived_whole_or_in_part(self, terms, drawn) -> None:
        charge = events.Charge(id="fee", on=FIRST, amount_fen=400, due_on=FIRST)
        whole = events.Waiver(id="w", on=FIRST, charge_id="fee")
        state = replay(terms, [drawn, charge, whole], FIRST)
        assert state.rows[0].waived == Parts(fee_fen=400)
        part = events.Waiver(id="w", on=FIRST, component=Component.INTEREST, amount_fen=5_000)
        state = replay(terms, [drawn, part], FIRST)
        assert [row.waived.interest_fen for row in state.rows] == [4_500, 500, 0]

    def test_of_several_the_named_one_is_waived(self, terms, drawn) -> None:
        told = [
            drawn,
            events.Charge(id="a", on=FIRST, amount_fen=400, due_on=FIRST),
            events.Charge(id="b", on=FIRST, amount_fen=70, due_on=SECOND),
            events.Waiver(id="w", on=FIRST, charge_id="b"),
        ]
        assert [row.waived.fee_fen for row in replay(terms, told, FIRST).rows] == [0, 70, 0]

    def test_waiving_nothing_is_refused(self, terms, drawn) -> None:
        for waiver in (
            events.Waiver(id="w", on=FIRST, component=Component.PENALTY, amount_fen=5),
            events.Waiver(id="w", on=FIRST, charge_id="none"),
        ):
            with pytest.raises(EventRefused):
                replay(terms, [drawn, waiver], FIRST)


class TestPenalty:
    def rule(self, **changes) -> PenaltyRule:
        return PenaltyRule(rate_annual=Decimal("0.27"), **changes)

    @pytest.mark.parametrize(
        ("changes", "wanted"),
        [
            ({}, 750),  # 100,000 × 27 % / 360 × 10
            ({"base": PenaltyBase.INSTALMENT}, 784),  # on 104,500
            ({"cap_annual": Decimal("0.18")}, 500),
            ({"cap_annual": Decimal("0.36")}, 750),
            ({"counts_due_day": True}, 825),
            ({"year_days": 365}, 740),
            ({"grace_days": 10}, 0),
            ({"grace_days": 9}, 750),
        ],
    )
    def test_runs_on_what_is_overdue(self, terms, drawn, changes, wanted: int) -> None:
        late = replace(terms, penalty=self.rule(**changes))
        state = replay(late, [drawn], FIRST + timedelta(days=10))
        assert state.rows[0].due.penalty_fen == wanted

    def test_falls_with_what_is_paid_and_is_rounded_once(self, terms, drawn) -> None:
        late = replace(terms, penalty=self.rule())
        paid = pay(FIRST + timedelta(days=5), 54_500)
        state = replay(late, [drawn, paid], FIRST + timedelta(days=10))
        # 5 days on 100,000 are 375 and paid first; then 5 days on 50,375.
        assert state.rows[0].paid.penalty_fen == 375
        assert state.rows[0].due.penalty_fen == 564

    def test_stands_still_in_a_pause_of_which_both_ends_count(self, terms, drawn) -> None:
        late = replace(terms, penalty=self.rule())
        first, last = FIRST + timedelta(days=3), FIRST + timedelta(days=6)
        told = [
            drawn,
            events.PenaltyPause(id="p", on=FIRST, first_on=first, last_on=last),
            events.PenaltyPause(id="q", on=FIRST, first_on=first, last_on=last),
        ]
        state = replay(late, told, FIRST + timedelta(days=10))
        assert state.rows[0].due.penalty_fen == 450

    def test_is_the_same_whether_days_are_closed_one_by_one(self, terms, drawn) -> None:
        late = replace(terms, penalty=self.rule())
        closed = [events.CloseOfDay(id=f"d{n}", on=FIRST + timedelta(days=n)) for n in range(1, 40)]
        end = FIRST + timedelta(days=40)
        assert replay(late, [drawn, *closed], end).due == replay(late, [drawn], end).due


class TestPrepayments:
    on = START + timedelta(days=10)

    def after(self, terms, drawn, fen: int, effect: Excess = Excess.REDUCE_INSTALMENT):
        event = Prepayment(id="pre", on=self.on, amount_fen=fen, effect=effect)
        return replay(terms, [drawn, event], self.on)

    def test_pay_the_interest_to_the_day_then_principal(self, terms, drawn) -> None:
        state = self.after(terms, drawn, 61_500)
        part = state.rows[0]
        assert (part.kind, part.due_on) == (RowKind.PREPAID, self.on)
        # 300,000 × 18 % × 10 / 360
        assert part.paid == Parts(interest_fen=1_500, principal_fen=60_000)
        assert [row.due.principal_fen for row in state.rows[1:]] == [80_000] * 3
        # What is left of the month: 240,000 × 18 % × (1/12 - 10/360)
        assert state.rows[1].due.interest_fen == 2_400

    @pytest.mark.parametrize(
        ("effect", "count"),
        [
            (Excess.REDUCE_INSTALMENT, 13),
            (Excess.REDUCE_TERM, 10),
            (Excess.RESCHEDULE_NEXT, 13),
        ],
    )
    def test_reduce_what_the_borrower_chose(
        self, make_terms, draw, effect: Excess, count: int
    ) -> None:
        terms = make_terms()
        before = replay(terms, [draw], self.on)
        state = self.after(terms, draw, 306_000, effect)
        assert len(state.rows) == count
        assert state.due.principal_fen == 1_200_000
        level = before.rows[1].due.total_fen
        after = state.rows[6].due.total_fen
        assert (after < level) == (effect is Excess.REDUCE_INSTALMENT)
        if effect is Excess.RESCHEDULE_NEXT:
            assert state.rows[1].due.principal_fen == 0

    def test_of_all_that_is_owed_end_the_loan(self, terms, drawn) -> None:
        state = self.after(terms, drawn, 301_500)
        assert (state.status, state.outstanding.total_fen) == (Status.CLOSED, 0)
        assert self.after(terms, drawn, 301_600).overpaid_fen == 100

    def test_of_a_flat_product_save_the_fees_to_come(self, make_terms, drawn) -> None:
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.FLAT_FEE,
            fee_rate=Decimal("0.0084"),
        )
        # 2,520 a month of 28 days, 10 of them gone
        state = self.after(terms, drawn, 300_900)
        assert state.status is Status.CLOSED
        assert state.due.fee_fen == 900
        part = self.after(terms, drawn, 60_900)
        assert [row.due.principal_fen for row in part.rows] == [60_000, 80_000, 80_000, 80_000]
        assert [row.due.fee_fen for row in part.rows] == [900, 1_620, 2_520, 2_520]

    def test_twice_in_a_period_share_out_its_flat_fee_by_days(self, make_terms, drawn) -> None:
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.FLAT_FEE,
            fee_rate=Decimal("0.0084"),
        )
        again = START + timedelta(days=19)
        told = [
            drawn,
            Prepayment(id="a", on=self.on, amount_fen=60_900),
            Prepayment(id="b", on=again, amount_fen=60_810),
        ]
        state = replay(terms, told, again)
        # 2,520 over 28 days: 10, then 9, then 9 of them
        assert [row.due.fee_fen for row in state.rows] == [900, 810, 810, 2_520, 2_520]

    def test_keep_what_was_paid_on_later_instalments_of_a_flat_product(
        self, make_terms, drawn
    ) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.FLAT_INTEREST)
        last = replace(terms, waterfall=Waterfall(rules=terms.waterfall.rules, future=Future.LAST))
        told = [
            drawn,
            pay(START, 4_500 + 30_000),
            Prepayment(id="pre", on=self.on, amount_fen=270_000 + 1_607),
        ]
        state = replay(last, told, self.on)
        assert state.status is Status.CLOSED
        assert state.rows[-1].paid == Parts(principal_fen=30_000, interest_fen=4_500)

    def test_that_do_not_cover_the_cost_are_refused(self, terms, drawn) -> None:
        with pytest.raises(EventRefused):
            self.after(terms, drawn, 1_499)

    def test_pay_charges_of_later_instalments_first(self, terms, drawn) -> None:
        charge = events.Charge(id="c", on=START, amount_fen=100, due_on=SECOND)
        event = Prepayment(id="pre", on=self.on, amount_fen=61_600)
        state = replay(terms, [drawn, charge, event], self.on)
        assert state.rows[0].paid == Parts(interest_fen=1_500, principal_fen=60_000, fee_fen=100)
        assert state.rows[2].due.fee_fen == 0

    def test_follow_a_vertical_waterfall_in_what_is_due(self, terms, drawn) -> None:
        order = every_timing(Component.PRINCIPAL, Component.INTEREST)
        vertical = replace(terms, waterfall=Waterfall(rules=order, direction=Direction.VERTICAL))
        event = Prepayment(id="pre", on=FIRST, amount_fen=100_500)
        state = replay(vertical, [drawn, event], FIRST)
        assert state.rows[0].paid == Parts(principal_fen=100_000, interest_fen=500)

    def test_with_less_than_is_due_are_plain_payments(self, terms, drawn) -> None:
        event = Prepayment(id="pre", on=FIRST, amount_fen=50_000)
        state = replay(terms, [drawn, event], FIRST)
        assert len(state.rows) == 3
        assert state.records[-1].parts.total_fen == 50_000

    def test_on_the_day_of_disbursement_cost_nothing(self, terms, drawn) -> None:
        event = Prepayment(id="pre", on=START, amount_fen=300_000)
        state = replay(terms, [drawn, event], START)
        assert (state.status, state.due.interest_fen) == (Status.CLOSED, 0)


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


class TestReversals:
    def test_replay_what_came_later_and_keep_what_was(self, terms, drawn) -> None:
        told = [drawn, pay(FIRST, 4_500, "a"), pay(SECOND, 4_500, "b")]
        undo = Reversal(id="undo", on=SECOND, of="a")
        state = replay(terms, [*told, undo], SECOND)
        by_id = {record.event_id: record for record in state.records}
        assert by_id["a"].is_reversed
        assert by_id["a"].parts == Parts(interest_fen=4_500)
        assert by_id["b"].parts == Parts(interest_fen=4_500)
        assert state.rows[0].paid == Parts(interest_fen=4_500)

    def test_can_be_reversed_themselves(self, terms, drawn) -> None:
        told = [
            drawn,
            pay(FIRST, 4_500, "a"),
            Reversal(id="undo", on=FIRST, of="a"),
            Reversal(id="redo", on=FIRST, of="undo"),
        ]
        assert replay(terms, told, FIRST).paid.total_fen == 4_500

    def test_of_nothing_are_refused(self, terms, drawn) -> None:
        with pytest.raises(EventRefused):
            replay(terms, [drawn, Reversal(id="undo", on=FIRST, of="none")], FIRST)

    def test_do_not_recognise_income_twice(self, terms, drawn) -> None:
        all_paid = pay(THIRD, 309_000, "a")
        told = [
            drawn,
            all_paid,
            Reversal(id="undo", on=THIRD, of="a"),
            replace(all_paid, id="b"),
        ]
        accruals = [r for r in replay(terms, told, THIRD).records if r.kind is Kind.ACCRUAL]
        assert [record.amount_fen for record in accruals] == [9_000]

    def test_a_backdated_payment_is_told_in_its_place(self, terms, drawn) -> None:
        late, early = pay(SECOND, 4_500, "late"), pay(FIRST, 4_500, "early")
        state = replay(terms, [drawn, late, early], SECOND)
        assert [record.event_id for record in state.records] == ["draw", "early", "late"]
        assert state == replay(terms, [drawn, early, late], SECOND)


class TestState:
    def test_sums_up_what_is_due_overdue_and_owed(self, terms, drawn) -> None:
        state = replay(terms, [drawn], SECOND)
        assert state.overdue.total_fen == 104_500
        assert state.due_now.total_fen == 104_500 + 103_000
        assert state.rows[1].days == 31

    def test_says_to_when_interest_runs(self, terms, drawn) -> None:
        assert replay(terms, [drawn], SECOND).accrued_to == SECOND
        assert replay(terms, [drawn], date(2027, 1, 1)).accrued_to == THIRD
        pause = events.InterestPause(id="p", on=START, first_on=date(2026, 3, 6))
        assert replay(terms, [drawn, pause], SECOND).accrued_to == date(2026, 3, 5)
