"""Background work of dunning; worker.py decides when it runs."""

from datetime import date

from contact.ports import Holds, StillDue
from dunning import operations
from kernel.jobs import job
from kernel.logs import log
from kernel.runtime import Runtime


@job(timeout_s=3600)
def plan_reminders(runtime: Runtime, *, on: str) -> None:
    """Plan a business date's reminders; the same date twice plans nothing more."""
    with runtime.database.write() as session:
        counts = operations.plan(session, on=date.fromisoformat(on), now=runtime.clock.now())
    log.info("reminders planned", on=on, counts=counts)


@job()
def stop_reminders(runtime: Runtime, *, customer_id: int, **_event: object) -> None:
    """Take back a customer's reminders that have lost their ground: paid, or on hold."""
    with runtime.database.write() as session:
        stopped = operations.stop_reminders(
            session,
            customer_id=customer_id,
            still_due=runtime.get(StillDue),
            holds=runtime.get(Holds),
            now=runtime.clock.now(),
        )
    if stopped:
        log.info("reminders stopped", customer_id=customer_id, stopped=stopped)
