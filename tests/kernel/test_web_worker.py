"""What comes at once is answered at once, and nobody else notices: a real gunicorn."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from kept import Kept, written

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Popen[bytes], int]]:
    """One worker of two threads; yields gunicorn and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bind = ("--bind", f"fd://{listener.fileno()}", "--workers", "1", "--threads", "2")
        command = ("gunicorn", "--config", "gunicorn.conf.py", *bind, "together_app:app")
        environ = os.environ | {"PYTHONPATH": str(ROOT / "tests" / "support")}
        with Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=environ, pass_fds=(listener.fileno(),)
        ) as process:
            try:
                yield process, listener.getsockname()[1]
            finally:
                process.send_signal(signal.SIGTERM)


@pytest.fixture
def port(server: tuple[Popen[bytes], int]) -> int:
    return server[1]


class Caller(Kept):
    """Its first request goes by a thread, as every connection's does; then it is watched."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.ask(b"hello")
        assert self.told() == "alone hello"
        self.ask(b"again")
        assert self.told() == "1 together again"

    def ask(self, body: bytes, *, path: str = "/together", head: str = "") -> None:
        self.send(body, path=path, head=head)

    def told(self) -> str:
        return self.hear()[1]


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A named pipe that the app can be told to wait for."""
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


def test_what_waits_meanwhile_is_answered_together(port: int, gate: Path) -> None:
    first, second, third = (Caller(port) for _ in range(3))
    first.ask(str(gate).encode())
    with gate.open("w"):  # opens once the worker reads it, so it is at work on the first
        second.ask(b"b")
        third.ask(b"c")
    assert first.told() == f"1 together {gate}"
    assert {second.told(), third.told()} == {"2 together b", "2 together c"}


def test_a_connection_goes_on_in_both_ways(port: int) -> None:
    caller = Caller(port)
    for n in range(3):
        caller.ask(b"x")
        assert caller.told() == "1 together x"
        caller.ask(f"{n}".encode(), path="/other")
        assert caller.told() == f"alone {n}"
        caller.ask(b"y")
        assert caller.told() == "alone y"  # who asked for something else is not read ahead


@pytest.mark.parametrize("cut", [10, 60, -2])
def test_a_request_in_pieces_goes_by_a_thread(port: int, gate: Path, cut: int) -> None:
    slow, other = Caller(port), Caller(port)
    whole = written(b"piecemeal", path="/together")
    slow.socket.sendall(whole[:cut])
    other.ask(str(gate).encode())
    gate.open("w").close()  # the worker has seen the piece by now, and is at work on the other
    assert other.told() == f"1 together {gate}"
    slow.socket.sendall(whole[cut:])
    assert slow.told() == "alone piecemeal"


def test_a_large_request_goes_by_a_thread(port: int) -> None:
    caller = Caller(port)
    caller.ask(b"x" * 200_000)
    assert caller.told() == "alone 200000 bytes"
    caller.ask(b"y")
    assert caller.told() == "1 together y"


def test_two_requests_in_one_piece_are_both_answered(port: int) -> None:
    caller = Caller(port)
    last = written(b"b", path="/together", head="Connection: close\r\n")
    caller.socket.sendall(written(b"a", path="/together") + last)
    heard = caller.hear_all()
    assert b"alone a" in heard
    assert heard.endswith(b"alone b")


@pytest.mark.parametrize(
    "head", ["Transfer-Encoding: chunked\r\n", "Content-Length: 1\r\n", "No colon\r\n"]
)
def test_what_gunicorn_refuses_is_refused_and_hangs_up(port: int, head: str) -> None:
    caller = Caller(port)
    caller.ask(b"abc", head=head)
    assert caller.hear_all().startswith(b"HTTP/1.1 400 ")
    assert Caller(port)


@pytest.mark.parametrize(
    ("path", "head", "status", "code"),
    [
        ("/" + "a" * 9_000, "", 414, "uri-too-long"),
        ("/", f"Long: {'a' * 9_000}\r\n", 431, "request-header-fields-too-large"),
        ("/", "No colon\r\n", 400, "bad-request"),
    ],
)
def test_what_cannot_be_read_is_told_as_a_problem(
    port: int, path: str, head: str, status: int, code: str
) -> None:
    caller = Kept(port)
    caller.send(b"abc", path=path, head=head)
    top, _, body = caller.hear_all().partition(b"\r\n\r\n")
    assert top.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in top
    told = json.loads(body)
    assert (told["status"], told["code"]) == (status, code)
    assert told["message_zh"]


def test_a_caller_who_wants_to_end_is_let_go(port: int) -> None:
    caller = Caller(port)
    caller.ask(b"last", head="Connection: close\r\n")
    assert caller.hear_all().endswith(b"\r\n\r\n1 together last")


def test_callers_who_hang_up_leave_no_trace(port: int) -> None:
    for _ in range(5):
        caller = Caller(port)
        caller.ask(b"never heard")
        caller.close()
        Caller(port).close()
    caller = Caller(port)
    caller.ask(b"still here")
    assert caller.told() == "1 together still here"


def test_a_stopping_worker_answers_what_has_arrived(
    server: tuple[Popen[bytes], int], port: int, gate: Path
) -> None:
    process, _ = server
    caller = Caller(port)
    caller.ask(str(gate).encode())
    with gate.open("w"):
        (old,) = children(process)
        process.send_signal(signal.SIGHUP)
        until_child_other_than(old, process)
    assert caller.hear_all().endswith(f"1 together {gate}".encode())
    assert Caller(port)


def children(process: Popen[bytes]) -> set[str]:
    return set(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())


def until_child_other_than(old: str, process: Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not children(process) - {old}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
