"""Prepayments: what they pay first, and what becomes smaller."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine import events
from servicing.engine.book import RowKind, Status
from servicing.engine.events import Payment, Prepayment
from servicing.engine.parts import Component, Parts
from servicing.engine.payments import EventRefused
from servicing.engine.profile import (
    Excess,
)
from servicing.engine.replay import replay
from servicing.engine.terms import FeeRule, Method
from servicing.engine.waterfall import Direction, Future, Waterfall, every_timing

START = date(2026, 1, 31)
FIRST, SECOND = date(2026, 2, 28), date(2026, 3, 31)
FLAT = {  # 2,520 a month, the first of 28 days
    "principal_fen": 300_000,
    "rate_annual": Decimal(0),
    "terms": 3,
    "method": Method.FLAT_FEE,
    "fee_rate": Decimal("0.0084"),
}


def pay(on: date, fen: int, name: str = "paid") -> Payment:
    return Payment(id=name, on=on, amount_fen=fen)


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
        terms = make_terms(**FLAT)
        # 2,520 a month of 28 days, 10 of them gone
        state = self.after(terms, drawn, 300_900)
        assert state.status is Status.CLOSED
        assert state.due.fee_fen == 900
        part = self.after(terms, drawn, 60_900)
        assert [row.due.principal_fen for row in part.rows] == [60_000, 80_000, 80_000, 80_000]
        assert [row.due.fee_fen for row in part.rows] == [900, 1_620, 2_520, 2_520]

    def test_twice_in_a_period_share_out_its_flat_fee_by_days(self, make_terms, drawn) -> None:
        terms = make_terms(**FLAT)
        again = START + timedelta(days=19)
        told = [
            drawn,
            Prepayment(id="a", on=self.on, amount_fen=60_900),
            Prepayment(id="b", on=again, amount_fen=60_810),
        ]
        state = replay(terms, told, again)
        # 2,520 over 28 days: 10, then 9, then 9 of them
        assert [row.due.fee_fen for row in state.rows] == [900, 810, 810, 2_520, 2_520]

    @pytest.mark.parametrize(
        ("effect", "fees", "principal"),
        [
            (Excess.REDUCE_INSTALMENT, [900, 1_620, 2_520, 2_520], [66_667, 66_667, 66_666]),
            (Excess.REDUCE_TERM, [900, 1_620, 2_520], [100_000, 100_000]),
            (Excess.RESCHEDULE_NEXT, [900, 1_620, 2_520, 2_520], [0, 100_000, 100_000]),
        ],
    )
    def test_of_a_flat_product_reduce_what_the_borrower_chose(
        self, make_terms, drawn, effect: Excess, fees: list[int], principal: list[int]
    ) -> None:
        """A shorter term saves the fees of the instalments that go; of three, one goes."""
        terms = make_terms(**FLAT)
        state = self.after(terms, drawn, 900 + 100_000, effect)
        assert [row.due.fee_fen for row in state.rows] == fees
        assert [row.due.principal_fen for row in state.rows[1:]] == principal

    def test_of_a_flat_product_end_it_where_an_instalment_was_paid_ahead(
        self, make_terms, drawn
    ) -> None:
        """What is beyond the shorter term asks for no more than was paid of it."""
        rules = every_timing(*Component)
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.FLAT_FEE,
            fee_rate=Decimal("0.0084"),
            waterfall=Waterfall(rules=rules, future=Future.LAST),
        )
        told = [
            drawn,
            pay(START, 2_000),
            Prepayment(id="pre", on=self.on, amount_fen=150_900, effect=Excess.REDUCE_TERM),
        ]
        state = replay(terms, told, self.on)
        assert [row.due.fee_fen for row in state.rows] == [900, 1_620, 2_520, 2_000]
        assert [row.due.principal_fen for row in state.rows] == [150_000, 100_000, 50_000, 0]

    def test_ask_for_interest_that_was_put_off_once(self, make_terms, draw) -> None:
        """Three months without interest; two and ten days of the third are paid with it."""
        on, terms = date(2026, 4, 10), make_terms(grace_interest=3)
        due = sum(row.due.total_fen for row in replay(terms, [draw], on).rows[:2])
        # 180.00 + 166.20 + 10,145.88 × 18 % × 10 / 360
        cost = 18_000 + 16_620 + 5_073
        pre = Prepayment(id="pre", on=on, amount_fen=due + cost + 100_000)
        rows = replay(terms, [draw, pre], on).rows
        assert (rows[2].kind, rows[2].due) == (
            RowKind.PREPAID,
            Parts(interest_fen=cost, principal_fen=100_000),
        )
        # The twenty days that are left of April on 9,145.88, and May on what is left of it.
        april, may = 9_146, round((914_588 - rows[3].due.principal_fen) * 0.015)
        assert (rows[3].due.interest_fen, rows[4].due.interest_fen) == (0, april + may)

    @pytest.mark.parametrize("is_waived", [False, True])
    def test_ask_for_the_rest_of_the_period_whatever_was_settled_of_it(
        self, terms, drawn, is_waived: bool
    ) -> None:
        """Ten yuan of the first month's interest are settled before; the month costs no less."""
        before = pay(START, 1_000)
        if is_waived:
            before = events.Waiver(id="w", on=START, component=Component.INTEREST, amount_fen=1_000)
        pre = Prepayment(id="pre", on=self.on, amount_fen=500 + 60_000)
        part, row, *_ = replay(terms, [drawn, before, pre], self.on).rows
        # As in the first test: 15.00 for ten days, of which 10.00 stand with the running row.
        assert part.due == Parts(interest_fen=500, principal_fen=60_000)
        assert (row.due.interest_fen, row.outstanding.interest_fen) == (2_400 + 1_000, 2_400)

    def test_lower_a_fee_that_is_a_share_of_the_instalment(self, make_terms, drawn) -> None:
        fee = FeeRule(name="保险", share=Decimal("0.01"), amount_fen=50, payee="安心保险")
        terms = make_terms(
            principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL, fees=(fee,)
        )
        state = self.after(terms, drawn, 1_500 + 150_000)
        assert [row.due.principal_fen for row in state.rows] == [150_000, 50_000, 50_000, 50_000]
        assert [row.due.fee_fen for row in state.rows] == [0, 550, 550, 550]
        assert [row.to_others for row in state.rows[1:]] == [(("安心保险", 550),)] * 3

    def test_leave_a_fee_that_was_paid_as_it_was(self, make_terms, drawn) -> None:
        fee = FeeRule(name="管理费", share=Decimal("0.01"))
        terms = make_terms(
            principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL, fees=(fee,)
        )
        told = [drawn, pay(START, 1_000), Prepayment(id="p", on=self.on, amount_fen=151_500)]
        assert [row.due.fee_fen for row in replay(terms, told, self.on).rows] == [
            *(0, 1_000, 500, 500)
        ]

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

    def test_of_all_that_is_owed_remember_what_was_credited(self, terms, drawn) -> None:
        told = [
            drawn,
            pay(START, 700),
            events.ChargeBack(id="b", on=START, of="paid", amount_fen=700),
            Prepayment(id="pre", on=START, amount_fen=300_700),
        ]
        state = replay(terms, told, START)
        assert state.status is Status.CLOSED
        assert sum(row.credited_fen for row in state.rows) == 700

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
