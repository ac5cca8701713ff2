from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicing.engine.cost import (
    CapRow,
    CostAboveCap,
    CostMeasure,
    annual_cost,
    cap_on,
    dated_cost,
    highest_flat_fee,
    periodic_irr,
    require_within_cap,
)

MONTHS = Decimal(12)


class TestAnnualCost:
    @pytest.mark.parametrize(
        ("fee", "nominal", "effective"),
        [("0.0060", "0.1303", "0.1384"), ("0.0075", "0.1622", "0.1748")],
    )
    def test_of_a_flat_fee_is_nearly_twice_what_it_looks_like(
        self, fee: str, nominal: str, effective: str
    ) -> None:
        payments = [100_000 + int(1_200_000 * Decimal(fee))] * 12
        cost = annual_cost(1_200_000, payments, periods_a_year=MONTHS)
        assert f"{cost.nominal:.4f}" == nominal
        assert f"{cost.effective:.4f}" == effective

    def test_of_a_loan_that_costs_nothing_is_nothing(self) -> None:
        assert annual_cost(1_200, [100] * 12, periods_a_year=MONTHS).nominal < Decimal("1e-9")

    def test_finds_rates_far_above_any_cap(self) -> None:
        assert abs(periodic_irr(100, [400]) - 3) < Decimal("1e-9")

    @given(rate=st.decimals("0.001", "0.05", places=4), count=st.integers(1, 36))
    def test_undoes_a_discount(self, rate: Decimal, count: int) -> None:
        growth = (1 + rate) ** count
        got = periodic_irr(10**9, [0] * (count - 1) + [int(10**9 * growth)])
        assert abs(got - rate) < Decimal("1e-7")


class TestDatedCost:
    def test_counts_real_days(self) -> None:
        drawn, paid = [(date(2026, 1, 1), 100_000)], [(date(2027, 1, 1), 112_000)]
        cost = dated_cost(drawn, paid)
        assert f"{cost.effective:.6f}" == "0.120000"
        assert f"{cost.nominal:.4f}" == "0.1139"
        daily = dated_cost(drawn, paid, months=False)
        assert f"{daily.nominal:.4f}" == "0.1133"


class TestCaps:
    caps = (
        CapRow(lender_type="micro-loan", rate_annual=Decimal("0.24"), from_on=date(2020, 1, 1)),
        CapRow(lender_type="micro-loan", rate_annual=Decimal("0.12"), from_on=date(2028, 1, 1)),
        CapRow(lender_type="bank", rate_annual=Decimal("0.2"), from_on=date(2020, 1, 1)),
        CapRow(
            lender_type="micro-loan",
            rate_annual=Decimal("0.2"),
            from_on=date(2021, 1, 1),
            measure=CostMeasure.PORTFOLIO_AVERAGE,
            is_active=False,
        ),
    )

    @pytest.mark.parametrize(
        ("lender", "on", "wanted"),
        [
            ("micro-loan", date(2027, 12, 31), "0.24"),
            ("micro-loan", date(2028, 1, 1), "0.12"),
            ("bank", date(2028, 1, 1), "0.2"),
        ],
    )
    def test_the_latest_row_of_the_lender_holds(self, lender: str, on: date, wanted: str) -> None:
        row = cap_on(self.caps, lender_type=lender, on=on)
        assert row is not None
        assert row.rate_annual == Decimal(wanted)

    def test_an_unknown_lender_or_day_has_none_and_is_refused(self) -> None:
        cost = annual_cost(1_200, [100] * 12, periods_a_year=MONTHS)
        for lender, on in (("none", date(2026, 1, 1)), ("bank", date(2019, 1, 1))):
            row = cap_on(self.caps, lender_type=lender, on=on)
            with pytest.raises(CostAboveCap):
                require_within_cap(cost, row)

    def test_the_measure_of_the_row_decides(self) -> None:
        # 1.9 % a month: 22.8 % nominal, 25.3 % effective
        cost = annual_cost(1_000_000, [0, 0, 1_058_090], periods_a_year=MONTHS)
        nominal = CapRow(lender_type="x", rate_annual=Decimal("0.24"), from_on=date(2026, 1, 1))
        require_within_cap(cost, nominal)
        effective = CapRow(
            lender_type="x",
            rate_annual=Decimal("0.24"),
            from_on=date(2026, 1, 1),
            measure=CostMeasure.EFFECTIVE_IRR,
        )
        with pytest.raises(CostAboveCap):
            require_within_cap(cost, effective)


class TestHighestFlatFee:
    @given(terms=st.integers(1, 48))
    def test_costs_just_the_cap(self, terms: int) -> None:
        fee = highest_flat_fee(terms=terms, cap_annual=Decimal("0.24"), periods_a_year=MONTHS)
        payment = Decimal(10**10) / terms + 10**10 * fee
        cost = annual_cost(10**10, [int(payment)] * terms, periods_a_year=MONTHS)
        assert abs(cost.nominal - Decimal("0.24")) < Decimal("1e-6")

    def test_under_a_cap_of_nothing_is_nothing(self) -> None:
        assert highest_flat_fee(terms=3, cap_annual=Decimal(0), periods_a_year=MONTHS) == 0
