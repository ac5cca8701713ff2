"""The running service as a borrower reaches it, over HTTP: what `fenqi smoke` and tests walk.

It starts the same `fenqi up` that a newcomer starts, on free ports, and plays people through the
sandbox. What they should see is not said here.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cli.up import free_port, is_taken, wait_until_ready

HTTP_TIMEOUT_S = 60
_PATIENCE_S = 120  # a second or two on an idle machine


class StepFailed(Exception):
    """A step did not show what a borrower should see."""


@dataclass(kw_only=True)
class Journey:
    """The running service as a borrower reaches it."""

    base: str
    people: list[dict[str, str]] = field(default_factory=list)

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the sandbox's control API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 -- loopback
            f"{self.base}/sandbox/api/{path}",
            data=data,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as response:  # noqa: S310
            return json.load(response)

    def wait_until_ready(self) -> None:
        """Wait until everything answers and the sandbox knows the demo borrowers."""
        expect(wait_until_ready(self.base), "not ready within two minutes")
        for _ in self.patiently():
            self.people = self.call("people")["people"]
            if len(self.people) > 1:
                return
        raise StepFailed("the sandbox knows no demo borrowers")

    def person(self, story: str) -> str:
        """Return the openid of the demo borrower whose note begins so."""
        for person in self.people:
            if person["note"].startswith(story):
                return person["openid"]
        raise StepFailed(f"nobody to play: {story}")

    def sent(self, openid: str = "", *, kind: str) -> list[dict[str, Any]]:
        """List what our service sent: `custom`, `template` or `sms`; without openid to all."""
        asked = {"kind": kind} | ({"openid": openid} if openid else {})
        return list(self.call(f"sent?{urlencode(asked)}")["sent"])

    def wait_for_message(self, openid: str, words: str, *, kind: str = "custom") -> str:
        """Wait until a message with these words reached the borrower, and return it."""
        for _ in self.patiently():
            for entry in self.sent(openid, kind=kind):
                if words in (text := json.dumps(entry, ensure_ascii=False)):
                    return text
        raise StepFailed(f"no message with {words}")

    def patiently(self) -> Iterator[None]:
        """Give turns, ten a second, for as long as waiting makes sense."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            yield
            time.sleep(0.1)

    def say(self, openid: str, text: str) -> str:
        """Write a text as a borrower in safe mode, and return what the assistant answers."""
        outcome = self.call("push", {"openid": openid, "kind": "text", "text": text})
        reply = outcome.get("reply") or {}
        expect(outcome["result"] == "accepted", f"push was {outcome['result']}: {outcome}")
        return str(reply.get("content") or reply.get("Content") or reply.get("text") or "")

    def pay(self, openid: str) -> tuple[str, str]:
        """Pay as a borrower does, from the link in the chat on to WeChat's payment sheet.

        Returns:
            The repay page, and the order's number.
        """
        link = re.search(r'href="([^"]+/h5/repay/\d+)"', self.say(openid, "我要还款"))
        expect(link is not None, "no link to the repay page")
        url, phone = link[1] if link else "", Phone(openid=openid)
        page = phone.get(url)
        order = phone.pay(url, page)
        number, params = str(order["out_trade_no"]), order["params"]
        word = self.call("pay", {"out_trade_no": number, "params": params})
        expect(word["err_msg"].endswith(":ok"), f"the payment sheet said {word}")
        return page, number


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
        with self.open(url, timeout=HTTP_TIMEOUT_S) as response:
            return str(response.read(), "utf-8")

    def pay(self, url: str, page: str) -> dict[str, Any]:
        """Press the button of the repay page."""
        key = re.search(r'data-key="([^"]+)"', page)
        expect(key is not None, "the page has no button")
        return self.post(url, page, {}, {"Idempotency-Key": key[1] if key else ""})

    def post(
        self, url: str, page: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Send a form, or nothing, as a script of the page does, and return the answer."""
        token = re.search(r'name="csrf-token" content="([^"]+)"', page)
        expect(token is not None, "the page has no token")
        own = {"X-CSRFToken": token[1] if token else "", "Referer": url}
        request = urllib.request.Request(  # noqa: S310 -- loopback
            url, data=urlencode(form).encode(), headers={**own, **headers}
        )
        with self.open(request, timeout=HTTP_TIMEOUT_S) as response:
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


@contextlib.contextmanager
def running_service(folder: Path, *, at: datetime, log: Path) -> Iterator[Journey]:
    """Run everything on free ports until the end of the block.

    Args:
        folder: Where it keeps its state; give an empty one for a fresh demo book.
        at: Where the development clock starts.
        log: The file that its output goes to.

    Yields:
        The service, perhaps not ready yet.

    Raises:
        StepFailed: It did not end, or left its port taken.
    """
    port = free_port()
    own = {"PORT": str(port), "FENQI_STATE_DIR": str(folder), "FENQI_NOW": at.isoformat()}
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
        yield Journey(base=f"http://127.0.0.1:{port}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise StepFailed("did not stop") from error
    expect(not is_taken(port), "the port is still taken after the end")
