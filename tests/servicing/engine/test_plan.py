"""Plans of every method, against figures that follow from the formulas."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from kernel.money import Rounding
from servicing.engine.parts import Component
from servicing.engine.periods import Frequency, Unit
from servicing.engine.plan import Plan, Tranche, plan
from servicing.engine.profile import (
    ACTUAL_365,
    FINERACT_CUMULATIVE,
    FINERACT_CUMULATIVE_DAILY,
    FINERACT_PROGRESSIVE,
    FRAPPE_2025,
    HOUSE,
    PROFILES,
    THIRTY_360,
    LastRow,
)
from servicing.engine.terms import FeeBase, FeeRule, Method, Terms, TermsRefused

START = date(2026, 1, 31)


def rows(planned: Plan) -> list[tuple[int, int, int, int]]:
    return [
        (row.due.principal_fen, row.due.interest_fen, row.due.fee_fen, row.balance_fen)
        for row in planned.instalments
    ]


class TestMethods:
    @pytest.mark.parametrize(
        ("method", "wanted"),
        [
            # 300,000 × 1.5 % × 1.015³ / (1.015³ - 1) = 103,014.89
            (
                Method.EQUAL_INSTALMENT,
                [(98_515, 4_500, 0, 201_485), (99_993, 3_022, 0, 101_492), (101_492, 1_522, 0, 0)],
            ),
            (
                Method.EQUAL_PRINCIPAL,
                [
                    (100_000, 4_500, 0, 200_000),
                    (100_000, 3_000, 0, 100_000),
                    (100_000, 1_500, 0, 0),
                ],
            ),
            (
                Method.INTEREST_FIRST,
                [(0, 4_500, 0, 300_000), (0, 4_500, 0, 300_000), (300_000, 4_500, 0, 0)],
            ),
            (Method.BULLET, [(300_000, 13_500, 0, 0)]),
            (
                Method.FLAT_INTEREST,
                [
                    (100_000, 4_500, 0, 200_000),
                    (100_000, 4_500, 0, 100_000),
                    (100_000, 4_500, 0, 0),
                ],
            ),
        ],
    )
    def test_have_the_rows_of_their_formula(
        self, make_terms, method: Method, wanted: list[tuple[int, int, int, int]]
    ) -> None:
        assert rows(plan(make_terms(principal_fen=300_000, terms=3, method=method))) == wanted

    def test_a_flat_fee_is_charged_on_the_original_principal(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=100_000,
            rate_annual=Decimal(0),
            terms=3,
            method=Method.FLAT_FEE,
            fee_rate=Decimal("0.0075"),
        )
        assert rows(plan(terms)) == [
            (33_333, 0, 750, 66_667),
            (33_333, 0, 750, 33_334),
            (33_334, 0, 750, 0),
        ]

    def test_a_fixed_instalment_lasts_as_long_as_it_takes(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=250_000,
            rate_annual=Decimal("0.12"),
            terms=480,
            method=Method.FIXED_INSTALMENT,
            instalment_fen=100_000,
        )
        planned = plan(terms)
        assert rows(planned) == [
            (97_500, 2_500, 0, 152_500),
            (98_475, 1_525, 0, 54_025),
            (54_025, 540, 0, 0),
        ]

    def test_without_interest_shares_are_equal_and_the_last_takes_the_rest(
        self, make_terms
    ) -> None:
        terms = make_terms(principal_fen=100_000, rate_annual=Decimal(0), terms=6)
        principal = [row.due.principal_fen for row in plan(terms).instalments]
        assert principal == [16_667, 16_667, 16_667, 16_667, 16_667, 16_665]
        assert plan(terms).total.interest_fen == 0


class TestGrace:
    def test_on_principal_leaves_interest_only(self, make_terms) -> None:
        terms = make_terms(principal_fen=300_000, terms=4, grace_principal=2)
        planned = rows(plan(terms))
        assert [row[0] for row in planned[:2]] == [0, 0]
        assert planned[0][1] == planned[2][1] == 4_500
        assert sum(row[0] for row in planned) == 300_000

    def test_on_principal_of_equal_principal_spreads_it_over_the_rest(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=300_000, terms=4, grace_principal=1, method=Method.EQUAL_PRINCIPAL
        )
        assert [row[0] for row in rows(plan(terms))] == [0, 100_000, 100_000, 100_000]

    def test_on_interest_puts_it_off_to_the_next_instalment(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=300_000, terms=3, grace_interest=1, method=Method.EQUAL_PRINCIPAL
        )
        assert [row[1] for row in rows(plan(terms))] == [0, 4_500 + 3_000, 1_500]

    def test_on_interest_of_a_bullet_costs_all_of_it_at_maturity(self, make_terms) -> None:
        """There is no later instalment that could bear it."""
        terms = make_terms(method=Method.BULLET, terms=6, grace_interest=2)
        assert [row.due.interest_fen for row in plan(terms).instalments] == [108_000]

    def test_a_free_period_bears_no_interest(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=300_000, terms=3, interest_free=1, method=Method.EQUAL_PRINCIPAL
        )
        assert [row[1] for row in rows(plan(terms))] == [0, 3_000, 1_500]
        free = replace(terms, method=Method.EQUAL_INSTALMENT)
        totals = [row.due.total_fen for row in plan(free).instalments]
        assert max(totals) - min(totals) <= 3

    def test_on_flat_interest_averages_it_over_the_other_instalments(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=300_000,
            terms=4,
            grace_interest=1,
            interest_free=1,
            method=Method.FLAT_INTEREST,
        )
        assert [row[1] for row in rows(plan(terms))] == [0, 4_500, 4_500, 4_500]
        free = replace(terms, interest_free=4)
        assert plan(free).total.interest_fen == 0
        deferred = replace(terms, interest_free=0)
        assert [row[1] for row in rows(plan(deferred))] == [0, 6_000, 6_000, 6_000]


class TestFrequenciesAndFirstPeriods:
    def test_a_short_first_period_costs_its_days(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=360_000,
            rate_annual=Decimal("0.1"),
            terms=2,
            start_on=date(2026, 1, 16),
            first_due_on=date(2026, 1, 31),
            method=Method.EQUAL_PRINCIPAL,
        )
        assert [row[1] for row in rows(plan(terms))] == [1_500, 1_500]

    @pytest.mark.parametrize(
        ("frequency", "interest"),
        [
            (Frequency(unit=Unit.WEEKS, every=2), 3_600),
            (Frequency(unit=Unit.DAYS, every=15), 3_900),
            (Frequency(every=3), 23_400),
        ],
    )
    def test_interest_follows_the_frequency(
        self, make_terms, frequency: Frequency, interest: int
    ) -> None:
        terms = make_terms(
            principal_fen=936_000,
            rate_annual=Decimal("0.1"),
            terms=2,
            frequency=frequency,
            method=Method.INTEREST_FIRST,
        )
        assert rows(plan(terms))[0][1] == interest


class TestProfiles:
    def test_whole_units_round_the_instalment_and_leave_the_rest_to_the_last(
        self, make_terms
    ) -> None:
        profile = replace(
            FINERACT_CUMULATIVE, instalment_multiple_fen=100, rounding=Rounding.HALF_EVEN
        )
        terms = make_terms(principal_fen=500_000, rate_annual=Decimal("0.12"), profile=profile)
        totals = [row.due.total_fen for row in plan(terms).instalments]
        assert set(totals[:-1]) == {44_400}
        assert sum(row.due.principal_fen for row in plan(terms).instalments) == 500_000

    def test_rounding_up_makes_the_last_instalment_smaller(self, make_terms) -> None:
        terms = make_terms(principal_fen=10_000_000, terms=12, profile=FRAPPE_2025)
        totals = [row.due.total_fen for row in plan(terms).instalments]
        assert totals[0] % 100 == 0
        assert totals[-1] < totals[0]

    def test_a_levelled_plan_spreads_the_remainder(self, make_terms) -> None:
        absorbing = replace(FINERACT_PROGRESSIVE, day_count=THIRTY_360, last_row=LastRow.ABSORBS)
        levelled = replace(absorbing, last_row=LastRow.LEVELLED)
        terms = make_terms(
            principal_fen=10_056,
            rate_annual=Decimal("0.094822"),
            terms=6,
            start_on=date(2024, 1, 1),
            profile=absorbing,
        )
        totals = [
            [row.due.total_fen for row in plan(replace(terms, profile=profile)).instalments]
            for profile in (absorbing, levelled)
        ]
        assert totals == [[1_723] * 5 + [1_719], [1_722] * 5 + [1_725]]

    def test_a_plan_that_levelling_makes_no_better_stays(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=10_273,
            rate_annual=Decimal("0.094822"),
            terms=5,
            start_on=date(2024, 1, 1),
            profile=replace(FINERACT_PROGRESSIVE, day_count=THIRTY_360),
        )
        totals = [row.due.total_fen for row in plan(terms).instalments]
        assert totals[:4] == [2_104] * 4
        assert abs(totals[4] - 2_104) == 3

    def test_an_instalment_by_months_of_thirty_days_ignores_their_length(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=500_000, rate_annual=Decimal("0.12"), profile=FINERACT_CUMULATIVE_DAILY
        )
        rate = Decimal("0.12") * 30 / 365
        exact = 500_000 * rate / (1 - (1 + rate) ** -12)
        first = plan(terms).instalments[0]
        assert first.due.total_fen == int(exact.to_integral_value())
        assert first.due.interest_fen == round(500_000 * Decimal("0.12") * first.days / 365)

    def test_are_found_by_name(self) -> None:
        assert PROFILES["house"] is HOUSE
        assert all(name == profile.name for name, profile in PROFILES.items())


class TestTranches:
    def test_a_second_one_raises_the_instalments_that_follow(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=20_000,
            rate_annual=Decimal("0.094822"),
            terms=6,
            start_on=date(2024, 1, 1),
            profile=replace(FINERACT_PROGRESSIVE, day_count=THIRTY_360),
        )
        drawn = [
            Tranche(on=date(2024, 1, 1), amount_fen=10_000),
            Tranche(on=date(2024, 2, 15), amount_fen=10_000),
        ]
        planned = plan(terms, drawn)
        assert planned.instalments[0].due.total_fen == 1_713
        assert sum(row.due.principal_fen for row in planned.instalments) == 20_000
        # 83.66 for half the period, 183.66 for the other half, at 9.4822 % / 12.
        assert planned.instalments[1].due.interest_fen == 107

    def test_may_share_the_instalment_of_the_whole(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=1_000_000,
            rate_annual=Decimal("0.12"),
            terms=6,
            profile=replace(FINERACT_CUMULATIVE, instalment_multiple_fen=100),
            has_tranches=True,
        )
        drawn = [
            Tranche(on=START, amount_fen=500_000),
            Tranche(on=date(2026, 2, 28), amount_fen=500_000),
        ]
        totals = [row.due.total_fen for row in plan(terms, drawn).instalments]
        assert totals[:5] == [172_500] * 5

    def test_of_equal_principal_and_flat_products_add_up(self, make_terms) -> None:
        drawn = [
            Tranche(on=START, amount_fen=300_000),
            Tranche(on=date(2026, 2, 28), amount_fen=100_000),
        ]
        for method in (Method.EQUAL_PRINCIPAL, Method.FLAT_INTEREST):
            terms = make_terms(principal_fen=400_000, terms=3, method=method)
            principal = [row.due.principal_fen for row in plan(terms, drawn).instalments]
            assert principal == [100_000, 150_000, 150_000]

    @pytest.mark.parametrize("on", [date(2026, 3, 5), date(2026, 4, 30)])
    def test_drawn_after_the_plan_was_over_go_on_with_its_periods(
        self, make_terms, on: date
    ) -> None:
        terms = make_terms(
            principal_fen=400_000,
            rate_annual=Decimal(0),
            terms=1,
            method=Method.FLAT_INTEREST,
            profile=FINERACT_CUMULATIVE,
        )
        drawn = [Tranche(on=START, amount_fen=300_000), Tranche(on=on, amount_fen=100_000)]
        first, further = plan(terms, drawn).instalments
        assert (first.due_on, first.due.principal_fen) == (date(2026, 2, 28), 300_000)
        assert (further.from_on, further.due.principal_fen) == (date(2026, 2, 28), 100_000)
        # The 28th of a month; a period that ends on the day of drawing is over.
        assert further.due_on == {3: date(2026, 3, 28), 4: date(2026, 5, 28)}[on.month]

    def test_drawn_within_periods_that_are_given_bear_their_days(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=300_000,
            rate_annual=Decimal("0.12"),
            terms=1,
            start_on=date(2026, 1, 5),
            periods_from=date(2026, 1, 1),
            profile=replace(FINERACT_PROGRESSIVE, day_count=THIRTY_360),
        )
        (row,) = plan(terms).instalments
        assert (row.from_on, row.due_on) == (date(2026, 1, 1), date(2026, 2, 1))
        # 27 of 31 steps of a month that costs 30.00.
        assert row.due.interest_fen == 2_613

    def test_a_down_payment_is_due_at_once(self, make_terms) -> None:
        terms = make_terms(
            principal_fen=100_000,
            rate_annual=Decimal(0),
            terms=3,
            down_payment=Decimal("0.25"),
        )
        first, *others = plan(terms).instalments
        assert (first.days, first.due_on, first.due.principal_fen) == (0, START, 25_000)
        assert [row.due.principal_fen for row in others] == [25_000] * 3


class TestFees:
    @pytest.mark.parametrize(
        ("rule", "wanted"),
        [
            (FeeRule(name="fixed", amount_fen=500), [500, 500, 500]),
            (FeeRule(name="share", share=Decimal("0.01")), [1_000, 1_000, 1_000]),
            (
                FeeRule(name="all", share=Decimal("0.01"), base=FeeBase.PRINCIPAL_AND_INTEREST),
                [1_045, 1_030, 1_015],
            ),
            (
                FeeRule(name="interest", share=Decimal("0.1"), base=FeeBase.INTEREST),
                [450, 300, 150],
            ),
        ],
    )
    def test_are_borne_by_every_instalment(
        self, make_terms, rule: FeeRule, wanted: list[int]
    ) -> None:
        terms = make_terms(
            principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL, fees=(rule,)
        )
        assert [row.due.of(Component.FEE) for row in plan(terms).instalments] == wanted


class TestTerms:
    @pytest.mark.parametrize(
        "changes",
        [
            {"principal_fen": 0},
            {"terms": 0},
            {"terms": 481},
            {"rate_annual": Decimal("-0.01")},
            {"fee_rate": Decimal("-0.01")},
            {"down_payment": Decimal(1)},
            {"method": Method.FIXED_INSTALMENT},
            {"grace_principal": 12},
            {"interest_free": -1},
        ],
    )
    def test_that_make_no_loan_are_refused(self, make_terms, changes: dict[str, object]) -> None:
        with pytest.raises(TermsRefused):
            make_terms(**changes)

    def test_say_whether_the_cost_is_flat(self, make_terms) -> None:
        assert make_terms(method=Method.FLAT_FEE).is_flat
        assert not make_terms().is_flat

    def test_of_short_days_a_year_count_actual_days(self, make_terms) -> None:
        terms: Terms = make_terms(
            principal_fen=365_000,
            rate_annual=Decimal("0.1"),
            terms=1,
            start_on=date(2026, 3, 1),
            profile=replace(FINERACT_PROGRESSIVE, day_count=ACTUAL_365),
        )
        assert plan(terms).instalments[0].due.interest_fen == 3_100
