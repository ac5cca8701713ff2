"""Background work on RQ: declared beside the code that does it, configured once, here.

SQL is the truth and RQ only wakes workers: a lost job costs a delay, never an effect, because a
periodic job looks again. Arguments are JSON (ids, ISO dates) and never personal data. Which
events and which times start a job is worker.py's business.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from redis import RedisError
from rq import Queue, Retry
from rq.serializers import JSONSerializer
from sqlalchemy import String, and_, or_, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.clock import SHANGHAI, shanghai
from kernel.database import Base, insert_ignore
from kernel.logs import log
from kernel.metrics import JOBS_DONE, hand_over
from kernel.runtime import Runtime

DEFAULT_QUEUE = "default"
SEND_QUEUE = "send"
EVIDENCE_QUEUE = "evidence"
DECISION_QUEUE = "decision"
ANALYSIS_QUEUE = "analysis"
QUEUES = (SEND_QUEUE, EVIDENCE_QUEUE, DECISION_QUEUE, ANALYSIS_QUEUE, DEFAULT_QUEUE)
FORKING = frozenset({DEFAULT_QUEUE, ANALYSIS_QUEUE})
"""Queues whose jobs each run in a process of their own; the others keep what they have loaded."""

WAITING = GaugeMetricFamily(
    "fenqi_jobs_waiting", "Background jobs that wait for a worker", labels=["queue"]
)
_RESULT_KEPT_S = 60
_FAILURE_KEPT_S = 7 * 86_400
_RETRY_AFTER_S = (5, 30, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A declared job.

    Attributes:
        name: `module.function`, stable, as docs/jobs.md lists it.
        queue: The queue whose workers run it.
        timeout_s: After this the worker ends it.
    """

    name: str
    queue: str
    timeout_s: int
    run: Callable[..., object]

    def __call__(self, runtime: Runtime, **arguments: Any) -> object:
        """Run it here and now."""
        return self.run(runtime, **arguments)

    @property
    def lost_after(self) -> timedelta:
        """How long after queueing one that has not finished must be taken for lost."""
        return timedelta(seconds=self.timeout_s + sum(_RETRY_AFTER_S))


_registry: dict[str, Job] = {}


def job(
    *, queue: str = DEFAULT_QUEUE, timeout_s: int = 180
) -> Callable[[Callable[..., object]], Job]:
    """Declare the decorated function as a job."""

    def declare(function: Callable[..., object]) -> Job:
        name = f"{function.__module__}.{function.__name__}"
        declared = Job(name=name, queue=queue, timeout_s=timeout_s, run=function)
        _registry[name] = declared
        return declared

    return declare


def declared_jobs() -> tuple[Job, ...]:
    """List every job declared by the modules imported so far."""
    return tuple(_registry[name] for name in sorted(_registry))


def queue_of(runtime: Runtime, name: str) -> Queue:
    """Open one of our queues: JSON arguments, never pickles."""
    return Queue(name, connection=runtime.redis, serializer=JSONSerializer)


def failed_jobs(runtime: Runtime) -> int:
    """Count the jobs that failed for good in the last seven days, over all queues."""
    return sum(queue_of(runtime, name).failed_job_registry.count for name in QUEUES)


def jobs_waiting(runtime: Runtime) -> Iterator[Metric]:
    """Say for /metrics how many jobs wait in each queue; nothing while Redis is down."""
    found = GaugeMetricFamily(WAITING.name, WAITING.documentation, labels=["queue"])
    try:
        for name in QUEUES:
            found.add_metric([name], queue_of(runtime, name).count)
    except RedisError as error:
        log.warning("queues not counted", error=type(error).__name__)
    else:
        yield found


def enqueue(runtime: Runtime, job: Job, **arguments: Any) -> None:
    """Ask a worker to run a job soon; call it after the commit, or through the outbox."""
    _enqueue(runtime, job, {"name": job.name, "arguments": arguments})


def _enqueue(runtime: Runtime, job: Job, call: dict[str, Any]) -> None:
    queue_of(runtime, job.queue).enqueue_call(
        "kernel.jobs.perform",
        kwargs=call,
        timeout=job.timeout_s,
        result_ttl=_RESULT_KEPT_S,
        failure_ttl=_FAILURE_KEPT_S,
        retry=Retry(max=len(_RETRY_AFTER_S), interval=list(_RETRY_AFTER_S)),
        description=job.name,
    )


