"""The order of allocation may hang on the state of the debt, and a penalty may end."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine.cost import Flows, annual_cost
from servicing.engine.events import ChargeOff, Disbursement, Event, Payment, Prepayment
from servicing.engine.parts import Component
from servicing.engine.periods import Frequency, Unit
from servicing.engine.replay import replay
from servicing.engine.terms import PenaltyRule, Terms
from servicing.engine.waterfall import (
    HOUSE_WATERFALL,
    NON_ACCRUAL_WATERFALL,
    DebtState,
    Waterfall,
    every_timing,
)

START = date(2026, 1, 1)
INTEREST_FIRST = Waterfall(
    rules=every_timing(Component.INTEREST, Component.PENALTY, Component.FEE, Component.PRINCIPAL)
)


def _terms(**given: object) -> Terms:
    values: dict[str, object] = {
        "principal_fen": 100_000,
        "start_on": START,
        "rate_annual": Decimal("0.12"),
        "terms": 2,
    }
    return Terms(**values | given)  # type: ignore[arg-type]


def _drawn() -> list[Event]:
    return [Disbursement(id="1", on=START, amount_fen=100_000)]


class TestOrderByState:
    @pytest.mark.parametrize(
        ("state", "event"),
        [
            (DebtState.CURRENT, lambda day: Payment(id="2", on=day(31), amount_fen=500)),
            (DebtState.LATE, lambda day: Payment(id="2", on=day(60), amount_fen=500)),
            (DebtState.LATE, lambda day: Payment(id="2", on=day(121), amount_fen=500)),
            (DebtState.NON_ACCRUAL, lambda day: Payment(id="2", on=day(122), amount_fen=500)),
        ],
    )
    def test_only_its_own_state_changes_it(
        self, state: DebtState, event: Callable[[Callable[[int], date]], Event]
    ) -> None:
        happened = event(lambda days: START + timedelta(days=days))
        for of in DebtState:
            terms = _terms(waterfalls={of: NON_ACCRUAL_WATERFALL})
            paid = replay(terms, [*_drawn(), happened], happened.on).paid
            expected = (500, 0) if of is state else (0, 500)
            assert (paid.principal_fen, paid.interest_fen) == expected

    def test_a_prepayment_and_a_charged_off_claim_have_their_own(self) -> None:
        late = date(2026, 3, 1)
        terms = _terms(waterfalls={DebtState.SETTLEMENT: NON_ACCRUAL_WATERFALL})
        prepaid = replay(terms, [*_drawn(), Prepayment(id="2", on=late, amount_fen=500)], late)
        assert prepaid.paid.principal_fen == 500
        off = [ChargeOff(id="2", on=late), Payment(id="3", on=late, amount_fen=500)]
        terms = _terms(
            waterfall=NON_ACCRUAL_WATERFALL,
            waterfalls={DebtState.WRITTEN_OFF: INTEREST_FIRST, DebtState.LATE: HOUSE_WATERFALL},
        )
        assert replay(terms, [*_drawn(), *off], late).paid.interest_fen == 500


class TestEndOfPenalty:
    @pytest.mark.parametrize(("days", "counted"), [(5, 5), (10, 10), (11, 10), (90, 10)])
    def test_an_instalment_bears_none_for_later_days(self, days: int, counted: int) -> None:
        rule = PenaltyRule(rate_annual=Decimal("0.36"), stops_after_days=10)
        terms = _terms(penalty=rule, terms=1)
        due_on = date(2026, 2, 1)
        state = replay(terms, _drawn(), due_on + timedelta(days=days))
        assert state.outstanding.penalty_fen == 100 * counted


class TestFlows:
    def test_whole_periods_cost_what_the_periodic_rate_does(self) -> None:
        paid = ((date(2026, 2, 28), 51_000), (date(2026, 3, 31), 51_000))
        cost = Flows(received=((date(2026, 1, 31), 100_000),), paid=paid).cost()
        even = annual_cost(100_000, [51_000, 51_000], periods_a_year=Decimal(12))
        assert abs(cost.nominal - even.nominal) < Decimal("1e-15")

    @pytest.mark.parametrize(
        ("frequency", "days", "fen"),
        [
            (Frequency(), 15, 1_000),
            (Frequency(), 30, 2_000),
            (Frequency(unit=Unit.WEEKS), 7, 461),
            (Frequency(unit=Unit.WEEKS, every=2), 7, 461),
        ],
    )
    def test_days_that_make_no_period_bear_simple_interest(
        self, frequency: Frequency, days: int, fen: int
    ) -> None:
        flows = Flows(received=((START, 100_000),), paid=(), frequency=frequency)
        allowed = flows.allowed_fen(Decimal("0.24"), START + timedelta(days=days))
        assert allowed == 100_000 + fen

    def test_the_last_days_of_a_long_quarter_cost_no_more_than_the_quarter(self) -> None:
        summer = date(2026, 7, 1)
        flows = Flows(received=((summer, 100_000),), paid=(), frequency=Frequency(every=3))
        assert flows.allowed_fen(Decimal("0.24"), date(2026, 9, 30)) == 106_000

    def test_what_is_drawn_later_allows_nothing_yet(self) -> None:
        later = START + timedelta(days=31)
        flows = Flows(received=((START, 1_000), (later, 5_000)), paid=())
        assert flows.allowed_fen(Decimal(0), START + timedelta(days=30)) == 1_000
        assert flows.allowed_fen(Decimal(0), later) == 6_000

    def test_more_than_the_rate_allows_leaves_less_than_nothing(self) -> None:
        flows = Flows(received=((START, 1_000),), paid=((START + timedelta(days=3), 2_000),))
        assert flows.allowed_fen(Decimal("0.24"), START + timedelta(days=3)) < 0
