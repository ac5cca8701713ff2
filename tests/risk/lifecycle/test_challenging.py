"""A challenger decides for its share, and a guard rail gives everybody back to the champion."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from fixed_prices import FixedPrices
from life import KEY, Saved, cases, house, roll_back_to_before, rule_of
from sqlalchemy import select

import risk.lifecycle.arms
import worker
from cli import commands
from desk.operations.documents import AuthorApproves
from desk.queries import AuditFilter, audit_entries
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from risk.decisions.replay import replay
from risk.events import ChallengeStopped
from risk.features.catalogue import read_catalogue
from risk.jobs import watch_challenges
from risk.lifecycle.challenging import (
    ChallengeEnded,
    ChallengeNotFound,
    ChallengeOdd,
    ChallengeRunning,
    ChallengeUnguarded,
    ChallengeUntested,
    ChampionAbsent,
    change_share,
    start_challenge,
    stop_challenge,
)
from risk.lifecycle.publishing import mark_version_tested, publish_version, save_cases
from risk.lifecycle.queries import ChallengeView, challenges
from risk.lifecycle.splitting import Arm, is_challenged
from risk.lifecycle.tables import StrategyChallenge
from risk.operations import Granted, record_granted
from risk.strategy.problems import StrategyInvalid
from risk.strategy.reading import read_strategy
from servicing.jobs import alert_stopped_challenge
from servicing.queries import alerts

HALF = 500
PATIENT = {"p99_ms_most": 4_999}
"""On a machine that is busy with others a decision may take long."""

LOOSE = PATIENT | {
    "approve_share_least": 0,
    "approve_share_most": 0.99,
    "approve_share_gap_most": 1,
    "decline_share_most": 1,
}
"""What a challenger that declines everybody does not break."""

BAD_RAILS = LOOSE | {"least_decisions": 1, "least_outcomes": 5, "bad_share_most": 0.5}


def declining(document: dict[str, Any]) -> None:
    """Decline whoever has not settled a loan before: everybody here."""
    rule = rule_of(document, "hard.overdue") | {"id": "hard.new", "missing": "decline"}
    rule["when"] = {"field": "loans_settled", "is": "below", "value": 2}
    document["stages"][1]["rules"].append(rule)


@pytest.fixture
def challenger(in_force: Runtime, saved: Saved) -> int:
    """A tested version that declines everybody."""
    declined = [each for each in cases()["cases"] if each["expected"]["outcome"] == "decline"]
    for each in declined:
        each["expected"] = {"outcome": "decline"}
    version = saved(declining)
    with in_force.database.write() as session:
        save_cases(
            session,
            key=KEY,
            cases={"cases": declined},
            strategy=read_strategy(house(), read_catalogue()),
            by="analyst",
            now=in_force.clock.now(),
        )
        mark_version_tested(
            session,
            key=KEY,
            version=version,
            catalogue=read_catalogue(),
            by="analyst",
            now=in_force.clock.now(),
        )
    return version


def start(runtime: Runtime, version: int, *, by: str = "manager", **changes: Any) -> int:
    given: dict[str, Any] = {"share_permille": HALF, "rails": LOOSE | {"least_decisions": 5}}
    with runtime.database.write() as session:
        return start_challenge(
            session,
            key=KEY,
            version=version,
            catalogue=read_catalogue(),
            by=by,
            now=runtime.clock.now(),
            **given | changes,
        )


def decide_many(decide: Any, *, count: int = 24) -> dict[str, dict[str, Any]]:
    decide.service.holder._watch.asked_at = float("-inf")  # as after fifteen seconds
    decide.service.holder.look()
    return {f"customer:{n}": decide(f"customer:{n}") for n in range(count)}


def view(runtime: Runtime) -> ChallengeView:
    with runtime.database.read() as session:
        (found,) = challenges(session, strategy=KEY)
    return found


def salt_of(runtime: Runtime) -> str:
    with runtime.database.read() as session:
        return session.scalars(select(StrategyChallenge.salt)).one()


def watch_later(runtime: Runtime, decide: Any) -> None:
    decide.service.holder.meter.flush(runtime.redis)
    runtime.clock.advance(timedelta(minutes=1))  # type: ignore[attr-defined]
    watch_challenges(runtime)


def tell_outcomes(runtime: Runtime, is_bad: dict[str, bool | None]) -> None:
    """Tell what came of decisions, a second after what was told before."""
    runtime.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    now = runtime.clock.now()
    granted = [
        Granted(
            key=f"{decision_id}/{now}",
            of=decision_id,
            subject="customer:1",
            decision_id=decision_id,
            is_bad=bad,
            happened_at=now,
            known_at=now,
        )
        for decision_id, bad in is_bad.items()
    ]
    with runtime.database.write() as session:
        assert record_granted(session, granted=granted) == len(granted)
        assert record_granted(session, granted=granted) == 0


class TestSplit:
    def test_subjects_fall_to_one_arm_and_decisions_name_and_replay_their_version(
        self, in_force: Runtime, decide: Any, challenger: int
    ) -> None:
        start(in_force, challenger)
        made = decide_many(decide)
        salt = salt_of(in_force)
        for subject, answer in made.items():
            falls = is_challenged(subject, salt=salt, share_permille=HALF)
            assert answer["strategy"]["version"] == (challenger if falls else 1)
            assert answer["outcome"] == ("decline" if falls else "approve")
        versions = [answer["strategy"]["version"] for answer in made.values()]
        assert 5 < versions.count(challenger) < 19
        with in_force.database.read() as session:
            for answer in list(made.values())[:6]:
                again = replay(session, decision_id=answer["id"], catalogue=read_catalogue())
                assert again.is_same

    def test_figures_of_both_arms_are_read_and_add_up(
        self, in_force: Runtime, decide: Any, challenger: int
    ) -> None:
        start(in_force, challenger)
        made = decide_many(decide)
        watch_later(in_force, decide)
        watch_later(in_force, decide)
        found = view(in_force)
        assert found.ended_at is None
        challenged = [each for each in made.values() if each["outcome"] == "decline"]
        reading = found.readings[Arm.CHALLENGER]
        assert (reading.decisions, reading.approved, reading.errors) == (len(challenged), 0, 0)
        assert found.readings[Arm.CHAMPION].approved == len(made) - len(challenged)
        assert reading.p99_ms is not None


class TestGuardRails:
    def test_a_broken_rail_stops_audits_alerts_and_gives_back_to_the_champion(
        self, in_force: Runtime, decide: Any, challenger: int
    ) -> None:
        rails = LOOSE | {"least_decisions": 5, "approve_share_least": 0.4}
        number = start(in_force, challenger, rails=rails)
        decide_many(decide)
        watch_later(in_force, decide)
        found = view(in_force)
        assert found.ended_by == "machine:guard-rails"
        assert found.ended_why == "approve share 0.0% below 40.0%"
        assert found.ended_for == [{"rail": "approve_share_least", "found": 0.0, "bound": 0.4}]
        again = decide_many(decide)
        assert {each["outcome"] for each in again.values()} == {"approve"}
        with in_force.database.write() as session:
            (entry,) = audit_entries(
                session, wanted=AuditFilter(action="risk.strategy.challenge_stopped"), limit=5
            )
            event = session.scalars(select(OutboxRow).filter_by(event="ChallengeStopped")).one()
        assert (entry.actor, entry.details["challenge"]) == ("machine:guard-rails", number)
        assert alert_stopped_challenge in worker.ROUTES[ChallengeStopped]
        for _ in range(2):
            alert_stopped_challenge(in_force, **event.payload)
        with in_force.database.read() as session:
            (alert,) = alerts(session, limit=5)
        assert (alert.kind, alert.details["why"]) == ("challenge-stopped", found.ended_why)
        assert alert.details["broken"] == found.ended_for

    def test_a_challenger_that_breaks_costs_no_answer_and_is_stopped(
        self,
        in_force: Runtime,
        decide: Any,
        challenger: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        start(in_force, challenger)
        real = risk.lifecycle.arms.decide

        def breaking(served: Any, case: Any) -> Any:
            if served.published.version == challenger:
                raise ZeroDivisionError
            return real(served, case)

        monkeypatch.setattr(risk.lifecycle.arms, "decide", breaking)
        made = decide_many(decide)
        assert {each["strategy"]["version"] for each in made.values()} == {1}
        watch_later(in_force, decide)
        found = view(in_force)
        assert found.ended_why is not None
        assert "error share 100.0%" in found.ended_why

    def test_nobody_set_a_rail_and_it_stops_all_the_same(
        self, in_force: Runtime, decide: Any, challenger: int
    ) -> None:
        start(in_force, challenger, rails=PATIENT | {"least_decisions": 5})
        decide_many(decide)
        watch_later(in_force, decide)
        found = view(in_force)
        assert found.ended_by == "machine:guard-rails"
        broken = [each["rail"] for each in found.ended_for or ()]
        assert broken == ["approve_share_least", "decline_share_most", "approve_share_gap_most"]

    def test_rails_that_watch_nothing_are_refused(self, in_force: Runtime, challenger: int) -> None:
        with pytest.raises(ChallengeUnguarded, match="no guard rail watches outcomes"):
            start(in_force, challenger, rails=LOOSE | {"approve_share_most": 1})

    def test_what_came_of_its_decisions_stops_it_and_a_correction_counts(
        self, in_force: Runtime, decide: Any, challenger: int
    ) -> None:
        number = start(in_force, challenger, rails=BAD_RAILS)
        made = decide_many(decide)
        own = [one["id"] for one in made.values() if one["strategy"]["version"] == challenger]
        outcomes = {one: n < 3 for n, one in enumerate(own[:5])}
        tell_outcomes(in_force, outcomes | {own[3]: True})
        tell_outcomes(in_force, {own[3]: None, own[4]: None})
        watch_later(in_force, decide)
        found = view(in_force)
        assert (found.readings[Arm.CHALLENGER].known, found.ended_at) == (3, None)
        tell_outcomes(in_force, outcomes)
        watch_later(in_force, decide)
        found = view(in_force)
        assert (found.id, found.ended_why) == (number, "bad share 60.0% above 50.0%")
        assert found.readings[Arm.CHAMPION].known == 0

    def test_another_champion_ends_it(
        self, in_force: Runtime, decide: Any, challenger: int
    ) -> None:
        start(in_force, challenger)
        with in_force.database.write() as session:
            publish_version(
                session,
                key=KEY,
                version=challenger,
                catalogue=read_catalogue(),
                by="manager",
                effective_on=in_force.clock.now().date(),
                now=in_force.clock.now(),
            )
            roll_back_to_before(in_force, session)
        watch_challenges(in_force)
        assert view(in_force).ended_at is None  # the body of the champion is the same as before
        in_force.clock.advance(timedelta(minutes=1))  # type: ignore[attr-defined]
        with in_force.database.write() as session:
            session.execute(
                StrategyChallenge.__table__.update().values(champion_hash="0" * 64)  # type: ignore[attr-defined]
            )
        made = decide_many(decide, count=8)
        assert {each["outcome"] for each in made.values()} == {"approve"}
        watch_challenges(in_force)
        assert view(in_force).ended_why == "another champion is in force"
        assert view(in_force).ended_for == [{"rail": "other-champion"}]


class TestStarting:
    def test_asks_for_another_person_a_tested_version_and_one_at_a_time(
        self, in_force: Runtime, challenger: int, saved: Saved
    ) -> None:
        with pytest.raises(AuthorApproves):
            start(in_force, challenger, by="analyst")
        draft = saved(lambda document: document.update(title="另一个名字"))
        with pytest.raises(ChallengeUntested):
            start(in_force, draft)
        for odd in ({"share_permille": 501}, {"share_permille": 0}, {"rails": {"x": 1}}):
            with pytest.raises(ChallengeOdd):
                start(in_force, challenger, **odd)
        number = start(in_force, challenger)
        with pytest.raises(ChallengeRunning):
            start(in_force, challenger)
        with in_force.database.write() as session:
            given = {"by": "manager", "why": "enough", "now": in_force.clock.now()}
            stop_challenge(session, challenge_id=number, **given)
            stop_challenge(session, challenge_id=number, **given)
            with pytest.raises(ChallengeNotFound):
                stop_challenge(session, challenge_id=99, **given)
        assert view(in_force).ended_why == "enough"

    def test_refuses_prices_that_its_product_may_not_have(
        self, in_force: Runtime, challenger: int
    ) -> None:
        with pytest.raises(StrategyInvalid, match="price-outside"):
            start(in_force, challenger, prices=FixedPrices(least="0.23", most="0.24"))
        start(in_force, challenger, prices=None)

    def test_needs_a_champion(self, runtime: Runtime, saved: Saved) -> None:
        with pytest.raises(ChampionAbsent):
            start(runtime, saved(lambda _: None))


class TestShare:
    def test_grows_and_nobody_who_fell_to_the_challenger_leaves_it(
        self, in_force: Runtime, decide: Any, challenger: int
    ) -> None:
        number = start(in_force, challenger, share_permille=200)
        before = arms_of(decide_many(decide), challenger)
        share_to(in_force, number, 400)
        in_force.clock.advance(timedelta(minutes=1))  # type: ignore[attr-defined]
        after = arms_of(decide_many(decide), challenger)
        assert before < after

    def test_is_changed_by_another_person_while_it_runs(
        self, in_force: Runtime, challenger: int
    ) -> None:
        number = start(in_force, challenger)
        with pytest.raises(AuthorApproves):
            share_to(in_force, number, 100, by="analyst")
        with pytest.raises(ChallengeOdd):
            share_to(in_force, number, 501)
        with in_force.database.write() as session:
            now = in_force.clock.now()
            stop_challenge(session, challenge_id=number, by="manager", why="enough", now=now)
        with pytest.raises(ChallengeEnded):
            share_to(in_force, number, 100)


def share_to(runtime: Runtime, number: int, permille: int, *, by: str = "manager") -> None:
    with runtime.database.write() as session:
        change_share(
            session,
            challenge_id=number,
            share_permille=permille,
            by=by,
            now=runtime.clock.now(),
        )


def arms_of(made: dict[str, dict[str, Any]], challenger: int) -> set[str]:
    """Name the subjects that the challenger decided on."""
    return {who for who, said in made.items() if said["strategy"]["version"] == challenger}


def test_the_commands_start_watch_and_stop_both(
    in_force: Runtime, challenger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli._runtime", lambda: in_force)

    def ran(*words: object, code: int = 0) -> Any:
        found = CliRunner().invoke(commands, ["risk", *map(str, words)])
        assert found.exit_code == code, found.output
        return json.loads(found.stdout) if code == 0 else found.output

    by = ("--by", "manager")
    ran("shadow", "start", KEY, challenger, "--days", 3, *by)
    ran("shadow", "start", KEY, 1, *by)
    ran("shadow", "stop", 1, *by)
    assert [each["is_running"] for each in ran("shadow", "list", KEY)] == [True, False]
    rail = ("--rail", "approve_share_least=0.4", "--rail", "least_decisions=50")
    ran("challenge", "start", KEY, challenger, "--share", 12.5, *rail, *by)
    ran("challenge", "share", 1, "--share", 20, *by)
    (found,) = ran("challenge", "list", KEY)
    assert (found["share_permille"], found["rails"]["approve_share_least"]) == (200, 0.4)
    assert found["rails"]["least_decisions"] == 50
    ran("challenge", "stop", 1, *by, "--why", "enough")
    (found,) = ran("challenge", "list", KEY)
    assert (found["is_running"], found["ended_why"]) == (False, "enough")
    assert "no NAME=BOUND" in ran(
        "challenge", "start", KEY, challenger, "--share", 5, "--rail", "x", *by, code=2
    )
