"""What users of other loan systems complain about in public, each as a test of ours.

Penalties, charge-off entries and the end of quotes have files of their own; here is what else was
got wrong somewhere, named by the system and the number of the complaint.
"""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from servicing.engine import events
from servicing.engine.book import Status
from servicing.engine.events import Payment, Prepayment, Reversal
from servicing.engine.periods import Frequency, Unit
from servicing.engine.plan import plan
from servicing.engine.profile import (
    ACTUAL_365,
    FINERACT_CUMULATIVE,
    FINERACT_PROGRESSIVE,
    FRAPPE_2025,
    HOUSE,
    THIRTY_360,
    Recalculation,
)
from servicing.engine.quote import QuoteKind, payment_of, preview, quote
from servicing.engine.replay import replay
from servicing.engine.terms import EventFee, FeeEvent, FeeTier, Method

START = date(2026, 1, 31)
FIRST, SECOND, THIRD = date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)
WHOLE_UNITS = FRAPPE_2025


class TestWholeUnits:
    """frappe/lending#31, #296, #1449, #1452: rounding up made a plan end early."""

    @pytest.mark.parametrize("fen", [40_000, 1_234_500, 120_000_000])
    def test_rounded_up_instalments_keep_the_promised_number(self, make_terms, fen: int) -> None:
        rows = plan(make_terms(principal_fen=fen, terms=12, profile=WHOLE_UNITS)).instalments
        assert len(rows) == 12
        assert rows[-1].due.total_fen <= rows[0].due.total_fen
        assert sum(row.due.principal_fen for row in rows) == fen

    @pytest.mark.parametrize("count", [1, 7, 12])
    def test_a_restructured_loan_has_the_instalments_that_were_agreed(
        self, make_terms, draw, count: int
    ) -> None:
        terms = make_terms(profile=WHOLE_UNITS)
        again = events.ReAge(id="a", on=SECOND, first_due_on=date(2026, 5, 15), terms=count)
        rows = replay(terms, [draw, again], SECOND).rows
        assert sum(1 for row in rows if row.due_on > SECOND) == count


class TestKinds:
    def test_every_method_is_a_plan_of_its_own(self, make_terms) -> None:
        """frappe/lending#42: different schedule types led to the same calculation."""
        asks = {
            Method.FLAT_FEE: {"fee_rate": Decimal("0.01")},
            Method.FIXED_INSTALMENT: {"instalment_fen": 150_000},
        }
        agreed = [make_terms(method=method, **asks.get(method, {})) for method in Method]
        plans = {tuple(row.due for row in plan(terms).instalments) for terms in agreed}
        assert len(plans) == len(Method)

    @pytest.mark.parametrize(
        ("frequency", "due_on"),
        [
            (Frequency(unit=Unit.WEEKS), "2026-02-07"),
            (Frequency(unit=Unit.WEEKS, every=2), "2026-02-14"),
            (Frequency(unit=Unit.DAYS, every=15), "2026-02-15"),
            (Frequency(every=3), "2026-04-30"),
            (Frequency(unit=Unit.YEARS), "2027-01-31"),
        ],
    )
    def test_every_cadence_is_there(self, make_terms, frequency: Frequency, due_on: str) -> None:
        """frappe/lending#2, #217, frappe/erpnext#34693."""
        rows = plan(make_terms(frequency=frequency, terms=4)).instalments
        assert rows[0].due_on.isoformat() == due_on

    @pytest.mark.parametrize("profile", [HOUSE, FINERACT_PROGRESSIVE, FRAPPE_2025])
    def test_flat_interest_is_of_the_original_principal(self, make_terms, profile) -> None:
        """frappe/lending#948, #975, frappe/frappe#13524, fineract#4833."""
        flat = make_terms(method=Method.FLAT_INTEREST, rate_annual=Decimal("0.12"), profile=profile)
        rows = plan(flat).instalments
        assert {row.due.interest_fen for row in rows} == {12_000}
        assert sum(row.due.principal_fen for row in rows) == 1_200_000

    @pytest.mark.parametrize("interest", [0, 2])
    def test_every_profile_has_a_moratorium(self, make_terms, interest: int) -> None:
        """fineract#5441: the progressive engine had none."""
        for profile in (HOUSE, FINERACT_CUMULATIVE, FINERACT_PROGRESSIVE, FRAPPE_2025):
            terms = make_terms(grace_principal=2, interest_free=interest, profile=profile)
            rows = plan(terms).instalments
            assert [row.due.principal_fen for row in rows[:2]] == [0, 0]
            assert [row.due.interest_fen > 0 for row in rows[:2]] == [not interest] * 2
            assert (len(rows), rows[-1].balance_fen) == (12, 0)

    def test_a_loan_that_bears_interest_is_re_amortised(self, make_terms, draw) -> None:
        """FINERACT-2413: re-amortising was for loans without interest only."""
        again = events.ReAmortisation(id="a", on=SECOND + timedelta(days=5))
        state = replay(make_terms(), [draw, again], again.on)
        past, later = (
            [row for row in state.rows if (row.due_on <= again.on) is is_past]
            for is_past in (True, False)
        )
        assert sum(row.outstanding.principal_fen for row in past) == 0
        assert sum(row.due.principal_fen for row in later) == 1_200_000
        assert all(row.due.interest_fen > 0 for row in later)
        assert (len(past), len(later)) == (2, 10)

    @pytest.mark.parametrize("grace", [1, 3, 11])
    def test_a_moratorium_keeps_the_term(self, make_terms, grace: int) -> None:
        """frappe/lending#384."""
        rows = plan(make_terms(grace_principal=grace)).instalments
        assert len(rows) == 12
        assert [row.due.principal_fen for row in rows[:grace]] == [0] * grace

    @pytest.mark.parametrize(("first", "interest"), [("2026-02-10", 6_000), ("2026-03-31", 35_400)])
    def test_a_broken_first_period_costs_its_days(
        self, make_terms, first: str, interest: int
    ) -> None:
        """frappe/lending#1129: 12,000 yuan at 18 % for 10 and for 59 days of 360."""
        rows = plan(make_terms(first_due_on=date.fromisoformat(first))).instalments
        assert rows[0].due.interest_fen == interest


