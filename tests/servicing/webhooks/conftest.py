"""A receiver on this machine that can fail, hang and come back, and a relay that tells of news."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kernel.api_keys import create_api_key
from kernel.outbox import relay
from kernel.runtime import Runtime
from servicing.webhooks import delivering, operations
from servicing.webhooks.clients import Poster


@dataclass
class Receiver:
    """What a partner runs: it checks each signature, and answers as it is told.

    Attributes:
        answers: Status to give by position of the news, tried in turn; 200 when there is none.
        silent_s: How long it waits before it answers.
    """

    secret: str = ""
    answers: dict[int, list[int]] = field(default_factory=dict)
    always: int = 200
    silent_s: float = 0.0
    taken: list[dict[str, Any]] = field(default_factory=list)
    tries: list[int] = field(default_factory=list)
    forged: int = 0
    keys: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def take(self, body: bytes, headers: Any) -> int:
        signed = f"{headers['Fenqi-Timestamp']}.".encode() + body
        expected = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        self.keys, self.headers = headers["Fenqi-Key"], dict(headers)
        if f"v1={expected}" not in headers["Fenqi-Signature"].split(","):
            self.forged += 1
            return 400
        news = json.loads(body)
        assert headers["Fenqi-Event"] == str(news["position"])
        self.tries.append(news["position"])
        time.sleep(self.silent_s)
        turn = self.answers.get(news["position"], [])
        status = turn.pop(0) if turn else self.always
        if status == 200:
            self.taken.append(news)
        return status

    def taken_of(self, customer_id: int) -> list[int]:
        return [each["position"] for each in self.taken if each["customer_id"] == customer_id]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that listens."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = state.take(body, self.headers)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", state.url)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class House:
    """Relays what happened and delivers what is due."""

    runtime: Runtime
    key_id: int = 0

    def subscribe(self, receiver: Receiver, **given: Any) -> int:
        values = {"partner": "shop", "sees_whole_book": True, "url": receiver.url, "kinds": ()}
        with self.runtime.database.write() as session:
            scopes = ["webhooks", "whole-book"]
            self.key_id, _ = create_api_key(
                session, name="shop", partner="shop", scopes=scopes, now=self.runtime.clock.now()
            )
            number, receiver.secret = operations.add_endpoint(
                session, self.runtime.cipher, now=self.runtime.clock.now(), **values | given
            )
        return number

    def tells(self) -> None:
        while relay(self.runtime, {}, (operations.publish,)):
            pass

    def delivers(self, is_over: Callable[[], bool] = lambda: False) -> int:
        post = Poster(is_development=self.runtime.settings.is_development)
        with self.runtime.database.read() as session:
            due = delivering.due_endpoints(session, now=self.runtime.clock.now())
        return sum(
            delivering.deliver_to(self.runtime, post, endpoint_id=each, is_over=is_over)
            for each in due
        )


@pytest.fixture
def house(runtime: Runtime) -> House:
    """The house, which has news."""
    return House(runtime)
