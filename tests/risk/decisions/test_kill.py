"""Whatever a gunicorn worker answered before it was killed is on disk, once."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from threading import Thread

import pytest
from deciding import Caller, asked
from sqlalchemy import select

from risk.tables import DecisionKey, DecisionRecord

ROOT = Path(__file__).resolve().parents[3]
_KILLS = 4


@contextlib.contextmanager
def served(caller: Caller) -> Iterator[tuple[Popen[bytes], str]]:
    """Serve the app with gunicorn on a free port until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    runtime = caller.runtime
    environ = os.environ | {
        "DATABASE_URL": runtime.database.url.render_as_string(hide_password=False),
        "REDIS_URL": runtime.settings.redis_url,
        "PORT": str(port),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
    with Popen(command, cwd=ROOT, env=environ, start_new_session=True) as process:
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def workers_of(process: Popen[bytes]) -> list[int]:
    """Name the processes that gunicorn forked."""
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in tasks.read_text().split()]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_every_answered_decision_is_stored_once(caller: Caller) -> None:
    answered: dict[str, str] = {}
    is_over = False

    def ask(base: str, thread: int) -> None:
        number = 0
        while not is_over:
            key = f"{thread}-{number}"
            request = urllib.request.Request(  # noqa: S310 -- loopback
                f"{base}/api/v1/decisions",
                data=json.dumps(asked()).encode(),
                headers={"Authorization": f"Bearer {caller.key}", "Idempotency-Key": key},
            )
            try:
                with urllib.request.urlopen(request, timeout=15) as response:  # noqa: S310 -- loopback
                    answered[key] = json.load(response)["id"]
            except (OSError, ValueError, http.client.HTTPException):
                continue  # a caller who heard nothing asks again with the same key
            number += 1

    with served(caller) as (process, base):
        threads = [Thread(target=ask, args=(base, thread)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(_KILLS):
            goal = len(answered) + 60
            until(lambda goal=goal: len(answered) >= goal)  # type: ignore[misc]
            os.kill(workers_of(process)[0], signal.SIGKILL)
        goal = len(answered) + 60
        until(lambda: len(answered) >= goal)
        is_over = True
        for thread in threads:
            thread.join(30)
    with caller.runtime.database.read() as session:
        keys = {row.key: row.decision_ids for row in session.scalars(select(DecisionKey))}
        stored = list(session.scalars(select(DecisionRecord.id)))
    assert len(answered) > 60 * _KILLS
    assert answered.items() <= keys.items()
    assert sorted(stored) == sorted(keys.values())
