"""What operators watch; areas define their counters through prometheus-client and name them here.

It sums over processes when PROMETHEUS_MULTIPROC_DIR is set, as gunicorn's workers need.
"""

import os

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)

HTTP_SECONDS = Histogram(
    "fenqi_http_seconds", "Time to answer an HTTP request", ["endpoint", "status"]
)
JOBS_DONE = Counter("fenqi_jobs_total", "Background jobs run", ["job", "outcome"])


def exposition() -> bytes:
    """Render all metrics in the Prometheus text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
