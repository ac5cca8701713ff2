"""The strategy file is read strictly, and the house's own one fits what the gate allows."""

import tomllib
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contact.book import RULES_FILE
from contact.gate import Allow, Rule, Situation, decide, rules_in_force
from dunning.book import STRATEGIES_FILE, house_strategy
from dunning.model import Strategy, StrategyNotReadable, check_templates, read_strategy
from kernel.clock import SHANGHAI

ON = date(2026, 3, 10)
STEP: dict[str, Any] = {
    "name": "soon",
    "days": [-3],
    "purpose": "service_reminder",
    "template": "due_soon",
    "channels": ["wechat_template", "sms"],
    "at": "09:00",
    "valid_hours": 13,
}
LATE = STEP | {"name": "late", "days": [1, 4], "purpose": "collection", "template": "overdue"}


def _read(*steps: Any) -> Strategy:
    return read_strategy({"step": list(steps)})


class TestReadStrategy:
    def test_reads_the_house_s_own(self) -> None:
        assert house_strategy() is house_strategy()
        assert [step.name for step in house_strategy().steps] == [
            "due-soon", "due-today", "overdue"
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"tone": "soft"}, "step soon: unknown key tone"),
            ({"days": [-3, -3]}, "step soon: on day -3 step soon is not over yet"),
            ({"days": [1]}, "step soon: day 1 is for collection"),
            ({"days": [-3, 0, 1]}, "step soon: day 1 is for collection"),
            ({"purpose": "collection"}, "step soon: day -3 is for service_reminder"),
            ({"purpose": "marketing"}, "step soon: day -3 is for service_reminder"),
            ({"purpose": "nagging"}, "step soon: 'nagging' is not a valid Purpose"),
            ({"channels": ["pigeon"]}, "step soon: 'pigeon' is not a valid Channel"),
            ({"channels": "sms"}, "step soon: channels is no list"),
            ({"channels": ["sms", "sms"]}, "step soon: a channel is named twice"),
            ({"channels": []}, "step soon: days and channels may not be empty"),
            ({"days": []}, "step soon: days and channels may not be empty"),
            ({"days": [-8]}, "step soon: day -8 is not from -7 to 365"),
            ({"days": [10**12]}, "step soon: day 1000000000000 is not from -7 to 365"),
            ({"name": 5}, "step 5: name is no text"),
            ({"name": ""}, "step number 1: name is no text"),
            ({"template": None}, "step soon: template is no text"),
            ({"valid_hours": 10**6}, "step soon: valid_hours is from 1 to 72"),
            ({"days": -3}, "step soon: days is no list"),
            ({"days": ["-3"]}, "step soon: '-3' is no whole number"),
            ({"days": [True]}, "step soon: True is no whole number"),
            ({"at": "9 am"}, "step soon: Invalid isoformat string: '9 am'"),
            ({"at": "09:00+01:00"}, "step soon: at is a wall time such as 09:00"),
            ({"at": 9}, "step soon: at is a wall time such as 09:00"),
            ({"valid_hours": 0}, "step soon: valid_hours is from 1 to 72"),
            ({"valid_hours": 73}, "step soon: valid_hours is from 1 to 72"),
            ({"valid_hours": "13"}, "step soon: '13' is no whole number"),
            ({"days": [0], "valid_hours": 16}, "step soon: it would outlive the due date"),
        ],
    )
    def test_names_the_step_and_what_is_wrong(self, changes: dict[str, Any], why: str) -> None:
        with pytest.raises(StrategyNotReadable) as refused:
            _read(STEP | changes)
        assert refused.value.detail == why

    @pytest.mark.parametrize("key", sorted(STEP))
    def test_asks_for_every_key(self, key: str) -> None:
        step = {name: value for name, value in STEP.items() if name != key}
        with pytest.raises(StrategyNotReadable, match=f"missing key {key}"):
            _read(step)

    @pytest.mark.parametrize("given", [{}, {"step": []}, {"step": [1]}, {"step": [STEP], "x": 1}])
    def test_wants_steps_and_nothing_else(self, given: dict[str, Any]) -> None:
        with pytest.raises(StrategyNotReadable):
            read_strategy(given)

    def test_refuses_two_steps_of_a_name(self) -> None:
        with pytest.raises(StrategyNotReadable, match="step soon: there are two of that name"):
            _read(STEP, STEP | {"days": [0]})

    def test_lets_a_step_last_until_the_next_begins(self) -> None:
        following = STEP | {"name": "today", "days": [0]}
        assert len(_read(STEP | {"valid_hours": 72}, following).steps) == 2

    def test_refuses_steps_whose_contacts_could_meet(self) -> None:
        following = STEP | {"name": "today", "days": [-1]}
        with pytest.raises(
            StrategyNotReadable, match="step today: on day -1 step soon is not over yet"
        ):
            _read(STEP | {"valid_hours": 49}, following)


