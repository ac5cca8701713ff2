import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import Date, Integer, String, literal, select
from sqlalchemy.orm import Session

from contact import operations, queries
from contact.channels.sms import AliyunSms
from contact.channels.wechat import WeChatClient
from contact.model import Channel, Debt, Purpose
from contact.ports import Hold, Holds, SmsProvider, Standing, StillDue, WeChatApi
from contact.tables import Contact
from kernel.clock import FixedClock, business_date, start_of_day
from kernel.database import Instant
from kernel.runtime import Runtime

PHONE = 13900000000


@dataclass
class Providers:
    """A small stand-in of both providers that counts what really went out.

    `script` holds answers to give instead of the normal one, by path ending or SMS action: a
    dict (the answer), "hang" (take it, then break the connection), "drop" (break it untaken).
    """

    url: str = ""
    wechat: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    sms: list[dict[str, str]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    script: dict[str, list[Any]] = field(default_factory=dict)
    bad_tokens: set[str] = field(default_factory=set)
    are_all_tokens_bad: bool = False
    token: str = "token-1"
    delay_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    client_msg_ids: dict[str, str] = field(default_factory=dict)

    def answer(self, name: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        with self.lock:
            self.calls[name] += 1
            scripted = self.script.get(name)
            order = scripted.pop(0) if scripted else None
            if isinstance(order, dict):
                return order
            if order == "drop":
                return None
            answer = self._do(name, query, body)
            return None if order == "hang" else answer

    def _do(self, name: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        if name == "stable_token":
            return {"access_token": self.token, "expires_in": 7200}
        if name in ("SendSms", "QuerySendDetails"):
            return self._sms(name, query)
        token = query.get("access_token", "")
        if self.are_all_tokens_bad or token in self.bad_tokens:
            return {"errcode": 40001, "errmsg": "invalid credential rid: 1-2-3"}
        if name == "template/send":
            known = self.client_msg_ids.get(body["client_msg_id"])
            if known is None:
                known = str(9000 + len(self.wechat))
                self.client_msg_ids[body["client_msg_id"]] = known
                self.wechat.append(body)
            return {"errcode": 0, "errmsg": "ok", "msgid": int(known)}
        if name == "custom/send":
            self.texts.append(body)
        return {"errcode": 0, "errmsg": "ok"}

    def _sms(self, name: str, query: dict[str, str]) -> Any:
        if name == "SendSms":
            self.sms.append(query)
            return {"Code": "OK", "Message": "OK", "BizId": f"biz{len(self.sms)}"}
        details = [
            {"OutId": sent["OutId"], "SendStatus": 3}
            for sent in self.sms
            if sent["PhoneNumbers"] == query["PhoneNumber"]
        ]
        return {"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": details}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    providers: Providers

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = self.headers.get("x-acs-action") or address.path
        for known in ("stable_token", "template/send", "custom/send"):
            name = known if name.endswith(known) else name
        if self.providers.delay_s:
            time.sleep(self.providers.delay_s)
        answer = self.providers.answer(name, query, json.loads(raw) if raw else {})
        if answer is None:
            self.close_connection = True
            return
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self.wfile.write(head.encode() + b"\r\n\r\n" + body)

    do_GET = do_POST  # noqa: N815 -- the server's own naming

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that was killed
            super().handle()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def providers() -> Iterator[Providers]:
    state = Providers()
    handler = type("Handler", (_Handler,), {"providers": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Servicing:
    """What the areas above would answer."""

    paid: set[int] = field(default_factory=set)
    holds: dict[int, tuple[Hold, ...]] = field(default_factory=dict)
    wanting: set[int] = field(default_factory=set)
    barred: dict[int, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def debts(
        self, _session: Session, *, customer_ids: Any, purpose: Purpose, on: Any
    ) -> dict[int, tuple[Debt, ...]]:
        self.asked["debts"] += 1
        late = purpose is Purpose.COLLECTION
        return {
            customer_id: (
                Debt(
                    ref=f"L{customer_id}",
                    label="手机分期",
                    amount_fen=123456,
                    due_on=on - timedelta(days=3) if late else on,
                    days_past_due=3 if late else 0,
                ),
            )
            for customer_id in customer_ids
            if customer_id not in self.paid
        }

    def held(self, _session: Session, *, customer_ids: Any, at: datetime) -> Any:
        self.asked["holds"] += 1
        return {c: self.holds[c] for c in customer_ids if c in self.holds}

    def opted_in(self, _session: Session, *, customer_ids: Any, at: datetime) -> frozenset[int]:
        return frozenset(self.wanting & set(customer_ids))

    def marketing_barred(self, _session: Session, *, customer_ids: Any, on: Any) -> Any:
        return {c: self.barred[c] for c in customer_ids if c in self.barred}


@pytest.fixture
def servicing() -> Servicing:
    return Servicing()


@dataclass
class Desk:
    """A contact area with its books loaded and everything outside within reach."""

    runtime: Runtime
    providers: Providers
    servicing: Servicing
    clock: FixedClock

    def write(self) -> Any:
        return self.runtime.database.write()

    def read(self) -> Any:
        return self.runtime.database.read()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def customers(self, count: int, *, channel: Channel = Channel.SMS, first: int = 1) -> list[int]:
        """Give customers an address that the channel can use."""
        is_sms = channel is Channel.SMS
        with self.write() as session:
            return [
                operations.record_address(
                    session,
                    customer_id=number,
                    channel_kind="phone" if is_sms else "wechat",
                    address=str(PHONE + number) if is_sms else f"openid-{number:06d}",
                    source="test",
                    cipher=self.runtime.cipher,
                    now=self.now,
                )
                for number in range(first, first + count)
            ]

    def plan(
        self,
        customers: Iterable[int],
        *,
        channel: str = Channel.SMS,
        purpose: str = Purpose.SERVICE_REMINDER,
        template: str = "due_today",
        version: int = 1,
        facts: str = "{}",
        days: int = 1,
    ) -> int:
        """Plan one contact for each customer with an address, for today."""
        on = business_date(self.now)
        kind = "phone" if channel == Channel.SMS else "wechat"
        select = _planned(
            list(customers), kind, channel, purpose, template, version, facts, self.now, on, days
        )
        with self.write() as session:
            return operations.plan_contacts(session, select=select, now=self.now)

    def send(self, limit: int = 1000) -> operations.SendCounts:
        return operations.send_batch(self.runtime, limit=limit)

    def answer(self, key: str, **changes: Any) -> int:
        given: dict[str, Any] = {
            "channel": "sms",
            "template": "otp",
            "facts": {"code": "123456", "minutes": 5},
            "customer_id": None,
            "address": str(PHONE),
        }
        with self.write() as session:
            return operations.answer(
                session, key=key, cipher=self.runtime.cipher, now=self.now, **given | changes
            )

    def states(self) -> Counter[str]:
        with self.read() as session:
            return Counter(session.scalars(select(Contact.state)))


def _planned(
    customers: list[int],
    kind: str,
    channel: str,
    purpose: str,
    template: str,
    version: int,
    facts: str,
    now: datetime,
    on: Any,
    days: int,
) -> Any:
    rows = queries.active_addresses().subquery("addresses")
    return select(
        rows.c.customer_id,
        rows.c.address_id,
        literal(str(channel), String).label("channel"),
        literal(str(purpose), String).label("purpose"),
        literal(on, Date).label("day"),
        literal(template, String).label("template_code"),
        literal(version, Integer).label("template_version"),
        literal(now, Instant).label("not_before"),
        literal(start_of_day(on) + timedelta(days=days), Instant).label("expires_at"),
        literal(facts, String).label("facts"),
    ).where(rows.c.customer_id.in_(customers), rows.c.channel_kind == kind)


@pytest.fixture
def desk(runtime: Runtime, providers: Providers, servicing: Servicing, clock: FixedClock) -> Desk:
    settings = replace(
        runtime.settings,
        wechat_api_base=f"{providers.url}/wechat",
        sms_api_base=f"{providers.url}/sms/",
    )
    own = replace(runtime, settings=settings)
    own.provide(StillDue, servicing)
    own.provide(Holds, servicing)
    own.provide(Standing, servicing)
    own.provide(WeChatApi, WeChatClient(settings=settings, redis=own.redis))
    own.provide(SmsProvider, AliyunSms(settings=settings, clock=own.clock))
    with own.database.write() as session:
        operations.load_rules(session, now=clock.now())
        operations.load_templates(session, now=clock.now())
    return Desk(runtime=own, providers=providers, servicing=servicing, clock=clock)
