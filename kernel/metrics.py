"""What operators watch; areas define their counters through prometheus-client and name them here.

The web side answers for all: it sums over gunicorn's processes when PROMETHEUS_MULTIPROC_DIR is
set, as gunicorn.conf.py does, and adds what workers counted. These have no HTTP of their own, and
some end with each job, so after each job they hand over to Redis what they counted. A count that
Redis loses begins again at 0, which whoever watches rates expects.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    generate_latest,
    multiprocess,
)
from prometheus_client.registry import Collector
from redis import RedisError

from kernel.logs import log

if TYPE_CHECKING:
    from redis import Redis

HTTP_SECONDS = Histogram(
    "fenqi_http_seconds", "Time to answer an HTTP request", ["endpoint", "status"]
)
JOBS_DONE = Counter("fenqi_jobs_total", "Background jobs run", ["job", "outcome"])

_OURS: Final = "fenqi_"
_OF_WORKERS: Final = "fenqi:metrics"
_SUMMED: Final = frozenset({"counter", "histogram"})
# What this process has handed over already, by series.
_handed_over: dict[str, float] = {}


def hand_over(redis: "Redis") -> None:
    """Add what this process counted since the last time to what all workers counted.

    What cannot be handed over now is the next time.
    """
    counted = dict(_counted())
    more = {key: value - _handed_over.get(key, 0) for key, value in counted.items()}
    try:
        with redis.pipeline() as pipeline:
            for key, value in more.items():
                if value:
                    pipeline.hincrbyfloat(_OF_WORKERS, key, value)
            pipeline.execute()
    except RedisError as error:
        log.warning("metrics not handed over", error=type(error).__name__)
    else:
        _handed_over.update(counted)


def exposition(redis: "Redis | None" = None, gauges: Iterable[Metric] = ()) -> bytes:
    """Render all metrics in the Prometheus text format.

    Args:
        redis: Where workers hand theirs over; None leaves them out, as does one that is down.
        gauges: What is read at this moment.
    """
    found = {family.name: family for family in _own_registry().collect()}
    for key, value in _of_workers(redis).items():
        name, documentation, kind, sample, labels = json.loads(key)
        family = found.setdefault(name, Metric(name, documentation, kind))
        _add(family, sample, labels, value)
    return generate_latest(_Rendered([*found.values(), *gauges]))


class _Rendered(CollectorRegistry):
    """Families that were put together already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self.register(_Given(tuple(families)))


class _Given(Collector):
    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _own_registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _counted() -> Iterator[tuple[str, float]]:
    """Name every series of ours that only grows, with its value."""
    for family in REGISTRY.collect():
        if family.name.startswith(_OURS) and family.type in _SUMMED:
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    labels = dict(sorted(sample.labels.items()))
                    about = [family.name, family.documentation, family.type, sample.name, labels]
                    yield json.dumps(about), sample.value


def _of_workers(redis: "Redis | None") -> dict[str, float]:
    if redis is None:
        return {}
    try:
        found: Any = redis.hgetall(_OF_WORKERS)
    except RedisError as error:
        log.warning("metrics of workers not read", error=type(error).__name__)
        return {}
    return {key.decode(): float(value) for key, value in found.items()}


def _add(family: Metric, name: str, labels: Mapping[str, str], value: float) -> None:
    """Add to the series of that name, or begin it."""
    for at, known in enumerate(family.samples):
        if known.name == name and known.labels == labels:
            family.samples[at] = known._replace(value=known.value + value)
            return
    family.add_sample(name, dict(labels), value)
