from datetime import date

import pytest

from risk.strategy.decision import Snooze, snoozed_rules
from risk.strategy.lists import (
    Appeal,
    ListBook,
    ListEntry,
    RecordedLists,
    RecordingLists,
    likeness,
)

ON = date(2026, 11, 26)


def entry(value: str, **changes: object) -> ListEntry:
    plain = {
        "list_name": "blocked",
        "value": value,
        "source": "复核",
        "reason": "冒用身份",
        "added_on": date(2026, 1, 1),
        "expires_on": None,
    }
    return ListEntry(**(plain | changes))  # type: ignore[arg-type]


def book(*entries: ListEntry) -> ListBook:
    return ListBook(names=["blocked", "empty"], entries=entries, on=ON)


class TestMatches:
    def test_exact_ignores_width_case_and_spaces(self) -> None:
        lists = book(entry("Ａcme 公司"))
        assert lists.holds("blocked", "exact", "acme公司") is True
        assert lists.holds("blocked", "exact", "acme") is False

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("10.1.2.3", True),
            ("11.1.2.3", False),
            ("2001:db8::5", True),
            (" 192.168.1.1 ", True),
            ("::ffff:10.1.2.3", True),
            ("::ffff:11.1.2.3", False),
            ("no address", None),
        ],
    )
    def test_cidr_finds_addresses_in_networks(self, value: str, expected: object) -> None:
        lists = book(entry("10.0.0.0/8"), entry("2001:db8::/32"), entry("192.168.1.1"))
        assert lists.holds("blocked", "cidr", value) is expected

    def test_fuzzy_finds_texts_that_are_nearly_the_same(self) -> None:
        lists = book(entry("深圳市南山区科技园高新路1号"))
        assert lists.holds("blocked", "fuzzy", "深圳市南山区科技园高新路 1 号") is True
        assert lists.holds("blocked", "fuzzy", "深圳市南山区科技园高新路2号") is True
        assert lists.holds("blocked", "fuzzy", "北京市海淀区中关村大街1号") is False

    def test_likeness_of_single_signs_is_none(self) -> None:
        assert likeness("a", "b") == 0.0

    def test_a_list_that_cannot_be_read_is_unknown(self) -> None:
        assert book().holds("elsewhere", "exact", "x") is None
        assert book().holds("empty", "exact", "x") is False


class TestEntries:
    @pytest.mark.parametrize(
        "changes",
        [
            {"expires_on": ON},
            {"added_on": date(2026, 11, 27)},
            {"appeal": Appeal.UPHELD},
            {"list_name": "elsewhere"},
        ],
    )
    def test_do_not_count(self, changes: dict) -> None:
        assert book(entry("x", **changes)).holds("blocked", "exact", "x") is False

    @pytest.mark.parametrize(
        "changes",
        [{}, {"expires_on": date(2026, 11, 27)}, {"added_on": ON}, {"appeal": Appeal.OPEN}],
    )
    def test_count(self, changes: dict) -> None:
        assert book(entry("x", **changes)).holds("blocked", "exact", "x") is True


class TestRecording:
    def test_answers_again_as_it_answered_then(self) -> None:
        recording = RecordingLists(book(entry("x")))
        assert recording.holds("blocked", "exact", "x") is True
        assert recording.holds("elsewhere", "exact", "x") is None
        recorded = RecordedLists(recording.answers)
        assert recorded.holds("blocked", "exact", "x") is True
        assert recorded.holds("blocked", "exact", "never asked") is None


class TestSnoozes:
    def test_count_for_their_key_and_period(self) -> None:
        snooze = Snooze(rule="r.1", key="customer:1", since=ON, until=date(2026, 12, 1))
        assert snoozed_rules((snooze,), keys={"customer:1"}, on=ON) == {"r.1"}
        assert snoozed_rules((snooze,), keys={"customer:2"}, on=ON) == frozenset()
        assert snoozed_rules((snooze,), keys={"customer:1"}, on=snooze.until) == frozenset()
