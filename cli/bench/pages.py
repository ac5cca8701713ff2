"""`fenqi bench pages`: how fast borrowers get their page of progress, /h5/progress in WeChat.

Signed-in borrowers in turn, by kept connections; the yardstick is a JSON POST that does nothing,
through the same app on the same gunicorn. Staff pages are not in it yet.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from werkzeug.wrappers import Response

from bot.login import sign_in
from cli.bench.figures import ROUNDS, Asked, Figure, WrongAnswer, middle, surroundings
from cli.bench.stage import owed_by_openid, seed_book, stage, web_server
from cli.bench.wrk import CONNECTIONS, NOOP_YARDSTICK, Load, Request, drive, drive_noop, require_wrk
from kernel.settings import Settings

_BORROWERS: Final = 1_000
_WARM_UP_S: Final = 2
_KEEP_EACH: Final = 20
_OK: Final = 200
_OWED: Final = re.compile(r'class="head-sum">¥([\d,]+\.\d\d)<')


def measure(asked: Asked) -> Figure:
    """Measure the page against the no-op in alternating rounds."""
    require_wrk()
    with stage(asked.database) as on:
        loans = seed_book(on.runtime, asked.scale or _BORROWERS)
        owed = owed_by_openid(on.runtime)
        visits = [_visit(on.runtime.settings, openid) for openid in owed]
        with web_server(on) as base:
            _look(base, visits, min(_WARM_UP_S, asked.seconds))
            rounds = [
                (drive_noop(base, seconds=asked.seconds), _look(base, visits, asked.seconds))
                for _ in range(ROUNDS)
            ]
    checked = sum(_check(pages, owed) for _, pages in rounds)
    return _figure(asked, rounds, {"loans": loans, "borrowers": len(owed), "checked": checked})


def _visit(settings: Settings, openid: str) -> Request:
    """Make the request of a borrower who signed in just now."""
    response = Response()
    sign_in(settings, response, openid)
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    headers = {"Cookie": cookie, "User-Agent": "MicroMessenger/8"}
    return Request(method="GET", path="/h5/progress", headers=headers)


def _look(base: str, visits: list[Request], seconds: int) -> Load:
    return drive(base, visits, seconds=seconds, repeats=True, keep_each=_KEEP_EACH)


def _check(load: Load, owed: Mapping[str, str]) -> int:
    """Compare the sums on the kept pages with the book; returns how many.

    Raises:
        WrongAnswer: A page is missing, or says what nobody owes.
    """
    if load.failed or load.timed_out or not load.answers:
        raise WrongAnswer(f"{load.failed} pages failed, {load.timed_out} timed out")
    sums = set(owed.values())
    for status, page in load.answers:
        said = _OWED.search(page)
        if status != _OK or said is None or said[1] not in sums:
            raise WrongAnswer(f"HTTP {status}, and the page says {said and said[1]}")
    return len(load.answers)


def _figure(asked: Asked, rounds: list[tuple[Load, Load]], details: Mapping[str, Any]) -> Figure:
    noop = middle([noop.rate for noop, _ in rounds])
    figure = middle([pages.rate for _, pages in rounds])
    more: dict[str, Any] = {
        "noop_per_s": noop,
        "p50_ms": middle([pages.p50_ms for _, pages in rounds]),
        "rounds": [[round(noop.rate, 1), round(pages.rate, 1)] for noop, pages in rounds],
        "seconds": asked.seconds,
        "connections": CONNECTIONS,
    }
    return Figure(
        name="pages",
        figure=figure,
        unit="pages of progress/s",
        yardstick=NOOP_YARDSTICK,
        ratio=round(figure / noop, 4),
        p99_ms=middle([pages.p99_ms for _, pages in rounds]),
        details={**more, **details, **surroundings()},
    )
