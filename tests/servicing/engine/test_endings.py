"""Charge-off, write-off, termination, recovery, charge-back, and their entries."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine import events
from servicing.engine.book import Kind, RowKind, Status
from servicing.engine.events import ChargeOffEffect, Payment
from servicing.engine.journal import Account, Entry, entries
from servicing.engine.parts import Component, Parts
from servicing.engine.payments import EventRefused
from servicing.engine.profile import FINERACT_PROGRESSIVE, THIRTY_360, Recalculation
from servicing.engine.replay import replay
from servicing.engine.terms import Method, PenaltyRule
from servicing.engine.waterfall import HOUSE_WATERFALL, Future, Waterfall

START = date(2026, 1, 31)
FIRST, SECOND, THIRD = date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)
ON = date(2026, 3, 10)


def postings(entry: Entry) -> dict[Account, int]:
    return {posting.account: posting.fen for posting in entry.postings}


def of_kind(state, kind: Kind) -> dict[Account, int]:
    return postings(next(entry for entry in entries(state.records) if entry.kind is kind))


class TestChargeOff:
    def test_takes_the_claim_off_the_books_and_leaves_it_owed(self, terms, drawn) -> None:
        state = replay(terms, [drawn, events.ChargeOff(id="off", on=ON)], ON)
        assert (state.status, state.charged_off_on) == (Status.ACTIVE, ON)
        assert state.outstanding.total_fen == 309_000
        assert of_kind(state, Kind.CHARGE_OFF) == {
            Account.PRINCIPAL: -300_000,
            Account.INCOME_RECEIVABLE: -9_000,
            Account.CREDIT_LOSS: 300_000,
            Account.INTEREST_CHARGED_OFF: 9_000,
        }

    def test_makes_later_payments_recoveries(self, terms, drawn) -> None:
        told = [drawn, events.ChargeOff(id="off", on=ON), Payment(id="p", on=ON, amount_fen=500)]
        assert of_kind(replay(terms, told, ON), Kind.REPAYMENT) == {
            Account.RECOVERIES: -500,
            Account.CLEARING: 500,
        }

    def test_may_accelerate_the_plan(self, terms, drawn) -> None:
        fee = events.Charge(id="fee", on=ON, amount_fen=70, due_on=THIRD)
        ahead = Payment(id="p", on=FIRST, amount_fen=104_500 + 500)
        off = events.ChargeOff(id="off", on=ON, effect=ChargeOffEffect.ACCELERATE)
        state = replay(terms, [drawn, ahead, fee, off], ON)
        assert [row.due_on for row in state.rows] == [FIRST, ON]
        # 200,000 × 18 % × 10 / 360
        assert state.rows[1].due == Parts(principal_fen=200_000, interest_fen=1_000, fee_fen=70)
        assert state.rows[1].paid.total_fen == 500

    def test_may_stop_interest(self, terms, drawn) -> None:
        off = events.ChargeOff(id="off", on=ON, effect=ChargeOffEffect.ZERO_INTEREST)
        state = replay(terms, [drawn, off], ON)
        assert [row.due.interest_fen for row in state.rows] == [4_500, 1_000, 0]

    def test_forbids_to_plan_anew(self, terms, drawn) -> None:
        off = events.ChargeOff(id="off", on=ON)
        for event in (
            events.ReAmortisation(id="x", on=ON),
            events.ReAge(id="x", on=ON, first_due_on=THIRD, terms=2),
            events.ExtraTerms(id="x", on=ON, from_due_on=SECOND, extra=1),
            events.Prepayment(id="x", on=ON, amount_fen=200_000),
            events.Disbursement(id="x", on=ON, amount_fen=5),
            events.ChargeOff(id="x", on=ON),
            events.Charge(id="x", on=ON, amount_fen=5, due_on=ON),
            events.InstalmentFee(id="x", on=ON, amount_fen=5),
        ):
            with pytest.raises(EventRefused):
                replay(terms, [drawn, off, event], ON)

    def test_ends_penalty_and_recalculation(self, make_terms, drawn) -> None:
        terms = make_terms(
            principal_fen=300_000,
            terms=3,
            profile=replace(
                FINERACT_PROGRESSIVE,
                day_count=THIRTY_360,
                recalculation=Recalculation.ACTUAL_BALANCE,
            ),
        )
        off = events.ChargeOff(id="off", on=ON)
        later = THIRD + timedelta(days=60)
        assert replay(terms, [drawn, off], later).due == replay(terms, [drawn, off], ON).due


class TestTermination:
    def test_makes_everything_due_with_interest_to_the_day(self, terms, drawn) -> None:
        state = replay(terms, [drawn, events.Termination(id="end", on=ON)], ON)
        assert state.rows[-1].due_on == ON
        assert state.outstanding == Parts(principal_fen=300_000, interest_fen=4_500 + 1_000)
        assert state.records[-1].kind is Kind.TERMINATION

    def test_after_maturity_changes_no_row(self, terms, drawn) -> None:
        late = THIRD + timedelta(days=9)
        state = replay(terms, [drawn, events.Termination(id="end", on=late)], late)
        assert len(state.rows) == 3

    def test_of_a_flat_product_keeps_the_cost_of_the_period(self, make_terms, drawn) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.FLAT_INTEREST)
        state = replay(terms, [drawn, events.Termination(id="end", on=ON)], ON)
        assert state.outstanding == Parts(principal_fen=300_000, interest_fen=9_000)

    def test_of_a_flat_product_keeps_what_was_paid_ahead(self, make_terms, drawn) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.FLAT_INTEREST)
        last = replace(terms, waterfall=Waterfall(rules=HOUSE_WATERFALL.rules, future=Future.LAST))
        ahead = Payment(id="p", on=START, amount_fen=4_500 + 100_000 + 4_500)
        free = replace(last, interest_free=1)
        told = [drawn, ahead, events.Termination(id="end", on=START + timedelta(days=9))]
        state = replay(free, told, ON)
        assert state.paid == Parts(principal_fen=100_000, interest_fen=9_000)
        assert state.outstanding == Parts(principal_fen=200_000)

    def test_of_a_loan_that_is_paid_is_refused(self, terms, drawn) -> None:
        told = [drawn, Payment(id="p", on=FIRST, amount_fen=309_000)]
        for event in (
            events.Termination(id="x", on=ON),
            events.ChargeOff(id="x", on=ON),
            events.WriteOff(id="x", on=ON),
        ):
            with pytest.raises(EventRefused):
                replay(terms, [*told, event], ON)


class TestWriteOff:
    def test_gives_up_all_that_is_owed(self, terms, drawn) -> None:
        state = replay(terms, [drawn, events.WriteOff(id="off", on=ON)], ON)
        assert (state.status, state.outstanding.total_fen) == (Status.WRITTEN_OFF, 0)
        assert state.records[-1].parts == Parts(principal_fen=300_000, interest_fen=9_000)

    def test_of_a_claim_that_left_the_books_leaves_them_no_second_time(self, terms, drawn) -> None:
        told = [
            drawn,
            events.ChargeOff(id="off", on=FIRST),
            Payment(id="p", on=SECOND, amount_fen=700),
            events.WriteOff(id="w", on=THIRD),
        ]
        rows = replay(terms, told, THIRD).rows
        assert {row.left.on for row in rows if row.left} == {FIRST}
        assert sum(row.left.owed.principal_fen for row in rows if row.left) == 300_000

    def test_may_give_up_a_part(self, terms, drawn) -> None:
        state = replay(terms, [drawn, events.WriteOff(id="off", on=ON, amount_fen=150_000)], ON)
        assert [row.waived.principal_fen for row in state.rows] == [100_000, 50_000, 0]

    def test_takes_recoveries_only_and_no_reversal(self, terms, drawn) -> None:
        paid = Payment(id="p", on=FIRST, amount_fen=500)
        told = [drawn, paid, events.WriteOff(id="off", on=ON)]
        back = events.Recovery(id="r", on=THIRD, amount_fen=800)
        state = replay(terms, [*told, back], THIRD)
        assert of_kind(state, Kind.RECOVERY) == {
            Account.CLEARING: 800,
            Account.RECOVERIES: -800,
        }
        for event in (
            replace(paid, id="q", on=THIRD),
            events.Reversal(id="u", on=THIRD, of="p"),
        ):
            with pytest.raises(EventRefused):
                replay(terms, [*told, event], THIRD)
        with pytest.raises(EventRefused):
            replay(terms, [drawn, back], THIRD)

    def test_can_be_undone(self, terms, drawn) -> None:
        told = [
            drawn,
            events.WriteOff(id="off", on=ON),
            events.Reversal(id="u", on=ON, of="off"),
        ]
        state = replay(terms, told, ON)
        assert (state.status, state.outstanding.total_fen) == (Status.ACTIVE, 309_000)
        assert state.records[-1].is_reversed


class TestChargeBack:
    def test_owes_a_payment_again_with_the_next_instalment(self, terms, drawn) -> None:
        told = [
            drawn,
            Payment(id="p", on=FIRST, amount_fen=104_500),
            events.ChargeBack(id="b", on=ON, of="p", amount_fen=4_500),
        ]
        state = replay(terms, told, ON)
        assert (state.rows[1].due.principal_fen, state.rows[1].credited_fen) == (104_500, 4_500)
        assert state.rows[1].balance_fen == 100_000

    def test_bears_interest_until_it_is_due_again(self, terms, drawn) -> None:
        told = [
            drawn,
            Payment(id="p", on=FIRST, amount_fen=104_500),
            events.ChargeBack(id="b", on=FIRST, of="p", amount_fen=60_000),
        ]
        state = replay(terms, told, FIRST)
        assert [row.due.interest_fen for row in state.rows] == [4_500, 3_900, 1_500]

    def test_bears_no_penalty_for_days_on_which_nothing_was_owed(self, make_terms, drawn) -> None:
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=1,
            penalty=PenaltyRule(rate_annual=Decimal("0.36")),
        )
        late = FIRST + timedelta(days=40)
        told = [
            drawn,
            Payment(id="p", on=FIRST, amount_fen=300_000),
            events.ChargeBack(id="b", on=late, of="p", amount_fen=100_000),
        ]
        state = replay(terms, told, late + timedelta(days=5))
        assert state.due.penalty_fen == 500

    def test_takes_what_is_overpaid_first(self, terms, drawn) -> None:
        told = [
            drawn,
            Payment(id="p", on=FIRST, amount_fen=309_900),
            events.ChargeBack(id="b", on=ON, of="p", amount_fen=500),
        ]
        state = replay(terms, told, ON)
        assert (state.overpaid_fen, state.outstanding.total_fen) == (400, 0)

    def test_after_maturity_stands_on_a_row_that_follows(self, terms, drawn) -> None:
        late = THIRD + timedelta(days=9)
        told = [
            drawn,
            Payment(id="p", on=FIRST, amount_fen=104_500),
            events.ChargeBack(id="b", on=late, of="p", amount_fen=500),
        ]
        row = replay(terms, told, late).rows[-1]
        assert (row.kind, row.due.principal_fen) == (RowKind.ADDITIONAL, 500)
        on_last = replace(told[-1], on=THIRD)
        assert replay(terms, [*told[:2], on_last], THIRD).rows[-1].credited_fen == 500

    @pytest.mark.parametrize(
        "then",
        [
            events.Termination(id="end", on=ON),
            events.Prepayment(id="pre", on=ON, amount_fen=150_000),
            events.Prepayment(id="pre", on=ON, amount_fen=220_000),
        ],
    )
    def test_is_still_known_apart_from_what_was_lent_when_the_plan_is_cut(
        self, terms, drawn, then: events.Event
    ) -> None:
        paid = Payment(id="p", on=FIRST, amount_fen=104_500)
        back = events.ChargeBack(id="b", on=FIRST, of="p", amount_fen=40_000)
        state = replay(terms, [drawn, paid, back, then], ON)
        assert sum(row.credited_fen for row in state.rows) == 40_000
        assert state.due.principal_fen == 300_000 + 40_000

    def test_of_more_than_was_paid_is_refused(self, terms, drawn) -> None:
        paid = Payment(id="p", on=FIRST, amount_fen=500)
        once = events.ChargeBack(id="b", on=ON, of="p", amount_fen=300)
        for told in (
            [drawn, paid, once, replace(once, id="c")],
            [drawn, paid, replace(once, of="none")],
            [drawn, paid, replace(once, amount_fen=0)],
            [drawn, paid, events.CreditBalanceRefund(id="r", on=ON, amount_fen=0)],
        ):
            with pytest.raises(EventRefused):
                replay(terms, told, ON)


class TestEntries:
    def test_of_a_life_show_every_movement(self, terms, drawn) -> None:
        charge = events.Charge(
            id="c", on=FIRST, amount_fen=90, due_on=FIRST, component=Component.PENALTY
        )
        told = [
            drawn,
            charge,
            Payment(id="p", on=FIRST, amount_fen=309_500),
            events.CreditBalanceRefund(id="r", on=ON, amount_fen=410),
        ]
        state = replay(terms, told, ON)
        assert of_kind(state, Kind.REPAYMENT) == {
            Account.PRINCIPAL: -300_000,
            Account.INCOME_RECEIVABLE: -9_090,
            Account.OVERPAID: -410,
            Account.CLEARING: 309_500,
        }
        assert of_kind(state, Kind.ACCRUAL) == {
            Account.INCOME_RECEIVABLE: 9_090,
            Account.INTEREST_INCOME: -9_000,
            Account.PENALTY_INCOME: -90,
        }
        assert of_kind(state, Kind.CREDIT_BALANCE_REFUND) == {
            Account.OVERPAID: 410,
            Account.CLEARING: -410,
        }

    def test_of_what_was_reversed_are_booked_back(self, terms, drawn) -> None:
        """openMF/community-app#1839: the report dropped one leg of a reversal."""
        told = [
            drawn,
            Payment(id="p", on=FIRST, amount_fen=500),
            events.Reversal(id="u", on=FIRST, of="p"),
        ]
        entry = entries(replay(terms, told, FIRST).records)[-1]
        assert len(entry.postings) == 4
        assert sum(posting.fen for posting in entry.postings) == 0

    def test_of_credits_and_waivers_name_their_source(self, terms, drawn) -> None:
        goodwill = Payment(id="g", on=FIRST, amount_fen=500, kind=Kind.GOODWILL_CREDIT)
        waiver = events.Waiver(id="w", on=FIRST, component=Component.INTEREST, amount_fen=200)
        state = replay(terms, [drawn, goodwill, waiver], FIRST)
        assert of_kind(state, Kind.GOODWILL_CREDIT)[Account.GOODWILL] == 500
        assert of_kind(state, Kind.INTEREST_WAIVER)[Account.WAIVED] == 200

    def test_are_not_made_where_nothing_moves(self, terms, drawn) -> None:
        state = replay(terms, [drawn, events.Termination(id="end", on=ON)], ON)
        assert [entry.kind for entry in entries(state.records)] == [Kind.DISBURSEMENT]


