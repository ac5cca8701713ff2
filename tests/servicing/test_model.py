from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicing import model
from servicing.model import CostAboveCap, InstalmentState, Owed, TermsRefused

START = date(2026, 1, 31)


class TestEqualInstalmentPlan:
    def test_matches_a_plan_worked_out_by_hand(self) -> None:
        plan = model.equal_instalment_plan(
            principal_fen=100_00, rate_annual=Decimal("0.12"), terms=3, disbursed_on=START
        )
        rows = [(row.due_on.isoformat(), row.principal_fen, row.interest_fen) for row in plan]
        assert rows == [
            ("2026-02-28", 33_00, 1_00),
            ("2026-03-31", 33_33, 67),
            ("2026-04-30", 33_67, 34),
        ]

    def test_interest_free_splits_evenly(self) -> None:
        plan = model.equal_instalment_plan(
            principal_fen=100, rate_annual=Decimal(0), terms=3, disbursed_on=START
        )
        assert [row.principal_fen for row in plan] == [33, 33, 34]

    @given(
        principal=st.integers(min_value=100, max_value=10**9),
        rate=st.integers(min_value=0, max_value=2400),
        terms=st.integers(min_value=1, max_value=60),
    )
    def test_repays_exactly_the_principal_in_the_promised_terms(
        self, principal: int, rate: int, terms: int
    ) -> None:
        plan = model.equal_instalment_plan(
            principal_fen=principal,
            rate_annual=Decimal(rate) / 10_000,
            terms=terms,
            disbursed_on=START,
        )
        assert len(plan) == terms
        assert sum(row.principal_fen for row in plan) == principal
        assert plan[-1].balance_fen == 0
        assert all(row.principal_fen >= 0 and row.interest_fen >= 0 for row in plan)
        dates = [row.due_on for row in plan]
        assert dates == sorted(set(dates))

    @pytest.mark.parametrize(
        ("principal", "terms", "rate"), [(0, 3, 1), (1, 0, 1), (1, 61, 1), (1, 3, -1)]
    )
    def test_refuses_impossible_terms(self, principal: int, terms: int, rate: int) -> None:
        with pytest.raises(TermsRefused):
            model.equal_instalment_plan(
                principal_fen=principal, rate_annual=Decimal(rate), terms=terms, disbursed_on=START
            )


class TestCost:
    def test_irr_of_a_flat_fee_is_far_above_its_name(self) -> None:
        # 0.75 % a month on the original principal over 12 months: 9 % by name, 16.22 % in truth.
        payments = [100_000 // 12 + 750] * 11 + [100_000 - 11 * (100_000 // 12) + 750]
        cost = model.nominal_annual_irr(principal_fen=100_000, payments=payments)
        assert round(cost, 4) == Decimal("0.1622")

    def test_refuses_what_costs_more_than_the_cap(self) -> None:
        plan = model.equal_instalment_plan(
            principal_fen=100_000, rate_annual=Decimal("0.25"), terms=12, disbursed_on=START
        )
        with pytest.raises(CostAboveCap):
            model.assert_within_cap(principal_fen=100_000, payments=[row.total_fen for row in plan])


class TestAllocate:
    owed = (
        Owed(n=2, interest_fen=5, principal_fen=100),
        Owed(n=1, interest_fen=10, principal_fen=90),
    )

    def test_pays_the_oldest_first_and_interest_before_principal(self) -> None:
        parts, left = model.allocate(103, self.owed)
        assert [(part.n, part.interest_fen, part.principal_fen) for part in parts] == [
            (1, 10, 90),
            (2, 3, 0),
        ]
        assert left == 0

    @given(st.integers(min_value=0, max_value=500))
    def test_loses_no_fen(self, amount: int) -> None:
        parts, left = model.allocate(amount, self.owed)
        assert sum(part.interest_fen + part.principal_fen for part in parts) + left == amount
        assert left == max(0, amount - 205)


class TestLateness:
    def test_the_due_date_itself_is_not_late(self) -> None:
        assert model.days_past_due(START, START) == 0
        assert model.days_past_due(START, date(2026, 2, 1)) == 1

    @pytest.mark.parametrize(
        ("days", "name"), [(0, "M0"), (1, "M1"), (30, "M1"), (31, "M2"), (180, "M6"), (181, "M6+")]
    )
    def test_buckets_are_thirty_days_wide(self, days: int, name: str) -> None:
        assert model.bucket(days) == name

    def test_state_follows_date_and_debt(self) -> None:
        def state(owed: int, on: date) -> InstalmentState:
            return model.instalment_state(due_on=START, outstanding_fen=owed, on=on)

        assert state(0, date(2026, 5, 1)) is InstalmentState.PAID
        assert state(1, date(2026, 2, 1)) is InstalmentState.OVERDUE
        assert state(1, START) is InstalmentState.DUE
        assert state(1, date(2026, 1, 30)) is InstalmentState.UPCOMING
