"""Servicing's background work; each job is one operation."""

from datetime import date

from kernel.jobs import job
from kernel.logs import log
from kernel.runtime import Runtime
from servicing import operations


@job(timeout_s=3600)
def close_day(runtime: Runtime, *, on: str) -> None:
    """Age every loan to a business date: lateness counts from it, due interest is accrued."""
    counts = operations.close_day(runtime, on=date.fromisoformat(on))
    log.info("day closed", on=on, **counts)


@job(timeout_s=3600)
def prove_books(runtime: Runtime) -> None:
    """Prove that ledger, schedules and lines agree; a difference is an error for the operator."""
    with runtime.database.read() as session:
        differences = operations.prove_books(session)
    if differences:
        log.error("books differ", differences=differences)