class TestMoneyAtRates:
    def test_a_rate_of_nothing_needs_no_recalculation(self, make_terms, drawn) -> None:
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal(0),
            terms=3,
            profile=replace(FINERACT_PROGRESSIVE, recalculation=Recalculation.ACTUAL_BALANCE),
        )
        state = replay(terms, [drawn, Payment(id="p", on=START, amount_fen=120_000)], SECOND)
        assert [row.paid.principal_fen for row in state.rows] == [100_000, 20_000, 0]


def cancelled(terms, told, *, on: date, fen: int = 300_000, bears_cost: bool = False):
    event = events.Cancellation(id="back", on=on, amount_fen=fen, bears_cost=bears_cost)
    return replay(terms, [*told, event], on)


class TestCancellation:
    def test_owes_nothing_when_the_price_comes_back(self, terms, drawn) -> None:
        state = cancelled(terms, [drawn], on=ON)
        assert (state.status, state.overpaid_fen) == (Status.CLOSED, 0)
        assert state.due == Parts(principal_fen=300_000)

    def test_gives_back_interest_and_fees_that_were_paid_but_no_penalty(self, drawn, terms) -> None:
        flat = replace(terms, method=Method.FLAT_FEE, fee_rate=Decimal("0.01"))
        charge = events.Charge(
            id="c", on=FIRST, amount_fen=70, due_on=FIRST, component=Component.PENALTY
        )
        paid = Payment(id="p", on=FIRST, amount_fen=103_000 + 70)
        state = cancelled(flat, [drawn, charge, paid], on=ON)
        assert state.status is Status.OVERPAID
        assert state.overpaid_fen == 103_000
        assert of_kind(state, Kind.CHARGE_ADJUSTMENT)[Account.FEE_INCOME] == 3_000

    def test_of_a_loan_that_was_paid_gives_all_of_it_back(self, terms, drawn) -> None:
        paid = Payment(id="p", on=FIRST, amount_fen=309_000)
        state = cancelled(terms, [drawn, paid], on=ON)
        assert state.overpaid_fen == 309_000
        assert of_kind(state, Kind.INTEREST_REFUND)[Account.INTEREST_INCOME] == 9_000

    def test_may_leave_the_cost_to_the_day(self, terms, drawn) -> None:
        on = START + timedelta(days=10)
        state = cancelled(terms, [drawn], on=on, bears_cost=True)
        assert state.outstanding == Parts(principal_fen=1_500)

    @pytest.mark.parametrize(
        ("before", "fen"),
        [(None, 0), (events.ChargeOff(id="off", on=ON), 1), (events.Termination(id="t", on=ON), 1)],
    )
    def test_is_refused_without_an_amount_or_after_another_ending(
        self, terms, drawn, before, fen
    ) -> None:
        told = [drawn] if before is None else [drawn, before]
        with pytest.raises(EventRefused):
            cancelled(terms, told, on=ON, fen=fen)


