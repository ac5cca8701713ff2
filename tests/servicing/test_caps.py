"""The table of caps is read by day and lender, and cost is measured as its row says."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing import caps
from servicing.caps import (
    FUNDERS,
    OWN,
    actual_cost,
    allowed_cost,
    cap_of,
    excess_fen,
    penalty_cap,
    plan_cost,
    portfolio_cap_of,
    read_caps,
    room_fen,
)
from servicing.engine.cost import CapRow, CostAboveCap, CostMeasure, Flows
from servicing.engine.events import Disbursement, Payment
from servicing.engine.periods import Frequency, Unit
from servicing.engine.plan import plan
from servicing.engine.replay import replay
from servicing.engine.terms import Method, Terms

START = date(2026, 1, 31)
TABLE = """
[[cap]]
lender_type = "micro-loan"
measure = "nominal-irr"
lpr_multiple = "4"
from_on = 2024-01-01

[[lpr]]
from_on = {lpr}
rate_annual = "0.03"
"""


def _terms(**given: object) -> Terms:
    usual = Terms(principal_fen=1_200_000, rate_annual=Decimal("0.18"), terms=12, start_on=START)
    return replace(usual, **given)  # type: ignore[arg-type]


def _drawn(terms: Terms) -> Disbursement:
    return Disbursement(id="1", on=START, amount_fen=terms.principal_fen)


class TestPenaltyCap:
    @pytest.mark.parametrize(
        ("unit", "every", "rate"),
        [
            # 24 % × 360 / 372, where a month of 31 days is a twelfth of a year.
            (Unit.MONTHS, 1, "0.2322"),
            (Unit.DAYS, 15, "0.2367"),
            (Unit.WEEKS, 1, "0.2373"),
        ],
    )
    def test_leaves_the_longest_period_within_its_share_of_the_cap(
        self, unit: Unit, every: int, rate: str
    ) -> None:
        frequency = Frequency(unit=unit, every=every)
        found = penalty_cap(frequency, START, lender_type=FUNDERS[OWN])
        assert found == Decimal(rate)


class TestReadCaps:
    @pytest.mark.parametrize(
        ("lpr", "since"),
        [
            ("2023-05-20", "2024-01-01"),  # it held before the row began
            ("2024-01-01", "2024-01-01"),
            ("2024-05-20", "2024-05-20"),  # until it is published there is no cap, so no loan
        ],
    )
    def test_a_multiple_of_the_lpr_holds_from_the_first_day_that_has_one(
        self, lpr: str, since: str
    ) -> None:
        (row,) = read_caps(TABLE.format(lpr=lpr))
        assert (row.rate_annual, row.from_on) == (Decimal("0.12"), date.fromisoformat(since))

    def test_the_newest_lpr_counts_and_later_ones_make_rows_of_their_own(self) -> None:
        more = "".join(
            f'[[lpr]]\nfrom_on = {day}\nrate_annual = "{rate}"\n'
            for day, rate in (("2023-08-20", "0.0345"), ("2024-10-21", "0.031"))
        )
        rows = read_caps(TABLE.format(lpr="2023-05-20") + more)
        assert [(row.rate_annual, row.from_on) for row in rows] == [
            (Decimal("0.138"), date(2024, 1, 1)),
            (Decimal("0.124"), date(2024, 10, 21)),
        ]


class TestCapOf:
    @pytest.mark.parametrize(
        ("on", "rate"),
        [("2015-09-01", "0.24"), ("2026-03-10", "0.24"), ("2027-12-31", "0.24"),
         ("2028-01-01", "0.12")],
    )  # fmt: skip
    def test_is_that_of_the_day(self, on: str, rate: str) -> None:
        assert cap_of(date.fromisoformat(on), lender_type=FUNDERS[OWN]).rate_annual == Decimal(rate)

    def test_nothing_is_lent_where_none_is_known(self) -> None:
        with pytest.raises(CostAboveCap, match="no cap is known"):
            cap_of(date(2015, 8, 31), lender_type=FUNDERS[OWN])

    @pytest.mark.parametrize(("on", "rate"), [("2025-12-31", None), ("2026-01-01", "0.12")])
    def test_the_average_binds_nobody_until_it_is_asked_for(
        self, on: str, rate: str | None
    ) -> None:
        day = date.fromisoformat(on)
        assert portfolio_cap_of(day) is None
        shown = portfolio_cap_of(day, with_inactive=True)
        assert (shown and shown.rate_annual) == (rate and Decimal(rate))


class TestPlanCost:
    def test_a_first_period_that_is_shorter_is_measured_by_its_days(self) -> None:
        terms = _terms(first_due_on=START + timedelta(days=10))
        cost = plan_cost(terms, plan(terms))
        assert abs(cost.nominal - Decimal("0.18")) < Decimal("0.001")

    def test_a_bullet_costs_what_its_one_payment_does(self) -> None:
        terms = _terms(method=Method.BULLET)
        (row,) = plan(terms).instalments
        periodic = plan_cost(terms, plan(terms)).nominal / 12
        assert abs(terms.principal_fen * (1 + periodic) ** 12 - row.due.total_fen) < 1
        assert allowed_cost(terms, plan(terms)).nominal < Decimal("0.18")

    def test_a_down_payment_is_measured_with_its_day(self) -> None:
        terms = _terms(down_payment=Decimal("0.25"))
        cost = plan_cost(terms, plan(terms))
        assert abs(cost.nominal - Decimal("0.18")) < Decimal("0.001")


class TestEffectiveCap:
    """A row may measure the compounded rate: 24 % a year are 21.7 % nominal of months."""

    @pytest.fixture(autouse=True)
    def _row(self, monkeypatch: pytest.MonkeyPatch) -> None:
        row = CapRow(
            lender_type=FUNDERS[OWN],
            rate_annual=Decimal("0.24"),
            from_on=date(2020, 1, 1),
            measure=CostMeasure.EFFECTIVE_IRR,
        )
        monkeypatch.setattr(caps, "CAPS", (row,))

    @pytest.mark.parametrize(("rate", "is_fine"), [("0.2169", True), ("0.2180", False)])
    def test_looks_at_the_compounded_rate(self, rate: str, is_fine: bool) -> None:
        terms = _terms(rate_annual=Decimal(rate))
        if is_fine:
            assert allowed_cost(terms, plan(terms)).effective <= Decimal("0.2405")
        else:
            with pytest.raises(CostAboveCap):
                allowed_cost(terms, plan(terms))

    def test_leaves_as_much_room_as_makes_it_full(self) -> None:
        terms = _terms(rate_annual=Decimal("0.12"))
        state = replay(terms, [_drawn(terms)], START + timedelta(days=28))
        room = room_fen(state, state.on)
        assert room > 0
        # So much more today, the rest as planned, is 24 % a year compounded.
        flows = Flows(
            received=((START, terms.principal_fen),),
            paid=(
                (state.on, room),
                *((row.due_on, row.due.total_fen) for row in plan(terms).instalments),
            ),
        )
        assert abs(flows.cost().effective - Decimal("0.24")) < Decimal("0.0001")

    def test_takes_the_excess_of_an_early_end(self) -> None:
        terms = _terms()
        on = date(2026, 2, 28)
        state = replay(terms, [_drawn(terms)], on)
        # A month costs (1.24 ** (1/12) - 1) = 1.8088 % at most.
        allowed = 1_200_000 + 21_705
        assert excess_fen(state, asked_fen=allowed) == 0
        assert excess_fen(state, asked_fen=allowed + 5_000) == 5_000


class TestActualCost:
    def test_paid_as_planned_is_the_rate_and_lateness_makes_it_no_dearer(self) -> None:
        terms = _terms(terms=3, principal_fen=300_000)
        rows = plan(terms).instalments
        for days in (0, 40):
            told = [_drawn(terms)]
            paid = [
                Payment(
                    id=str(n), on=row.due_on + timedelta(days=days), amount_fen=row.due.total_fen
                )
                for n, row in enumerate(rows, 2)
            ]
            state = replay(terms, [*told, *paid], rows[-1].due_on + timedelta(days=days))
            assert state.outstanding.total_fen == 0
            cost = actual_cost(state).nominal
            if days:
                assert cost < Decimal("0.18")
            else:
                assert abs(cost - Decimal("0.18")) < Decimal("0.0005")

    def test_what_was_paid_too_much_is_no_cost_for_it_goes_back(self) -> None:
        terms = _terms(terms=3, principal_fen=300_000)
        rows = plan(terms).instalments
        costs = []
        for more in (0, 10_000):
            paid = [
                Payment(id=str(n), on=row.due_on, amount_fen=row.due.total_fen)
                for n, row in enumerate(rows, 2)
            ]
            paid[-1] = replace(paid[-1], amount_fen=paid[-1].amount_fen + more)
            state = replay(terms, [_drawn(terms), *paid], rows[-1].due_on)
            assert state.overpaid_fen == more
            costs.append(actual_cost(state).nominal)
        assert costs[0] == costs[1]
