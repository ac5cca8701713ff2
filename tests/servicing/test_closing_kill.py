"""kill -9 in the middle of the close of day, then go on: the same books as without."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from kernel.clock import FixedClock
from kernel.database import Database
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from migrations.schema import upgrade
from servicing import operations
from servicing.demo.book import seed_demo
from servicing.tables import (
    DayPartition,
    Instalment,
    LatenessChange,
    LedgerEntry,
    LedgerPosting,
    Loan,
)

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("closing_process.py")
ON = date(2026, 3, 31)  # the end of a month, so that every loan earns something


def seeded(runtime: Runtime) -> Runtime:
    with runtime.database.write() as session:
        seed_demo(session, runtime.cipher, customers=300, seed=7, now=runtime.clock.now())
    return runtime


def books(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that a close writes, in an order that the ids do not decide."""
    with database.read() as session:
        assert operations.prove_books(session) == []
        tables = {
            "loans": select(
                *(Loan.id, Loan.closed_to, Loan.late_since, Loan.days_past_due),
                *(Loan.bucket, Loan.five_class, Loan.ecl_stage),
            ),
            "instalments": select(Instalment.loan_id, Instalment.n, Instalment.earned_interest_fen),
            "changes": select(
                LatenessChange.loan_id, LatenessChange.from_on, LatenessChange.bucket
            ),
            "ledger": select(
                *(LedgerEntry.kind, LedgerEntry.key, LedgerEntry.effective_on),
                *(LedgerPosting.account, LedgerPosting.instalment_n, LedgerPosting.amount_fen),
            ).join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id),
        }
        found = {
            name: sorted(map(tuple, session.execute(query)), key=str)
            for name, query in tables.items()
        }
        told = session.execute(select(OutboxRow.event, OutboxRow.payload))
        events = [(event, tuple(sorted(payload.items()))) for event, payload in told]
        return found | {"events": sorted(events)}


def closed_loans(database: Database) -> int:
    with database.read() as session:
        done = select(func.count()).where(Loan.state == "active", Loan.closed_to == ON)
        return session.scalar(done) or 0


def run_and(sign: signal.Signals, runtime: Runtime, *, after: int) -> subprocess.Popen[bytes]:
    """Let a worker process close so many loans more, then send it a signal."""
    goal = closed_loans(runtime.database) + after
    url = runtime.database.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, str(WORKER), url, ON.isoformat(), runtime.clock.now().isoformat()],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    deadline = time.monotonic() + 120
    while closed_loans(runtime.database) < goal and time.monotonic() < deadline:
        assert process.poll() is None, "the worker ended by itself"
        time.sleep(0.002)
    process.send_signal(sign)
    return process


@pytest.mark.slow
def test_a_close_that_is_killed_and_resumed_leaves_the_same_books(
    runtime: Runtime, clock: FixedClock, tmp_path: Path
) -> None:
    apart = Database(f"sqlite:///{tmp_path / 'undisturbed.db'}")
    upgrade(apart)
    undisturbed = seeded(replace(runtime, database=apart))
    operations.close_day(undisturbed, on=ON)

    seeded(runtime)
    active = closed_loans(apart)
    for after in (10, 30, 20):
        assert run_and(signal.SIGKILL, runtime, after=after).wait() == -signal.SIGKILL
        clock.advance(timedelta(minutes=2))  # the dead worker's lease is over
    assert 0 < closed_loans(runtime.database) < active
    operations.resume_days(runtime)
    assert closed_loans(runtime.database) == active
    with runtime.database.read() as session:
        fences = session.scalars(select(DayPartition.fence)).all()
    assert max(fences) > 1, "no range was taken over"
    assert books(runtime.database) == books(apart)
    apart.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_worker_that_was_stopped_for_longer_than_its_lease_writes_nothing(
    runtime: Runtime, clock: FixedClock, tmp_path: Path
) -> None:
    apart = Database(f"sqlite:///{tmp_path / 'undisturbed.db'}")
    upgrade(apart)
    operations.close_day(seeded(replace(runtime, database=apart)), on=ON)

    seeded(runtime)
    stopped = run_and(signal.SIGSTOP, runtime, after=20)
    clock.advance(timedelta(minutes=2))
    # Where it stopped within a transaction, the server ends that after a minute.
    deadline = time.monotonic() + 120
    while closed_loans(runtime.database) < closed_loans(apart) and time.monotonic() < deadline:
        operations.resume_days(runtime)
        time.sleep(1)
    assert books(runtime.database) == books(apart)
    stopped.send_signal(signal.SIGCONT)
    stopped.wait(timeout=60)
    assert books(runtime.database) == books(apart)
    apart.dispose()