# RQ calls functions by name, so the worker leaves its runtime here before it starts to work.
_bound: list[Runtime] = []


def bind(runtime: Runtime) -> None:
    """Make a runtime the one that jobs of this process get."""
    _bound[:] = [runtime]


def perform(*, name: str, arguments: dict[str, Any], slot: str = "") -> None:
    """Run a declared job; the one function that RQ ever calls.

    Args:
        name: Of the job.
        arguments: What it is called with.
        slot: The slot of a daily job, noted as done once it is.
    """
    (runtime,) = _bound
    log.info("job started", job=name)
    try:
        _registry[name](runtime, **arguments)
    except Exception:
        JOBS_DONE.labels(name, "failed").inc()
        hand_over(runtime.redis)
        raise
    JOBS_DONE.labels(name, "done").inc()
    hand_over(runtime.redis)
    if slot:
        _finish_slot(runtime, name, slot)


class JobRun(Base):
    """The last slot of a periodic job: keeps two schedulers from doubling it, and shows if it ran.

    `finished_at` is kept for daily jobs only.
    """

    __tablename__ = "job_run"

    job: Mapped[str] = mapped_column(String(80), primary_key=True)
    slot: Mapped[str] = mapped_column(String(40))
    queued_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """A slot each so many seconds."""

    seconds: int

    def slot(self, now: datetime) -> str | None:
        """Name the slot that an instant falls into."""
        return str(int(now.timestamp()) // self.seconds)

    def __str__(self) -> str:
        """Say it for docs/jobs.md."""
        return f"every {self.seconds} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """A slot each day from a wall time in Shanghai on; a late start still runs it."""

    hour: int
    minute: int = 0

    def slot(self, now: datetime) -> str | None:
        """Name the day's slot once its time has come."""
        local = shanghai(now)
        due = local.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        return f"{local:%Y-%m-%d}" if local >= due else None

    def __str__(self) -> str:
        """Say it for docs/jobs.md."""
        return f"daily {self.hour:02d}:{self.minute:02d} {SHANGHAI.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """A job and its times; `passes_date` gives it the business date of its slot as `on`."""

    job: Job
    schedule: Every | Daily
    passes_date: bool = False


def queue_due(runtime: Runtime, periodic: tuple[Periodic, ...]) -> int:
    """Queue every periodic job whose slot has come and was not queued yet.

    A daily job that was queued and never finished, such as one that Redis lost, is queued again.

    Returns:
        How many jobs were queued.
    """
    now = runtime.clock.now()
    return sum(_queue_slot(runtime, entry, now) for entry in periodic)


def _queue_slot(runtime: Runtime, entry: Periodic, now: datetime) -> int:
    slot = entry.schedule.slot(now)
    memory = f"fenqi:slot:{entry.job.name}"
    if slot is None or runtime.redis.get(memory) == slot.encode():
        return 0
    with runtime.database.write() as session:
        is_taken = _take_slot(session, entry, slot, now)
    if is_taken:
        call = {"name": entry.job.name, "arguments": {"on": slot} if entry.passes_date else {}}
        kept = {"slot": slot} if isinstance(entry.schedule, Daily) else {}
        _enqueue(runtime, entry.job, call | kept)
    runtime.redis.set(memory, slot, ex=entry.job.lost_after)
    return int(is_taken)


def _take_slot(session: Session, entry: Periodic, slot: str, now: datetime) -> bool:
    row = {"job": entry.job.name, "slot": slot, "queued_at": now, "finished_at": None}
    if insert_ignore(session, JobRun, [row], conflict=["job"]):
        return True
    is_lost = and_(JobRun.finished_at.is_(None), JobRun.queued_at <= now - entry.job.lost_after)
    done = session.execute(
        update(JobRun)
        .where(JobRun.job == entry.job.name, or_(JobRun.slot != slot, is_lost))
        .values(**row)
    )
    return bool(done.rowcount == 1)  # type: ignore[attr-defined]


def _finish_slot(runtime: Runtime, name: str, slot: str) -> None:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        session.execute(
            update(JobRun).where(JobRun.job == name, JobRun.slot == slot).values(finished_at=now)
        )
