"""Shadows decide behind what was decided, on what was seen then, and change nothing."""

from datetime import timedelta
from typing import Any

import pytest
from life import KEY, Saved, rule_of, stricter
from sqlalchemy import delete, func, select

from kernel.runtime import Runtime
from risk.features.catalogue import read_catalogue
from risk.jobs import follow_shadows
from risk.lifecycle.queries import ShadowView, shadow_differences, shadows
from risk.lifecycle.shadowing import (
    ShadowNotFound,
    follow_shadow,
    running_shadows,
    start_shadow,
    stop_shadow,
)
from risk.lifecycle.tables import ShadowDecision
from risk.tables import DecisionRecord, FeatureVector


def laxer(document: dict[str, Any]) -> None:
    rule_of(document, "hard.overdue")["when"]["value"] = 90


def start(runtime: Runtime, version: int, *, hours: int = 24) -> int:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        return start_shadow(
            session,
            key=KEY,
            version=version,
            catalogue=read_catalogue(),
            by="analyst",
            ends_at=now + timedelta(hours=hours),
            now=now,
        )


def later(runtime: Runtime, **by: float) -> None:
    runtime.clock.advance(timedelta(**by))  # type: ignore[attr-defined]


def seen(runtime: Runtime) -> dict[int, ShadowView]:
    with runtime.database.read() as session:
        return {view.version: view for view in shadows(session, strategy=KEY)}


def test_several_shadows_say_where_they_would_have_decided_otherwise(
    in_force: Runtime, decide: Any, saved: Saved
) -> None:
    before = decide("customer:9", overdue_days_max_12m=45)
    strict, lax = saved(stricter), saved(laxer)
    later(in_force, seconds=1)
    start(in_force, strict)
    start(in_force, lax)
    made = {
        f"customer:{days}": decide(f"customer:{days}", overdue_days_max_12m=days)
        for days in (0, 45, 50, 70)
    }
    follow_shadows(in_force)
    assert seen(in_force)[strict].compared == 0  # too young: a commit may be under way
    later(in_force, minutes=1)
    follow_shadows(in_force)
    views = seen(in_force)
    assert views[strict].matrix == {
        ("approve", "approve"): 1,
        ("approve", "decline"): 2,
        ("decline", "decline"): 1,
    }
    assert (views[strict].agreed, views[strict].would_decline, views[strict].would_approve) == (
        2,
        2,
        0,
    )
    assert (views[lax].would_approve, views[lax].agreed) == (1, 3)
    with in_force.database.read() as session:
        (one,) = shadow_differences(session, shadow_id=views[lax].id)
        both = shadow_differences(session, shadow_id=views[strict].id, outcome="decline")
        stored = session.scalar(select(func.count()).select_from(DecisionRecord))
    assert one.decision_id == made["customer:70"]["id"]
    assert one.answer["strategy"]["version"] == lax
    assert {each.decision_id for each in both} == {
        made["customer:45"]["id"],
        made["customer:50"]["id"],
    }
    (hit,) = [each for each in both[0].answer["evidence"] if each["outcome"] == "decline"]
    assert hit["rule"] == "hard.overdue"
    assert before["id"] not in {each.decision_id for each in both}
    assert stored == 5


def test_following_again_says_nothing_twice(in_force: Runtime, decide: Any, saved: Saved) -> None:
    number = start(in_force, saved(stricter))
    decide("customer:1", overdue_days_max_12m=45)
    later(in_force, minutes=1)
    follow_shadows(in_force)
    follow_shadows(in_force)
    decide("customer:2", overdue_days_max_12m=45)
    later(in_force, minutes=1)
    with in_force.database.write() as session:
        given = {"shadow_id": number, "catalogue": read_catalogue()}
        assert follow_shadow(session, **given, now=in_force.clock.now()) == 1
    with in_force.database.read() as session:
        assert session.scalar(select(func.count()).select_from(ShadowDecision)) == 2


def test_what_is_no_longer_kept_is_counted_and_passed_over(
    in_force: Runtime, decide: Any, saved: Saved
) -> None:
    version = saved(stricter)
    start(in_force, version)
    decide("customer:1")
    decide("customer:2")
    with in_force.database.write() as session:
        session.execute(delete(FeatureVector).where(FeatureVector.subject == "customer:1"))
    later(in_force, minutes=1)
    follow_shadows(in_force)
    view = seen(in_force)[version]
    assert (view.compared, view.skipped) == (1, 1)


def test_a_shadow_ends_at_its_end_and_can_be_stopped(
    in_force: Runtime, decide: Any, saved: Saved
) -> None:
    short, long = saved(stricter), saved(laxer)
    start(in_force, short, hours=1)
    number = start(in_force, long, hours=100)
    decide("customer:1")
    later(in_force, hours=2)
    decide("customer:2")
    later(in_force, minutes=1)
    follow_shadows(in_force)
    views = seen(in_force)
    assert (views[short].compared, views[long].compared) == (1, 2)
    assert views[short].ended_at is not None
    for _ in range(2):
        with in_force.database.write() as session:
            stop_shadow(session, shadow_id=number, by="analyst", now=in_force.clock.now())
            assert running_shadows(session) == ()
    with pytest.raises(ShadowNotFound), in_force.database.write() as session:
        stop_shadow(session, shadow_id=99, by="analyst", now=in_force.clock.now())
