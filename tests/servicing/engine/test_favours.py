"""Favours that reach back to days that are paid for: lower rates, pauses, credits, waivers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from servicing.engine import events
from servicing.engine.book import Kind, Status
from servicing.engine.events import Disbursement, Event, InterestPause, Payment, RateChange
from servicing.engine.parts import Component
from servicing.engine.payments import EventRefused
from servicing.engine.profile import (
    FINERACT_CUMULATIVE_DAILY,
    FINERACT_PROGRESSIVE,
    HOUSE,
    THIRTY_360,
    Recalculation,
)
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.engine.terms import Method, PenaltyRule, Terms

START = date(2026, 1, 31)
FIRST, SECOND = date(2026, 2, 28), date(2026, 3, 31)
PROFILES = (
    HOUSE,
    replace(FINERACT_PROGRESSIVE, day_count=THIRTY_360),
    replace(HOUSE, recalculation=Recalculation.ACTUAL_BALANCE),
    replace(FINERACT_CUMULATIVE_DAILY, recalculation=Recalculation.OPEN_PERIOD),
)
METHODS = (
    Method.EQUAL_INSTALMENT,
    Method.EQUAL_PRINCIPAL,
    Method.INTEREST_FIRST,
    Method.BULLET,
    Method.FLAT_INTEREST,
)


def owed_by(state: LoanState, day: date) -> int:
    return sum(row.outstanding.total_fen for row in state.rows if row.due_on <= day)


def net_fen(state: LoanState) -> int:
    return state.outstanding.total_fen - state.overpaid_fen


def paid_when_due(terms: Terms, count: int) -> list[Event]:
    """Pay so many instalments on their days."""
    told: list[Event] = [Disbursement(id="draw", on=START, amount_fen=terms.principal_fen)]
    rows = replay(terms, told, START).rows[:count]
    paid = (Payment(id=f"p{row.n}", on=row.due_on, amount_fen=row.due.total_fen) for row in rows)
    return [*told, *paid]


CUT = {"id": "cut", "rate_annual": Decimal("0.06")}


class TestALowerRateThatReachesBack:
    on = date(2026, 3, 20)

    @pytest.mark.parametrize("method", METHODS)
    def test_makes_nobody_late_and_gives_back_what_it_saves(self, make_terms, method) -> None:
        terms = make_terms(terms=6, method=method)
        told = paid_when_due(terms, 0 if method is Method.BULLET else 1)
        cut = RateChange(on=self.on, from_on=date(2026, 2, 11), **CUT)
        before, after = (replay(terms, known, self.on) for known in (told, [*told, cut]))
        assert after.rows[0].due.total_fen <= before.rows[0].due.total_fen
        assert after.overdue.total_fen == 0
        assert net_fen(after) < net_fen(before)

    def test_leaves_a_paid_instalment_and_settles_the_next_with_what_it_saves(
        self, make_terms
    ) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL)
        told = paid_when_due(terms, 1)
        cut = RateChange(on=self.on, from_on=date(2026, 2, 1), **CUT)
        state = replay(terms, [*told, cut], self.on)
        assert (state.rows[0].due, state.rows[0].due.interest_fen) == (state.rows[0].paid, 4_500)
        refund = state.records[-1]
        assert (refund.kind, refund.amount_fen) == (Kind.INTEREST_REFUND, 3_000)
        assert state.rows[1].paid.total_fen == 3_000
        assert [row.due.interest_fen for row in state.rows[1:]] == [1_000, 500]

    def test_twice_gives_back_only_the_difference(self, make_terms) -> None:
        terms = make_terms(principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL)
        told = paid_when_due(terms, 1)
        once = RateChange(on=self.on, from_on=date(2026, 2, 1), **CUT)
        twice = replace(once, id="again", rate_annual=Decimal("0.03"))
        records = replay(terms, [*told, once, twice], self.on).records
        refunds = [record.amount_fen for record in records if record.kind is Kind.INTEREST_REFUND]
        # The first credit paid the 1,000 of the second instalment, of which 500 are saved, too.
        assert refunds == [3_000, 750 + 500]

    def test_is_undone_by_a_reversal(self, make_terms) -> None:
        terms = make_terms(terms=6)
        told = paid_when_due(terms, 1)
        cut = RateChange(on=self.on, from_on=date(2026, 2, 11), **CUT)
        undo = events.Reversal(id="undo", on=self.on, of="cut")
        before, after = (replay(terms, known, self.on) for known in (told, [*told, cut, undo]))
        assert after.rows == before.rows

    def test_counts_what_was_prepaid_as_repaid(self, make_terms) -> None:
        terms = make_terms(terms=6)
        prepaid = events.Prepayment(id="early", on=date(2026, 2, 20), amount_fen=600_000)
        told = [*paid_when_due(terms, 0), prepaid]
        cut = RateChange(on=self.on, from_on=date(2026, 2, 10), **CUT)
        before, after = (replay(terms, known, self.on) for known in (told, [*told, cut]))
        levels = [row.due.total_fen for row in after.rows[1:]]
        assert max(levels[:-1]) < before.rows[1].due.total_fen
        assert owed_by(after, date(2026, 5, 1)) < owed_by(before, date(2026, 5, 1))


class TestAPauseThatReachesBack:
    @pytest.mark.parametrize(
        "method", [Method.EQUAL_INSTALMENT, Method.EQUAL_PRINCIPAL, Method.INTEREST_FIRST]
    )
    def test_gives_back_the_interest_of_an_instalment_that_was_paid_early(
        self, make_terms, method
    ) -> None:
        terms = make_terms(terms=6, method=method)
        told = paid_when_due(terms, 0)
        on = date(2026, 2, 10)
        first = replay(terms, told, on).rows[0].due
        told.append(Payment(id="early", on=on, amount_fen=first.total_fen))
        pause = InterestPause(id="freeze", on=on, first_on=START, last_on=FIRST)
        state = replay(terms, [*told, pause], on)
        assert state.rows[0].due == first
        assert state.records[-1].kind is Kind.INTEREST_REFUND
        assert state.records[-1].amount_fen == first.interest_fen

    def test_saves_nothing_where_a_new_plan_bears_no_interest_any_more(self, make_terms) -> None:
        terms, on = make_terms(terms=6), date(2026, 3, 10)
        told = paid_when_due(terms, 0)
        told.append(events.ReAge(id="age", on=on, first_due_on=date(2026, 4, 10), terms=4))
        pause = InterestPause(id="freeze", on=on, first_on=on, last_on=date(2026, 5, 10))
        before, after = (replay(terms, known, on) for known in (told, [*told, pause]))
        assert after.outstanding == before.outstanding

    def test_of_a_loan_that_is_paid_is_owed_to_the_borrower(self, make_terms) -> None:
        terms = make_terms(terms=2)
        told = paid_when_due(terms, 2)
        pause = InterestPause(id="freeze", on=SECOND, first_on=START, last_on=FIRST)
        before, after = (replay(terms, known, SECOND) for known in (told, [*told, pause]))
        assert before.status is Status.CLOSED
        assert after.status is Status.OVERPAID
        assert after.overpaid_fen == before.rows[0].due.interest_fen


# By these, where nothing is recalculated, interest follows the plan alone.
BY_PLAN = (Method.EQUAL_PRINCIPAL, Method.INTEREST_FIRST, Method.BULLET)


@st.composite
def paid_lives(draw: st.DrawFn, *, is_by_plan: bool = False) -> tuple[Terms, list[Event], date]:
    """Draw a loan on which money came early, in time, late or not at all, and the day after."""
    terms = Terms(
        principal_fen=draw(st.integers(100_000, 2_000_000)),
        start_on=START,
        rate_annual=draw(st.sampled_from([Decimal("0.18"), Decimal("0.24")])),
        terms=draw(st.integers(1, 8)),
        method=draw(st.sampled_from(BY_PLAN if is_by_plan else METHODS)),
        profile=HOUSE if is_by_plan else draw(st.sampled_from(PROFILES)),
        penalty=draw(st.sampled_from([None, PenaltyRule(rate_annual=Decimal("0.24"))])),
    )
    told: list[Event] = [Disbursement(id="draw", on=START, amount_fen=terms.principal_fen)]
    on = START
    for n in range(draw(st.integers(0, 4))):
        on += timedelta(days=draw(st.integers(0, 40)))
        row = next((r for r in replay(terms, told, on).rows if r.outstanding.total_fen), None)
        if row is None:
            break
        fen = draw(st.sampled_from([row.outstanding.total_fen, terms.principal_fen // 3]))
        kind = draw(st.sampled_from([Payment, Payment if is_by_plan else events.Prepayment]))
        event = kind(id=f"p{n}", on=on, amount_fen=fen)
        try:
            replay(terms, [*told, event], on)
        except EventRefused:
            continue
        told.append(event)
    return terms, told, on + timedelta(days=draw(st.integers(0, 40)))


def lower_interest(on: date) -> st.SearchStrategy[Event]:
    said = {"id": st.just("favour"), "on": st.just(on)}
    since = st.dates(START + timedelta(days=1), on + timedelta(days=40))
    return st.one_of(
        st.builds(
            RateChange,
            **said,
            from_on=since,
            rate_annual=st.sampled_from([Decimal(0), Decimal("0.03"), Decimal("0.12")]),
        ),
        since.flatmap(
            lambda first_on: st.builds(
                InterestPause,
                **said,
                first_on=st.just(first_on),
                last_on=st.none() | st.dates(first_on, first_on + timedelta(days=70)),
            )
        ),
    )


def other_favours(terms: Terms, on: date) -> st.SearchStrategy[Event]:
    said = {"id": st.just("favour"), "on": st.just(on)}
    pause = st.builds(
        events.PenaltyPause,
        **said,
        first_on=st.dates(START, on),
        last_on=st.none() | st.just(on + timedelta(days=30)),
    )
    return st.one_of(
        *([pause] if terms.profile.recalculation is Recalculation.NONE else []),
        st.builds(
            events.Waiver,
            **said,
            component=st.sampled_from(list(Component)),
            amount_fen=st.integers(1, 5_000),
        ),
        st.builds(
            Payment,
            **said,
            amount_fen=st.integers(1, terms.principal_fen),
            kind=st.just(Kind.GOODWILL_CREDIT),
        ),
    )


@st.composite
def favoured(draw: st.DrawFn) -> tuple[Terms, list[Event], Event]:
    terms, told, on = draw(paid_lives())
    return terms, told, draw(lower_interest(on) | other_favours(terms, on))


@st.composite
def favoured_by_plan(draw: st.DrawFn) -> tuple[Terms, list[Event], Event]:
    terms, told, on = draw(paid_lives(is_by_plan=True))
    return terms, told, draw(lower_interest(on))


many = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])


class TestEveryFavour:
    @many
    @given(life=favoured())
    def test_raises_on_no_day_what_is_owed_by_it(
        self, life: tuple[Terms, list[Event], Event]
    ) -> None:
        before, after = _both(*life)
        days = {row.due_on for state in (before, after) for row in state.rows}
        for day in days:
            assert owed_by(after, day) <= owed_by(before, day)

    @many
    @given(life=favoured_by_plan())
    def test_loses_nothing_of_the_interest_that_it_saves(
        self, life: tuple[Terms, list[Event], Event]
    ) -> None:
        terms, told, favour = life
        terms = replace(terms, penalty=None)
        # Whoever has paid nothing is the measure.
        saved = [net_fen(state) for state in _both(terms, told[:1], favour)]
        kept = [net_fen(state) for state in _both(terms, told, favour)]
        assert kept[0] - kept[1] == saved[0] - saved[1]


def _both(terms: Terms, told: Sequence[Event], favour: Event) -> tuple[LoanState, LoanState]:
    """Return the loan without and with a favour."""
    try:
        return replay(terms, told, favour.on), replay(terms, [*told, favour], favour.on)
    except EventRefused:
        assume(condition=False)
        raise
