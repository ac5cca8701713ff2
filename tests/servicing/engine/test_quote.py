from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine import events
from servicing.engine.book import Status
from servicing.engine.parts import Component, Parts, total
from servicing.engine.profile import Excess, Recalculation
from servicing.engine.quote import QuoteKind, payment_of, preview, quote
from servicing.engine.replay import replay
from servicing.engine.terms import PenaltyRule

START, FIRST = date(2026, 1, 31), date(2026, 2, 28)


class TestQuote:
    def test_of_what_is_due_holds_penalty_to_the_day(self, terms, drawn) -> None:
        late = replace(terms, penalty=PenaltyRule(rate_annual=Decimal("0.27")))
        asked = quote(late, [drawn], FIRST + timedelta(days=10), QuoteKind.DUE)
        assert asked.parts == Parts(principal_fen=100_000, interest_fen=4_500, penalty_fen=750)
        assert asked.total_fen == 105_250

    @pytest.mark.parametrize(
        ("on", "interest"),
        [
            (START, 0),
            (START + timedelta(days=10), 1_500),
            (FIRST, 4_500),
            (date(2026, 3, 5), 5_000),
        ],
    )
    def test_of_the_end_saves_the_interest_to_come(
        self, terms, drawn, on: date, interest: int
    ) -> None:
        asked = quote(terms, [drawn], on, QuoteKind.SETTLE)
        assert asked.parts == Parts(principal_fen=300_000, interest_fen=interest)
        paid = payment_of(asked, event_id="settle")
        state = replay(terms, [drawn, paid], on)
        assert (state.status, state.overpaid_fen) == (Status.CLOSED, 0)

    def test_of_a_claim_that_was_given_up_asks_for_nothing(self, terms, drawn) -> None:
        """Not even for the days of principal that was waived before: nobody takes money on it."""
        told = [
            drawn,
            events.Waiver(id="w", on=START, component=Component.PRINCIPAL, amount_fen=5_827),
            events.Prepayment(id="rest", on=START, amount_fen=294_173),
            events.InstalmentFee(id="fee", on=START, amount_fen=9),
            events.WriteOff(id="off", on=START),
        ]
        asked = quote(terms, told, START + timedelta(days=1), QuoteKind.SETTLE)
        assert asked.parts == Parts()
        assert not asked.is_prepayment

    def test_of_the_end_holds_a_charge_after_maturity(self, terms, drawn) -> None:
        late = date(2026, 5, 9)
        charge = events.Charge(id="fee", on=START, amount_fen=70, due_on=late)
        asked = quote(terms, [drawn, charge], START, QuoteKind.SETTLE)
        assert asked.parts == Parts(principal_fen=300_000, fee_fen=70)
        paid = payment_of(asked, event_id="settle")
        assert replay(terms, [drawn, charge, paid], START).status is Status.CLOSED

    def test_of_the_end_is_the_end_where_only_later_fees_are_left(self, terms, drawn) -> None:
        """What a prepayment left undone by a reversal is due; nothing of later instalments is."""
        fee = events.InstalmentFee(id="fee", on=START, amount_fen=11)
        early = events.Payment(id="early", on=START, amount_fen=5_423)
        told = [drawn, fee, early]
        asked = quote(terms, told, date(2026, 2, 23), QuoteKind.SETTLE)
        told += [
            events.Prepayment(
                id="rest", on=asked.on, amount_fen=asked.total_fen, effect=Excess.REDUCE_TERM
            ),
            events.Reversal(id="back", on=asked.on, of="early"),
        ]
        on = date(2026, 3, 3)
        asked = quote(terms, told, on, QuoteKind.SETTLE)
        assert asked.is_prepayment
        state = replay(terms, [*told, payment_of(asked, event_id="end")], on)
        assert (state.status, state.outstanding.total_fen) == (Status.CLOSED, 0)

    def test_knows_nothing_of_what_comes_later(self, terms, drawn) -> None:
        later = events.Payment(id="p", on=date(2026, 3, 31), amount_fen=50_000)
        for kind in QuoteKind:
            asked = quote(terms, [drawn, later], FIRST, kind)
            assert asked == quote(terms, [drawn], FIRST, kind)

    def test_after_maturity_asks_for_all(self, terms, drawn) -> None:
        asked = quote(terms, [drawn], date(2026, 9, 1), QuoteKind.SETTLE)
        assert asked.total_fen == 309_000

    def test_of_a_charged_off_loan_asks_for_what_is_owed(self, terms, drawn) -> None:
        off = events.ChargeOff(id="off", on=FIRST)
        asked = quote(terms, [drawn, off], FIRST, QuoteKind.SETTLE)
        assert (asked.total_fen, asked.is_prepayment) == (309_000, False)

    def test_of_a_recalculating_loan_is_paid_plainly(self, terms, drawn) -> None:
        actual = replace(
            terms, profile=replace(terms.profile, recalculation=Recalculation.ACTUAL_BALANCE)
        )
        asked = quote(actual, [drawn], START + timedelta(days=10), QuoteKind.SETTLE)
        assert isinstance(payment_of(asked, event_id="p"), events.Payment)

    def test_preview_shows_the_new_plan_and_changes_nothing(self, terms, drawn) -> None:
        told = [drawn]
        state = preview(terms, told, START + timedelta(days=10), 101_500, Excess.REDUCE_TERM)
        assert state.outstanding.principal_fen == 200_000
        assert told == [drawn]


class TestParts:
    def test_add_up_by_component(self) -> None:
        some = Parts(principal_fen=3, interest_fen=2) + Parts.one(Component.FEE, 5)
        assert (some - Parts(interest_fen=2)).total_fen == 8
        assert some.having(Component.PENALTY, 4).of(Component.PENALTY) == 4
        assert total([]) == Parts()
