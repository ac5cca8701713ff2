"""`fenqi smoke`: a borrower's journey over real HTTP, in a throw-away folder on free ports.

It drives the same `fenqi up` that a newcomer starts, through the sandbox, in safe mode, with the
development clock at ten in the morning, so that it works at any hour.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from cli.up import DEMO_PASSWORD, is_taken, wait_until_ready
from kernel.clock import SystemClock, shanghai
from kernel.money import fen_from_yuan

_STOP_TIMEOUT_S = 10
_HTTP_TIMEOUT_S = 20
_PATIENCE = 50
_LOWEST_PORT, _HIGHEST_PORT = 20_000, 60_000


class StepFailed(Exception):
    """A step did not show what a borrower should see."""


@dataclass(kw_only=True)
class Journey:
    """The running service as a borrower reaches it."""

    base: str
    state: Path
    people: list[dict[str, str]] = field(default_factory=list)

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the sandbox's control API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 -- loopback
            f"{self.base}/sandbox/api/{path}",
            data=data,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=_HTTP_TIMEOUT_S) as response:  # noqa: S310
            return json.load(response)

    def wait_for_message(self, openid: str, words: str) -> str:
        """Wait until a customer-service message with these words reached the borrower."""
        for _ in range(_PATIENCE * 2):
            sent = self.call(f"sent?openid={openid}&kind=custom")["sent"]
            for text in (json.dumps(entry, ensure_ascii=False) for entry in sent):
                if words in text:
                    return text
            time.sleep(0.1)
        raise StepFailed(f"no message with {words}")

    def say(self, openid: str, text: str) -> str:
        """Write a text as a borrower in safe mode, and return what the assistant answers."""
        outcome = self.call("push", {"openid": openid, "kind": "text", "text": text})
        reply = outcome.get("reply") or {}
        expect(outcome["result"] == "accepted", f"push was {outcome['result']}: {outcome}")
        return str(reply.get("content") or reply.get("Content") or reply.get("text") or "")


@dataclass(kw_only=True)
class Phone:
    """A borrower's WeChat browser: it carries cookies and follows WeChat's sign-in."""

    openid: str

    def __post_init__(self) -> None:
        """Make the browser."""
        self.open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies())
        ).open

    def get(self, url: str) -> str:
        """Open a page."""
        with self.open(url, timeout=_HTTP_TIMEOUT_S) as response:
            return str(response.read(), "utf-8")

    def pay(self, url: str, page: str) -> dict[str, Any]:
        """Press the button of the repay page."""
        key = re.search(r'data-key="([^"]+)"', page)
        token = re.search(r'name="csrf-token" content="([^"]+)"', page)
        expect(key is not None and token is not None, "the page has no button")
        headers = {
            "Idempotency-Key": key[1] if key else "",
            "X-CSRFToken": token[1] if token else "",
            "Referer": url,
        }
        request = urllib.request.Request(url, data=b"", headers=headers)  # noqa: S310 -- loopback
        with self.open(request, timeout=_HTTP_TIMEOUT_S) as response:
            return dict(json.load(response))

    def _cookies(self) -> CookieJar:
        jar = CookieJar()
        options: dict[str, Any] = {
            "version": 0,
            "port": None,
            "port_specified": False,
            "secure": False,
        }
        options |= {"domain_specified": True, "domain_initial_dot": False, "path": "/"}
        options |= {"path_specified": True, "expires": None, "discard": True, "comment": None}
        options |= {"comment_url": None, "rest": {}, "domain": "127.0.0.1"}
        jar.set_cookie(Cookie(name="sandbox_openid", value=self.openid, **options))
        return jar


def expect(is_so: bool, why: str) -> None:  # noqa: FBT001 -- reads like assert
    """Fail the step unless it is so."""
    if not is_so:
        raise StepFailed(why)


def walk() -> int:
    """Walk the journey; the last line says how it went. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="fenqi-smoke-") as folder:
        port = _free_port()
        journey = Journey(base=f"http://127.0.0.1:{port}", state=Path(folder))
        log = Path(folder) / "up.log"
        done = 0
        try:
            with _service(port, Path(folder), log):
                for step in STEPS:
                    step(journey)
                    done += 1
                    click.echo(f"ok {done} {step.__doc__}")
        except (StepFailed, ValueError, KeyError, OSError) as error:
            click.echo(log.read_text(encoding="utf-8")[-4000:], err=True)
            click.echo(f"SMOKE FAILED step {done + 1}: {error}")
            return 1
    click.echo(f"SMOKE OK {done} steps")
    return 0


@contextlib.contextmanager
def _service(port: int, folder: Path, log: Path) -> Iterator[None]:
    ten = shanghai(SystemClock().now()).replace(hour=10, minute=0) + timedelta(days=1)
    own = {"PORT": str(port), "FENQI_STATE_DIR": str(folder), "FENQI_NOW": ten.isoformat()}
    unset = ("DATABASE_URL", "REDIS_URL", "FENQI_ENV", "PUBLIC_BASE_URL", "SANDBOX_BASE")
    environ = {name: value for name, value in os.environ.items() if name not in unset} | own
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "up"],
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise StepFailed("did not stop within 10 s") from error
    expect(not is_taken(port), "the port is still taken after the end")


