"""The background side: which event or hour starts which job, and the processes that run them.

Two kinds of worker: `send`, `evidence` and `decision` keep their connections and what they have
compiled and run jobs in their own process, replaced after so many jobs; `default` and `analysis`
fork for each job. The scheduler is one process; a second one waits for its lock. None of them
decides anything about loans or people.
"""

import os
import time

from redis.lock import Lock
from rq import SimpleWorker, Worker
from rq.executions import Execution
from rq.job import Job as RqJob
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

import bot.jobs
import contact.jobs
import desk.jobs
import dunning.jobs
import kernel.retention
import risk.jobs
import servicing.jobs
import servicing.payments.jobs
import servicing.webhooks.jobs
import servicing.webhooks.operations
from contact.events import ContactReady
from kernel.jobs import DEFAULT_QUEUE, FORKING, Daily, Every, Periodic, bind, queue_due, queue_of
from kernel.logs import log
from kernel.outbox import Listener, Routes, relay
from kernel.runtime import Runtime
from risk.events import ChallengeStopped, StrategyEnding
from servicing.events import (
    ApplicationDecided,
    ApplicationLapsed,
    ApplicationSubmitted,
    DayClosed,
    HoldPlaced,
    LoanChanged,
    RepaymentPosted,
    TermsReviewed,
)
from servicing.payments.events import PaymentRefunded

ROUTES: Routes = {
    ApplicationSubmitted: (servicing.jobs.gather_evidence,),
    ApplicationLapsed: (bot.jobs.tell_lapse,),
    ApplicationDecided: (bot.jobs.tell_decision,),
    TermsReviewed: (bot.jobs.tell_review,),
    RepaymentPosted: (bot.jobs.send_receipt, dunning.jobs.stop_reminders),
    LoanChanged: (dunning.jobs.stop_reminders, bot.jobs.tell_change),
    PaymentRefunded: (bot.jobs.send_refund_receipt,),
    HoldPlaced: (dunning.jobs.stop_reminders,),
    DayClosed: (servicing.jobs.tell_outcomes,),
    ContactReady: (contact.jobs.send,),
    ChallengeStopped: (servicing.jobs.alert_stopped_challenge,),
    StrategyEnding: (servicing.jobs.alert_ending_strategy,),
}

LISTENERS: tuple[Listener, ...] = (servicing.webhooks.operations.publish,)

PERIODIC: tuple[Periodic, ...] = (
    Periodic(job=servicing.jobs.close_day, schedule=Daily(hour=0, minute=10), passes_date=True),
    Periodic(job=dunning.jobs.plan_reminders, schedule=Daily(hour=0, minute=40), passes_date=True),
    Periodic(job=servicing.jobs.resume_days, schedule=Every(seconds=60)),
    Periodic(job=servicing.jobs.prove_books, schedule=Daily(hour=1)),
    Periodic(job=servicing.jobs.end_what_is_over, schedule=Every(seconds=300)),
    Periodic(job=risk.jobs.keep_decisions, schedule=Daily(hour=2)),
    Periodic(job=risk.jobs.forget_old, schedule=Daily(hour=2, minute=20)),
    Periodic(job=kernel.retention.forget_old, schedule=Daily(hour=3)),
    Periodic(job=contact.jobs.forget_old, schedule=Daily(hour=3, minute=20)),
    Periodic(job=servicing.jobs.forget_old, schedule=Daily(hour=3, minute=40)),
    Periodic(job=servicing.jobs.resume_applications, schedule=Every(seconds=15)),
    Periodic(job=desk.jobs.activate_documents, schedule=Daily(hour=0, minute=5)),
    Periodic(job=desk.jobs.expire_approvals, schedule=Every(seconds=60)),
    Periodic(job=risk.jobs.tell_decisions, schedule=Every(seconds=5)),
    Periodic(job=risk.jobs.follow_shadows, schedule=Every(seconds=60)),
    Periodic(job=risk.jobs.watch_challenges, schedule=Every(seconds=60)),
    Periodic(job=risk.jobs.watch_periods, schedule=Daily(hour=8)),
    Periodic(job=risk.jobs.resume_backtests, schedule=Every(seconds=60)),
    Periodic(job=contact.jobs.send, schedule=Every(seconds=5)),
    Periodic(job=contact.jobs.recover, schedule=Every(seconds=15)),
    Periodic(job=contact.jobs.resolve_unknown, schedule=Every(seconds=30)),
    Periodic(job=servicing.payments.jobs.query_open_orders, schedule=Every(seconds=30)),
    Periodic(job=servicing.payments.jobs.send_refunds, schedule=Every(seconds=30)),
    Periodic(job=servicing.webhooks.jobs.deliver, schedule=Every(seconds=5)),
    Periodic(job=servicing.payments.jobs.reconcile_bills, schedule=Every(seconds=900)),
)

_TICK_S = 0.25
_LOCK_S = 15
_MAX_JOBS = 500
_WORKER_TTL_S = 60
_MAINTENANCE_S = 30
_RESTART_PAUSE_S = 1.0


class PromptWorker(BaseWorker):
    """Ends at once when told to."""

    def unsubscribe(self) -> None:
        """Stop listening for RQ's commands, before the thread that does can begin to wait anew."""
        if self.pubsub_thread:
            self.pubsub_thread.stop()
        super().unsubscribe()  # type: ignore[no-untyped-call]


class StayingWorker(PromptWorker, SimpleWorker):
    """Runs job after job in its own process."""


class ForkingWorker(PromptWorker, Worker):
    """Forks a process for each job; the child forgets the parent's connections."""

    fenqi: Runtime

    def perform_job(self, job: RqJob, queue: Queue, execution: Execution) -> bool:
        """Run one job in the forked child."""
        self.fenqi.database.dispose(close=False)
        return bool(super().perform_job(job, queue, execution))


def run_worker(runtime: Runtime, queue: str) -> None:
    """Work on a queue until told to stop, or until it is time to be replaced."""
    bind(runtime)
    kind = ForkingWorker if queue in FORKING else StayingWorker
    worker = kind(
        [queue_of(runtime, queue)],
        connection=runtime.redis,
        serializer=JSONSerializer,
        worker_ttl=_WORKER_TTL_S,
        maintenance_interval=_MAINTENANCE_S,
        log_job_description=False,
    )
    if isinstance(worker, ForkingWorker):
        worker.fenqi = runtime
    worker.work(with_scheduler=queue == DEFAULT_QUEUE, max_jobs=_MAX_JOBS, logging_level="WARNING")


def run_scheduler(runtime: Runtime) -> None:
    """Relay events and queue due jobs, a few times a second, as the only one who does."""
    lock: Lock = runtime.redis.lock("fenqi:scheduler", timeout=_LOCK_S)
    parent = os.getppid()
    while os.getppid() == parent:
        if not (lock.owned() or lock.acquire(blocking_timeout=_TICK_S)):
            continue
        try:
            lock.reacquire()
            relay(runtime, ROUTES, LISTENERS)
            queue_due(runtime, PERIODIC)
        except Exception as error:  # noqa: BLE001 -- the ticker outlives a database restart
            log.error("scheduler tick failed", exc_info=error)
            time.sleep(_RESTART_PAUSE_S)
        time.sleep(_TICK_S)
