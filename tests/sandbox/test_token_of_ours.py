"""Our own client against the stand-in, from processes that know nothing of each other."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

PERSON = "oFenqiTestPerson0000000000001"
WORKERS = 8
PROCESS = Path(__file__).with_name("token_process.py")


@pytest.fixture
def ask(stand: Any, redis: Redis, _redis_server: Any) -> Any:
    """Start workers, let them loose in one instant, and return what each was told."""

    def ask(workers: int) -> list[str]:
        base = f"{stand.base}/sandbox/wechat"
        command = [sys.executable, str(PROCESS), _redis_server.url, base, PERSON]
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
            for _ in range(workers)
        ]
        deadline = time.monotonic() + 60
        while int(redis.get("ready") or 0) < workers and time.monotonic() < deadline:
            time.sleep(0.02)
        redis.rpush("start", *range(workers))
        redis.delete("ready")
        return [process.communicate(timeout=60)[0].strip() for process in started]

    return ask


class TestToken:
    def test_eight_processes_that_start_cold_fetch_one_between_them(
        self, stand: Any, ask: Any
    ) -> None:
        stand.knob("token.stable", "slow", value=1)
        assert ask(WORKERS) == [PERSON] * WORKERS
        calls = stand.api("sent")["calls"]
        assert calls["token.stable"] == 1
        assert calls["wechat.user"] == WORKERS

    def test_a_lasting_40001_makes_two_calls(self, stand: Any, ask: Any) -> None:
        stand.knob("wechat.user", "error", value=40001)
        assert ask(1) == ["40001"]
        calls = stand.api("sent")["calls"]
        assert calls["wechat.user"] == 2
        assert calls["token.stable"] <= 2