class TestTwoEndings:
    def test_waived_interest_of_later_periods_lowers_what_a_termination_asks_for(
        self, terms, drawn
    ) -> None:
        waiver = events.Waiver(
            id="w", on=START, component=Component.INTEREST, amount_fen=4_500 + 800
        )
        on = START + timedelta(days=28)
        state = replay(terms, [drawn, waiver, events.Termination(id="t", on=on)], on)
        assert state.outstanding == Parts(principal_fen=300_000)
        assert state.rows[0].waived.interest_fen == 5_300

    @pytest.mark.parametrize("ending", [events.ChargeOff, events.Termination])
    def test_a_contract_is_not_terminated_after_it(self, terms, drawn, ending) -> None:
        with pytest.raises(EventRefused):
            replay(terms, [drawn, ending(id="e", on=ON), events.Termination(id="t", on=ON)], ON)

    def test_nothing_is_owed_again_once_it_is_given_up(self, terms, drawn) -> None:
        told = [drawn, Payment(id="p", on=ON, amount_fen=500), events.WriteOff(id="w", on=ON)]
        for event in (
            events.ChargeBack(id="b", on=ON, of="p", amount_fen=100),
            events.CreditBalanceRefund(id="r", on=ON, amount_fen=100),
        ):
            with pytest.raises(EventRefused):
                replay(terms, [*told, event], ON)

    def test_a_recovery_and_then_the_write_off_are_taken_back(self, terms, drawn) -> None:
        told = [
            drawn,
            events.WriteOff(id="w", on=ON),
            events.Recovery(id="r", on=ON, amount_fen=100),
            events.Reversal(id="no r", on=ON, of="r"),
            events.Reversal(id="no w", on=ON, of="w"),
        ]
        assert replay(terms, told, ON).outstanding == replay(terms, [drawn], ON).outstanding


