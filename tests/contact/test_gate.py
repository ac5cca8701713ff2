from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contact.gate import (
    Allow,
    Block,
    Quota,
    Reason,
    Rule,
    RuleNotReadable,
    Silence,
    Situation,
    check_rule,
    decide,
    rules_in_force,
)
from contact.model import Channel, Hold, Purpose

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 10, 12, tzinfo=SHANGHAI)
TODAY = NOON.date()
GATED = [purpose for purpose in Purpose if purpose is not Purpose.ANSWER]
REMINDERS = [Purpose.SERVICE_REMINDER, Purpose.COLLECTION]


def rule(code: str, purpose: str, kind: str, value: dict, since: str = "2025-01-01") -> Rule:
    return Rule(
        code=code,
        purpose=purpose,
        kind=kind,
        value=value,
        effective_from=date.fromisoformat(since),
    )


def rules_of(purpose: str) -> list[Rule]:
    is_answer = purpose == Purpose.ANSWER
    night = {"silent_from": "22:00", "silent_until": "08:00"}
    group = "reminder" if purpose in REMINDERS else purpose
    quotas = [
        {"group": group, "channel": "all", "days": 1, "at_most": 1},
        {"group": group, "channel": "all", "days": 7, "at_most": 3},
        {"group": group, "channel": "sms", "days": 7, "at_most": 2},
    ]
    if is_answer:
        quotas = [{"channel": "all", "unlimited": True}]
    return [
        rule(f"{purpose}.h", purpose, "hours", {"silent": "none"} if is_answer else night),
        *(rule(f"{purpose}.q{n}", purpose, "quota", quota) for n, quota in enumerate(quotas)),
        rule(f"{purpose}.s", purpose, "hold", {"stops": not is_answer}),
        rule(f"{purpose}.c", purpose, "consent", {"needs_opt_in": purpose == "marketing"}),
    ]


RULES = [row for purpose in Purpose for row in rules_of(purpose)]
IN_FORCE = rules_in_force(RULES, on=TODAY)


def situation(**changes: object) -> Situation:
    fine = Situation(
        purpose=Purpose.COLLECTION,
        channel=Channel.SMS,
        owes=True,
        holds=(),
        address_retired=False,
        has_opted_in=True,
        barred=None,
        used={},
        is_template_in_force=True,
    )
    return replace(fine, **changes)  # type: ignore[arg-type]


def reason_of(at: datetime = NOON, **changes: object) -> Reason | None:
    verdict = decide(situation(**changes), rules=IN_FORCE, at=at)
    return verdict.reason if isinstance(verdict, Block) else None