class TestCheckTemplates:
    def test_asks_for_every_text_on_every_channel_for_the_purpose(self) -> None:
        known = {
            ("due_soon", "wechat_template", "service_reminder"),
            ("due_soon", "sms", "service_reminder"),
            ("overdue", "wechat_template", "service_reminder"),
            ("overdue", "sms", "collection"),
        }
        check_templates(_read(STEP), known)
        with pytest.raises(StrategyNotReadable) as refused:
            check_templates(_read(STEP, LATE), known)
        assert refused.value.detail == (
            "step late: no template overdue on wechat_template for collection is in force"
        )


class TestTasks:
    def test_says_who_is_meant_and_when_the_most_pressing_first(self) -> None:
        found = [
            (task.day, task.due_on, task.spared_before) for task in _read(STEP, LATE).tasks(ON)
        ]
        assert found == [
            (4, date(2026, 3, 6), date(2026, 3, 6)),
            (1, date(2026, 3, 9), date(2026, 3, 9)),
            (-3, date(2026, 3, 13), date(2026, 3, 10)),
        ]

    def test_opens_and_ends_by_shanghai_s_clock(self) -> None:
        (task,) = _read(STEP).tasks(ON)
        assert task.not_before == datetime.fromisoformat("2026-03-10T01:00+00:00")
        assert task.expires_at == datetime.fromisoformat("2026-03-10T14:00+00:00")

    @given(
        st.sets(st.integers(-7, 0), min_size=1), st.sets(st.integers(1, 90), min_size=1), st.data()
    )
    def test_never_has_two_contacts_of_one_debt_open_at_a_time(
        self, before: set[int], after: set[int], data: st.DataObject
    ) -> None:
        hours = st.integers(1, 15)
        strategy = _read(
            STEP | {"days": list(before), "valid_hours": data.draw(hours)},
            LATE | {"days": list(after), "valid_hours": data.draw(hours)},
        )
        open_until = datetime.min.replace(tzinfo=SHANGHAI)
        for day in range(-7, 91):
            on = ON + timedelta(days=day)
            meant = [task for task in strategy.tasks(on) if task.due_on == ON]
            assert len(meant) == (day in before | after)
            for task in meant:
                assert task.not_before >= open_until
                open_until = task.expires_at


class TestHouseStrategy:
    def test_passes_the_gate_on_every_day_of_a_life_in_arrears(self) -> None:
        given = tomllib.loads(RULES_FILE.read_text("utf-8"))["rule"]
        names = ("code", "purpose", "kind", "value", "effective_from")
        rules = rules_in_force(
            [Rule(**{name: row[name] for name in names}) for row in given], on=ON
        )
        due_on = ON
        used: dict[str, dict[date, int]] = {}
        for day in sorted(day for step in house_strategy().steps for day in step.days):
            on = due_on + timedelta(days=day)
            (task,) = [task for task in house_strategy().tasks(on) if task.day == day]
            for channel in task.step.channels:
                verdict = decide(
                    Situation(
                        purpose=task.step.purpose,
                        channel=channel,
                        owes=True,
                        holds=(),
                        address_retired=False,
                        has_opted_in=False,
                        barred=None,
                        used=used,
                        is_template_in_force=True,
                    ),
                    rules=rules,
                    at=task.not_before,
                )
                assert isinstance(verdict, Allow), (day, channel, verdict)
            for counter in verdict.counters:
                used.setdefault(counter, {})[on] = 1

    def test_reads_as_its_file_says(self) -> None:
        assert read_strategy(tomllib.loads(STRATEGIES_FILE.read_text("utf-8"))) == house_strategy()
