"""Servicing's background work; each job is one operation. The judge is given at the root."""

from datetime import date
from functools import partial

from kernel.clock import business_date
from kernel.jobs import job
from kernel.logs import log
from kernel.runtime import Runtime
from servicing import operations
from servicing.ports import Decide, GradeAccounts


@job()
def decide_application(runtime: Runtime, *, application_id: int) -> None:
    """Have a submitted application decided; one that is decided already stays as it is."""
    decide = runtime.get(Decide)
    with runtime.database.write() as session:
        state = operations.decide_application(
            session, application_id=application_id, decide=decide, now=runtime.clock.now()
        )
    log.info("application decided", application_id=application_id, state=state)


@job(timeout_s=3600)
def close_day(runtime: Runtime, *, on: str) -> None:
    """Close a business date: lateness, due interest, grades, frozen lines."""
    counts = operations.close_day(runtime, on=date.fromisoformat(on), grade=_grader(runtime))
    log.info("day closed", on=on, **counts)


@job()
def end_what_is_over(runtime: Runtime) -> None:
    """Let offers lapse, lines expire and undrawn holds end whose time is over."""
    now = runtime.clock.now()
    on = business_date(now)
    ended: dict[str, int] = {}
    for name, end in (
        ("offers", partial(operations.lapse_offers, on=on)),
        ("lines", partial(operations.expire_lines, on=on)),
        ("holds", operations.expire_holds),
    ):
        with runtime.database.write() as session:
            ended[name] = end(session, now=now)
    if any(ended.values()):
        log.info("what was over ended", **ended)


@job(timeout_s=3600)
def prove_books(runtime: Runtime) -> None:
    """Prove that ledger, plans, lines and events agree; a difference alerts staff, once a day."""
    now = runtime.clock.now()
    with runtime.database.read() as session:
        differences = operations.prove_books(session, turn=business_date(now).toordinal())
    if not differences:
        return
    log.error("books differ", differences=differences)
    with runtime.database.write() as session:
        operations.raise_alert(
            session,
            key=f"books-differ/{business_date(now)}",
            kind="books-differ",
            severity="high",
            customer_id=None,
            details={"differences": differences},
            now=now,
        )


def _grader(runtime: Runtime) -> GradeAccounts | None:
    """Return the judge of accounts, or None where the root gives none."""
    try:
        return runtime.get(GradeAccounts)
    except LookupError:
        log.warning("no judge of accounts was given; grades stay as they are")
        return None
