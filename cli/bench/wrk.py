"""Drives a URL with `wrk`: prepared requests over kept connections, and some of the answers back.

What is asked and whether the answers are right is the bench's own business.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.bench.figures import ROUNDS, NotMeasured, WrongAnswer

CONNECTIONS: Final = 32
NOOP_PATH: Final = "/bench/noop"
NOOP_YARDSTICK: Final = "no-op JSON POST through the same app and gunicorn"
_THREADS: Final = 2
_WARM_UP_S: Final = 2
_FIRST_GUESS: Final = 3_000
_PATIENCE_S: Final = 30
_OK: Final = 200
_SCRIPT: Final = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send; nothing of it has a tab or a line end in it."""

    method: str = "POST"
    path: str
    headers: Mapping[str, str]
    body: str = ""

    def line(self) -> str:
        """Write it as wrk.lua reads it."""
        named = (part for pair in self.headers.items() for part in pair)
        return "\t".join((self.method, self.path, self.body, *named))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk saw.

    Attributes:
        failed: Broken connections and answers that are no 2xx or 3xx.
        late: Answers that only say `success`: the real one comes later.
        is_exhausted: Whether the prepared requests ran out, so that some went out twice.
        answers: Each n-th answer as (status, body), white space as blanks.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int
    timed_out: int
    late: int
    is_exhausted: bool
    answers: tuple[tuple[int, str], ...]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    @property
    def refusal(self) -> str:
        """The first kept answer that refuses, as the end of a sentence; "" if none was kept."""
        refused = (f": HTTP {status} {body[:200]}" for status, body in self.answers if status > _OK)
        return next(refused, "")


def require_wrk() -> str:
    """Return the path of wrk.

    Raises:
        NotMeasured: It is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise NotMeasured("wrk is not installed (on Debian: apt install wrk)")
    return found


def drive(
    base: str,
    requests: Iterable[Request],
    *,
    seconds: int,
    repeats: bool = False,
    keep_each: int = 0,
) -> Load:
    """Send requests as fast as 32 connections get answers.

    Args:
        base: The server's address.
        requests: In the order of sending.
        seconds: How long.
        repeats: Start again when all were sent; otherwise each is meant to be sent once.
        keep_each: Keep each n-th answer; 0 keeps none.
    """
    with tempfile.TemporaryDirectory(prefix="fenqi-wrk-") as folder:
        prepared, answers = Path(folder) / "requests", Path(folder) / "answers"
        with prepared.open("w", encoding="utf-8") as file:
            for request in requests:
                file.write(f"{request.line()}\n")
        order = "again" if repeats else "once"
        how = [str(_THREADS), str(prepared), order, str(keep_each), str(answers)]
        load = [f"-t{_THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(_SCRIPT)]
        done = subprocess.run(  # noqa: S603 -- wrk with our own arguments
            [require_wrk(), *load, base, "--", *how],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + _PATIENCE_S,
        )
        try:
            seen = json.loads(done.stdout.strip().rpartition("\n")[2])
        except ValueError as error:
            raise NotMeasured(f"wrk failed: {(done.stderr or done.stdout)[-200:]}") from error
        return Load(**seen, answers=_read(sorted(Path(folder).glob("answers.*"))))


def drive_noop(base: str, *, seconds: int) -> Load:
    """Load the endpoint that does nothing, with a body about as large as twenty fields.

    Raises:
        NotMeasured: It did not answer each time.
    """
    body = json.dumps({f"field_{number:02d}": number * 1.25 for number in range(20)})
    noop = Request(path=NOOP_PATH, headers={"Content-Type": "application/json"}, body=body)
    load = drive(base, [noop], seconds=seconds, repeats=True)
    if load.failed or load.timed_out:
        raise NotMeasured(f"the no-op failed {load.failed + load.timed_out} times")
    return load


def drive_in_turns(
    base: str, make: Callable[[int], Iterable[Request]], *, seconds: int, keep_each: int
) -> list[tuple[Load, Load]]:
    """Load the no-op and the service in alternating rounds, after a warm-up.

    Args:
        base: The server's address.
        make: Prepares so many requests, each meant to be sent once.
        seconds: Of a round.
        keep_each: Keep each n-th answer.

    Raises:
        WrongAnswer: The service did not answer each time.
    """
    warm_up_s = min(_WARM_UP_S, seconds)
    drive_noop(base, seconds=warm_up_s)
    rate = _drive_once_each(base, make, _FIRST_GUESS, warm_up_s, keep_each).rate
    rounds = []
    for _ in range(ROUNDS):
        noop = drive_noop(base, seconds=seconds)
        load = _drive_once_each(base, make, rate, seconds, keep_each)
        rate = max(rate, load.rate)
        rounds.append((noop, load))
    return rounds


def _drive_once_each(
    base: str, make: Callable[[int], Iterable[Request]], rate: float, seconds: int, keep_each: int
) -> Load:
    """Load a service; again with more requests, should it be quicker than foreseen."""
    while True:
        how_many = int(2 * rate * seconds) + CONNECTIONS
        load = drive(base, make(how_many), seconds=seconds, keep_each=keep_each)
        if load.failed or load.timed_out:
            raise WrongAnswer(f"{load.failed} failed, {load.timed_out} timed out{load.refusal}")
        if not load.is_exhausted:
            return load
        rate = 2 * max(rate, load.rate)  # a warm-up that saw no answer says nothing


def _read(files: Iterable[Path]) -> tuple[tuple[int, str], ...]:
    lines = (line for file in files for line in file.read_text("utf-8").splitlines())
    pairs = (line.split("\t", 1) for line in lines)
    return tuple((int(status), body) for status, body in pairs)
