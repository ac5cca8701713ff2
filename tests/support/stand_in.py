"""The stand-ins of the outside world on a real socket, with their knobs at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from werkzeug.serving import make_server

from kernel.clock import SystemClock
from kernel.settings import Settings
from sandbox.app import create_app


@dataclass(frozen=True)
class StandIn:
    """The sub-systems' stand-in on a real socket."""

    base: str
    world: Any

    @property
    def evidence(self) -> str:
        """The address at which sub-systems answer."""
        return f"{self.base}/sandbox/evidence"

    def calls(self, feature: str) -> int:
        return int(self.world.journal.calls().get(feature, 0))


@contextmanager
def standing_in(folder: Path) -> Iterator[StandIn]:
    """Serve the sandbox until the end of the block."""
    app = create_app(Settings.from_env({"FENQI_STATE_DIR": str(folder)}), SystemClock())
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = Thread(target=server.serve_forever)
    serving.start()
    world = app.extensions["sandbox"]
    yield StandIn(base=f"http://127.0.0.1:{server.server_port}", world=world)
    world.schedule.stop()
    server.shutdown()
    serving.join()
