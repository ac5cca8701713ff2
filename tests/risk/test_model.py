"""A strategy never approves by accident, a card gives every account a letter."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk import model
from risk.model import Card, Strategy, judge, read_policy
from risk.queries import in_force

HOUSE = in_force(Strategy)
CARD = in_force(Card)
GOOD: dict[str, Any] = {
    "amount_fen": 300_000,
    "terms": 12,
    "is_student": False,
    "applications_30d": 1,
    "days_past_due": 0,
    "worst_dpd_12m": 0,
    "months_on_book": 8,
    "on_time_ratio": "0.9500",
    "utilisation": "0.4000",
    "beyond_line_fen": 0,
    "device_others_30d": 0,
    "wifi_others_30d": 3,
}
IGNORED = {"utilisation", "beyond_line_fen", "device_others_30d", "wifi_others_30d"}
# What never stands for a whole number, a ratio as text, or true and false.
ODD_VALUES = st.one_of(
    st.floats(),
    st.sampled_from(
        ["", "0.5.1", "NaN", "Infinity", "-1", "1e3", "０", "true", " 0.5", "12345678901"]
    ),
    st.integers(max_value=-1),
    st.integers(min_value=10**9),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.booleans(), max_size=2),
)
TRIAL = """
version = "trial"
required = ["days"]
sentences = {{ missing-value = "m", odd-value = "o", other = "x" }}
fact.days = {{ label = "天数", kind = "count", least = 0, most = 99 }}
fact.others = {{ label = "他人", kind = "count", least = 0, most = 99, is_link = true }}
[[rule]]
code = "late"
when = {when}
outcome = "{outcome}"
missing = "{missing}"
internal = "i"
customer_zh = "c"
"""


def _trial(
    when: str = '[["days", ">", 3]]', outcome: str = "decline", missing: str = "ignore"
) -> str:
    return TRIAL.format(when=when, outcome=outcome, missing=missing)


def _codes(verdict: dict[str, Any]) -> list[str]:
    return [found["code"] for found in verdict["findings"]]


class TestJudge:
    def test_approves_what_no_rule_objects_to(self) -> None:
        assert judge(HOUSE, GOOD) == {"outcome": "approve", "findings": []}

    @pytest.mark.parametrize(
        ("given", "outcome", "code"),
        [
            ({"is_student": True}, "decline", "student"),
            ({"days_past_due": 1}, "decline", "overdue-now"),
            ({"worst_dpd_12m": 31}, "decline", "late-lately"),
            ({"worst_dpd_12m": 11, "on_time_ratio": "0.7900"}, "review", "slips"),
            ({"on_time_ratio": "0.5999"}, "decline", "poor-record"),
            ({"utilisation": "0.8100", "on_time_ratio": "0.8999"}, "decline", "stretched"),
            ({"beyond_line_fen": 1}, "decline", "beyond-line"),
            ({"applications_30d": 6}, "decline", "many-applications"),
            ({"applications_30d": 4}, "review", "several-applications"),
            ({"months_on_book": 2, "amount_fen": 700_001}, "review", "large-for-new"),
            ({"device_others_30d": 3}, "review", "device-shared"),
            ({"wifi_others_30d": 21}, "review", "wifi-shared"),
        ],
    )
    def test_names_the_rule_that_objects(
        self, given: dict[str, Any], outcome: str, code: str
    ) -> None:
        verdict = judge(HOUSE, GOOD | given)
        assert verdict["outcome"] == outcome
        assert verdict["findings"][0]["code"] == code
        assert given.items() <= verdict["findings"][0]["values"].items()

    @pytest.mark.parametrize(
        "given",
        [
            {"worst_dpd_12m": 30},
            {"worst_dpd_12m": 11, "on_time_ratio": "0.8000"},
            {"on_time_ratio": "0.6000", "months_on_book": 3},
            {"on_time_ratio": "0.0000", "months_on_book": 2},
            {"utilisation": "0.8000", "on_time_ratio": "0.8999"},
            {"applications_30d": 3},
            {"months_on_book": 2, "amount_fen": 700_000},
            {"device_others_30d": 2, "wifi_others_30d": 20},
        ],
    )
    def test_approves_up_to_the_bound(self, given: dict[str, Any]) -> None:
        assert judge(HOUSE, GOOD | given)["outcome"] == "approve"

    def test_lets_the_strictest_outcome_win_and_tells_it_first(self) -> None:
        verdict = judge(HOUSE, GOOD | {"device_others_30d": 9, "applications_30d": 6})
        assert verdict["outcome"] == "decline"
        assert _codes(verdict) == ["many-applications", "several-applications", "device-shared"]

    def test_approves_a_newcomer_who_has_no_record_yet(self) -> None:
        unknown = {"on_time_ratio", *IGNORED}
        newcomer = {name: value for name, value in GOOD.items() if name not in unknown}
        assert judge(HOUSE, newcomer | {"months_on_book": 0})["outcome"] == "approve"

    def test_asks_a_person_where_a_record_should_be_and_is_not(self) -> None:
        (found,) = judge(HOUSE, GOOD | {"on_time_ratio": None})["findings"]
        assert (found["code"], found["outcome"]) == (model.MISSING, "review")
        assert "按时还款率" in found["note"]


class TestMissingAndOdd:
    @given(name=st.sampled_from(sorted(GOOD)), is_null=st.booleans())
    def test_missing_never_approves_unless_a_rule_declares_so(
        self, name: str, is_null: bool
    ) -> None:
        snapshot = {key: value for key, value in GOOD.items() if key != name}
        verdict = judge(HOUSE, snapshot | ({name: None} if is_null else {}))
        if name in IGNORED:
            assert verdict["outcome"] == "approve"
        else:
            assert verdict["outcome"] != "approve"
            assert any(HOUSE.fact[name].label in found["note"] for found in verdict["findings"])

    @given(name=st.sampled_from(sorted(GOOD)), value=ODD_VALUES)
    def test_odd_never_approves_whatever_the_field(self, name: str, value: Any) -> None:
        verdict = judge(HOUSE, GOOD | {name: value})
        assert verdict["outcome"] != "approve"
        read = [model.canonical(found["values"]) for found in verdict["findings"]]
        assert model.canonical({name: value}) in read
        assert any(HOUSE.fact[name].label in found["note"] for found in verdict["findings"])

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("amount_fen", "300000"),
            ("amount_fen", 0),
            ("amount_fen", True),
            ("amount_fen", 3e5),
            ("amount_fen", float("nan")),
            ("amount_fen", 10**30),
            ("terms", 0),
            ("applications_30d", 0),
            ("days_past_due", "0"),
            ("days_past_due", False),
            ("on_time_ratio", 1),
            ("on_time_ratio", 0.95),
            ("on_time_ratio", "1.0001"),
            ("is_student", 0),
            ("is_student", "false"),
            ("beyond_line_fen", "0"),
        ],
    )
    def test_odd_goes_to_a_person_with_the_field_and_the_value(self, name: str, value: Any) -> None:
        verdict = judge(HOUSE, GOOD | {name: value})
        first = verdict["findings"][0]
        assert (verdict["outcome"], first["code"]) == ("review", model.ODD)
        assert list(first["values"]) == [name]
        assert HOUSE.fact[name].label in first["note"]

    @given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.none() | ODD_VALUES, min_size=1))
    def test_several_at_once_never_approve(self, broken: dict[str, Any]) -> None:
        if not broken.keys() <= IGNORED or any(value is not None for value in broken.values()):
            assert judge(HOUSE, GOOD | broken)["outcome"] != "approve"

    def test_an_empty_snapshot_goes_to_a_person(self) -> None:
        verdict = judge(HOUSE, {})
        assert verdict["outcome"] == "review"
        named = {name for found in verdict["findings"] for name in found["values"]}
        assert set(HOUSE.required) <= named

    @pytest.mark.parametrize("missing", ["ignore", "review", "decline"])
    def test_each_rule_says_what_missing_means(self, missing: str) -> None:
        both = '[["days", "<", 9], ["others", ">", 1]]'
        strategy = read_policy(Strategy, _trial(both, missing=missing))
        expected = "approve" if missing == "ignore" else missing
        assert judge(strategy, {"days": 1})["outcome"] == expected
        assert judge(strategy, {"days": 9})["outcome"] == "approve"


class TestFairness:
    @given(st.dictionaries(st.text(max_size=12), st.integers() | st.text(max_size=5)))
    def test_reads_nothing_but_the_listed_facts(self, more: dict[str, Any]) -> None:
        others = {name: value for name, value in more.items() if name not in HOUSE.fact}
        assert judge(HOUSE, others | GOOD) == judge(HOUSE, GOOD)

    def test_lists_no_fact_of_sex_age_origin_faith_or_health(self) -> None:
        barred = re.compile("sex|gender|age|birth|ethnic|nation|relig|health|id_number|region|name")
        assert [name for name in HOUSE.fact if barred.search(name)] == []

    @given(
        device=st.integers(0, 1_000_000), wifi=st.integers(0, 1_000_000)
    )  # fmt: skip
    def test_links_alone_never_decline(self, device: int, wifi: int) -> None:
        links = {"device_others_30d": device, "wifi_others_30d": wifi}
        assert judge(HOUSE, GOOD | links)["outcome"] in ("approve", "review")


class TestReadPolicy:
    def test_puts_the_hash_of_the_text_into_the_version(self) -> None:
        text = _trial()
        first, other = read_policy(Strategy, text), read_policy(Strategy, text + "\n# edited")
        assert re.fullmatch(r"trial@[0-9a-f]{12}", first.version)
        assert first.version != other.version

    @pytest.mark.parametrize(
        "text",
        [
            _trial('[["unknown", ">", 3]]'),
            _trial('[["days", "~", 3]]'),
            _trial('[["days", ">", "many"]]'),
            _trial("[]"),
            _trial(outcome="approve"),
            _trial(missing="approve"),
            _trial('[["others", ">", 3]]'),
            _trial('[["others", ">", 3]]', outcome="review", missing="decline"),
            _trial().replace('required = ["days"]', "required = []"),
            _trial().replace('required = ["days"]', 'required = ["unknown"]'),
            _trial().replace('missing = "ignore"', ""),
            _trial().replace('other = "x"', 'others = "x"'),
            _trial().replace('internal = "i"', 'internal = "i"\nmising = "review"'),
            _trial().replace("version", "name"),
        ],
    )
    def test_refuses_what_could_let_something_through(self, text: str) -> None:
        with pytest.raises((ValueError, KeyError)):
            read_policy(Strategy, text)

    def test_accepts_a_link_beside_a_fact_of_ones_own(self) -> None:
        strategy = read_policy(Strategy, _trial('[["others", ">", 3], ["days", ">", 3]]'))
        assert judge(strategy, {"days": 4, "others": 4})["outcome"] == "decline"

    def test_house_rules_from_law_say_where_they_come_from(self) -> None:
        (law,) = [rule.law for rule in HOUSE.rule if rule.law]
        assert set(law) == {"citation", "how_read", "effective_from", "owner"}

    def test_house_codes_and_sentences_are_complete_and_chinese(self) -> None:
        codes = [rule.code for rule in HOUSE.rule]
        assert len(codes) == len(set(codes))
        told = [rule.customer_zh for rule in HOUSE.rule] + list(HOUSE.sentences.values())
        assert all(re.search("[一-鿿]", sentence) for sentence in told)


BEST = {
    "days_past_due": 0,
    "worst_dpd_12m": 0,
    "on_time_ratio": Decimal(1),
    "utilisation": Decimal("0.2"),
    "months_on_book": 20,
}


class TestGrade:
    def test_takes_no_points_from_the_best(self) -> None:
        assert model.grade(CARD, BEST) == ("A", 100, [])

    def test_says_what_cost_points_the_most_costly_first(self) -> None:
        letter, points, reasons = model.grade(
            CARD, BEST | {"days_past_due": 64, "worst_dpd_12m": 64, "on_time_ratio": Decimal("0.5")}
        )
        assert (letter, points) == ("E", 15)
        assert reasons == [
            "当前逾期 64 天（0/40 分）",
            "近 12 个月最长逾期 64 天（0/25 分）",
            "按时还款率 50%（0/20 分）",
        ]

    def test_grades_a_newcomer_without_a_record_in_the_middle(self) -> None:
        facts = BEST | {"on_time_ratio": None, "utilisation": None, "months_on_book": 0}
        letter, points, reasons = model.grade(CARD, facts)
        assert (letter, points) == ("B", 84)
        assert "按时还款率 暂无（10/20 分）" in reasons

    @given(
        late=st.integers(31, 4_000),
        more=st.integers(0, 400),
        ratio=st.none() | st.decimals(0, 1, places=4),
        drawn=st.none() | st.decimals(0, 2, places=4),
        months=st.integers(0, 200),
    )
    def test_more_than_thirty_days_late_is_always_the_worst(
        self, late: int, more: int, ratio: Decimal | None, drawn: Decimal | None, months: int
    ) -> None:
        facts = {
            "days_past_due": late,
            "worst_dpd_12m": late + more,
            "on_time_ratio": ratio,
            "utilisation": drawn,
            "months_on_book": months,
        }
        assert model.grade(CARD, facts)[0] == CARD.worst

    @given(late=st.integers(0, 400), more=st.integers(1, 30))
    def test_never_rises_with_lateness(self, late: int, more: int) -> None:
        def points(days: int) -> int:
            return model.grade(CARD, BEST | {"days_past_due": days, "worst_dpd_12m": days})[1]

        assert points(late + more) <= points(late)


class TestCanonical:
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_is_the_same_text_after_a_round_through_the_database(self, value: Any) -> None:
        text = model.canonical(value)
        assert text.isascii()
        assert "\x00" not in text
        assert model.canonical(json.loads(text)) == text

    def test_writes_what_json_lacks_as_text(self) -> None:
        assert model.canonical({"b": Decimal("0.50"), "a": Path("x")}) == '{"a":"x","b":"0.50"}'
