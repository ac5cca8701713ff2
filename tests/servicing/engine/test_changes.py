"""Extensions, grace, other rates, re-age and re-amortisation."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine import events
from servicing.engine.book import Kind
from servicing.engine.events import Payment, Prepayment, ReAge, ReAgeInterest
from servicing.engine.parts import Parts
from servicing.engine.payments import EventRefused
from servicing.engine.periods import Frequency, Unit, step
from servicing.engine.plan import plan
from servicing.engine.profile import FINERACT_PROGRESSIVE, HOUSE, THIRTY_360, Recalculation
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.engine.terms import FeeBase, FeeRule, Method, PenaltyRule

START = date(2026, 1, 31)
FIRST, SECOND, THIRD = date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)


def pay(on: date, fen: int) -> Payment:
    return Payment(id="paid", on=on, amount_fen=fen)


def plan_of(state: LoanState) -> list[tuple[str, int, int]]:
    return [
        (row.due_on.isoformat(), row.due.principal_fen, row.due.interest_fen) for row in state.rows
    ]


class TestMovedDueDate:
    def test_moves_the_rest_along_and_costs_the_days(self, terms, drawn) -> None:
        moved = events.MovedDueDate(id="m", on=FIRST, due_on=SECOND, to=date(2026, 4, 10))
        assert plan_of(replay(terms, [drawn, moved], FIRST)) == [
            ("2026-02-28", 100_000, 4_500),
            ("2026-04-10", 100_000, 4_100),  # 200,000 × 18 % × 41 / 360
            ("2026-05-10", 100_000, 1_500),
        ]

    def test_costs_the_days_by_any_day_count_of_ours(self, make_terms, drawn) -> None:
        """By 30/360 the 41 days are no month, either."""
        thirty = replace(HOUSE, day_count=THIRTY_360)
        terms = make_terms(
            principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL, profile=thirty
        )
        moved = events.MovedDueDate(id="m", on=FIRST, due_on=SECOND, to=date(2026, 4, 10))
        assert replay(terms, [drawn, moved], FIRST).rows[1].due.interest_fen == 4_100

    @pytest.mark.parametrize(
        ("due_on", "to"), [(SECOND, FIRST), (date(2026, 9, 1), date(2026, 10, 1))]
    )
    def test_backwards_or_of_nothing_is_refused(self, terms, drawn, due_on: date, to: date) -> None:
        moved = events.MovedDueDate(id="m", on=FIRST, due_on=due_on, to=to)
        with pytest.raises(EventRefused):
            replay(terms, [drawn, moved], FIRST)

    @pytest.mark.parametrize("method", [Method.EQUAL_PRINCIPAL, Method.FLAT_INTEREST])
    def test_and_pauses_and_rates_take_a_fee_along_that_is_a_share_of_interest(
        self, make_terms, drawn, method: Method
    ) -> None:
        fee = FeeRule(name="服务费", share=Decimal("0.1"), base=FeeBase.INTEREST)
        terms = make_terms(principal_fen=300_000, terms=3, method=method, fees=(fee,))
        changes = [
            events.MovedDueDate(id="c", on=START, due_on=FIRST, to=date(2026, 3, 15)),
            events.InterestPause(id="c", on=START, first_on=START, last_on=date(2026, 2, 10)),
            events.RateChange(id="c", on=START, from_on=START, rate_annual=Decimal("0.06")),
        ]
        for change in changes:
            for row in replay(terms, [drawn, change], START).rows:
                assert row.due.fee_fen == pytest.approx(row.due.interest_fen / 10, abs=1)

    def test_may_leave_the_instalment_and_move_those_after_it(self, make_terms, draw) -> None:
        """A loan of the 31st is one of the 28th from February on: that month costs a month."""
        moved = events.MovedDueDate(id="m", on=START, due_on=FIRST, to=FIRST)
        before, after = (replay(make_terms(), told, START).rows for told in ([draw], [draw, moved]))
        assert [row.due for row in after] == [row.due for row in before]
        assert [row.due_on.day for row in after] == [28] * 12

    def test_then_an_extension_and_a_holiday_keep_to_the_new_day(self, make_terms, draw) -> None:
        told = [
            draw,
            events.MovedDueDate(id="m", on=START, due_on=FIRST, to=date(2026, 3, 15)),
            events.ExtraTerms(id="x", on=START, from_due_on=date(2026, 3, 15), extra=3),
            events.PaymentHoliday(id="h", on=START, from_due_on=date(2026, 3, 15), periods=2),
        ]
        rows = replay(make_terms(), told, START).rows
        assert [row.due_on for row in rows] == [
            step(date(2026, 3, 15), Frequency(), n) for n in range(2, 17)
        ]
        # 12,000 at 18 % for the 104 days until then
        assert rows[0].due.interest_fen == 62_400


class TestExtraTerms:
    def test_spread_what_is_left_over_more_instalments(self, terms, drawn) -> None:
        extra = events.ExtraTerms(id="x", on=FIRST, from_due_on=SECOND, extra=2)
        state = replay(terms, [drawn, extra], FIRST)
        assert plan_of(state) == [
            ("2026-02-28", 100_000, 4_500),
            ("2026-03-31", 50_000, 3_000),
            ("2026-04-30", 50_000, 2_250),
            ("2026-05-31", 50_000, 1_500),
            ("2026-06-30", 50_000, 750),
        ]

    def test_of_an_annuity_lower_the_instalment(self, make_terms, draw) -> None:
        terms = make_terms()
        before = replay(terms, [draw], FIRST)
        extra = events.ExtraTerms(id="x", on=FIRST, from_due_on=SECOND, extra=12)
        state = replay(terms, [draw, extra], FIRST)
        assert len(state.rows) == 24
        assert state.rows[1].due.total_fen < before.rows[1].due.total_fen
        assert state.due.principal_fen == 1_200_000

    def test_of_a_flat_product_spread_principal_and_charge_each_period(
        self, make_terms, drawn
    ) -> None:
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.FLAT_FEE,
            fee_rate=Decimal("0.01"),
        )
        extra = events.ExtraTerms(id="x", on=FIRST, from_due_on=SECOND, extra=2)
        state = replay(terms, [drawn, extra], FIRST)
        assert [row.due.principal_fen for row in state.rows] == [100_000] + [50_000] * 4
        assert [row.due.fee_fen for row in state.rows] == [3_000] * 5

    def test_of_a_bullet_let_it_fall_due_later_with_the_interest_of_the_time(
        self, make_terms, drawn
    ) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.BULLET)
        extra = events.ExtraTerms(id="x", on=FIRST, from_due_on=THIRD, extra=2)
        state = replay(terms, [drawn, extra], FIRST)
        assert plan_of(state) == [("2026-06-30", 300_000, 5 * 4_500)]

    def test_of_a_bullet_that_was_prepaid_count_the_days_that_are_left(
        self, make_terms, drawn
    ) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.BULLET)
        prepaid = events.Prepayment(id="p", on=FIRST, amount_fen=104_200)
        extra = events.ExtraTerms(id="x", on=FIRST, from_due_on=THIRD, extra=1)
        state = replay(terms, [drawn, prepaid, extra], FIRST)
        assert plan_of(state) == [
            ("2026-02-28", 100_000, 4_200),  # 300,000 × 18 % × 28 / 360
            ("2026-05-31", 200_000, 9_200),  # 200,000 × 18 % × 92 / 360
        ]

    def test_of_interest_first_move_the_principal_to_the_new_end(self, make_terms, drawn) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.INTEREST_FIRST)
        extra = events.ExtraTerms(id="x", on=FIRST, from_due_on=SECOND, extra=2)
        state = replay(terms, [drawn, extra], FIRST)
        assert plan_of(state) == [
            ("2026-02-28", 0, 4_500),
            ("2026-03-31", 0, 4_500),
            ("2026-04-30", 0, 4_500),
            ("2026-05-31", 0, 4_500),
            ("2026-06-30", 300_000, 4_500),
        ]

    def test_of_a_fixed_instalment_or_a_plan_that_was_fixed_are_refused(
        self, make_terms, terms, drawn
    ) -> None:
        fixed = make_terms(
            principal_fen=300_000, method=Method.FIXED_INSTALMENT, instalment_fen=60_000
        )
        extra = events.ExtraTerms(id="x", on=FIRST, from_due_on=SECOND, extra=2)
        aged = ReAge(id="a", on=FIRST, first_due_on=SECOND, terms=2)
        for of, told in ((fixed, [drawn, extra]), (terms, [drawn, aged, extra])):
            with pytest.raises(EventRefused):
                replay(of, told, FIRST)

    def test_let_a_fee_that_is_a_share_go_with_the_principal(self, make_terms, drawn) -> None:
        """As many yuan in all, a fixed part with the instalments that were agreed."""
        fee = FeeRule(name="保险", share=Decimal("0.01"), amount_fen=50, payee="安心保险")
        terms = make_terms(
            principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL, fees=(fee,)
        )
        extra = events.ExtraTerms(id="x", on=START, from_due_on=FIRST, extra=3)
        rows = replay(terms, [drawn, extra], START).rows
        assert [row.due.fee_fen for row in rows] == [550, 550, 550, 500, 500, 500]

    def test_of_a_flat_fee_keep_the_fees_beside_it(self, make_terms, drawn) -> None:
        fee = FeeRule(name="保险", amount_fen=50, payee="安心保险")
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.FLAT_FEE,
            fee_rate=Decimal("0.008"),
            fees=(fee,),
        )
        extra = events.ExtraTerms(id="x", on=START, from_due_on=FIRST, extra=3)
        rows = replay(terms, [drawn, extra], START).rows
        assert [row.due.fee_fen for row in rows] == [2_450] * 3 + [2_400] * 3

    @pytest.mark.parametrize("method", [Method.FLAT_FEE, Method.FLAT_INTEREST])
    def test_of_a_flat_product_ask_once_for_what_was_prepaid_of_the_period(
        self, make_terms, drawn, method: Method
    ) -> None:
        asked = {Method.FLAT_FEE: {"fee_rate": Decimal("0.0084"), "rate_annual": Decimal(0)}}
        flat = asked.get(method, {"rate_annual": Decimal("0.1008")})
        terms = make_terms(principal_fen=300_000, terms=3, method=method, **flat)
        on = START + timedelta(days=10)
        told = [
            drawn,
            Prepayment(id="pre", on=on, amount_fen=60_900),
            events.ExtraTerms(id="x", on=on, from_due_on=FIRST, extra=2),
        ]
        rows = replay(terms, told, on).rows
        # 2,520 over 28 days, of which ten were paid with it
        assert [row.due.total_fen - row.due.principal_fen for row in rows] == [
            *(900, 1_620, 2_520, 2_520, 2_520, 2_520)
        ]

    def test_leave_a_fixed_fee_where_it_was_however_often_the_plan_changes(
        self, make_terms, drawn
    ) -> None:
        fee = FeeRule(name="保险", amount_fen=50, payee="安心保险")
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.FLAT_FEE,
            fee_rate=Decimal("0.008"),
            fees=(fee,),
        )
        told = [
            drawn,
            events.ExtraTerms(id="x", on=START, from_due_on=FIRST, extra=1),
            events.PaymentHoliday(id="h", on=START, from_due_on=FIRST, periods=1),
        ]
        rows = replay(terms, told, START).rows
        assert [row.due.fee_fen for row in rows] == [2_450, 2_450, 2_450, 2_400]

    def test_let_a_later_fee_on_instalments_follow_them_too(self, make_terms, drawn) -> None:
        terms = make_terms(
            principal_fen=300_000, rate_annual=Decimal(0), terms=3, method=Method.EQUAL_PRINCIPAL
        )
        told = [
            drawn,
            events.InstalmentFee(id="f", on=START, share=Decimal("0.01")),
            events.ExtraTerms(id="x", on=START, from_due_on=SECOND, extra=2),
        ]
        rows = replay(terms, told, START).rows
        assert [row.due.fee_fen for row in rows] == [1_000, 500, 500, 500, 500]


class TestPrincipalGrace:
    def test_of_interest_first_lets_the_principal_fall_due_later(self, make_terms, drawn) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.INTEREST_FIRST)
        grace = events.PrincipalGrace(id="g", on=FIRST, from_due_on=SECOND, periods=1)
        state = replay(terms, [drawn, grace], FIRST)
        assert [row.due.principal_fen for row in state.rows] == [0, 0, 0, 300_000]

    @pytest.mark.parametrize("method", [Method.EQUAL_PRINCIPAL, Method.EQUAL_INSTALMENT])
    def test_leaves_interest_only_and_lengthens_the_plan(
        self, terms, drawn, method: Method
    ) -> None:
        grace = events.PrincipalGrace(id="g", on=FIRST, from_due_on=SECOND, periods=1)
        state = replay(replace(terms, method=method), [drawn, grace], FIRST)
        principal = [row.due.principal_fen for row in state.rows]
        assert len(principal) == 4
        assert principal[1] == 0
        assert sum(principal) == 300_000
        assert state.rows[1].due.interest_fen == state.rows[2].due.interest_fen


class TestRateChange:
    def test_re_plans_an_annuity_from_its_instalment_on(self, make_terms, draw) -> None:
        cheaper = events.RateChange(
            id="r", on=FIRST, from_on=date(2026, 3, 1), rate_annual=Decimal("0.09")
        )
        state = replay(make_terms(), [draw, cheaper], FIRST)
        before = replay(make_terms(), [draw], FIRST)
        assert state.rows[0].due == before.rows[0].due
        half = before.rows[1].due.interest_fen / 2
        assert abs(state.rows[1].due.interest_fen - half) <= 1
        assert state.rows[1].due.total_fen < before.rows[1].due.total_fen

    def test_of_flat_interest_charges_the_rest_at_the_new_rate(self, make_terms, drawn) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.FLAT_INTEREST)
        cheaper = events.RateChange(id="r", on=FIRST, from_on=SECOND, rate_annual=Decimal("0.06"))
        state = replay(terms, [drawn, cheaper], FIRST)
        assert [row.due.interest_fen for row in state.rows] == [4_500, 1_500, 1_500]

    def test_after_the_plan_has_ended_changes_nothing(self, terms, drawn) -> None:
        late = events.RateChange(
            id="r", on=THIRD, from_on=date(2026, 6, 1), rate_annual=Decimal("0.06")
        )
        assert replay(terms, [drawn, late], THIRD).due == replay(terms, [drawn], THIRD).due

    def test_that_lowers_it_lowers_the_penalty_which_is_a_multiple_of_it(
        self, make_terms, drawn
    ) -> None:
        """1,000 yuan late at 27 %, from the 11th on at one and a half times 6 %."""
        late = PenaltyRule(rate_annual=Decimal("0.27"))
        terms = make_terms(
            principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL, penalty=late
        )
        on = date(2026, 3, 10)
        lower, higher = (
            events.RateChange(id="r", on=on, from_on=on + timedelta(days=1), rate_annual=rate)
            for rate in (Decimal("0.06"), Decimal("0.24"))
        )
        # Ten days at 75 fen, and twenty at 25 fen or as before.
        for change, fen in ((lower, 1_250), (higher, 2_250)):
            rows = replay(terms, [drawn, change], date(2026, 3, 30)).rows
            assert rows[0].due.penalty_fen == fen

    def test_to_nothing_leaves_nothing_to_multiply(self, make_terms, drawn) -> None:
        late = PenaltyRule(rate_annual=Decimal("0.27"), grace_days=3)
        terms = make_terms(
            principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL, penalty=late
        )
        free = events.RateChange(id="r", on=FIRST, from_on=FIRST, rate_annual=Decimal(0))
        assert replay(terms, [drawn, free], date(2026, 3, 30)).rows[0].due.penalty_fen == 0


class TestReAmortisation:
    def test_spreads_what_is_past_due(self, terms, drawn) -> None:
        on = FIRST + timedelta(days=5)
        event = events.ReAmortisation(id="r", on=on)
        state = replay(terms, [drawn, event], on)
        assert [row.due.principal_fen for row in state.rows] == [0, 150_000, 150_000]
        assert state.records[-1].amount_fen == 100_000

    def test_lets_what_was_late_bear_interest_from_its_day_on(self, terms, drawn) -> None:
        """Until then it costs penalty, so 1,000 yuan of March bear the days from the 10th on."""
        again = events.ReAmortisation(id="a", on=date(2026, 4, 10))
        rows = replay(terms, [drawn, pay(FIRST, 104_500), again], again.on).rows
        # 1,000 for the whole month, as planned, and 1,000 for the 20 days that are left of it
        assert rows[2].due == Parts(principal_fen=200_000, interest_fen=1_500 + 1_000)

    def test_after_which_the_payment_before_it_is_reversed_spreads_more(self, terms, drawn) -> None:
        again = events.ReAmortisation(id="a", on=date(2026, 4, 10))
        undone = events.Reversal(id="u", on=date(2026, 4, 12), of="paid")
        rows = replay(terms, [drawn, pay(FIRST, 104_500), again, undone], undone.on).rows
        assert [row.due.principal_fen for row in rows] == [0, 0, 300_000]
        assert rows[2].due.interest_fen == 1_500 + 2 * 1_000

    def test_needs_something_past_due_and_an_instalment_to_come(self, terms, drawn) -> None:
        for on in (START, THIRD + timedelta(days=1)):
            with pytest.raises(EventRefused):
                replay(terms, [drawn, events.ReAmortisation(id="r", on=on)], on)


class TestReAge:
    on = date(2026, 3, 10)

    def age(self, **changes) -> ReAge:
        defaults = {"id": "age", "on": self.on, "first_due_on": date(2026, 4, 10), "terms": 4}
        return ReAge(**defaults | changes)

    def test_takes_over_the_interest_to_the_day_in_equal_parts(self, terms, drawn) -> None:
        state = replay(terms, [drawn, self.age(interest=ReAgeInterest.PAYABLE)], self.on)
        # 4,500 of February and 200,000 × 18 % × 10 / 360
        assert plan_of(state) == [
            ("2026-02-28", 0, 0),
            ("2026-03-10", 0, 0),
            ("2026-04-10", 75_000, 1_375),
            ("2026-05-10", 75_000, 1_375),
            ("2026-06-10", 75_000, 1_375),
            ("2026-07-10", 75_000, 1_375),
        ]
        assert state.records[-1].kind is Kind.RE_AGE
        assert state.records[-1].parts == Parts(principal_fen=300_000, interest_fen=5_500)

    def test_takes_over_interest_that_was_put_off_too(self, terms, drawn) -> None:
        on = date(2026, 3, 15)
        again = events.ReAge(id="a", on=on, first_due_on=date(2026, 4, 15), terms=2)
        state = replay(replace(terms, grace_interest=1), [drawn, again], on)
        # 4,500 of the first period, and 200,000 × 18 % × 15 / 360 of the second one's days
        assert state.due.interest_fen == 4_500 + 1_500

    def test_asks_once_for_interest_that_was_put_off(self, make_terms, drawn) -> None:
        """45.00 of February are taken over in three parts, beside what the new plan costs."""
        put_off = make_terms(principal_fen=300_000, terms=3, grace_interest=2)
        asked = {"first_due_on": SECOND, "terms": 3, "interest": ReAgeInterest.NEW_PLAN}
        # On 9 March nine days of 2,014.85, as planned, are put off beside them.
        for on, late in ((FIRST, 4_500), (FIRST + timedelta(days=9), 4_500 + 907)):
            state = replay(put_off, [drawn, ReAge(id="a", on=on, **asked)], on)
            rows = [row for row in state.rows if row.due_on > on]
            own = [row.due.interest_fen - late // 3 for row in rows]
            # 3,000 for the days to the new due date, then by months on what is left
            assert own[0] == 150 * (SECOND - on).days
            left = 300_000 - rows[0].due.principal_fen
            assert own[1] == pytest.approx(left * 0.015, abs=1)

    def test_may_take_over_the_interest_of_the_old_plan(self, terms, drawn) -> None:
        state = replay(terms, [drawn, self.age(interest=ReAgeInterest.OUTSTANDING)], self.on)
        assert state.due.interest_fen == 9_000

    def test_may_make_a_new_plan_by_the_loans_method(self, terms, drawn) -> None:
        annuity = replace(terms, method=Method.EQUAL_INSTALMENT)
        state = replay(annuity, [drawn, self.age(interest=ReAgeInterest.NEW_PLAN)], self.on)
        new = [row.due.total_fen for row in state.rows[2:]]
        assert max(new) - min(new) <= 4
        assert state.due.principal_fen == 300_000
        assert state.due.interest_fen > 5_500

    def test_keeps_what_was_paid_and_charges_that_were_posted(self, terms, drawn) -> None:
        paid = Payment(id="p", on=FIRST, amount_fen=54_500)
        charge = events.Charge(id="c", on=FIRST, amount_fen=80, due_on=THIRD)
        state = replay(
            terms, [drawn, paid, charge, self.age(interest=ReAgeInterest.PAYABLE)], self.on
        )
        assert state.paid.total_fen == 54_500
        assert state.outstanding.principal_fen == 250_000
        assert state.outstanding.fee_fen == 80

    def test_without_interest_keeps_the_old_rows_at_nothing(self, terms, drawn) -> None:
        free = replace(terms, rate_annual=Decimal(0), method=Method.EQUAL_INSTALMENT)
        event = self.age(
            first_due_on=date(2026, 5, 10), terms=2, frequency=Frequency(unit=Unit.WEEKS)
        )
        state = replay(free, [drawn, event], self.on)
        assert plan_of(state) == [
            ("2026-02-28", 0, 0),
            ("2026-03-31", 0, 0),
            ("2026-04-30", 0, 0),
            ("2026-05-10", 150_000, 0),
            ("2026-05-17", 150_000, 0),
        ]

    def test_never_asks_for_less_than_nothing_where_parts_are_rounded_up(
        self, terms, drawn
    ) -> None:
        whole = replace(HOUSE, instalment_multiple_fen=100_000)
        free = replace(terms, rate_annual=Decimal(0), principal_fen=160_000, profile=whole)
        small = replace(drawn, amount_fen=160_000)
        event = self.age(terms=3, interest=ReAgeInterest.OUTSTANDING)
        principal = [row.due.principal_fen for row in replay(free, [small, event], self.on).rows]
        assert principal[-3:] == [53_333, 53_333, 53_334]

    def test_of_a_flat_fee_keeps_the_fees(self, make_terms, drawn) -> None:
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.FLAT_FEE,
            fee_rate=Decimal("0.01"),
        )
        state = replay(terms, [drawn, self.age()], self.on)
        assert (state.due.principal_fen, state.due.fee_fen) == (300_000, 9_000)

    def test_after_maturity_begins_where_the_plan_ended(self, terms, drawn) -> None:
        on = date(2026, 6, 10)
        event = self.age(on=on, first_due_on=date(2026, 7, 1), interest=ReAgeInterest.PAYABLE)
        state = replay(terms, [drawn, event], on)
        assert state.rows[3].from_on == THIRD
        assert state.due.interest_fen == 9_000

    def test_is_undone_by_a_reversal(self, terms, drawn) -> None:
        undo = events.Reversal(id="u", on=self.on, of="age")
        state = replay(terms, [drawn, self.age(), undo], self.on)
        assert plan_of(state) == plan_of(replay(terms, [drawn], self.on))

    def test_of_nothing_or_into_the_past_is_refused(self, terms, drawn) -> None:
        paid = Payment(id="p", on=FIRST, amount_fen=309_000)
        yesterday = self.on - timedelta(days=1)
        for told in ([drawn, paid, self.age()], [drawn, self.age(first_due_on=yesterday)]):
            with pytest.raises(EventRefused):
                replay(terms, told, self.on)

    def test_on_a_due_date_cuts_nothing(self, terms, drawn) -> None:
        event = self.age(on=SECOND, interest=ReAgeInterest.PAYABLE)
        state = replay(terms, [drawn, event], SECOND)
        assert [row.due_on for row in state.rows[:2]] == [FIRST, SECOND]
        assert state.due.interest_fen == 7_500

    def test_of_a_recalculating_loan_takes_real_interest(self, terms, drawn) -> None:
        actual = replace(
            terms,
            method=Method.EQUAL_INSTALMENT,
            profile=replace(
                FINERACT_PROGRESSIVE,
                day_count=THIRTY_360,
                recalculation=Recalculation.ACTUAL_BALANCE,
            ),
        )
        state = replay(actual, [drawn, self.age(interest=ReAgeInterest.PAYABLE)], self.on)
        late = round(Decimal(4_500) * 10 / 31)
        assert state.records[-1].parts.interest_fen == 4_500 + late


class TestPaymentHoliday:
    def test_moves_all_dates_and_keeps_their_number(self, make_terms, draw) -> None:
        terms = make_terms()
        on = START + timedelta(days=5)
        first = plan(terms).instalments
        event = events.PaymentHoliday(id="h", on=on, from_due_on=first[0].due_on, periods=2)
        rows = replay(terms, [draw, event], on).rows
        assert [row.due_on for row in rows[:10]] == [row.due_on for row in first[2:]]
        assert (len(rows), rows[0].due.interest_fen) == (12, 3 * 18_000)
        assert sum(row.due.principal_fen for row in rows) == 1_200_000

    def test_without_interest_costs_only_the_days_before_it(self, make_terms, draw) -> None:
        terms = make_terms(method=Method.EQUAL_PRINCIPAL)
        on = START + timedelta(days=5)
        first = plan(terms).instalments
        event = events.PaymentHoliday(
            id="h", on=on, from_due_on=first[0].due_on, periods=1, bears_interest=False
        )
        rows = replay(terms, [draw, event], on).rows
        # The period of two months bears the days of its first one: 28 of 360.
        assert rows[0].due.interest_fen == 16_800
        assert rows[1].due.interest_fen == first[1].due.interest_fen

    def test_after_a_prepayment_counts_its_days(self, make_terms, draw) -> None:
        terms = make_terms()
        on = START + timedelta(days=10)
        paid = events.Prepayment(id="p", on=on, amount_fen=200_000)
        told = [draw, paid]
        due_on = next(row.due_on for row in replay(terms, told, on).rows if row.due_on > on)
        event = events.PaymentHoliday(id="h", on=on, from_due_on=due_on, periods=1)
        row = replay(terms, [*told, event], on).rows[1]
        assert (row.from_on, row.due_on) == (on, date(2026, 3, 31))
        assert row.due.interest_fen > 0

    def test_lasts_at_least_one_period(self, make_terms, draw) -> None:
        event = events.PaymentHoliday(id="h", on=START, from_due_on=START, periods=0)
        with pytest.raises(EventRefused):
            replay(make_terms(), [draw, event], START)
