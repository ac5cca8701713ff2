"""Benches measure what they say and leave nothing behind; how fast they are is not tested."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text

from bot import replies
from bot.callback import open_push, seal_reply
from bot.messages import Message
from cli.bench import BENCHES, run, wrk
from cli.bench.bot import QUESTION, Pushes
from cli.bench.figures import Asked, NotMeasured, WrongAnswer
from cli.bench.provider import Provider
from cli.bench.stage import stage
from cli.bench.wrk import Load, Request
from contact.channels.sms import AliyunSms
from contact.channels.transport import Reply, Transport
from contact.tables import ContactTemplate
from kernel.clock import SystemClock
from kernel.runtime import Runtime

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"name", "figure", "unit", "yardstick", "ratio", "p99_ms", "details"}
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a bench puts everything; PostgreSQL's own user can reach it."""
    made = Path(tempfile.mkdtemp(prefix="fq-bench-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "bench", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_behind(folder: Path) -> Sequence[str]:
    """Name files in the folder, and processes that were started with it."""
    found = [str(path) for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told:
            found.append(str(process))
    return found


def measured(folder: Path, *arguments: str) -> dict[str, Any]:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert left_behind(folder) == []
    figure: dict[str, Any] = json.loads(out)
    assert set(figure) == NAMES
    return figure


class TestBot:
    @needs_wrk
    def test_measures_right_answers_and_cleans_up(self, folder: Path) -> None:
        figure = measured(folder, "bot", "--seconds", "1", "--scale", "40")
        assert figure["name"] == "bot"
        assert figure["details"]["answers_checked"] > 0
        assert len(figure["details"]["rounds"]) == 3
        assert (
            0
            < figure["ratio"]
            == pytest.approx(figure["figure"] / figure["details"]["noop_per_s"], abs=0.001)
        )

    @needs_wrk
    def test_told_to_stop_it_removes_everything(self, folder: Path) -> None:
        process = start(folder, "bot", "--seconds", "60", "--scale", "40")
        deadline = time.monotonic() + 60
        while not list(folder.glob("fenqi-wrk-*")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, ""), err
        assert "stopped" in err
        assert left_behind(folder) == []

    def test_says_that_wrk_is_missing(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", "")
        assert run("bot", Asked(seconds=1, scale=1, database="")) == 2
        seen = capsys.readouterr()
        assert seen.out == ""
        assert "wrk is not installed" in seen.err


@pytest.fixture
def pushes(runtime: Runtime) -> Pushes:
    owed = {"o1": "1,234.56", "o2": "0.01"}
    return Pushes(runtime=runtime, owed=owed, numbers=count(7))


def answered(pushes: Pushes, openid: str, words: str, **changes: Any) -> Load:
    """Make what wrk would have seen of one answer."""
    now = SystemClock().now()
    asker = Message(fields={"FromUserName": openid, "ToUserName": "gh_1"})
    reply = replies.render(replies.text(words), message=asker, created=0)
    body = seal_reply(pushes.runtime.settings, reply, now=now)
    return load_of(1, answers=((200, body),), **changes)


def load_of(requests: int, **changes: Any) -> Load:
    """Make what wrk would have seen of a second without mishap."""
    seen: dict[str, Any] = {
        "requests": requests,
        "seconds": 1.0,
        "p50_ms": 1.0,
        "p99_ms": 1.0,
        "failed": 0,
        "timed_out": 0,
        "late": 0,
        "is_exhausted": False,
        "answers": (),
    }
    return Load(**seen | changes)


class TestPushes:
    def test_are_real_and_each_is_new(self, pushes: Pushes) -> None:
        now, settings = SystemClock().now(), pushes.runtime.settings
        messages = []
        for request in pushes.make(5):
            query = dict(pair.split("=", 1) for pair in request.path.partition("?")[2].split("&"))
            messages.append(open_push(settings, query, request.body.encode(), now=now))
        assert [message.openid for message in messages] == ["o1", "o2", "o1", "o2", "o1"]
        assert {message.text("Content") for message in messages} == {QUESTION}
        assert len({message.identity for message in messages}) == 5

    def test_a_right_answer_is_counted(self, pushes: Pushes) -> None:
        assert pushes.check(answered(pushes, "o1", "张*，您还需还 ¥1,234.56：…")) == 1

    @pytest.mark.parametrize(
        ("openid", "words"),
        [
            ("o1", "您还需还 ¥1,234.57："),
            ("o2", "您还需还 ¥1,234.56："),
            ("o3", "您还需还 ¥0.01："),
            ("o1", "系统繁忙"),
        ],
    )
    def test_a_wrong_answer_is_found(self, pushes: Pushes, openid: str, words: str) -> None:
        with pytest.raises(WrongAnswer):
            pushes.check(answered(pushes, openid, words))

    @pytest.mark.parametrize("missing", ["failed", "timed_out", "late"])
    def test_a_missing_answer_is_found(self, pushes: Pushes, missing: str) -> None:
        with pytest.raises(WrongAnswer):
            pushes.check(answered(pushes, "o1", "您还需还 ¥1,234.56：", **{missing: 1}))


def test_a_warm_up_without_an_answer_does_not_go_on_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[int] = []

    def drive(_base: str, requests: Sequence[Request], **_options: Any) -> Load:
        sent.append(len(requests))
        return load_of(2_000, is_exhausted=len(requests) < 2_000)

    monkeypatch.setattr(wrk, "drive", drive)
    one = Request(path="/", headers={})
    load = wrk._drive_once_each("", lambda how_many: [one] * how_many, 0.0, 1, 0)
    assert sent == [wrk.CONNECTIONS, 8_000 + wrk.CONNECTIONS]
    assert not load.is_exhausted


@pytest.mark.slow
@needs_wrk
@pytest.mark.parametrize("name", sorted(set(BENCHES) - {"bot", "application", "decisions"}))
def test_each_of_the_others_measures_and_cleans_up(folder: Path, name: str) -> None:
    scale = {"replay": "2000"}.get(name, "60")  # so many have twenty loans of this month
    figure = measured(folder, name, "--seconds", "1", "--scale", scale)
    assert figure["name"] == name
    assert figure["figure"] > 0
    assert figure["ratio"] > 0


@pytest.mark.slow
def test_applications_go_their_whole_way_and_none_without_its_report_is_approved(
    folder: Path,
) -> None:
    figure = measured(folder, "application", "--seconds", "1", "--scale", "8")
    details = figure["details"]
    usual, silent = details["usual"], details["slowest_silent"]
    assert usual["applications"] == 8
    assert usual["approve"] + usual["review"] + usual["decline"] == 8
    assert usual["approve"] > 0
    assert (silent["applications"] > 0, silent["approve"]) == (True, 0)
    assert 0 < usual["p50_ms"] <= usual["p99_ms"] < 300_000
    assert 0 < figure["ratio"] < 1
    assert details["cpu_ms_per_application"] > 0


@pytest.mark.slow
@needs_wrk
def test_decisions_under_load_are_answered_and_stored_just_once(folder: Path) -> None:
    figure = measured(folder, "decisions", "--seconds", "1", "--scale", "60")
    details = figure["details"]
    assert details["answers_checked"] > 0
    assert details["decisions_stored"] >= details["answers_checked"]
    assert figure["figure"] > 0
    assert set(details["parts_us"]) >= {"look_up", "rules_and_card", "commit"}


class TestProvider:
    @pytest.fixture
    def heads(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Send a message with the product's client, and return the request's head."""
        heads: list[str] = []

        def request(_self: Any, method: str, url: str, *, headers: Any, **_rest: Any) -> Reply:
            lines = [f"{method} {url} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
            heads.append("\r\n".join(lines))
            return Reply(200, b'{"Code": "OK", "BizId": "b"}')

        monkeypatch.setattr(Transport, "request", request)
        monkeypatch.setattr(Provider, "taken", {})
        settings = replace(runtime.settings, sms_api_base="http://127.0.0.1:1/")
        AliyunSms(settings=settings, clock=SystemClock()).send("13900000001", "SMS_1", {}, "out-1")
        return heads

    def test_takes_what_is_signed(self, heads: list[str]) -> None:
        status, _ = Provider()._answer(heads[0])
        assert (status, Provider.taken) == (200, {"out-1": 1})

    def test_refuses_what_was_changed_on_the_way(self, heads: list[str]) -> None:
        status, _ = Provider()._answer(heads[0].replace("13900000001", "13900000002"))
        assert (status, Provider.taken) == (400, {})


class TestStage:
    def test_uses_a_database_of_its_own_on_a_given_server(self, postgresql_url: str) -> None:
        engine = create_engine(postgresql_url)
        names = text("SELECT datname FROM pg_database WHERE datname LIKE 'fenqi_bench_%'")
        with stage(postgresql_url) as on:
            with engine.connect() as connection:
                assert on.runtime.database.url.database in connection.scalars(names).all()
            with on.runtime.database.read() as session:
                assert session.scalars(select(ContactTemplate.code)).all()
            assert not on.runtime.settings.is_development
        with engine.connect() as connection:
            assert connection.scalars(names).all() == []
        engine.dispose()

    @pytest.mark.parametrize("nowhere", ["postgresql://nobody@127.0.0.1:1/none", "no address"])
    def test_says_that_the_server_is_not_there(self, nowhere: str) -> None:
        with pytest.raises(NotMeasured, match="no database can be made"), stage(nowhere):
            pass


def test_an_unknown_name_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("nothing", Asked(seconds=1, scale=None, database="")) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in BENCHES)
