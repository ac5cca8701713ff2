"""What comes late into a loan: which days it changes, and which not."""

from datetime import date

import pytest

from servicing.engine import events
from servicing.engine.payments import EventRefused
from servicing.engine.replay import replay
from servicing.engine.retelling import Retelling, replay_back, retell

FIRST, SECOND, THIRD = date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)
OFF_ON, CHARGED_ON, BACK_ON, TODAY = (
    date(2026, 3, 1),
    date(2026, 3, 10),
    date(2026, 4, 1),
    date(2026, 4, 10),
)


def apart(both: Retelling) -> list[tuple[date, list[int], list[int]]]:
    """Say on which day the due amounts of which instalments differ, without and with the event."""
    return [
        (
            day.on,
            [row.due.total_fen for row in day.before.rows],
            [row.due.total_fen for row in day.after.rows],
        )
        for day in both.days
    ]


class TestRetell:
    def test_tells_of_a_late_charge_on_each_day_on_which_something_falls_due(
        self, terms, drawn
    ) -> None:
        fee = events.Charge(id="fee", on=TODAY, amount_fen=70, due_on=CHARGED_ON)
        both = retell(terms, [drawn], fee, before_on=TODAY, after_on=TODAY)
        assert apart(both) == [
            (CHARGED_ON, [103_000], [103_070]),
            (SECOND, [103_000], [103_070]),
        ]
        assert both.before == replay(terms, [drawn], TODAY)
        assert both.after == replay(terms, [drawn, fee], TODAY)

    def test_leaves_out_the_days_on_which_it_was_not_possible_yet(self, terms, drawn) -> None:
        """A claim that is off the books bears no charge; once it is back, it may have borne one."""
        off = events.ChargeOff(id="off", on=OFF_ON)
        back = events.Reversal(id="back", on=BACK_ON, of="off")
        fee = events.Charge(id="fee", on=TODAY, amount_fen=70, due_on=CHARGED_ON)
        with pytest.raises(EventRefused):
            replay(terms, [drawn, off, back, fee], SECOND)
        both = retell(terms, [drawn, off, back], fee, before_on=TODAY, after_on=TODAY)
        assert apart(both) == [(BACK_ON, [103_000], [103_070])]
        assert both.after == replay(terms, [drawn, off, back, fee], TODAY)

    def test_refuses_what_the_whole_life_refuses(self, terms, drawn) -> None:
        off = events.ChargeOff(id="off", on=OFF_ON)
        fee = events.Charge(id="fee", on=TODAY, amount_fen=70, due_on=CHARGED_ON)
        with pytest.raises(EventRefused, match="off the books"):
            retell(terms, [drawn, off], fee, before_on=TODAY, after_on=TODAY)


class TestReplayBack:
    def test_leaves_out_of_a_past_day_what_could_not_happen_by_then(self, terms, drawn) -> None:
        off = events.ChargeOff(id="off", on=OFF_ON)
        back = events.Reversal(id="back", on=BACK_ON, of="off")
        fee = events.Charge(id="fee", on=TODAY, amount_fen=70, due_on=CHARGED_ON)
        happened = [drawn, off, back, fee]
        assert replay_back(terms, happened, SECOND) == replay(terms, happened[:-1], SECOND)
        assert replay_back(terms, happened, BACK_ON) == replay(terms, happened, BACK_ON)

    def test_refuses_what_nothing_later_makes_possible(self, terms, drawn) -> None:
        off = events.ChargeOff(id="off", on=OFF_ON)
        fee = events.Charge(id="fee", on=TODAY, amount_fen=70, due_on=CHARGED_ON)
        with pytest.raises(EventRefused, match="off the books"):
            replay_back(terms, [drawn, off, fee], TODAY)
