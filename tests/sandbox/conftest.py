"""A stand-in on a real socket, and a tiny service of ours for it to push to."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, Response, request
from werkzeug.serving import BaseWSGIServer, make_server

from kernel.clock import SHANGHAI, FixedClock
from kernel.settings import Settings
from sandbox.app import create_app
from sandbox.world import World

OPENID = "oFenqiTestPerson0000000000001"

Answer = Callable[[bytes], Response]


@dataclass
class Service:
    """What our own service received, and what it shall answer."""

    base: str
    app: Flask
    callbacks: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    notifies: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    reply: Answer = lambda _body: Response("success")
    notify_statuses: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class Stand:
    """The stand-in, as a client sees it."""

    base: str
    world: World
    settings: Settings
    clock: FixedClock
    service: Service

    def api(self, path: str, body: Any = None) -> Any:
        """Call the control API; POST if there is a body."""
        url = f"{self.base}/sandbox/api/{path}"
        answer = requests.get(url, timeout=20) if body is None else self.post(path, body)
        return answer.json()

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(f"{self.base}/sandbox/api/{path}", json=body, timeout=20)

    def knob(
        self, feature: str, fault: str, *, value: Any = None, times: int | None = None
    ) -> None:
        knob = {"feature": feature, "fault": fault, "value": value, "times": times}
        assert self.post("knobs", knob).status_code == 200

    def settle(self) -> None:
        assert self.world.schedule.settle(timeout_s=60)


def _serve(app: Flask) -> tuple[BaseWSGIServer, str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    return server, f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def service() -> Iterator[Service]:
    app = Flask("service")
    held = Service(base="", app=app)

    @app.post("/wechat")
    def wechat() -> Response:
        held.callbacks.append((request.args.to_dict(), request.get_data()))
        return held.reply(request.get_data())

    @app.post("/pay/notify")
    @app.post("/pay/refund-notify")
    def notify() -> Response:
        held.notifies.append((dict(request.headers), request.get_data()))
        return Response(status=held.notify_statuses.pop(0) if held.notify_statuses else 204)

    @app.post("/contact/sms-receipts")
    def receipts() -> dict[str, int]:
        held.receipts.extend(request.get_json())
        return {"code": 0}

    server, held.base = _serve(app)
    yield held
    server.shutdown()
    server.server_close()


@pytest.fixture
def stand(service: Service, tmp_path: Path) -> Iterator[Stand]:
    settings = Settings.from_env(
        {"PUBLIC_BASE_URL": service.base, "FENQI_STATE_DIR": str(tmp_path), "PORT": "8000"}
    )
    clock = FixedClock(datetime(2026, 3, 10, 10, 0, tzinfo=SHANGHAI))
    app = create_app(settings, clock)
    server, base = _serve(app)
    world = app.extensions["sandbox"]
    yield Stand(base=base, world=world, settings=settings, clock=clock, service=service)
    world.schedule.stop()
    server.shutdown()
    server.server_close()
