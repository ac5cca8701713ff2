"""Counters over a window and snoozes, in the live service: what is told counts, and it replays."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
from deciding import APPLICATION, VECTOR, store_vector
from life import KEY, house, rule_of
from sqlalchemy import delete, func, select

from cli.risk import load_list_file
from desk.queries import AuditFilter, audit_entries
from kernel.runtime import Runtime
from risk.decisions.counting import CounterUnserved, assert_served
from risk.decisions.house import HouseDecide
from risk.decisions.replay import replay
from risk.decisions.service import DecisionService
from risk.decisions.sharing import value_hash
from risk.decisions.snoozes import SnoozeNotFound, end_snooze, start_snooze
from risk.decisions.strategies import publish_strategy
from risk.decisions.telling import tell_decisions
from risk.decisions.writing import HOUSE
from risk.features.catalogue import read_catalogue
from risk.operations import Fact, record_facts, shared_values
from risk.strategy.decision import Snooze
from risk.strategy.language import Counter
from risk.tables import CountedEvent, DecisionRecord, LinkEdge, LinkValue, RiskWalk

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
        self.caller = HOUSE

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

    def decide(
        self,
        device: str | None,
        *,
        subject: str = "customer:17",
        key: str = "",
        links: dict[str, str] | None = None,
        **more: str,
    ) -> dict[str, Any]:
        self.asked += 1
        given = {} if device is None else {"device_id": device}
        body = {
            "subject": subject,
            "product": "instalment",
            "application": APPLICATION | given | more,
            "links": links or {},
        }
        entry = self.service.asked(
            caller_id=self.caller,
            key=key or f"k{self.asked}",
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


@pytest.fixture
def partner(live: Live) -> Live:
    """A partner asks; nobody but the walk tells what its applicants share."""
    live.caller = 7
    for number in range(1, 5):
        store_vector(live.runtime, f"customer:{number}", VECTOR)
    return live


def tell(live: Live, *, at_once: int = 500) -> int:
    with live.runtime.database.write() as session:
        return tell_decisions(session, now=live.runtime.clock.now(), at_once=at_once)


def degree(live: Live, device: str) -> int:
    hashed = value_hash(live.runtime.cipher, kind="device", value=device)
    with live.runtime.database.read() as session:
        row = session.get(LinkValue, hashed)
        return row.degree if row else 0


class TestPartners:
    def test_what_partners_had_decided_counts_for_those_who_come_after(self, partner: Live) -> None:
        outcomes = []
        for number in (1, 2, 3):
            outcomes.append(partner.decide("ABC-1", subject=f"customer:{number}")["outcome"])
            assert tell(partner) == 1
        assert outcomes == ["approve", "approve", "review"]
        assert degree(partner, "abc1") == 3
        answer = partner.decide("abc 1", subject="customer:4")
        assert hits(answer)["fraud.busy"] == ("hit", {"device_day": 4})
        assert partner.is_replayed(answer["id"])

    def test_links_count_like_fields(self, partner: Live) -> None:
        for number in (1, 2):
            partner.decide(None, subject=f"customer:{number}", links={"device": "D-9"})
        assert tell(partner) == 2
        assert degree(partner, "d9") == 2

    def test_a_repeated_key_and_a_repeated_walk_count_once(self, partner: Live) -> None:
        first = partner.decide("abc1", subject="customer:1", key="same")
        assert partner.decide("abc1", subject="customer:1", key="same")["id"] == first["id"]
        assert (tell(partner), tell(partner)) == (1, 0)
        with partner.runtime.database.write() as session:
            session.execute(delete(RiskWalk))
        assert tell(partner) == 0
        assert degree(partner, "abc1") == 1
        with partner.runtime.database.read() as session:
            assert session.scalar(select(func.count()).select_from(CountedEvent)) == 1

    def test_a_walk_goes_on_where_it_was_in_pieces(self, partner: Live) -> None:
        for number in (1, 2, 3, 4):
            partner.decide("abc1", subject=f"customer:{number}")
        with suppress(KeyboardInterrupt), partner.runtime.database.write() as session:
            assert tell_decisions(session, now=partner.runtime.clock.now()) == 4
            raise KeyboardInterrupt
        assert degree(partner, "abc1") == 0
        assert [tell(partner, at_once=3) for _ in range(3)] == [3, 1, 0]
        assert degree(partner, "abc1") == 4

    def test_a_decision_that_is_stored_late_is_told_all_the_same(self, partner: Live) -> None:
        partner.decide("abc1", subject="customer:1")
        partner.pass_time(seconds=60)
        tell(partner)
        partner.pass_time(seconds=-20)
        partner.decide("abc1", subject="customer:2")  # decided before the walk, stored after it
        partner.pass_time(seconds=25)
        assert tell(partner) == 1
        assert degree(partner, "abc1") == 2

    def test_a_link_counts_others_and_never_the_applicant(self, partner: Live) -> None:
        device = value_hash(partner.runtime.cipher, kind="device", value="abc1")
        seen = []
        for subject in ("customer:1", "customer:2", "customer:1"):
            number = partner.decide(None, subject=subject, links={"device": "abc1"})["id"]
            tell(partner)
            with partner.runtime.database.write() as session:
                snapshot = session.scalar(
                    select(DecisionRecord.snapshot).where(DecisionRecord.id == number)
                )
                now = partner.runtime.clock.now()
                edge = session.get_one(LinkEdge, (device, "customer:1"))
                edge.bad_at, session.get_one(LinkValue, device).bad = now, 1
            seen.append(
                [(degree, bad) for _, degree, bad, _ in json.loads(snapshot)["link_counts"]]
            )
        assert seen == [[], [(1, 1)], [(1, 0)]]

    def test_what_the_house_decides_it_tells_itself(self, live: Live) -> None:
        live.decide("abc1")
        assert (tell(live), degree(live, "abc1")) == (0, 0)


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