class TestDecide:
    def test_allows_what_nothing_speaks_against_and_names_the_counters(self) -> None:
        verdict = decide(situation(), rules=IN_FORCE, at=NOON)
        assert verdict == Allow(counters=("reminder", "reminder:sms"))

    @pytest.mark.parametrize("purpose", ["", "survey", "COLLECTION"])
    def test_blocks_an_unknown_purpose(self, purpose: str) -> None:
        assert reason_of(purpose=purpose) is Reason.NO_RULE

    @pytest.mark.parametrize("missing", ["hours", "quota", "hold", "consent"])
    @pytest.mark.parametrize("purpose", Purpose)
    def test_blocks_a_purpose_that_lacks_a_rule_row_of_any_kind(
        self, purpose: str, missing: str
    ) -> None:
        rows = [row for row in RULES if (row.purpose, row.kind) != (purpose, missing)]
        verdict = decide(situation(purpose=purpose), rules=rules_in_force(rows, on=TODAY), at=NOON)
        assert verdict == Block(reason=Reason.NO_RULE)

    def test_blocks_a_purpose_with_a_row_that_cannot_be_read(self) -> None:
        rows = [*RULES, rule("bad", "collection", "quota", {"at_most": "many"})]
        assert Purpose.COLLECTION not in rules_in_force(rows, on=TODAY)
        assert Purpose.SERVICE_REMINDER in rules_in_force(rows, on=TODAY)

    @pytest.mark.parametrize("channel", ["wechat_template", "voice", ""])
    def test_blocks_a_channel_without_a_quota_row(self, channel: str) -> None:
        assert reason_of(channel=channel) is Reason.NO_RULE

    @pytest.mark.parametrize("purpose", REMINDERS)
    def test_blocks_reminders_after_payment(self, purpose: str) -> None:
        assert reason_of(purpose=purpose, owes=False) is Reason.PAID

    @pytest.mark.parametrize("purpose", GATED)
    def test_blocks_a_retired_address_for_all_but_answers(self, purpose: str) -> None:
        assert reason_of(purpose=purpose, address_retired=True) is Reason.ADDRESS_RETIRED
        assert reason_of(purpose=Purpose.ANSWER, address_retired=True) is None

    @pytest.mark.parametrize("scope", ["all", "sms", "collection"])
    def test_blocks_under_a_hold_of_its_scope_until_the_hold_ends(self, scope: str) -> None:
        until = NOON + timedelta(days=2)
        verdict = decide(
            situation(holds=(Hold(reason="dispute", scope=scope, until=until),)),
            rules=IN_FORCE,
            at=NOON,
        )
        assert verdict == Block(reason=Reason.HOLD, next_allowed_at=until, detail="dispute")

    def test_blocks_for_ever_under_an_open_hold_beside_a_dated_one(self) -> None:
        holds = (Hold(reason="a", until=NOON + timedelta(days=1)), Hold(reason="b"))
        verdict = decide(situation(holds=holds), rules=IN_FORCE, at=NOON)
        assert isinstance(verdict, Block)
        assert verdict.next_allowed_at is None

    @pytest.mark.parametrize(
        "hold",
        [
            Hold(reason="x", scope="wechat_template"),
            Hold(reason="x", scope="marketing"),
            Hold(reason="x", until=NOON),
        ],
    )
    def test_lets_holds_of_other_scopes_and_ended_holds_pass(self, hold: Hold) -> None:
        assert reason_of(holds=(hold,)) is None

    def test_lets_marketing_go_only_to_those_who_asked_for_it(self) -> None:
        assert reason_of(purpose=Purpose.MARKETING) is None
        assert reason_of(purpose=Purpose.MARKETING, has_opted_in=False) is Reason.NO_CONSENT
        assert reason_of(purpose=Purpose.MARKETING, barred="student") is Reason.BARRED
        assert reason_of(purpose=Purpose.MARKETING, holds=(Hold(reason="x"),)) is Reason.HOLD

    def test_demands_an_opt_in_for_marketing_whatever_the_row_says(self) -> None:
        rows = [row for row in RULES if row.code != "marketing.c"]
        rows.append(rule("c", "marketing", "consent", {"needs_opt_in": False}))
        verdict = decide(
            situation(purpose="marketing", has_opted_in=False),
            rules=rules_in_force(rows, on=TODAY),
            at=NOON,
        )
        assert verdict == Block(reason=Reason.NO_CONSENT)

    @pytest.mark.parametrize(
        ("wall", "is_silent"),
        [
            ("07:59:59", True),
            ("08:00:00", False),
            ("21:58:59", False),
            ("21:59:00", True),  # a mini-batch may take until 22:00
            ("22:00:00", True),
            ("23:59:59", True),
            ("00:00:00", True),
        ],
    )
    def test_keeps_the_night_silent_up_to_the_second(self, wall: str, is_silent: bool) -> None:
        at = datetime.combine(TODAY, time.fromisoformat(wall), SHANGHAI)
        expected = Reason.SILENT_HOURS if is_silent else None
        assert [reason_of(at=at, purpose=purpose) for purpose in GATED] == [expected] * 4
        assert reason_of(at=at, purpose=Purpose.ANSWER) is None

    @pytest.mark.parametrize(("hour", "days"), [(23, 1), (3, 0)])
    def test_says_that_the_morning_is_the_next_time(self, hour: int, days: int) -> None:
        at = datetime.combine(TODAY, time(hour), SHANGHAI)
        verdict = decide(situation(), rules=IN_FORCE, at=at.astimezone(UTC))
        assert isinstance(verdict, Block)
        assert verdict.next_allowed_at == datetime.combine(
            TODAY + timedelta(days=days), time(8), SHANGHAI
        )

    def test_counts_the_day_and_the_week_and_each_channel(self) -> None:
        days = [TODAY - timedelta(days=back) for back in range(8)]
        assert reason_of(used={"reminder": {days[0]: 1}}) is Reason.QUOTA
        assert reason_of(used={"reminder": {days[1]: 1, days[2]: 1}}) is None
        assert reason_of(used={"reminder": {days[1]: 1, days[2]: 1, days[6]: 1}}) is Reason.QUOTA
        assert reason_of(used={"reminder": {days[1]: 1, days[2]: 1, days[7]: 1}}) is None
        assert reason_of(used={"reminder:sms": {days[1]: 1, days[2]: 1}}) is Reason.QUOTA
        assert reason_of(used={"marketing": {days[0]: 9}}) is None

    def test_does_not_count_a_contact_against_itself(self) -> None:
        assert reason_of(used={"reminder": {TODAY: 1}}, is_reserved=True) is None

    def test_blocks_a_template_that_is_not_in_force(self) -> None:
        assert reason_of(is_template_in_force=False) is Reason.TEMPLATE
        assert reason_of(purpose="answer", is_template_in_force=False) is Reason.TEMPLATE

    def test_names_the_first_reason_in_the_order_of_the_gate(self) -> None:
        wrong: dict[str, object] = {
            "owes": False,
            "holds": (Hold(reason="x"),),
            "address_retired": True,
            "used": {"reminder": {TODAY: 1}},
            "is_template_in_force": False,
        }
        night = datetime.combine(TODAY, time(23), SHANGHAI)
        seen = []
        for repaired in ({"owes": True}, {"holds": ()}, {"address_retired": False}):
            seen.append(reason_of(at=night, **wrong))
            wrong |= repaired
        seen += [reason_of(at=night, **wrong), reason_of(**wrong)]
        seen.append(reason_of(**wrong | {"used": {}}))
        assert seen == [
            Reason.PAID,
            Reason.HOLD,
            Reason.ADDRESS_RETIRED,
            Reason.SILENT_HOURS,
            Reason.QUOTA,
            Reason.TEMPLATE,
        ]


