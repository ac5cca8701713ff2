"""A strategy that ends with nothing behind it is told of a week before."""

from datetime import date, timedelta
from typing import Any

from life import KEY, house
from sqlalchemy import select

import worker
from kernel.clock import business_date
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from risk.decisions.strategies import publish_strategy
from risk.events import StrategyEnding
from risk.features.catalogue import read_catalogue
from risk.jobs import watch_periods
from risk.lifecycle.periods import endings, planned
from servicing.jobs import alert_ending_strategy
from servicing.queries import alerts


def publish(runtime: Runtime, **changes: Any) -> int:
    with runtime.database.write() as session:
        return publish_strategy(
            session,
            document=house() | changes,
            catalogue=read_catalogue(),
            author="analyst",
            approver="manager",
            now=runtime.clock.now(),
        ).version


def ending_on(runtime: Runtime, on: date) -> list[tuple[str, date]]:
    with runtime.database.read() as session:
        return [(each.strategy, each.ends_on) for each in endings(session, on=on)]


def test_staff_are_alerted_once_a_week_before_the_end(in_force: Runtime) -> None:
    today = business_date(in_force.clock.now())
    ends = today + timedelta(days=7)
    version = publish(in_force, effective_to=f"{ends}")
    assert ending_on(in_force, today - timedelta(days=1)) == []
    assert ending_on(in_force, today) == [(KEY, ends)]
    watch_periods(in_force)
    with in_force.database.read() as session:
        event = session.scalars(select(OutboxRow).filter_by(event="StrategyEnding")).one()
    assert alert_ending_strategy in worker.ROUTES[StrategyEnding]
    assert watch_periods in [each.job for each in worker.PERIODIC]
    for _ in range(2):
        alert_ending_strategy(in_force, **event.payload)
    with in_force.database.read() as session:
        (alert,) = alerts(session, limit=5)
    assert (alert.kind, alert.details["version"]) == ("strategy-ending", version)


def test_nothing_is_told_where_another_stands_behind_it(in_force: Runtime) -> None:
    today = business_date(in_force.clock.now())
    ends = today + timedelta(days=3)
    publish(in_force, effective_to=f"{ends}")
    version = publish(in_force, title="下一版", effective_from=f"{ends}")
    assert ending_on(in_force, today) == []
    with in_force.database.read() as session:
        coming = planned(session, key=KEY, on=today)
        assert coming is not None
        assert (coming.version, coming.effective_on) == (version, ends)
        assert planned(session, key=KEY, on=ends) is None
