"""Background work of the workplace: closing proposals, and marking documents that came into force.

Both are for lists and the audit log; deciding and reading look at the time themselves.
"""

from desk.operations import activate_due, expire_due
from kernel.clock import business_date
from kernel.jobs import job
from kernel.runtime import Runtime


@job()
def expire_approvals(runtime: Runtime) -> int:
    """Close proposals whose time has passed."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        return expire_due(session, now=now)


@job()
def activate_documents(runtime: Runtime) -> int:
    """Mark document versions whose effective date has come."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        return activate_due(session, on=business_date(now), now=now)
