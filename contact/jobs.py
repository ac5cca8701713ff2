"""Background work of contact: send, take back leases, find out about lost messages.

Each is safe at any time and beside itself; worker.py decides when they run.
"""

from typing import Final

from contact import operations
from contact.operations import recover_leases, send_ready
from contact.retention import KEPT
from kernel.jobs import SEND_QUEUE, job
from kernel.logs import log
from kernel.retention import forget
from kernel.runtime import Runtime

_AT_MOST_S: Final = 100.0


@job(queue=SEND_QUEUE, timeout_s=300)
def send(runtime: Runtime, *, contact_id: int | None = None) -> None:
    """Send whatever is ready, answers first.

    Args:
        runtime: The worker's parts.
        contact_id: Whose readiness woke us; it decides nothing.
    """
    counts = send_ready(runtime, at_most_s=_AT_MOST_S)
    if counts.sent:
        log.info("contacts sent", sent=counts.sent, woken_by=contact_id)


@job(queue=SEND_QUEUE)
def recover(runtime: Runtime) -> None:
    """Take back what dead senders held."""
    with runtime.database.write() as session:
        counts = recover_leases(session, now=runtime.clock.now())
    if any(counts.values()):
        log.info("leases recovered", **counts)


@job(queue=SEND_QUEUE)
def resolve_unknown(runtime: Runtime) -> None:
    """Find out what became of lost messages."""
    counts = operations.resolve_unknown(runtime)
    if counts:
        log.info("unknown contacts resolved", **counts)


@job(timeout_s=1800)
def forget_old(runtime: Runtime) -> None:
    """Delete steps of contacts and counts of days that are over their time."""
    forget(runtime, KEPT)
