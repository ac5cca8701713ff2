"""The close of day goes on from how far penalty has run, and says what a replay would."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from servicing.engine.events import Disbursement, Event, Payment, PenaltyPause, RateChange, Waiver
from servicing.engine.parts import Component
from servicing.engine.payments import EventRefused
from servicing.engine.replay import replay
from servicing.engine.running import penalty_by
from servicing.engine.terms import PenaltyBase, PenaltyRule, Terms
from servicing.running import running_from_json, running_to_json

START = date(2026, 1, 31)
TERMS = Terms(
    principal_fen=1_200_000,
    start_on=START,
    rate_annual=Decimal("0.216"),
    terms=6,
    grace_days=3,
    penalty=PenaltyRule(rate_annual=Decimal("0.31"), cap_annual=Decimal("0.24"), grace_days=3),
)
DRAWN = Disbursement(id="1", on=START, amount_fen=1_200_000)
FIRST_DUE = date(2026, 2, 28)


def penalties(terms: Terms, events: list[Event], on: date) -> dict[int, int]:
    rows = replay(terms, events, on).rows
    return {row.n: row.due.penalty_fen for row in rows if row.outstanding.total_fen}


def later(days: int) -> date:
    return START + timedelta(days=days)


events = st.lists(
    st.one_of(
        st.builds(
            Payment, id=st.just(""), on=st.integers(20, 200).map(later),
            amount_fen=st.integers(1, 300_000),
        ),
        st.builds(
            PenaltyPause, id=st.just(""), on=st.integers(20, 60).map(later),
            first_on=st.integers(20, 100).map(later),
            last_on=st.one_of(st.none(), st.integers(100, 220).map(later)),
        ),
        st.builds(
            RateChange, id=st.just(""), on=st.integers(20, 90).map(later),
            from_on=st.integers(20, 150).map(later),
            rate_annual=st.sampled_from([Decimal("0.08"), Decimal("0.12"), Decimal("0.22")]),
        ),
        st.builds(
            Waiver, id=st.just(""), on=st.integers(60, 200).map(later),
            component=st.just(Component.PENALTY), amount_fen=st.integers(1, 500),
        ),
    ),
    max_size=5,
)  # fmt: skip


@given(happened=events, nights=st.lists(st.integers(0, 300), min_size=1, max_size=4),
       base=st.sampled_from(PenaltyBase))  # fmt: skip
def test_any_later_day_is_as_a_replay_has_it(
    happened: list[Event], nights: list[int], base: PenaltyBase
) -> None:
    assert TERMS.penalty is not None
    terms = replace(TERMS, penalty=replace(TERMS.penalty, base=base))
    known: list[Event] = [DRAWN]
    for event in sorted(happened, key=lambda event: event.on):
        tried = [*known, replace(event, id=str(len(known) + 1))]
        try:
            replay(terms, tried, later(300))
        except EventRefused:
            continue
        known = tried
    last = max(event.counts_on for event in known)
    state = replay(terms, known, last)
    assert state.running is not None
    kept = running_to_json(state.running)
    assert kept is not None
    running = running_from_json(kept)
    assert running == state.running
    for night in nights:
        on = last + timedelta(days=night)
        assert penalty_by(terms, running, on) == penalties(terms, known, on)


def test_nothing_runs_without_a_rule() -> None:
    assert replay(replace(TERMS, penalty=None), [DRAWN], FIRST_DUE).running is None
    assert running_to_json(None) is None


class TestGrace:
    def paid(self, on: date) -> int:
        owed = replay(TERMS, [DRAWN], FIRST_DUE).rows[0].outstanding.total_fen
        payment = Payment(id="2", on=on, amount_fen=owed)
        return replay(TERMS, [DRAWN, payment], date(2026, 3, 30)).rows[0].due.penalty_fen

    def test_whoever_pays_within_it_is_never_charged(self) -> None:
        assert [self.paid(FIRST_DUE + timedelta(days=n)) for n in range(4)] == [0, 0, 0, 0]

    def test_whoever_misses_it_is_charged_from_the_due_date(self) -> None:
        principal = replay(TERMS, [DRAWN], FIRST_DUE).rows[0].due.principal_fen
        assert self.paid(FIRST_DUE + timedelta(days=4)) >= principal * 4 * 24 // 36_000