def _free_port() -> int:
    """Find a free port whose neighbour, the sandbox's, is free too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if _LOWEST_PORT < port < _HIGHEST_PORT and not is_taken(port) and not is_taken(port + 1):
            return port


def _starts(journey: Journey) -> None:
    """web, workers, scheduler and sandbox are ready"""
    expect(wait_until_ready(journey.base), "not ready within 60 s")
    for _ in range(_PATIENCE):
        journey.people = journey.call("people")["people"]
        if journey.people:
            break
        time.sleep(0.1)
    expect(len(journey.people) > 1, "the sandbox knows no demo borrowers")


def _asks_progress(journey: Journey) -> None:
    """a borrower asks 我还差多少没还 and gets an amount whose parts add up to the fen"""
    reply = journey.say(journey.people[0]["openid"], "我还差多少没还")
    amounts = _amounts(reply)
    expect(len(amounts) > 3, f"too few amounts in: {reply}")  # noqa: PLR2004 -- total and three parts
    total, rest, principal, interest = amounts[:4]
    expect(total >= rest == principal + interest, f"parts do not add up in: {reply}")


def _asks_why(journey: Journey) -> None:
    """the reason names principal, interest and the formula of the amount due"""
    reply = journey.say(journey.people[0]["openid"], "这期金额怎么算的")
    amounts = _amounts(reply)
    expect(len(amounts) > 4, f"too few amounts in: {reply}")  # noqa: PLR2004 -- due and four parts
    due, instalment, principal, interest, balance = amounts[:5]
    expect(due == instalment == principal + interest, f"parts do not add up in: {reply}")
    rate = re.search(r"年利率 ([\d.]+)%", reply)
    expect(rate is not None and balance > 0, f"no formula in: {reply}")
    exact = balance * Decimal(rate[1]) / 1200 if rate else Decimal(0)
    expect(abs(exact - interest) <= 1, f"interest is not balance × rate ÷ 12 in: {reply}")


def _pays(journey: Journey) -> None:
    """the borrower opens the repay page, pays in WeChat, and the receipt arrives in the chat"""
    openid = journey.people[0]["openid"]
    before = _amounts(journey.say(openid, "我的分期"))[0]
    link = re.search(r'href="([^"]+/h5/repay/\d+)"', journey.say(openid, "我要还款"))
    expect(link is not None, "no link to the repay page")
    phone = Phone(openid=openid)
    page = phone.get(link[1] if link else "")
    due = _amounts(page)[0]
    order = phone.pay(link[1] if link else "", page)
    word = journey.call("pay", {"out_trade_no": order["out_trade_no"], "params": order["params"]})
    expect(word["err_msg"].endswith(":ok"), f"the payment sheet said {word}")
    receipt = journey.wait_for_message(openid, "已收到您的付款")
    expect(_amounts(receipt)[0] == due, f"another amount in: {receipt}")
    after = _amounts(journey.say(openid, "我的分期"))[0]
    expect(after == before - due, f"owed {before}, paid {due}, now owes {after}")
    expect(
        "付款成功" in phone.get(f"{journey.base}/h5/result/{order['out_trade_no']}"), "no result"
    )


def _others_cannot_pay_it(journey: Journey) -> None:
    """another borrower does not find that loan, and outside WeChat nobody finds anything"""
    link = re.search(
        r'href="([^"]+/h5/repay/\d+)"', journey.say(journey.people[1]["openid"], "还款")
    )
    stranger = Phone(openid=journey.people[2]["openid"])
    for opener in (stranger.open, urllib.request.build_opener().open):
        try:
            opener(link[1] if link else "", timeout=_HTTP_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            expect(error.code in (403, 404), f"answered {error.code}")
        else:
            raise StepFailed("the page opened")


def _notify_again_changes_nothing(journey: Journey) -> None:
    """the payment's notification, delivered five times more, changes nothing"""
    openid = journey.people[0]["openid"]
    owed = _amounts(journey.say(openid, "我的分期"))[0]
    paid = [order for order in journey.call("state")["orders"] if order["state"] == "SUCCESS"]
    journey.call("notify", {"out_trade_no": paid[0]["out_trade_no"], "times": 5})
    expect(_amounts(journey.say(openid, "我的分期"))[0] == owed, "the balance changed")


def _staff_enter(journey: Journey) -> None:
    """staff log in to the workplace, and nobody else gets in"""
    staff = Phone(openid="")
    page = staff.get(f"{journey.base}/admin/")
    expect('type="password"' in page, "the workplace stood open")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    form = {"login": "admin", "password": DEMO_PASSWORD, "csrf_token": token[1] if token else ""}
    url = f"{journey.base}/admin/login"
    request = urllib.request.Request(  # noqa: S310 -- loopback
        url, data=urlencode(form).encode(), headers={"Referer": url}
    )
    staff.open(request, timeout=_HTTP_TIMEOUT_S).close()
    expect("管理员" in staff.get(f"{journey.base}/admin/"), "the workplace stayed closed")


def _stranger_learns_nothing(journey: Journey) -> None:
    """a stranger's WeChat account learns nothing of anybody"""
    reply = journey.say("oSmokeStranger00000000000001", "我的分期")
    expect("绑定" in reply and "¥" not in reply, f"unexpected: {reply}")


def _forged_push_is_refused(journey: Journey) -> None:
    """a push with a forged signature is refused"""
    url = f"{journey.base}/wechat?signature=0&timestamp=1&nonce=1&msg_signature=0"
    try:
        urllib.request.urlopen(url, data=b"<xml></xml>", timeout=5)  # noqa: S310 -- loopback
    except urllib.error.HTTPError as error:
        expect(error.code == 403, f"answered {error.code}")  # noqa: PLR2004 -- Forbidden
    else:
        raise StepFailed("a forged push was accepted")


def _amounts(text: str) -> list[int]:
    found = re.findall(r"¥([\d,]+\.\d\d)", text)
    return [fen_from_yuan(amount.replace(",", "")) for amount in found]


STEPS: tuple[Callable[[Journey], None], ...] = (
    _starts,
    _asks_progress,
    _asks_why,
    _pays,
    _others_cannot_pay_it,
    _notify_again_changes_nothing,
    _staff_enter,
    _stranger_learns_nothing,
    _forged_push_is_refused,
)
