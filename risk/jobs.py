"""Risk's background work; each job is one operation."""

from kernel.clock import business_date
from kernel.jobs import job
from kernel.logs import log
from kernel.runtime import Runtime
from risk.decisions.keeping import keep_decisions as keep


@job()
def keep_decisions(runtime: Runtime) -> None:
    """Lay the coming days' partitions of decisions; drop days and keys that are over the time."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        laid, dropped = keep(session, on=business_date(now))
    log.info("decisions kept", partitions_laid=laid, partitions_dropped=dropped)
