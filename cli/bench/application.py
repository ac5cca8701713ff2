"""`fenqi bench application`: how long a whole application takes, from submission to the decision.

Real processes over real HTTP: workers and scheduler as the Procfile starts them, PostgreSQL, Redis,
and the stand-ins of all sub-systems. First these answer at their usual pace, then the slowest says
nothing until every call of it has timed out. The yardstick is the five minutes that applicants are
promised. What an application costs is the CPU of workers, scheduler and sandbox in the first round,
once each worker has started and decided something.
"""

import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.bench.figures import Asked, Figure, NotMeasured, WrongAnswer, surroundings
from cli.bench.stage import ROOT, Stage, child, stage
from cli.risk import publish_house_strategy
from cli.up import free_port
from kernel.runtime import Runtime
from servicing import operations
from servicing.demo.book import Seeded, seed_demo
from servicing.model import DECIDE_WITHIN
from servicing.tables import ApplicationCourse

_BORROWERS: Final = 60
_SLOW_SHARE: Final = 4
_START_TIMEOUT_S: Final = 60
_PATIENCE_S: Final = 420
_SLOWEST: Final = "evidence.bureau"
# Places in /proc/<pid>/stat after the name: the session, and the times of it and its children.
_SESSION: Final = 3
_CPU_TICKS: Final = slice(11, 15)
_PROMISED_S: Final = DECIDE_WITHIN.total_seconds()


def measure(asked: Asked) -> Figure:
    """Submit applications, let them be decided, and read the time of each.

    Raises:
        NotMeasured: Something did not start.
        WrongAnswer: An application was not decided, or one was approved without its evidence.
    """
    borrowers = asked.scale or _BORROWERS
    sandbox = f"http://127.0.0.1:{free_port()}"
    evidence = f"{sandbox}/sandbox/evidence"
    with stage(asked.database, EVIDENCE_API_BASE=evidence) as on:
        seeded = _prepared(on.runtime, borrowers)
        with _processes(on, sandbox) as sessions:
            _tell(sandbox, "files", seeded.files)
            _round(on.runtime, range(1, 3), "warm")
            before_s = _cpu_s(sessions)
            usual = _round(on.runtime, range(1, borrowers + 1), "usual")
            cpu_ms = 1_000 * (_cpu_s(sessions) - before_s) / borrowers
            _tell(sandbox, "knobs", {"feature": _SLOWEST, "fault": "hang", "value": 15})
            few = range(1, max(2, borrowers // _SLOW_SHARE))
            silent = _round(on.runtime, few, "silent")
    if silent["approve"]:
        raise WrongAnswer("an application was approved without its credit report")
    p99_s = max(usual["p99_ms"], silent["p99_ms"]) / 1000
    return Figure(
        name="application",
        figure=round(p99_s, 2),
        unit="seconds from submission to decision, p99, the worse of both rounds",
        yardstick="the five minutes that applicants are promised",
        ratio=round(p99_s / _PROMISED_S, 4),
        p99_ms=usual["p99_ms"],
        details={
            "usual": usual,
            "slowest_silent": silent,
            "cpu_ms_per_application": round(cpu_ms, 1),
            **surroundings(),
        },
    )


def _prepared(runtime: Runtime, borrowers: int) -> Seeded:
    with runtime.database.write() as session:
        now = runtime.clock.now()
        seeded = seed_demo(session, runtime.cipher, customers=borrowers, seed=1, now=now)
    publish_house_strategy(runtime)
    return seeded


@contextlib.contextmanager
def _processes(on: Stage, sandbox: str) -> Iterator[tuple[int, ...]]:
    """Run workers, scheduler and sandbox until the end of the block; yields their sessions."""
    environ = {**on.environ, "PYTHONUNBUFFERED": "1"}
    bind = sandbox.removeprefix("http://")
    serve = ("gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "--bind", bind)
    commands = {
        "sandbox": (*serve, "--workers", "1", "--threads", "24", "sandbox.app:serve()"),
        "worker": ("cli", "work", "default"),
        "evidence": ("cli", "work", "evidence", "--processes", "3"),
        "decisions": ("cli", "work", "decision"),
        "scheduler": ("cli", "schedule-jobs"),
    }
    with contextlib.ExitStack() as ended_with_us:
        started = [
            ended_with_us.enter_context(child(command, environ, on.folder / f"{name}.log"))
            for name, command in commands.items()
        ]
        if not _answers(f"{sandbox}/sandbox/api/state"):
            log = (on.folder / "sandbox.log").read_text("utf-8")
            raise NotMeasured(f"the sandbox did not start: {log.strip()[-300:]}")
        yield tuple(process.pid for process in started)


def _cpu_s(sessions: Collection[int]) -> float:
    """Add up the CPU that the processes of some sessions used, with children that have ended."""
    ticks = 0
    for found in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = found.read_text("utf-8").rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[_SESSION]) in sessions:
            ticks += sum(map(int, fields[_CPU_TICKS]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _answers(url: str) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 -- our own loopback address
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return True
    return False


def _round(runtime: Runtime, customers: range, name: str) -> dict[str, Any]:
    """Submit one application of each customer, and wait until all are decided."""
    since = runtime.clock.now()
    with runtime.database.write() as session:
        for customer_id in customers:
            _submit(session, customer_id, name, since)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        decided = _decided(runtime, since)
        if len(decided) == len(customers):
            return _summary(decided)
        time.sleep(0.2)
    raise WrongAnswer(f"{len(decided)} of {len(customers)} were decided in {_PATIENCE_S} s")


def _submit(session: Session, customer_id: int, name: str, now: datetime) -> None:
    operations.submit_application(
        session,
        customer_id=customer_id,
        merchant_name="宏达手机卖场",
        merchandise="手机",
        amount_fen=200_000,
        terms=12,
        channel="h5",
        attributes={"income_monthly_fen": 800_000},
        key=f"bench/{name}/{customer_id}",
        now=now,
    )


def _decided(runtime: Runtime, since: datetime) -> list[tuple[str, int]]:
    with runtime.database.read() as session:
        rows = session.execute(
            select(ApplicationCourse.machine_outcome, ApplicationCourse.machine_ms).where(
                ApplicationCourse.machine_decided_at >= since,
                ApplicationCourse.machine_ms.is_not(None),
            )
        )
        return [(str(outcome), int(took or 0)) for outcome, took in rows]


def _summary(decided: list[tuple[str, int]]) -> dict[str, Any]:
    times = sorted(took for _, took in decided)
    outcomes = [outcome for outcome, _ in decided]
    return {
        "applications": len(decided),
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[len(times) * 99 // 100],
        **{outcome: outcomes.count(outcome) for outcome in ("approve", "review", "decline")},
    }


def _tell(sandbox: str, what: str, body: object) -> None:
    request = urllib.request.Request(  # noqa: S310 -- our own loopback address
        f"{sandbox}/sandbox/api/{what}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 -- our own loopback address