class TestDayCounts:
    """FINERACT-2359, FINERACT-343, FINERACT-3201: constants of another year."""

    def test_a_month_of_360_days_is_a_twelfth(self, make_terms) -> None:
        profile = replace(FINERACT_PROGRESSIVE, day_count=THIRTY_360)
        terms = make_terms(principal_fen=10_000_000, rate_annual=Decimal("0.12"), profile=profile)
        assert plan(terms).instalments[0].due.interest_fen == 100_000

    @pytest.mark.parametrize("start", [date(2024, 1, 1), date(2023, 1, 1), date(2023, 12, 31)])
    def test_a_year_of_365_days_is_one_in_leap_years_too(self, make_terms, start: date) -> None:
        profile = replace(HOUSE, day_count=ACTUAL_365)
        due_on = start + timedelta(days=100)
        terms = make_terms(
            start_on=start,
            first_due_on=due_on,
            terms=1,
            profile=profile,
            rate_annual=Decimal("0.0365"),
        )
        assert plan(terms).instalments[0].due.interest_fen == 12_000


class TestQuotes:
    """fineract#4798, #5360: the pay-off that was quoted left the loan overpaid, or open."""

    @pytest.mark.parametrize(
        "profile",
        [HOUSE, FRAPPE_2025, replace(HOUSE, recalculation=Recalculation.ACTUAL_BALANCE)],
    )
    @pytest.mark.parametrize("days", [0, 1, 27, 28, 40, 400])
    def test_a_pay_off_ends_the_loan_to_the_fen(self, make_terms, draw, profile, days) -> None:
        terms, on = make_terms(profile=profile), START + timedelta(days=days)
        asked = quote(terms, [draw], on, QuoteKind.SETTLE)
        state = replay(terms, [draw, payment_of(asked, event_id="end")], on)
        assert (state.status, state.overpaid_fen) == (Status.CLOSED, 0)

    @pytest.mark.parametrize("fen", [50_000, 333_333, 900_000])
    def test_the_plan_that_was_shown_is_the_plan_that_holds(self, make_terms, draw, fen) -> None:
        """frappe/lending#1423: a lower instalment was shown, the schedule kept the old one."""
        terms, on = make_terms(), FIRST - timedelta(days=5)
        shown = preview(terms, [draw], on, fen)
        posted = replay(terms, [draw, Prepayment(id="p", on=on, amount_fen=fen)], on)
        assert shown.rows == posted.rows
        planned = plan(terms).instalments[1].due.total_fen
        assert all(row.due.total_fen < planned for row in posted.rows if row.due_on > on)

    def test_a_quote_shows_the_fee_beside_the_rest(self, make_terms, draw) -> None:
        """openMF/community-app#2560: the screen hid the fee part."""
        fee = events.Charge(id="f", on=START, amount_fen=700, due_on=FIRST)
        asked = quote(make_terms(), [draw, fee], FIRST, QuoteKind.SETTLE)
        assert asked.parts.fee_fen == 700
        assert asked.total_fen == sum(asked.parts)

    @pytest.mark.parametrize(("paid", "share"), [(0, "0.03"), (11, "0.03"), (12, "0"), (20, "0")])
    def test_a_fee_for_settling_early_falls_in_tiers(self, paid: int, share: str) -> None:
        """PavelBastov/opencbs#452."""
        tiers = (FeeTier(share=Decimal("0.03")), FeeTier(from_paid=12))
        fee = EventFee(name="early", event=FeeEvent.EARLY_SETTLEMENT, tiers=tiers)
        assert fee.tier(paid).share == Decimal(share)


