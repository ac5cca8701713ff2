"""What the close of a day recognises and charges, in the engine alone."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from servicing.engine import events
from servicing.engine.book import Kind, Record
from servicing.engine.events import CloseOfDay, Event
from servicing.engine.parts import Component, Parts
from servicing.engine.replay import replay
from servicing.engine.terms import FeeBase, FeeRule, Method, Terms

START = date(2026, 1, 31)
FIRST, SECOND, THIRD = date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)


def closed(on: date, to: date | None) -> CloseOfDay:
    return CloseOfDay(id=f"close/{on}/{to}", on=on, earned_to=to)


def charge(due_on: date, fen: int, component: Component = Component.FEE) -> events.Charge:
    name = f"charge/{due_on}"
    return events.Charge(id=name, on=START, amount_fen=fen, due_on=due_on, component=component)


def earned(terms: Terms, told: list[Event], on: date) -> list[tuple[date, Parts]]:
    records: tuple[Record, ...] = replay(terms, told, on).records
    return [(record.on, record.parts) for record in records if record.kind is Kind.ACCRUAL]


class TestIncome:
    def test_is_recognised_for_each_period_and_for_the_days_of_the_running_one(
        self, terms: Any, drawn: Any
    ) -> None:
        told = [drawn, closed(SECOND, SECOND - timedelta(days=21))]
        assert earned(terms, told, SECOND) == [
            (FIRST, Parts(interest_fen=4_500)),
            (date(2026, 3, 10), Parts(interest_fen=1_000)),
        ]

    def test_is_recognised_once(self, terms: Any, drawn: Any) -> None:
        told = [drawn, closed(FIRST, FIRST), closed(FIRST + timedelta(days=1), FIRST)]
        assert earned(terms, told, SECOND) == [(FIRST, Parts(interest_fen=4_500))]

    def test_of_a_charge_comes_on_its_day_unless_it_was_waived(
        self, terms: Any, drawn: Any
    ) -> None:
        free = replace(terms, rate_annual=Decimal(0))
        early, late = date(2026, 2, 5), date(2026, 2, 9)
        told = [drawn, charge(early, 70), charge(late, 40), closed(late, early)]
        assert earned(free, told, FIRST) == [(early, Parts(fee_fen=70))]
        gone = events.Waiver(id="gone", on=early, charge_id=f"charge/{early}")
        told = [drawn, charge(early, 70), gone, closed(late, early), closed(SECOND, FIRST)]
        assert earned(free, told, SECOND) == []

    def test_of_a_charge_after_maturity_comes_with_its_row(self, terms: Any, drawn: Any) -> None:
        free, on = replace(terms, rate_annual=Decimal(0)), THIRD + timedelta(days=10)
        told = [drawn, charge(on, 30, Component.PENALTY), closed(on, on - timedelta(days=1))]
        assert earned(free, told, on) == []
        assert earned(free, [*told, closed(on, on)], on) == [(on, Parts(penalty_fen=30))]

    def test_of_a_flat_product_grows_by_the_day(self, make_terms: Any, drawn: Any) -> None:
        flat = make_terms(principal_fen=300_000, terms=3, method=Method.FLAT_INTEREST)
        told = [drawn, closed(FIRST, START + timedelta(days=14))]
        assert earned(flat, told, FIRST) == [(date(2026, 2, 14), Parts(interest_fen=2_250))]

    def test_waits_for_a_draw_and_ends_with_a_charge_off(self, terms: Any, drawn: Any) -> None:
        off = events.ChargeOff(id="off", on=FIRST)
        told = [closed(START, START), drawn, off, closed(SECOND, SECOND)]
        assert earned(terms, told, SECOND) == []
        paid = events.Payment(id="all", on=SECOND, amount_fen=309_000)
        assert earned(terms, [*told, paid], SECOND) == []

    def test_stays_as_it_was_recognised_whatever_is_known_later(
        self, terms: Any, drawn: Any
    ) -> None:
        first, second = closed(FIRST, FIRST), closed(SECOND, SECOND)
        late = replace(charge(FIRST, 50), on=THIRD)
        assert earned(terms, [drawn, first, late, second], THIRD) == [
            (FIRST, Parts(interest_fen=4_500)),
            (FIRST, Parts(fee_fen=50)),
            (SECOND, Parts(interest_fen=3_000)),
        ]
        off = events.ChargeOff(id="off", on=FIRST)
        undone = events.Reversal(id="undo", on=SECOND, of="off")
        assert earned(terms, [drawn, off, first, undone, second], SECOND) == [
            (FIRST, Parts(interest_fen=4_500)),
            (SECOND, Parts(interest_fen=3_000)),
        ]

    def test_needs_no_recognition_at_the_close(self, terms: Any, drawn: Any) -> None:
        assert earned(terms, [drawn, closed(SECOND, None)], SECOND) == []


class TestLateFees:
    def rule(self, base: FeeBase) -> FeeRule:
        return FeeRule(name="late", share=Decimal("0.02"), base=base, component=Component.PENALTY)

    def test_are_charged_once_on_what_is_late(self, terms: Any, drawn: Any) -> None:
        late = replace(terms, late_fees=(self.rule(FeeBase.PRINCIPAL_AND_INTEREST),))
        told = [drawn, *(closed(SECOND + timedelta(days=n), None) for n in range(3))]
        rows = replay(late, told, SECOND + timedelta(days=3)).rows
        assert [row.due.penalty_fen for row in rows] == [2_090, 2_060, 0]

    def test_are_not_charged_on_what_is_paid(self, terms: Any, drawn: Any) -> None:
        late = replace(terms, late_fees=(self.rule(FeeBase.PRINCIPAL),))
        paid = events.Payment(id="paid", on=FIRST, amount_fen=104_500)
        part = events.Payment(id="part", on=SECOND, amount_fen=53_000)
        told = [drawn, paid, part, closed(THIRD, None)]
        rows = replay(late, told, THIRD).rows
        assert [row.due.penalty_fen for row in rows] == [0, 1_000, 0]
