"""Whoever asks /metrics hears of all: the web's processes, and workers that have no HTTP."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, Metric
from redis import Redis

from kernel import jobs, metrics
from kernel.metrics import exposition, hand_over
from kernel.runtime import Runtime

APART = CollectorRegistry()
SEEN = Counter("fenqi_test_seen_total", "Seen by these tests", ["what"], registry=APART)
TOOK = Histogram("fenqi_test_seconds", "Took in these tests", buckets=(1, 5), registry=APART)
UNSEEN = Redis(unix_socket_path="/nowhere/redis.sock")


@pytest.fixture(autouse=True)
def _as_if_just_started(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let what earlier tests counted be told already, and ours count while these run."""
    for metric in (SEEN, TOOK):
        REGISTRY.register(metric)
    monkeypatch.setattr(metrics, "_handed_over", dict(metrics._counted()))
    yield
    for metric in (SEEN, TOOK):
        REGISTRY.unregister(metric)


def told(redis: Redis | None) -> dict[str, float]:
    lines = exposition(redis).decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
        if name.startswith("fenqi_")
    }


def grown(redis: Redis) -> dict[str, float]:
    """Say by how much the workers' part is more than what this process tells of itself."""
    own = told(None)
    return {name: value - own.get(name, 0) for name, value in told(redis).items()}


class TestHandOver:
    def test_adds_what_was_counted_since_the_last_time(self, redis: Redis) -> None:
        SEEN.labels("a").inc()
        hand_over(redis)
        hand_over(redis)
        SEEN.labels("a").inc(2)
        hand_over(redis)
        assert grown(redis)['fenqi_test_seen_total{what="a"}'] == 3

    def test_adds_up_what_several_workers_counted(self, redis: Redis) -> None:
        code = (
            "import sys; from prometheus_client import Counter; from redis import Redis;"
            "from kernel.metrics import hand_over;"
            "Counter('fenqi_test_apart_total', 'Elsewhere').inc(4);"
            "hand_over(Redis(unix_socket_path=sys.argv[1]))"
        )
        path = redis.connection_pool.connection_kwargs["path"]
        for _ in range(2):
            subprocess.run([sys.executable, "-c", code, path], check=True)
        assert told(redis)["fenqi_test_apart_total"] == 8
        assert "# HELP fenqi_test_apart_total Elsewhere" in exposition(redis).decode()

    def test_keeps_the_buckets_of_a_histogram(self, redis: Redis) -> None:
        for seconds in (0.5, 2, 9):
            TOOK.observe(seconds)
        hand_over(redis)
        found = grown(redis)
        assert [found[f'fenqi_test_seconds_bucket{{le="{le}"}}'] for le in ("1.0", "5.0", "+Inf")
                ] == [1, 2, 3]  # fmt: skip
        assert found["fenqi_test_seconds_sum"] == pytest.approx(11.5)

    def test_keeps_for_the_next_time_what_redis_did_not_take(self, redis: Redis) -> None:
        SEEN.labels("b").inc()
        hand_over(UNSEEN)
        hand_over(redis)
        assert grown(redis)['fenqi_test_seen_total{what="b"}'] == 1

    def test_comes_with_every_job(self, runtime: Runtime) -> None:
        jobs.bind(runtime)
        for _ in range(2):
            jobs.perform(name="kernel.retention.forget_old", arguments={})
        counted = 'fenqi_jobs_total{job="kernel.retention.forget_old",outcome="done"}'
        assert grown(runtime.redis)[counted] == 2


class TestExposition:
    def test_goes_on_without_redis(self) -> None:
        SEEN.labels("c").inc()
        assert 'fenqi_test_seen_total{what="c"}' in told(UNSEEN)

    def test_says_what_waits_in_which_queue(self, runtime: Runtime) -> None:
        jobs.enqueue(runtime, jobs.declared_jobs()[0])
        queue = jobs.declared_jobs()[0].queue
        text = exposition(runtime.redis, jobs.jobs_waiting(runtime)).decode()
        assert f'fenqi_jobs_waiting{{queue="{queue}"}} 1.0' in text

    def test_says_nothing_of_queues_without_redis(self, runtime: Runtime) -> None:
        runtime.redis.connection_pool.disconnect()
        blind = Runtime(
            settings=runtime.settings,
            database=runtime.database,
            redis=UNSEEN,
            clock=runtime.clock,
            cipher=runtime.cipher,
        )
        found: list[Metric] = list(jobs.jobs_waiting(blind))
        assert found == []

    def test_sums_over_the_processes_of_the_web_side(self, tmp_path: Path) -> None:
        code = (
            "from prometheus_client import Counter, REGISTRY;"
            "from kernel.metrics import HTTP_SECONDS, exposition;"
            "HTTP_SECONDS.labels('page', 200).observe(1);"
            "print(exposition().decode())"
        )
        environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        for _ in range(2):
            said = subprocess.run(
                [sys.executable, "-c", code], check=True, env=environ, capture_output=True
            )
        assert b'fenqi_http_seconds_count{endpoint="page",status="200"} 2.0' in said.stdout
