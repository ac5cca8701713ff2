"""The day's planning and the stopping, as the worker runs them."""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import select

import worker
from contact.tables import Contact
from dunning import jobs
from kernel.jobs import DEFAULT_QUEUE, Daily, queue_due, queue_of
from kernel.outbox import relay


def _queued(town: Any) -> list[tuple[str, dict[str, Any]]]:
    """Take what waits in the default queue."""
    queue = queue_of(town.runtime, DEFAULT_QUEUE)
    found = [(job.kwargs["name"], job.kwargs["arguments"]) for job in queue.jobs]
    queue.empty()
    return [entry for entry in found if entry[0].startswith("dunning.")]


class TestPlanReminders:
    def test_plans_once_however_often_it_runs(self, town: Any) -> None:
        town.borrower(3)
        for _ in range(2):
            jobs.plan_reminders(town.runtime, on="2026-03-10")
        assert town.contacts("state") == [(1, "ready")]

    def test_runs_after_close_of_day_and_before_anybody_may_be_reminded(self) -> None:
        hours = {entry.job.name: entry.schedule for entry in worker.PERIODIC}
        close, plan = (
            hours[name] for name in ("servicing.jobs.close_day", "dunning.jobs.plan_reminders")
        )
        assert isinstance(close, Daily)
        assert isinstance(plan, Daily)
        assert (close.hour, close.minute) < (plan.hour, plan.minute) < (8, 0)

    def test_is_queued_for_the_day_that_the_clock_is_moved_to(self, town: Any) -> None:
        found = []
        for text in (
            "2026-03-10T10:00",
            "2026-03-10T23:00",
            "2026-03-13T00:30",
            "2026-03-13T10:00",
        ):
            town.clock.at = datetime.fromisoformat(f"{text}+08:00")
            queue_due(town.runtime, worker.PERIODIC)
            found.append([arguments["on"] for _, arguments in _queued(town)])
        assert found == [["2026-03-10"], [], [], ["2026-03-13"]]


class TestStopReminders:
    def test_follows_payments_and_holds(self, town: Any) -> None:
        town.borrower(3)
        town.borrower(-7)
        town.borrower(-7)
        jobs.plan_reminders(town.runtime, on="2026-03-10")
        town.pay(1)
        town.hold(2)
        relay(town.runtime, worker.ROUTES)
        queued = _queued(town)
        assert Counter(name for name, _ in queued) == {"dunning.jobs.stop_reminders": 2}
        for _, arguments in queued * 2:
            jobs.stop_reminders(town.runtime, **arguments)
        with town.runtime.database.read() as session:
            states = session.execute(select(Contact.customer_id, Contact.state, Contact.reason))
            assert sorted(tuple(row) for row in states) == [
                (1, "withdrawn", "paid"), (2, "withdrawn", "hold"), (3, "ready", None)
            ]  # fmt: skip
