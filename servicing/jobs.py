"""Servicing's background work; each job is one operation."""

from datetime import date

from kernel.jobs import job
from kernel.logs import log
from kernel.runtime import Runtime
from servicing import operations


@job(timeout_s=3600)
def close_day(runtime: Runtime, *, on: str) -> None:
    """Age every loan to a business date: lateness counts from it, due interest is accrued."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        moved = operations.age_loans(session, on=date.fromisoformat(on), now=now)
    log.info("day closed", on=on, loans=moved)


@job(timeout_s=3600)
def prove_books(runtime: Runtime) -> None:
    """Prove that ledger and schedules agree; a difference is an error for the operator."""
    with runtime.database.read() as session:
        differences = operations.prove_books(session)
    if differences:
        log.error("books differ", differences=differences)
