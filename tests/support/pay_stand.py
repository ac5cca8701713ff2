"""The payment stand-in and an app of ours that it notifies, each on its own port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from kernel.web import create_base_app
from sandbox.app import create_app
from servicing.payments import views
from servicing.payments.clients import WeChatPayProvider
from servicing.payments.ports import PayProvider

_PATIENCE_S = 60  # a machine that is busy elsewhere must not make us too late for a notice


@dataclass
class Stand:
    """The stand-in and our app, each on its own port."""

    base: str
    world: Any
    runtime: Runtime

    def knob(self, feature: str, fault: str, **more: Any) -> None:
        self._post("knobs", {"feature": feature, "fault": fault, "times": 1} | more)

    def pay(self, number: str) -> str:
        answer = self._post("pay", {"out_trade_no": number, "wait": True})
        assert answer["err_msg"] == "get_brand_wcpay_request:ok"
        return str(answer["transaction_id"])

    def renotify(self, number: str, *, times: int = 1) -> None:
        self._post("notify", {"out_trade_no": number, "times": times})

    def settle(self) -> None:
        assert self.world.schedule.settle(timeout_s=_PATIENCE_S)

    def refund(self, number: str, fen: int, **more: str) -> None:
        """Give money back in the merchant's console."""
        self._post("refund", {"out_trade_no": number, "fen": fen, **more})

    def outcomes(self) -> list[Any]:
        entries = self.world.journal.since(0)
        return [e["content"]["outcome"] for e in entries if e["kind"] == "notify"]

    def _post(self, path: str, body: Any) -> Any:
        answer = requests.post(f"{self.base}/sandbox/api/{path}", json=body, timeout=_PATIENCE_S)
        assert answer.status_code == 200, answer.text
        return answer.json()


def _serve(app: Any) -> tuple[BaseWSGIServer, str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    return server, f"http://127.0.0.1:{server.server_port}"


@contextmanager
def stand_in(runtime: Runtime, clock: FixedClock, folder: Path) -> Iterator[Stand]:
    """Start both servers and give the runtime the real provider."""
    apps: list[Any] = []

    def our_app(environ: Any, start_response: Any) -> Any:
        return apps[0](environ, start_response)

    ours, our_base = _serve(our_app)
    settings = replace(runtime.settings, public_base_url=our_base, state_dir=str(folder))
    sandbox_app = create_app(settings, clock)
    theirs, their_base = _serve(sandbox_app)
    settings = replace(settings, pay_api_base=f"{their_base}/sandbox/pay")
    runtime = replace(runtime, settings=settings, _ports={})
    runtime.provide(PayProvider, WeChatPayProvider(settings))
    app: Flask = create_base_app(runtime)
    app.register_blueprint(views.blueprint)
    apps.append(app)
    world = sandbox_app.extensions["sandbox"]
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sandbox.pay.notify._TIMEOUT_S", _PATIENCE_S)
            yield Stand(base=their_base, world=world, runtime=runtime)
    finally:
        world.schedule.stop()
        for server in (ours, theirs):
            server.shutdown()
            server.server_close()
