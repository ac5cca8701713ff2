"""Sends news to partners: one job looks who has something due, one serves an endpoint."""

import time

from kernel.jobs import enqueue, job
from kernel.logs import log
from kernel.runtime import Runtime
from servicing.webhooks import delivering
from servicing.webhooks.clients import Poster

_AT_MOST_S = 45
# So long a queued job keeps others of its endpoint out of the queue; a lost one delays no longer.
_QUEUED_S = 60


@job()
def deliver(runtime: Runtime) -> None:
    """Queue a delivery job for every endpoint that has news due."""
    with runtime.database.read() as session:
        due = delivering.due_endpoints(session, now=runtime.clock.now())
    for endpoint_id in due:
        if runtime.redis.set(_queued(endpoint_id), 1, nx=True, ex=_QUEUED_S):
            enqueue(runtime, deliver_to, endpoint_id=endpoint_id)


@job()
def deliver_to(runtime: Runtime, *, endpoint_id: int) -> None:
    """Post what is due to one endpoint, in order; a second worker leaves it alone."""
    runtime.redis.delete(_queued(endpoint_id))
    post = Poster(is_development=runtime.settings.is_development)
    end = time.monotonic() + _AT_MOST_S
    taken = delivering.deliver_to(
        runtime, post, endpoint_id=endpoint_id, is_over=lambda: time.monotonic() > end
    )
    log.info("webhooks delivered", endpoint_id=endpoint_id, taken=taken)


def _queued(endpoint_id: int) -> str:
    return f"fenqi:webhook-queued:{endpoint_id}"
