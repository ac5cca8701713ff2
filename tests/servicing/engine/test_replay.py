"""What payments, lateness, charges and reversals do to a running loan."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine import events
from servicing.engine.book import Kind, RowKind, Status
from servicing.engine.events import Payment, Reversal
from servicing.engine.parts import Component, Parts
from servicing.engine.payments import EventRefused
from servicing.engine.profile import (
    ACTUAL_365,
    FINERACT_CUMULATIVE_DAILY,
    HOUSE,
    Recalculation,
)
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.engine.terms import PenaltyBase, PenaltyRule
from servicing.engine.waterfall import Direction, Future, Timing, Waterfall, every_timing

START = date(2026, 1, 31)
FIRST, SECOND, THIRD = date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)
ACTUAL = replace(HOUSE, day_count=ACTUAL_365, recalculation=Recalculation.ACTUAL_BALANCE)
OPEN = replace(FINERACT_CUMULATIVE_DAILY, recalculation=Recalculation.OPEN_PERIOD)


def pay(on: date, fen: int, name: str = "paid", **more) -> Payment:
    return Payment(id=name, on=on, amount_fen=fen, **more)


def owed(state: LoanState) -> list[int]:
    return [row.outstanding.total_fen for row in state.rows]


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

    def test_each_overpayment_settles_no_more_than_it_left(self, terms, drawn) -> None:
        told = [drawn, pay(FIRST, 309_100, "one"), pay(SECOND, 200, "two")]
        charge = events.Charge(id="fee", on=THIRD, amount_fen=250, due_on=THIRD)
        state = replay(terms, [*told, charge], THIRD)
        records = {r.event_id: r for r in state.records if r.kind is Kind.REPAYMENT}
        assert (records["one"].parts.fee_fen, records["one"].overpaid_fen) == (100, 0)
        assert (records["two"].parts.fee_fen, records["two"].overpaid_fen) == (150, 50)

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
    @pytest.mark.parametrize(
        ("on", "wanted"),
        [
            (FIRST - timedelta(days=1), Parts(fee_fen=100)),
            (FIRST, Parts(principal_fen=100)),
            (FIRST + timedelta(days=1), Parts(interest_fen=100)),
        ],
    )
    def test_tell_what_falls_due_today_from_what_did_before(
        self, terms, drawn, on: date, wanted: Parts
    ) -> None:
        rules = (
            (Timing.PAST_DUE, Component.INTEREST),
            (Timing.DUE, Component.PRINCIPAL),
            (Timing.IN_ADVANCE, Component.FEE),
        )
        fee = events.Charge(id="fee", on=START, amount_fen=900, due_on=FIRST)
        told = [drawn, fee, pay(on, 100)]
        state = replay(replace(terms, waterfall=Waterfall(rules=rules)), told, on)
        assert state.paid == wanted

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

    @pytest.mark.parametrize(("fen", "wanted"), [(3, [0, 0, 0, 0, 3]), (4, [1, 1, 1, 1, 0])])
    def test_share_out_even_a_few_fen_without_inventing_any(
        self, terms, drawn, fen: int, wanted: list[int]
    ) -> None:
        order = every_timing(Component.PRINCIPAL)
        waterfall = Waterfall(rules=order, future=Future.REAMORTISE)
        many = replace(terms, terms=5, waterfall=waterfall)
        state = replay(many, [drawn, pay(START, fen)], START)
        assert [row.paid.total_fen for row in state.rows] == wanted

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

    def test_of_the_last_payment_let_no_income_be_recognised_twice(self, terms, drawn) -> None:
        told = [
            drawn,
            pay(FIRST, 309_000, "a"),
            Reversal(id="undo", on=FIRST, of="a"),
            pay(SECOND, 309_000, "b"),
        ]
        records = replay(terms, told, SECOND).records
        earned = [record.amount_fen for record in records if record.kind is Kind.ACCRUAL]
        assert sum(earned) == 9_000

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