class TestChangesOfRate:
    @pytest.mark.parametrize("profile", [HOUSE, FINERACT_CUMULATIVE, FINERACT_PROGRESSIVE])
    def test_from_nothing_upwards_leaves_no_loan_overpaid(self, make_terms, draw, profile) -> None:
        """fineract#4912."""
        terms = make_terms(rate_annual=Decimal(0), profile=profile)
        paid = Payment(id="p", on=FIRST, amount_fen=100_000)
        dearer = events.RateChange(
            id="r", on=FIRST, from_on=FIRST + timedelta(days=1), rate_annual=Decimal("0.12")
        )
        state = replay(terms, [draw, paid, dearer], SECOND)
        assert (state.status, state.overpaid_fen) == (Status.ACTIVE, 0)
        assert state.outstanding.principal_fen == 1_100_000
        assert state.rows[1].due.interest_fen > 0

    def test_leave_the_last_instalment_near_the_others(self, make_terms, draw) -> None:
        """fineract#4175: the instalment was wrong, and the last one took the difference."""
        changed = events.RateChange(id="r", on=SECOND, from_on=SECOND, rate_annual=Decimal("0.06"))
        rows = replay(make_terms(), [draw, changed], SECOND).rows[1:]
        assert abs(rows[-1].due.total_fen - rows[0].due.total_fen) <= len(rows)

    def test_a_loan_past_its_end_can_be_planned_anew(self, make_terms, draw) -> None:
        """fineract#5681."""
        on = date(2027, 6, 1)
        again = events.ReAge(id="a", on=on, first_due_on=date(2027, 7, 1), terms=3)
        state = replay(make_terms(), [draw, again], on)
        later = [row for row in state.rows if row.due_on > on]
        assert len(later) == 3
        assert sum(row.due.principal_fen for row in later) == 1_200_000


class TestUndo:
    """frappe/lending#1450: a restructure could not be taken back once its schedule was gone."""

    @pytest.mark.parametrize(
        "change",
        [
            events.ReAge(id="c", on=SECOND, first_due_on=date(2026, 5, 15), terms=5),
            events.ExtraTerms(id="c", on=SECOND, from_due_on=THIRD, extra=4),
            events.PrincipalGrace(id="c", on=SECOND, from_due_on=THIRD, periods=2),
            events.PaymentHoliday(id="c", on=SECOND, from_due_on=THIRD, periods=2),
            events.MovedDueDate(id="c", on=SECOND, due_on=THIRD, to=date(2026, 5, 9)),
            events.RateChange(id="c", on=SECOND, from_on=SECOND, rate_annual=Decimal("0.03")),
            events.ReAmortisation(id="c", on=SECOND),
            events.ChargeOff(id="c", on=SECOND),
            events.Termination(id="c", on=SECOND),
            Prepayment(id="c", on=SECOND, amount_fen=600_000),
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_every_change_is_taken_back_whole_though_money_came_after_it(
        self, make_terms, draw, change: events.Event
    ) -> None:
        terms, paid = make_terms(), Payment(id="p", on=THIRD, amount_fen=30_000)
        undo = Reversal(id="u", on=THIRD, of="c")
        assert replay(terms, [draw, change, paid, undo], THIRD).rows == (
            replay(terms, [draw, paid], THIRD).rows
        )
