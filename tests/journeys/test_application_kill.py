"""Whatever of the application's way is killed, it goes on: workers die, the sweeper takes up."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_judges import house_judges
from sqlalchemy import select
from stand_in import StandIn, standing_in

from kernel.clock import SystemClock
from kernel.runtime import Runtime
from risk.evidence.house import house_subsystems
from risk.ports import Subsystems
from risk.tables import DecisionRecord
from servicing import jobs, operations, queries

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def process(*command: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=os.environ | environ,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        try:
            yield started
        finally:
            kill(started)


def kill(started: subprocess.Popen[bytes]) -> None:
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def until(condition: Callable[[], Any], *, within_s: int = 90) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    with standing_in(tmp_path) as made:
        yield made


@pytest.mark.slow
def test_a_killed_inquiry_is_made_again_and_decided_once(
    runtime: Runtime, tmp_path: Path, stand_in: StandIn
) -> None:
    runtime = replace(runtime, clock=SystemClock())
    environ = {
        "DATABASE_URL": runtime.database.url.render_as_string(hide_password=False),
        "REDIS_URL": runtime.settings.redis_url,
        "FENQI_STATE_DIR": str(tmp_path),
        "EVIDENCE_API_BASE": f"{stand_in.base}/sandbox/evidence",
    }
    work = ("cli", "work")
    with house_judges(runtime):
        settings = replace(runtime.settings, evidence_api_base=environ["EVIDENCE_API_BASE"])
        runtime.provide(Subsystems, house_subsystems(settings, runtime.clock))
        application_id = applied(runtime)
        stand_in.world.knobs.turn("evidence.bureau", "hang", value=4, times=1)
        jobs.gather_evidence(runtime, application_id=application_id)
        with process(*work, "evidence", "--once", environ=environ) as asking:
            until(lambda: stand_in.calls("evidence.bureau"))
            kill(asking)
        assert state(runtime, application_id) == "submitted"
        with (
            process(*work, "evidence", "--once", environ=environ),
            process(*work, "decision", "--once", environ=environ),
        ):

            def decided() -> bool:
                jobs.resume_applications(runtime)
                return state(runtime, application_id) != "submitted"

            until(decided)
    assert state(runtime, application_id) in ("approved", "declined")
    with runtime.database.read() as session:
        evidence = queries.evidence_of(session, application_id=application_id)
        decisions = session.scalars(select(DecisionRecord.id)).all()
        found = queries.application_of(session, application_id=application_id)
    assert {one.state for one in evidence} == {"answered"}
    assert found is not None
    assert decisions == [found.decision_no]


@pytest.mark.slow
def test_a_decision_that_was_killed_before_or_after_it_was_stored_is_made_once(
    runtime: Runtime, tmp_path: Path
) -> None:
    runtime = replace(runtime, clock=SystemClock())
    environ = {
        "DATABASE_URL": runtime.database.url.render_as_string(hide_password=False),
        "REDIS_URL": runtime.settings.redis_url,
        "FENQI_STATE_DIR": str(tmp_path),
    }
    with house_judges(runtime):
        waiting = [applied(runtime, number) for number in range(1, 9)]
        for application_id in waiting:
            gather_all(runtime, application_id)
        # Twice a worker is killed amid its work, after it has decided something.
        for least in (1, 3):
            with process("cli", "work", "decision", "--once", environ=environ) as deciding:
                until(lambda least=least: stored(runtime) >= least)  # type: ignore[misc]
                kill(deciding)
        with process("cli", "work", "decision", "--once", environ=environ):

            def decided() -> bool:
                jobs.resume_applications(runtime)
                return all(state(runtime, each) != "submitted" for each in waiting)

            until(decided)
    with runtime.database.read() as session:
        found = [queries.application_of(session, application_id=each) for each in waiting]
        decisions = set(session.scalars(select(DecisionRecord.id)))
    assert {one.decision_no for one in found if one is not None} == decisions
    assert len(decisions) == len(waiting)


def gather_all(runtime: Runtime, application_id: int) -> None:
    """Have everything answered in this process; the decision is left in the queue."""
    jobs.gather_evidence(runtime, application_id=application_id)
    for subsystem in runtime.get(Subsystems).each:
        jobs.ask_subsystem(runtime, application_id=application_id, subsystem=subsystem.name)


def stored(runtime: Runtime) -> int:
    with runtime.database.read() as session:
        return len(session.scalars(select(DecisionRecord.id)).all())


def applied(runtime: Runtime, number: int = 1) -> int:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        customer_id = operations.create_customer(
            session,
            runtime.cipher,
            name="测试人",
            phone=f"1009999999{number}",
            id_number=f"9900001990010100{number}X",
            now=now,
        )
        return operations.submit_application(
            session,
            customer_id=customer_id,
            merchant_name="宏达手机卖场",
            merchandise="手机",
            amount_fen=100_000,
            terms=6,
            channel="h5",
            attributes={"income_monthly_fen": 800_000},
            key=f"a{number}",
            now=now,
        )


def state(runtime: Runtime, application_id: int) -> str:
    with runtime.database.read() as session:
        found = queries.application_of(session, application_id=application_id)
    assert found is not None
    return found.state
