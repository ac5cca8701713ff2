"""The pure rules: plan, allocation, lateness, cost."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicing import model
from servicing.model import (
    ApplicationEvent,
    ApplicationState,
    ApplicationStateRefused,
    CostAboveCap,
    Owed,
    TermsRefused,
)

PRINCIPALS = st.integers(1_000, 5_000_000)
RATES = st.decimals("0", "0.24", places=4)
TERMS = st.integers(1, 36)
DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))


class TestEqualInstalmentPlan:
    def test_computes_the_known_plan_of_three_thousand_yuan(self) -> None:
        plan = model.equal_instalment_plan(
            principal_fen=300_000,
            rate_annual=Decimal("0.18"),
            terms=3,
            disbursed_on=date(2026, 1, 31),
        )
        rows = [(str(row.due_on), row.principal_fen, row.interest_fen) for row in plan]
        assert rows == [
            ("2026-02-28", 98_515, 4_500),
            ("2026-03-31", 99_993, 3_022),
            ("2026-04-30", 101_492, 1_522),
        ]

    @given(principal=PRINCIPALS, rate=RATES, terms=TERMS, start=DAYS)
    def test_repays_the_principal_to_the_fen_in_level_instalments(
        self, principal: int, rate: Decimal, terms: int, start: date
    ) -> None:
        plan = model.equal_instalment_plan(
            principal_fen=principal, rate_annual=rate, terms=terms, disbursed_on=start
        )
        assert len(plan) == terms
        assert sum(row.principal_fen for row in plan) == principal
        assert plan[-1].balance_fen == 0
        assert all(row.principal_fen >= 0 and row.interest_fen >= 0 for row in plan)
        assert len({row.total_fen for row in plan[:-1]}) <= 1
        assert abs(plan[-1].total_fen - plan[0].total_fen) <= terms

    @given(start=DAYS, terms=TERMS)
    def test_falls_due_on_the_same_day_each_month_or_the_last(
        self, start: date, terms: int
    ) -> None:
        plan = model.equal_instalment_plan(
            principal_fen=100_000, rate_annual=Decimal("0.1"), terms=terms, disbursed_on=start
        )
        for row in plan:
            is_last = (row.due_on + timedelta(days=1)).day == 1
            assert row.due_on.day == start.day or (row.due_on.day < start.day and is_last)

    @pytest.mark.parametrize(
        ("principal", "rate", "terms"), [(0, "0.1", 3), (100, "-0.1", 3), (100, "0.1", 0)]
    )
    def test_refuses_terms_that_make_no_loan(self, principal: int, rate: str, terms: int) -> None:
        with pytest.raises(TermsRefused):
            model.equal_instalment_plan(
                principal_fen=principal,
                rate_annual=Decimal(rate),
                terms=terms,
                disbursed_on=date(2026, 1, 1),
            )


class TestCost:
    @given(principal=st.integers(100_000, 5_000_000), rate=RATES, terms=TERMS)
    def test_of_a_plan_without_charges_is_its_rate(
        self, principal: int, rate: Decimal, terms: int
    ) -> None:
        plan = model.equal_instalment_plan(
            principal_fen=principal, rate_annual=rate, terms=terms, disbursed_on=date(2026, 1, 1)
        )
        cost = model.nominal_annual_irr(
            principal_fen=principal, payments=[row.total_fen for row in plan]
        )
        assert abs(cost - rate) < Decimal("0.0005")

    def test_finds_that_a_flat_fee_of_three_quarters_a_month_costs_sixteen_percent(self) -> None:
        payments = [1_200_000 // 12 + 9_000] * 12
        cost = model.nominal_annual_irr(principal_fen=1_200_000, payments=payments)
        assert f"{cost:.4f}" == "0.1622"

    def test_at_the_cap_passes_and_above_it_is_refused(self) -> None:
        for rate, is_fine in (("0.24", True), ("0.25", False)):
            plan = model.equal_instalment_plan(
                principal_fen=1_000_000,
                rate_annual=Decimal(rate),
                terms=12,
                disbursed_on=date(2026, 1, 1),
            )
            payments = [row.total_fen for row in plan]
            if is_fine:
                assert model.assert_within_cap(principal_fen=1_000_000, payments=payments)
            else:
                with pytest.raises(CostAboveCap):
                    model.assert_within_cap(principal_fen=1_000_000, payments=payments)


OWED = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 100_000)), max_size=24)


class TestAllocate:
    @given(amount=st.integers(0, 3_000_000), owed=OWED)
    def test_spends_every_fen_oldest_first_and_never_too_much(
        self, amount: int, owed: list[tuple[int, int]]
    ) -> None:
        rows = [Owed(n=n, interest_fen=i, principal_fen=p) for n, (i, p) in enumerate(owed, 1)]
        parts, left = model.allocate(amount, rows)
        spent = {part.n: part for part in parts}
        assert sum(part.interest_fen + part.principal_fen for part in parts) + left == amount
        is_short = False
        for row in rows:
            part = spent.get(row.n)
            interest, principal = (part.interest_fen, part.principal_fen) if part else (0, 0)
            assert interest <= row.interest_fen
            assert principal <= row.principal_fen
            assert principal == 0 or interest == row.interest_fen
            assert not (is_short and (interest or principal))
            is_short = is_short or interest + principal < row.interest_fen + row.principal_fen
        assert left == 0 or not is_short


class TestLateness:
    @pytest.mark.parametrize(
        ("days", "name"),
        [(0, "M0"), (1, "M1"), (30, "M1"), (31, "M2"), (60, "M2"), (151, "M6"), (180, "M6"),
         (181, "M6+"), (900, "M6+")],
    )  # fmt: skip
    def test_names_the_bucket_of_a_day(self, days: int, name: str) -> None:
        assert model.bucket(days) == name

    def test_counts_from_the_due_date_which_is_day_zero(self) -> None:
        due_on = date(2026, 3, 10)
        counted = [model.days_past_due(due_on, due_on + timedelta(days=n)) for n in (-3, 0, 1, 40)]
        assert counted == [0, 0, 1, 40]


class TestApplicationStates:
    def test_know_every_end(self) -> None:
        for state in (ApplicationState.CANCELLED, ApplicationState.BOOKED):
            for event in ApplicationEvent:
                with pytest.raises(ApplicationStateRefused):
                    model.next_application_state(state, event)

    def test_lead_out_of_a_decline_by_appeal_only(self) -> None:
        for event in set(ApplicationEvent) - {ApplicationEvent.APPEAL}:
            with pytest.raises(ApplicationStateRefused):
                model.next_application_state("declined", event)
        appealed = model.next_application_state("declined", ApplicationEvent.APPEAL)
        assert appealed is ApplicationState.IN_REVIEW

    def test_book_only_what_was_approved(self) -> None:
        for state in set(ApplicationState) - {ApplicationState.APPROVED}:
            with pytest.raises(ApplicationStateRefused):
                model.next_application_state(state, ApplicationEvent.BOOK)
        booked = model.next_application_state("approved", ApplicationEvent.BOOK)
        assert booked is ApplicationState.BOOKED
