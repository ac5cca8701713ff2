"""Counters over a window and snoozes, in the live service: what is told counts, and it replays."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from deciding import APPLICATION, VECTOR, store_vector
from life import KEY, house, rule_of

from cli.risk import load_list_file
from desk.queries import AuditFilter, audit_entries
from kernel.runtime import Runtime
from risk.decisions.counting import CounterUnserved, assert_served
from risk.decisions.house import HouseDecide
from risk.decisions.replay import replay
from risk.decisions.service import DecisionService
from risk.decisions.snoozes import SnoozeNotFound, end_snooze, start_snooze
from risk.decisions.strategies import publish_strategy
from risk.features.catalogue import read_catalogue
from risk.operations import Fact, record_facts, shared_values
from risk.strategy.decision import Snooze
from risk.strategy.language import Counter

TODAY = date(2026, 3, 10)


def counting(document: dict[str, Any]) -> None:
    """Review whoever applies with a device that applied three times within a day."""
    counter = {"name": "device_day", "event": "application", "by": "device_id", "window": "24h"}
    document["counters"] = [counter]
    rule = rule_of(document, "fraud.shared") | {
        "id": "fraud.busy",
        "title": "同一设备频繁申请",
        "when": {"field": "device_day", "is": "at_least", "value": 3},
        "may_snooze": True,
    }
    stage = next(each for each in document["stages"] if rule_of_stage(each, "fraud.shared"))
    stage["rules"].append(rule)


def rule_of_stage(stage: dict[str, Any], rule: str) -> bool:
    return any(each.get("id") == rule for each in stage.get("rules", ()))


@pytest.fixture
def live(runtime: Runtime) -> Iterator["Live"]:
    for name in ("own-blocked", "prevention"):
        load_list_file(runtime, name, None)
    with runtime.database.write() as session:
        publish_strategy(
            session,
            document=house(counting),
            catalogue=read_catalogue(),
            author="analyst",
            approver="manager",
            now=runtime.clock.now(),
        )
    store_vector(runtime, "customer:17", VECTOR)
    service = DecisionService(runtime, read_catalogue())
    yield Live(runtime, service)
    service.close()


class Live:
    """The service with a strategy that counts, and facts that are told meanwhile."""

    def __init__(self, runtime: Runtime, service: DecisionService) -> None:
        self.runtime, self.service, self.asked = runtime, service, 0

    def apply(self, device: str, *, times: int = 1) -> None:
        """Tell that somebody applied."""
        with self.runtime.database.write() as session:
            for _ in range(times):
                self.asked += 1
                now = self.runtime.clock.now()
                fact = Fact(
                    key=f"application:{self.asked}",
                    subject=f"customer:{self.asked}",
                    kind="application",
                    happened_at=now,
                    known_at=now,
                    shared=shared_values(self.runtime.cipher, {"device": device}),
                )
                record_facts(session, facts=[fact])

    def decide(self, device: str | None, **more: str) -> dict[str, Any]:
        self.asked += 1
        given = {} if device is None else {"device_id": device}
        body = {
            "subject": "customer:17",
            "product": "instalment",
            "application": APPLICATION | given | more,
        }
        entry = self.service.asked(
            caller_id=1,
            key=f"k{self.asked}",
            body=json.dumps(body).encode(),
            may_state_all=True,
        )
        self.service.settle([entry])
        found: dict[str, Any] = json.loads(entry.answer())
        return found

    def look(self) -> None:
        """Let the service look, as it does by itself within seconds."""
        self.service.holder._watch.asked_at = float("-inf")
        self.service.holder.look()

    def pass_time(self, **by: int) -> None:
        self.runtime.clock.advance(timedelta(**by))  # type: ignore[attr-defined]

    def is_replayed(self, decision_id: str) -> bool:
        with self.runtime.database.read() as session:
            return replay(session, decision_id=decision_id, catalogue=read_catalogue()).is_same

    def snooze(self, **changes: Any) -> int:
        given: dict[str, Any] = {
            "rule": "fraud.busy",
            "key": "customer:17",
            "since": TODAY,
            "until": TODAY + timedelta(days=2),
        }
        with self.runtime.database.write() as session:
            return start_snooze(
                session,
                strategy=KEY,
                snooze=Snooze(**given | changes),
                reason="门店集中办理",
                by="analyst",
                now=self.runtime.clock.now(),
            )


def hits(answer: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    return {hit["rule"]: (hit["kind"], hit["values"]) for hit in answer["evidence"]}


class TestCounters:
    def test_count_what_was_told_within_the_window(self, live: Live) -> None:
        live.apply("ABC-1", times=2)
        assert live.decide("abc1")["outcome"] == "approve"
        live.apply("abc 1")
        live.apply("another", times=5)
        answer = live.decide("abc1")
        assert answer["outcome"] == "review"
        assert hits(answer)["fraud.busy"] == ("hit", {"device_day": 3})
        live.pass_time(hours=24)
        assert live.decide("abc1")["outcome"] == "approve"

    def test_replay_to_the_same_bytes_whatever_is_told_since(self, live: Live) -> None:
        live.apply("abc1", times=3)
        number = live.decide("abc1")["id"]
        live.apply("abc1", times=4)
        assert live.is_replayed(number)

    def test_without_a_value_there_is_no_count_and_the_rule_says_what_that_means(
        self, live: Live
    ) -> None:
        assert "fraud.busy" not in hits(live.decide(None))
        document = house(counting)
        rule_of(document, "fraud.busy")["missing"] = "review"
        with live.runtime.database.write() as session:
            publish_strategy(
                session,
                document=document,
                catalogue=read_catalogue(),
                author="analyst",
                approver="manager",
                now=live.runtime.clock.now(),
            )
        live.look()
        answer = live.decide(None)
        assert (answer["outcome"], answer["missing"]) == ("review", ["device_day"])

    def test_the_house_counts_by_the_links_that_it_passes(
        self, live: Live, runtime: Runtime
    ) -> None:
        live.apply("D-9", times=3)
        decide = HouseDecide(runtime)
        decided = decide(
            key="a1",
            subject="customer:17",
            product="instalment",
            values=APPLICATION,
            links={"device": "d9"},
        )
        decide.close()
        assert decided.outcome == "review"
        assert live.is_replayed(decided.decision_id)

    @pytest.mark.parametrize(
        ("event", "by", "window_s"),
        [
            ("login", "device_id", 3_600),
            ("application", "merchant_name", 3_600),
            ("application", "phone", 91 * 86_400),
        ],
    )
    def test_of_what_nobody_tells_are_refused(self, event: str, by: str, window_s: int) -> None:
        with pytest.raises(CounterUnserved):
            assert_served([Counter(name="c", event=event, by=by, window_s=window_s)])
        assert_served([Counter(name="c", event="application", by="phone", window_s=90 * 86_400)])


class TestSnoozes:
    def test_silence_a_rule_for_one_subject_over_some_days(self, live: Live) -> None:
        live.apply("abc1", times=3)
        live.snooze()
        live.look()
        answer = live.decide("abc1")
        assert answer["outcome"] == "approve"
        assert hits(answer)["fraud.busy"][0] == "snoozed"
        assert live.is_replayed(answer["id"])
        live.pass_time(days=2)
        live.apply("abc1", times=3)
        live.look()
        assert live.decide("abc1")["outcome"] == "review"
        assert live.is_replayed(answer["id"])

    def test_silence_a_rule_for_a_merchant(self, live: Live) -> None:
        live.apply("abc1", times=3)
        live.snooze(key="merchant:宏达手机卖场")
        live.look()
        assert live.decide("abc1")["outcome"] == "review"
        answer = live.decide("abc1", merchant_name="宏达手机卖场")
        assert answer["outcome"] == "approve"
        assert live.is_replayed(answer["id"])

    def test_of_somebody_else_do_not_count(self, live: Live) -> None:
        live.apply("abc1", times=3)
        live.snooze(key="customer:18")
        live.look()
        assert live.decide("abc1")["outcome"] == "review"

    def test_can_be_ended_and_are_audited(self, live: Live) -> None:
        live.apply("abc1", times=3)
        number = live.snooze()
        live.look()
        assert live.decide("abc1")["outcome"] == "approve"
        now = live.runtime.clock.now()
        with live.runtime.database.write() as session:
            for _ in range(2):
                end_snooze(session, strategy=KEY, snooze_id=number, by="manager", now=now)
            with pytest.raises(SnoozeNotFound):
                end_snooze(session, strategy=KEY, snooze_id=number + 1, by="manager", now=now)
        live.look()
        assert live.decide("abc1")["outcome"] == "review"
        with live.runtime.database.read() as session:
            entries = audit_entries(session, wanted=AuditFilter(), limit=20, offset=0)
        acts = [entry.action for entry in entries if "snooze" in entry.action]
        assert sorted(acts) == ["risk.snooze.ended", "risk.snooze.started"]