instants = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001 -- hypothesis adds the zone
    max_value=datetime(2027, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, SHANGHAI, ZoneInfo("America/New_York")]),
)
situations = st.builds(
    Situation,
    purpose=st.sampled_from([*Purpose, "survey", ""]),
    channel=st.sampled_from([*Channel, "voice"]),
    owes=st.booleans(),
    holds=st.lists(
        st.builds(
            Hold,
            reason=st.just("dispute"),
            scope=st.sampled_from(["all", *Channel, *Purpose]),
            until=st.none() | instants,
        ),
        max_size=2,
    ).map(tuple),
    address_retired=st.booleans(),
    has_opted_in=st.booleans(),
    barred=st.none() | st.just("student"),
    used=st.just({}),
    is_template_in_force=st.booleans(),
)


class TestInvariants:
    @given(situation=situations, at=instants)
    def test_nothing_but_answers_leaves_at_night(self, situation: Situation, at: datetime) -> None:
        verdict = decide(situation, rules=IN_FORCE, at=at)
        if isinstance(verdict, Allow) and situation.purpose != Purpose.ANSWER:
            assert 8 <= at.astimezone(SHANGHAI).hour < 22
            assert (at + timedelta(minutes=1)).astimezone(SHANGHAI).time() < time(22)

    @given(situation=situations, at=instants)
    def test_no_reminder_leaves_after_payment_hold_or_wrong_number(
        self, situation: Situation, at: datetime
    ) -> None:
        verdict = decide(situation, rules=IN_FORCE, at=at)
        if isinstance(verdict, Allow) and situation.purpose in REMINDERS:
            assert situation.owes
            assert not situation.address_retired
            scopes = {"all", situation.channel, situation.purpose}
            assert not [
                hold
                for hold in situation.holds
                if hold.scope in scopes and (hold.until is None or hold.until > at)
            ]

    @given(situation=situations, at=instants)
    def test_marketing_leaves_only_for_those_who_want_it_and_may_get_it(
        self, situation: Situation, at: datetime
    ) -> None:
        verdict = decide(situation, rules=IN_FORCE, at=at)
        if isinstance(verdict, Allow) and situation.purpose == Purpose.MARKETING:
            assert situation.has_opted_in
            assert situation.barred is None

    @given(situation=situations, at=instants, dropped=st.integers(0, len(RULES) - 1))
    def test_a_missing_row_never_allows_more(
        self, situation: Situation, at: datetime, dropped: int
    ) -> None:
        fewer = [row for n, row in enumerate(RULES) if n != dropped]
        verdict = decide(situation, rules=rules_in_force(fewer, on=TODAY), at=at)
        # A second quota row of the same scope may go; every other loss must block.
        if isinstance(verdict, Allow) and RULES[dropped].kind != "quota":
            assert RULES[dropped].purpose != situation.purpose

    @given(situation=situations, at=instants)
    def test_a_later_time_is_named_only_in_the_future(
        self, situation: Situation, at: datetime
    ) -> None:
        verdict = decide(situation, rules=IN_FORCE, at=at)
        if isinstance(verdict, Block) and verdict.next_allowed_at is not None:
            assert verdict.next_allowed_at > at

    @given(
        hours=st.lists(st.integers(0, 40 * 24), min_size=1, max_size=200).map(sorted),
        channels=st.lists(st.sampled_from([*Channel]), min_size=200, max_size=200),
    )
    def test_nobody_gets_more_than_one_reminder_a_day_and_three_a_week(
        self, hours: list[int], channels: list[str]
    ) -> None:
        used: dict[str, dict[date, int]] = {}
        sent: list[date] = []
        for hour, channel in zip(hours, channels, strict=False):
            at = NOON + timedelta(hours=hour)
            on = at.astimezone(SHANGHAI).date()
            verdict = decide(situation(channel=channel, used=used), rules=IN_FORCE, at=at)
            if isinstance(verdict, Allow):
                sent.append(on)
                for counter in verdict.counters:
                    days = used.setdefault(counter, {})
                    days[on] = days.get(on, 0) + 1
        assert len(set(sent)) == len(sent)
        for on in sent:
            assert sum(on - timedelta(days=6) <= other <= on for other in sent) <= 3