class TestChargeBackOfCosts:
    """A payment of 100 yuan settled 5 of penalty, 30 of fees and 65 of principal."""

    ORDER = (Component.PENALTY, Component.FEE, Component.PRINCIPAL)

    def told(self, drawn, *amounts: int) -> list[events.Event]:
        charged = [
            events.Charge(id="f", on=START, amount_fen=3_000, due_on=FIRST),
            events.Charge(
                id="p", on=START, amount_fen=500, due_on=FIRST, component=Component.PENALTY
            ),
        ]
        paid = Payment(id="paid", on=FIRST, amount_fen=10_000)
        backs = [
            events.ChargeBack(id=f"b{n}", on=ON, of="paid", amount_fen=fen, order=self.ORDER)
            for n, fen in enumerate(amounts)
        ]
        return [drawn, *charged, paid, *backs]

    @pytest.mark.parametrize(
        ("amounts", "parts"),
        [
            ((400,), [Parts(penalty_fen=400)]),
            ((400, 200), [Parts(penalty_fen=400), Parts(penalty_fen=100, fee_fen=100)]),
            ((10_000,), [Parts(penalty_fen=500, fee_fen=3_000, principal_fen=6_500)]),
        ],
    )
    def test_is_owed_again_in_the_order_that_was_agreed(
        self, terms, drawn, amounts: tuple[int, ...], parts: list[Parts]
    ) -> None:
        free = replace(terms, rate_annual=Decimal(0))
        state = replay(free, self.told(drawn, *amounts), ON)
        backs = [record for record in state.records if record.kind is Kind.CHARGE_BACK]
        assert [record.parts for record in backs] == parts
        assert state.outstanding.total_fen == 300_000 + 3_500 - 10_000 + sum(amounts)
        assert sum(row.credited_fen for row in state.rows) == sum(
            part.principal_fen for part in parts
        )

    def test_earns_no_income_twice(self, terms, drawn) -> None:
        free = replace(terms, rate_annual=Decimal(0))
        rest = Payment(id="rest", on=ON, amount_fen=303_500)
        records = replay(free, [*self.told(drawn, 10_000), rest], ON).records
        earned = [record.amount_fen for record in records if record.kind is Kind.ACCRUAL]
        assert earned == [3_500]
        (back,) = [entry for entry in entries(records) if entry.kind is Kind.CHARGE_BACK]
        assert postings(back) == {
            Account.PRINCIPAL: 6_500,
            Account.INCOME_RECEIVABLE: 3_500,
            Account.CLEARING: -10_000,
        }
