import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contact import operations
from contact.model import Channel

ROOT = Path(__file__).resolve().parents[2]
SENDER = Path(__file__).with_name("sender_process.py")
REMINDERS = 1000
KILLS = 3


def effects(desk: Any) -> Any:
    """Return who got a message, once for each that a phone would show."""
    return [sent["PhoneNumbers"] for sent in desk.providers.sms] + [
        sent["touser"] for sent in desk.providers.wechat
    ]


def run_and_kill(desk: Any, *, after: int) -> None:
    """Let a sender process work until so many more messages are out, then kill it."""
    runtime = desk.runtime
    arguments = (
        runtime.database.url.render_as_string(hide_password=False),
        runtime.settings.redis_url,
        desk.providers.url,
        desk.now.isoformat(),
    )
    goal = len(effects(desk)) + after
    process = subprocess.Popen(
        [sys.executable, str(SENDER), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    deadline = time.monotonic() + 120
    while len(effects(desk)) < goal and time.monotonic() < deadline:
        assert process.poll() is None, "the sender ended by itself"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def recover(desk: Any) -> Any:
    """Do what the periodic jobs do once the dead sender's leases are over."""
    desk.clock.advance(timedelta(minutes=3))
    with desk.write() as session:
        counts = operations.recover_leases(session, now=desk.now)
    operations.resolve_unknown(desk.runtime)
    return counts["unknown"]


@pytest.mark.parametrize(
    "channel", [Channel.SMS, pytest.param(Channel.WECHAT_TEMPLATE, marks=pytest.mark.slow)]
)
class TestKilledSenders:
    def test_send_nothing_twice_lose_nothing_and_leave_nothing_unknown(
        self, desk: Any, channel: str
    ) -> None:
        desk.customers(REMINDERS, channel=channel)
        assert desk.plan(range(1, REMINDERS + 1), channel=channel) == REMINDERS
        desk.providers.delay_s = 0.002
        lost = 0
        for after in (137, 251, 190)[:KILLS]:
            run_and_kill(desk, after=after)
            lost += recover(desk)
        assert lost > 0
        assert len(effects(desk)) < REMINDERS
        for _ in range(4):
            while desk.send(limit=200).claimed:
                pass
            desk.clock.advance(timedelta(minutes=2))
            operations.resolve_unknown(desk.runtime)
        people = effects(desk)
        assert len(people) == REMINDERS
        assert len(set(people)) == REMINDERS
        assert desk.states() == {"sent": REMINDERS}
