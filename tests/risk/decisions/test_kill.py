"""Whatever was answered before something was killed is on disk, once, and answers come again.

What is killed while eight callers ask: workers of gunicorn, all of PostgreSQL, Redis.
"""

import contextlib
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Self

import pytest
from deciding import Caller, asked
from kept import Kept
from patience import PATIENCE_S
from sqlalchemy import select

from cli.bench.postgresql import PostgresqlMissing, PostgresqlServer
from cli.up import free_port
from kernel.database import Database
from kernel.redis_server import EmbeddedRedis
from migrations.schema import upgrade
from risk.tables import DecisionKey, DecisionRecord

ROOT = Path(__file__).resolve().parents[3]
_KILLS = 4


@contextlib.contextmanager
def served(caller: Caller) -> Iterator[tuple[Popen[bytes], int]]:
    """Serve the app with gunicorn on a free port until the end of the block."""
    port = free_port()
    runtime = caller.runtime
    environ = os.environ | {
        "DATABASE_URL": runtime.database.url.render_as_string(hide_password=False),
        "REDIS_URL": runtime.settings.redis_url,
        "PORT": str(port),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
    with Popen(command, cwd=ROOT, env=environ, start_new_session=True) as process:
        try:
            yield process, port
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def workers_of(process: Popen[bytes]) -> list[int]:
    """Name the processes that gunicorn forked."""
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in tasks.read_text().split()]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


class Askers:
    """Eight callers who ask on and on, each anew under the same key until it has an answer."""

    def __init__(self, caller: Caller, port: int) -> None:
        self.answered: dict[str, str] = {}
        self._caller = caller
        self._port = port
        self._is_over = False
        self._threads = [Thread(target=self._ask, args=(number,)) for number in range(8)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def hear(self, more: int) -> None:
        """Wait until so many more were answered."""
        goal = len(self.answered) + more
        until(lambda: len(self.answered) >= goal)

    def _ask(self, thread: int) -> None:
        """Ask over a kept connection, and over a new one when that broke."""
        number, kept = 0, None
        body = json.dumps(asked()).encode()
        while not self._is_over:
            key = f"{thread}-{number}"
            head = f"Authorization: Bearer {self._caller.key}\r\nIdempotency-Key: {key}\r\n"
            try:
                kept = kept or Kept(self._port, timeout_s=15)
                kept.send(body, path="/api/v1/decisions", head=head)
                status, said = kept.hear()
                if status == HTTPStatus.OK:
                    self.answered[key] = json.loads(said)["id"]
                    number += 1
            except (OSError, http.client.HTTPException):
                if kept is not None:
                    kept.close()
                kept = None
                time.sleep(0.01)
        if kept is not None:
            kept.close()


def expect_stored_once(database: Database, answered: dict[str, str]) -> None:
    with database.read() as session:
        keys = {row.key: row.decision_ids for row in session.scalars(select(DecisionKey))}
        stored = list(session.scalars(select(DecisionRecord.id)))
    assert answered.items() <= keys.items()
    assert sorted(stored) == sorted(keys.values())


@pytest.mark.slow
def test_workers_are_killed(caller: Caller) -> None:
    with served(caller) as (process, port), Askers(caller, port) as askers:
        for _ in range(_KILLS):
            askers.hear(60)
            os.kill(workers_of(process)[0], signal.SIGKILL)
        askers.hear(60)
    expect_stored_once(caller.runtime.database, askers.answered)


@pytest.mark.slow
class TestServers:
    """On servers of its own, which the other tests do not miss."""

    @pytest.fixture
    def server(self) -> Iterator[PostgresqlServer]:
        """A PostgreSQL that keeps what it confirms."""
        with TemporaryDirectory(prefix="fenqi-pg-") as folder:
            server = PostgresqlServer(Path(folder), is_durable=True)
            try:
                server.create()
                server.start()
            except PostgresqlMissing as missing:
                pytest.skip(str(missing))
            yield server
            server.stop()

    @pytest.fixture
    def database(self, server: PostgresqlServer) -> Iterator[Database]:
        """An empty database on it."""
        database = Database(server.url)
        upgrade(database)
        yield database
        database.dispose()

    @pytest.fixture
    def redis_server(self, tmp_path: Path) -> Iterator[EmbeddedRedis]:
        """A Redis that keeps a file."""
        with EmbeddedRedis(tmp_path) as server:
            yield server

    @pytest.fixture
    def _redis_server(self, redis_server: EmbeddedRedis) -> EmbeddedRedis:
        return redis_server

    def test_postgresql_is_killed(self, caller: Caller, server: PostgresqlServer) -> None:
        with served(caller) as (_, port), Askers(caller, port) as askers:
            for _ in range(2):
                askers.hear(60)
                server.kill()
                server.start()
            askers.hear(60)
        caller.runtime.database.dispose()
        expect_stored_once(caller.runtime.database, askers.answered)

    def test_redis_is_killed(self, caller: Caller, redis_server: EmbeddedRedis) -> None:
        with served(caller) as (_, port), Askers(caller, port) as askers:
            for _ in range(2):
                askers.hear(60)
                redis_server.kill()
                askers.hear(60)
                redis_server.start()
            askers.hear(60)
        expect_stored_once(caller.runtime.database, askers.answered)