class TestRulesInForce:
    def test_take_the_latest_version_of_a_code_that_has_begun(self) -> None:
        later = rule(
            "collection.h",
            "collection",
            "hours",
            {"silent_from": "20:00", "silent_until": "09:00"},
            since="2026-03-11",
        )
        before = rules_in_force([later, *RULES], on=TODAY)[Purpose.COLLECTION]
        after = rules_in_force([later, *RULES], on=date(2026, 3, 11))[Purpose.COLLECTION]
        assert before.silences == (Silence(since=time(22), until=time(8)),)
        assert after.silences == (Silence(since=time(20), until=time(9)),)

    def test_are_empty_before_any_rule_begins(self) -> None:
        assert rules_in_force(RULES, on=date(2024, 12, 31)) == {}

    def test_add_up_so_that_the_strictest_wins(self) -> None:
        more = rule(
            "extra", "collection", "hours", {"silent_from": "12:00", "silent_until": "13:00"}
        )
        rules = rules_in_force([*RULES, more], on=TODAY)
        verdict = decide(situation(), rules=rules, at=NOON)
        assert isinstance(verdict, Block)
        assert verdict.next_allowed_at == NOON + timedelta(hours=1)

    def test_leave_out_a_row_of_an_unknown_purpose(self) -> None:
        assert set(rules_in_force([*RULES, *rules_of("survey")], on=TODAY)) == set(Purpose)


class TestCheckRule:
    @pytest.mark.parametrize(
        ("purpose", "kind", "value"),
        [
            ("survey", "hold", {"stops": True}),
            ("collection", "weather", {}),
            ("collection", "hours", {}),
            ("collection", "hours", {"silent_from": "22:00", "silent_until": "22:00"}),
            ("collection", "hours", {"silent": "never"}),
            ("collection", "hold", {"stops": 1}),
            ("collection", "consent", {}),
            ("collection", "quota", {"channel": "all", "unlimited": False}),
            ("collection", "quota", {"group": "r", "channel": "fax", "days": 1, "at_most": 1}),
            ("collection", "quota", {"group": "r", "channel": "all", "days": 0, "at_most": 1}),
            ("collection", "quota", {"group": "", "channel": "all", "days": 1, "at_most": 1}),
        ],
    )
    def test_refuses_what_the_gate_could_not_read(
        self, purpose: str, kind: str, value: Any
    ) -> None:
        with pytest.raises(RuleNotReadable):
            check_rule(rule("x", purpose, kind, value))

    def test_accepts_every_row_of_these_tests(self) -> None:
        assert [check_rule(row) for row in RULES] == [None] * len(RULES)


class TestQuota:
    def test_counts_a_channel_apart(self) -> None:
        quota = Quota(group="reminder", channel="sms", days=1, at_most=1)
        assert quota.counter == "reminder:sms"
        assert replace(quota, channel="all").counter == "reminder"


class TestSilence:
    def test_may_lie_within_a_day(self) -> None:
        noon = Silence(since=time(12), until=time(14))
        assert [noon.covers(NOON + timedelta(hours=h)) for h in (-1, 0, 1, 2)] == [
            False,
            True,
            True,
            False,
        ]
        assert noon.ends_after(NOON) == NOON + timedelta(hours=2)
