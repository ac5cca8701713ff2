"""Where vectors are played: the app on a throw-away database and Redis, and a loopback platform.

Nothing of it outlives the run, and nothing of the real environment is read.
"""

import json
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from flask.testing import FlaskClient
from redis import Redis

import bot.views
from contact.channels.wechat import WeChatClient
from contact.operations import load_templates
from kernel.clock import SystemClock
from kernel.crypto import FieldCipher
from kernel.database import Base, Database
from kernel.redis_server import EmbeddedRedis
from kernel.runtime import Runtime
from kernel.settings import Settings
from kernel.web import create_base_app
from servicing.payments.clients import WeChatPayProvider

MODES = ("plain", "compat", "safe")
TOKEN = "conformance-access-token"  # noqa: S105 -- the loopback platform's own


@dataclass(slots=True, kw_only=True)
class Platform:
    """What the loopback platform answers next, and what it was asked.

    Attributes:
        answer: Answer of every call but the token's.
        token: Answer of the token's.
        calls: Method, path, query and body of every call but the token's.
        signed: Authorization header and raw body of the last of these calls.
    """

    status: int = 200
    answer: Any = field(default_factory=dict)
    token: Mapping[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    signed: tuple[str, str] = ("", "")

    def prepare(
        self, answer: Any, *, status: int = 200, token: Mapping[str, Any] | None = None
    ) -> None:
        """Set the next answers and forget what was asked."""
        self.status, self.answer = status, answer
        self.token = token or {"access_token": TOKEN, "expires_in": 7200}
        self.calls.clear()


class _Handler(BaseHTTPRequestHandler):
    platform: Platform

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        address = urlsplit(self.path)
        is_token = address.path.endswith(("/stable_token", "/cgi-bin/token"))
        if not is_token:
            query = dict(parse_qsl(address.query))
            self.platform.calls.append(
                (self.command, address.path, query, json.loads(body) if body else None)
            )
            self.platform.signed = (self.headers.get("Authorization", ""), body.decode())
        answer = self.platform.token if is_token else self.platform.answer
        raw = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        self.send_response(200 if is_token else self.platform.status)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(raw.encode())

    do_GET = do_POST = _serve  # noqa: N815 -- http.server's names

    def log_message(self, *_given: object) -> None:
        """Say nothing; stdout belongs to results."""


class Stage:
    """A context manager that starts and ends everything."""

    def __enter__(self) -> Self:
        """Start Redis, the database and the platform."""
        self._folder = tempfile.TemporaryDirectory(prefix="fenqi-conformance-")
        self._redis_server = EmbeddedRedis().start()
        self.redis: Redis = Redis.from_url(self._redis_server.url)
        self.platform = Platform()
        handler = type("Handler", (_Handler,), {"platform": self.platform})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{self._server.server_port}"
        self.settings = replace(
            Settings.from_env({}),
            redis_url=self._redis_server.url,
            sandbox_base="",
            wechat_api_base=base,
            pay_api_base=base,
        )
        self._database = Database(f"sqlite:///{Path(self._folder.name) / 'stage.db'}")
        Base.metadata.create_all(self._database.engine)
        self._cipher = FieldCipher(
            self.settings.field_key_bytes(),
            current=self.settings.field_key_current,
            index_key=self.settings.index_key.encode(),
        )
        with self._database.write() as session:
            load_templates(session, now=self.now())
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End all of it."""
        self._server.shutdown()
        self._server.server_close()
        self._database.dispose()
        self.redis.close()
        self._redis_server.stop()
        self._folder.cleanup()

    def now(self) -> datetime:
        """Return the instant at which things are signed."""
        return SystemClock().now()

    def client(self, mode: str) -> FlaskClient:
        """Return a client of the app in a mode."""
        return self._clients[mode]

    @cached_property
    def _clients(self) -> dict[str, FlaskClient]:
        clients = {}
        for mode in MODES:
            runtime = Runtime(
                settings=replace(self.settings, wechat_mode=mode),
                database=self._database,
                redis=self.redis,
                clock=SystemClock(),
                cipher=self._cipher,
            )
            app = create_base_app(runtime)
            app.register_blueprint(bot.views.blueprint)
            clients[mode] = app.test_client()
        return clients

    @cached_property
    def wechat(self) -> WeChatClient:
        """The product's client of the official account, pointed at the loopback platform."""
        return WeChatClient(settings=self.settings, redis=self.redis)

    def pay_as(self, *, app_id: str, private_key: str) -> WeChatPayProvider:
        """Return the product's client of WeChat Pay as another merchant's."""
        return WeChatPayProvider(
            replace(self.settings, wechat_app_id=app_id, pay_mch_private_key=private_key)
        )

    @cached_property
    def pay(self) -> WeChatPayProvider:
        """The product's client of WeChat Pay, pointed at the loopback platform."""
        return WeChatPayProvider(self.settings)
