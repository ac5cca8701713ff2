"""Days past due, ranges, pauses, credit lines."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from servicing.engine import events
from servicing.engine.delinquency import Range, lateness, range_of, row_lateness
from servicing.engine.line import Line, LineState
from servicing.engine.payments import EventRefused
from servicing.engine.profile import HOUSE
from servicing.engine.replay import replay

START, FIRST, SECOND = date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)
RANGES = (Range(name="M1", first=1, last=30), Range(name="M2+", first=31))


class TestLateness:
    @pytest.mark.parametrize(("days", "wanted"), [(-1, 0), (0, 0), (1, 1), (45, 45)])
    def test_counts_from_the_day_after_the_due_date(self, terms, drawn, days, wanted) -> None:
        late = lateness(replay(terms, [drawn], FIRST + timedelta(days=days)), RANGES)
        assert late.days_past_due == wanted
        assert late.range_name == {0: None, 1: "M1", 45: "M2+"}[wanted]

    def test_may_count_the_due_date_as_the_first_day(self, terms, drawn) -> None:
        counting = replace(terms, profile=replace(HOUSE, first_day_late=1))
        days = [
            lateness(replay(counting, [drawn], FIRST + timedelta(days=n))).days_past_due
            for n in (-1, 0, 1)
        ]
        assert days == [0, 1, 2]

    def test_grace_comes_off_the_loan_and_not_off_an_instalment(self, terms, drawn) -> None:
        state = replay(replace(terms, grace_days=3), [drawn], FIRST + timedelta(days=5))
        late = lateness(state, RANGES)
        assert (late.days_past_due, late.delinquent_days, late.overdue_fen) == (5, 2, 104_500)
        assert late.delinquent_since == FIRST + timedelta(days=3)
        assert [row.delinquent_days for row in row_lateness(state, RANGES)] == [5]

    def test_stands_still_in_pauses_that_may_overlap_or_end_early(self, terms, drawn) -> None:
        def pause(name: str, first: int, last: int | None) -> events.LatenessPause:
            return events.LatenessPause(
                id=name,
                on=FIRST,
                first_on=FIRST + timedelta(days=first),
                last_on=None if last is None else FIRST + timedelta(days=last),
            )

        on = FIRST + timedelta(days=30)
        both = [drawn, pause("a", 2, 10), pause("b", 5, 12)]
        assert lateness(replay(terms, both, on)).delinquent_days == 20
        resumed = events.LatenessResume(id="r", on=FIRST + timedelta(days=7))
        assert lateness(replay(terms, [*both, resumed], on)).delinquent_days == 25
        assert lateness(replay(terms, [drawn, pause("a", 2, None)], on)).delinquent_days == 2

    def test_ends_when_the_oldest_instalment_is_paid(self, terms, drawn) -> None:
        on = FIRST + timedelta(days=9)
        paid = events.Payment(id="p", on=on, amount_fen=104_500)
        assert lateness(replay(terms, [drawn, paid], on)).days_past_due == 0

    def test_of_no_range_has_no_name(self) -> None:
        assert range_of(0, RANGES) is None
        assert range_of(999, RANGES) == "M2+"


class TestLine:
    def test_keeps_granted_equal_to_held_drawn_and_free(self) -> None:
        line = Line(granted_fen=1_000).hold(300).draw(200)
        assert (line.held_fen, line.utilised_fen, line.available_fen) == (300, 200, 500)
        line = line.draw_held(300).repay(100)
        assert (line.held_fen, line.utilised_fen, line.available_fen) == (0, 400, 600)
        assert line.hold(50).release(50) == line

    def test_gives_nothing_unless_it_is_active(self) -> None:
        frozen = Line(granted_fen=1_000, state=LineState.FROZEN)
        assert frozen.available_fen == 0
        with pytest.raises(EventRefused):
            frozen.draw(1)

    @pytest.mark.parametrize(
        "move",
        [
            lambda line: line.hold(1_001),
            lambda line: line.hold(0),
            lambda line: line.release(1),
            lambda line: line.draw_held(1),
            lambda line: line.repay(1),
        ],
    )
    def test_refuses_what_is_not_there(self, move) -> None:
        with pytest.raises(EventRefused):
            move(Line(granted_fen=1_000))

    def test_that_was_cut_below_its_use_has_nothing_free(self) -> None:
        assert Line(granted_fen=100, utilised_fen=300).available_fen == 0
