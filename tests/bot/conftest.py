"""A borrower of the demo book, the web app, and WeChat as the pusher."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from agreeing import confirm_terms
from flask.testing import FlaskClient
from phone import NEW, WECHAT, sign_in
from sqlalchemy import select
from werkzeug.test import TestResponse

from bot.callback import cipher_of
from bot.crypto import signature, signature_matches
from bot.messages import parse_fields
from bot.replies import to_xml
from contact.operations import load_rules, load_templates
from contact.tables import Contact
from kernel.clock import business_date
from kernel.runtime import Runtime
from kernel.settings import Settings
from servicing import operations
from servicing.demo.book import seed_demo
from servicing.products import STANDARD
from wsgi import create_app

ACCOUNT = "gh_test"


@dataclass(kw_only=True)
class Pusher:
    """Pushes as WeChat does, in the mode that the settings name, and opens replies."""

    client: FlaskClient
    settings: Settings
    now: Callable[[], float]
    count: int = 0

    def push(
        self,
        fields: dict[str, Any],
        *,
        nonce: str = "",
        query: dict[str, str] | None = None,
        mode: str = "",
        token: str = "",
    ) -> TestResponse:
        xml = to_xml({"ToUserName": ACCOUNT, "CreateTime": 1, **fields})
        return self.push_raw(xml, nonce=nonce, query=query, mode=mode, token=token)

    def push_raw(
        self,
        body: str,
        *,
        nonce: str = "",
        query: dict[str, str] | None = None,
        mode: str = "",
        token: str = "",
    ) -> TestResponse:
        mode, token = mode or self.settings.wechat_mode, token or self.settings.wechat_token
        timestamp, nonce = str(int(self.now())), nonce or os.urandom(6).hex()
        given = {"timestamp": timestamp, "nonce": nonce}
        given["signature"] = signature(token, timestamp, nonce)
        if mode != "plain":
            sealed = cipher_of(self.settings).encrypt(body, random16=os.urandom(16))
            given |= {"encrypt_type": "aes"}
            given["msg_signature"] = signature(token, timestamp, nonce, sealed)
            inner = body.removeprefix("<xml>").removesuffix("</xml>") if mode == "compat" else ""
            body = f"<xml>{inner}<Encrypt>{sealed}</Encrypt></xml>"
        return self.client.post("/wechat", query_string=given | (query or {}), data=body.encode())

    def text(self, openid: str, content: str, *, msg_id: str = "", **more: Any) -> TestResponse:
        self.count += 1
        fields = {"FromUserName": openid, "MsgType": "text", "Content": content}
        return self.push(fields | {"MsgId": msg_id or str(self.count)}, **more)

    def event(self, openid: str, event: str, **fields: Any) -> TestResponse:
        self.count += 1
        named = {"FromUserName": openid, "MsgType": "event", "Event": event}
        return self.push(named | {"CreateTime": self.count} | fields)

    def opened(self, response: TestResponse) -> dict[str, Any]:
        """Open a reply: {} for `success`."""
        assert response.status_code == 200
        if response.data == b"success":
            return {}
        fields = parse_fields(response.data)
        if self.settings.wechat_mode == "plain":
            return fields
        signed = [str(fields[name]) for name in ("TimeStamp", "Nonce", "Encrypt")]
        assert signature_matches(str(fields["MsgSignature"]), self.settings.wechat_token, *signed)
        text = cipher_of(self.settings).open(str(fields["Encrypt"])).text
        return parse_fields(text.encode())

    def say(self, openid: str, content: str, **more: Any) -> str:
        """Say something and return the text of the reply."""
        return str(self.opened(self.text(openid, content, **more)).get("Content", ""))


@pytest.fixture
def people(runtime: Runtime) -> list[dict[str, str]]:
    """Seven demo borrowers, the first with an instalment that is due in three days."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        load_rules(session, now=now)
        load_templates(session, now=now)
        seeded = seed_demo(session, runtime.cipher, customers=7, seed=1, now=now)
    return list(seeded.people)


@pytest.fixture
def told(runtime: Runtime) -> Callable[[str], list[dict[str, Any]]]:
    """Return the facts of contacts that were asked for by a template, oldest first."""

    def told(template: str) -> list[dict[str, Any]]:
        chosen = select(Contact.facts).where(Contact.template_code == template)
        with runtime.database.read() as session:
            return list(session.scalars(chosen.order_by(Contact.id)))

    return told


@pytest.fixture
def openid(people: list[dict[str, str]]) -> str:
    return people[0]["openid"]


@pytest.fixture
def make_pusher(runtime: Runtime) -> Callable[..., Pusher]:
    """Serve the app under changed settings and push to it."""

    def make(**changes: Any) -> Pusher:
        changed = replace(runtime, settings=replace(runtime.settings, **changes))
        client = create_app(changed).test_client()
        return Pusher(
            client=client, settings=changed.settings, now=lambda: runtime.clock.now().timestamp()
        )

    return make


@pytest.fixture
def wechat(make_pusher: Callable[..., Pusher]) -> Pusher:
    return make_pusher()


@pytest.fixture
def sns() -> Iterator[tuple[str, dict[str, Any]]]:
    """WeChat's sign-in on a loopback port: its base address, and what it will answer."""
    answers: dict[str, Any] = {"body": {"openid": NEW}, "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers["asked"].append(urlsplit(self.path))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            body = answers["body"]
            self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(make_pusher: Callable[..., Any], sns: tuple[str, Any]) -> FlaskClient:
    client: FlaskClient = make_pusher(wechat_api_base=sns[0]).client
    client.environ_base["HTTP_USER_AGENT"] = WECHAT["User-Agent"]
    return client


@pytest.fixture
def signed_in(client: FlaskClient, runtime: Runtime, openid: str) -> FlaskClient:
    """The first demo borrower, who owns loan 1."""
    sign_in(client, runtime, openid)
    return client


@pytest.fixture
def in_parts() -> Callable[[Runtime], int]:
    """Books the first demo borrower a loan of which a third is drawn; returns its number."""

    def booked(runtime: Runtime) -> int:
        now = runtime.clock.now()
        terms = operations.LoanTerms(
            customer_id=1,
            merchant_name="宏达装修",
            merchandise="装修",
            principal_fen=300_000,
            rate_annual=Decimal("0.18"),
            terms=6,
            disbursed_on=business_date(now),
            product=replace(STANDARD, code="in-parts", tranches=3, draw_within_days=90),
        )
        with runtime.database.write() as session:
            shown = confirm_terms(session, terms, now=now)
            return operations.book_loan(
                session, terms=terms, disclosure_id=shown, key="in-parts", now=now
            )

    return booked
