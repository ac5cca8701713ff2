"""`fenqi bench bot`: how fast the assistant answers 我还差多少没还 in safe mode.

Real signed and encrypted pushes of many borrowers, each with a MsgId and a nonce of its own, so
that no answer comes out of the memory of an earlier push. The yardstick is a JSON POST through the
same app that does nothing, in turns on the same gunicorn.
"""

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, cycle, islice
from typing import Any, Final
from urllib.parse import urlencode

from bot.callback import cipher_of
from bot.crypto import PushRefused, signature, signature_matches
from bot.messages import MessageNotReadable, parse_fields
from bot.replies import cdata, to_xml
from cli.bench.figures import Asked, Figure, WrongAnswer, middle, surroundings
from cli.bench.stage import owed_by_openid, seed_book, stage, web_server
from cli.bench.wrk import CONNECTIONS, NOOP_YARDSTICK, Load, Request, drive_in_turns, require_wrk
from kernel.clock import SystemClock
from kernel.runtime import Runtime

QUESTION: Final = "我还差多少没还"
BUDGET: Final = {"figure": 600, "ratio": 0.10, "p99_ms": 200}

_BORROWERS: Final = 2_000
_ACCOUNT: Final = "gh_benchbenchbe"
_KEEP_EACH: Final = 20
_OK: Final = 200
_OWED: Final = re.compile(r"您还需还 ¥([\d,]+\.\d\d)：")
_XML: Final = {"Content-Type": "text/xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushes:
    """Makes pushes of borrowers in turn; every one is new.

    Attributes:
        owed: What servicing says that each openid still has to pay, as the assistant writes it.
    """

    runtime: Runtime
    owed: Mapping[str, str]
    numbers: Iterator[int]

    def make(self, how_many: int) -> Iterator[Request]:
        """Sign and encrypt so many pushes now."""
        settings = self.runtime.settings
        cipher = cipher_of(settings)
        timestamp = str(int(SystemClock().now().timestamp()))
        for openid in islice(cycle(self.owed), how_many):
            message = {
                "ToUserName": _ACCOUNT,
                "FromUserName": openid,
                "CreateTime": int(timestamp),
                "MsgType": "text",
                "Content": QUESTION,
                "MsgId": next(self.numbers),
            }
            sealed = cipher.encrypt(to_xml(message), random16=os.urandom(16))
            nonce = secrets.token_hex(5)
            query = {
                "signature": signature(settings.wechat_token, timestamp, nonce),
                "timestamp": timestamp,
                "nonce": nonce,
                "openid": openid,
                "encrypt_type": "aes",
                "msg_signature": signature(settings.wechat_token, timestamp, nonce, sealed),
            }
            body = f"<xml><ToUserName>{cdata(_ACCOUNT)}</ToUserName>"
            body += f"<Encrypt>{cdata(sealed)}</Encrypt></xml>"
            yield Request(path=f"/wechat?{urlencode(query)}", headers=_XML, body=body)

    def check(self, load: Load) -> int:
        """Open the kept answers and compare them with the book; returns how many.

        Raises:
            WrongAnswer: One of them differs, or an answer is missing.
        """
        if load.failed or load.timed_out or load.late:
            raise WrongAnswer(
                f"{load.failed} failed, {load.timed_out} timed out, {load.late} would come later"
            )
        for status, body in load.answers:
            self._check_one(status, body)
        return len(load.answers)

    def _check_one(self, status: int, body: str) -> None:
        if status != _OK:
            raise WrongAnswer(f"HTTP {status}")
        openid, text = self._opened(body)
        said = _OWED.search(text)
        if openid not in self.owed or said is None or said[1] != self.owed[openid]:
            raise WrongAnswer(f"the book says {self.owed.get(openid)}, the assistant: {text[:60]}")

    def _opened(self, body: str) -> tuple[str, str]:
        settings = self.runtime.settings
        try:
            outer = {name: str(value) for name, value in parse_fields(body.encode()).items()}
            parts = (outer["TimeStamp"], outer["Nonce"], outer["Encrypt"])
            if not signature_matches(outer["MsgSignature"], settings.wechat_token, *parts):
                raise WrongAnswer("an answer's signature is wrong")
            inner = parse_fields(cipher_of(settings).open(outer["Encrypt"]).text.encode())
        except (MessageNotReadable, PushRefused, KeyError) as error:
            raise WrongAnswer(f"an answer cannot be opened: {error!r}") from error
        return str(inner["ToUserName"]), str(inner.get("Content", ""))


def measure(asked: Asked) -> Figure:
    """Measure the assistant against the no-op in alternating rounds."""
    require_wrk()
    with stage(asked.database, WECHAT_MODE="safe") as on:
        loans = seed_book(on.runtime, asked.scale or _BORROWERS)
        pushes = Pushes(
            runtime=on.runtime, owed=owed_by_openid(on.runtime), numbers=count(secrets.randbits(60))
        )
        with web_server(on) as base:
            return _figure(
                asked,
                drive_in_turns(base, pushes.make, seconds=asked.seconds, keep_each=_KEEP_EACH),
                pushes,
                loans,
            )


def _figure(asked: Asked, rounds: list[tuple[Load, Load]], pushes: Pushes, loans: int) -> Figure:
    checked = sum(pushes.check(bot) for _, bot in rounds)
    if not checked:
        raise WrongAnswer("no answer was seen")
    noop = middle([noop.rate for noop, _ in rounds])
    figure = middle([bot.rate for _, bot in rounds])
    ratio, p99 = round(figure / noop, 4), middle([bot.p99_ms for _, bot in rounds])
    details: dict[str, Any] = {
        "noop_per_s": noop,
        "noop_p99_ms": middle([noop.p99_ms for noop, _ in rounds]),
        "p50_ms": middle([bot.p50_ms for _, bot in rounds]),
        "rounds": [[round(noop.rate, 1), round(bot.rate, 1)] for noop, bot in rounds],
        "seconds": asked.seconds,
        "connections": CONNECTIONS,
        "borrowers": len(pushes.owed),
        "loans": loans,
        "answers_checked": checked,
        "budget": BUDGET,
        "is_within_budget": figure >= BUDGET["figure"]
        and ratio >= BUDGET["ratio"]
        and p99 < BUDGET["p99_ms"],
    }
    return Figure(
        name="bot",
        figure=figure,
        unit="answers/s",
        yardstick=NOOP_YARDSTICK,
        ratio=ratio,
        p99_ms=p99,
        details=details | surroundings(),
    )
