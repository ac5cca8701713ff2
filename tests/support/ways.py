"""One application on its way to a decision, and the hands that move it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from verdicts import Verdict

from kernel import jobs as queues
from kernel.runtime import Runtime
from servicing import jobs, queries


class Judge:
    """Says what it is told to say, and keeps what it was asked."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, **asked: Any) -> Verdict:
        self.asked.append(asked)
        return self.verdict


class Way:
    """One application on its way, and the hands that move it."""

    def __init__(self, runtime: Runtime, book: Any, judge: Judge) -> None:
        self.runtime, self.judge = runtime, judge
        with runtime.database.write() as session:
            self.id = book.application(session)

    def gather(self) -> None:
        jobs.gather_evidence(self.runtime, application_id=self.id)

    def waiting(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what waits in the queues: job and arguments."""
        return [
            (job.kwargs["name"].rpartition(".")[2], job.kwargs["arguments"])
            for name in (queues.EVIDENCE_QUEUE, queues.DECISION_QUEUE)
            for job in queues.queue_of(self.runtime, name).jobs
        ]

    def lose_queues(self) -> None:
        """Forget every queued job, as a lost Redis does."""
        self.runtime.redis.flushall()

    def work(self) -> None:
        """Run what waits until nothing does."""
        queues.bind(self.runtime)
        while jobs_ := [
            (queue, job)
            for queue in (
                queues.queue_of(self.runtime, queues.EVIDENCE_QUEUE),
                queues.queue_of(self.runtime, queues.DECISION_QUEUE),
            )
            for job in queue.jobs
        ]:
            for queue, job in jobs_:
                queue.remove(job)
                queues.perform(**job.kwargs)

    def pass_time(self, **by: int) -> None:
        self.runtime.clock.advance(timedelta(**by))  # type: ignore[attr-defined]

    def sweep(self) -> None:
        jobs.resume_applications(self.runtime)

    @property
    def state(self) -> str:
        return self.found.state

    @property
    def found(self) -> queries.ApplicationDetail:
        with self.runtime.database.read() as session:
            found = queries.application_of(session, application_id=self.id)
        assert found is not None
        return found

    def evidence(self) -> dict[str, tuple[str, bool]]:
        with self.runtime.database.read() as session:
            rows = queries.evidence_of(session, application_id=self.id)
        return {row.subsystem: (row.state, row.is_late) for row in rows}
