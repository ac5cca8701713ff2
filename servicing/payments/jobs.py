"""Background work of payments: asking about attempts, sending refunds. Times are worker.py's."""

from kernel.jobs import job
from kernel.runtime import Runtime
from servicing.payments import operations, overpaid, reconciling, refunds


@job()
def query_open_orders(runtime: Runtime) -> None:
    """Ask the platform about attempts whose question is due, and close those that expired."""
    operations.query_open_orders(runtime)


@job()
def send_refunds(runtime: Runtime) -> None:
    """Start returning what loans owe their borrowers, send refunds, ask about those under way."""
    overpaid.return_small_credits(runtime)
    refunds.send_refunds(runtime)


@job(timeout_s=1800)
def reconcile_bills(runtime: Runtime) -> None:
    """Fetch the platform's bills that are out, compare them with our book, call about old gaps."""
    reconciling.reconcile(runtime)
