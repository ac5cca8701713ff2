"""Keeps commands of ours running: the parent that watches the workers from outside.

It imports nothing of the house and does no work itself: there is one for each kind of worker, and
each would cost a whole worker's start and memory if it did.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from kernel.logs import log

_RESTART_PAUSE_S = 1.0


def keep_running(arguments: Sequence[str], *, processes: int = 1) -> None:
    """Run a command of ours again whenever it ends, until this process is told to stop.

    Args:
        arguments: Of our command.
        processes: How many to keep running side by side.
    """
    children: dict[int, subprocess.Popen[bytes]] = {}
    stopping: list[int] = []

    def stop(signum: int, _frame: FrameType | None) -> None:
        stopping.append(signum)
        for process in children.values():
            process.send_signal(signum)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping:
        while len(children) < processes:
            started = subprocess.Popen([sys.executable, "-m", "cli", *arguments])  # noqa: S603 -- ourselves
            children[started.pid] = started
        pid, status = os.wait()
        children.pop(pid, None)
        if status and not stopping:
            log.warning("worker ended, starting it again", status=os.waitstatus_to_exitcode(status))
            time.sleep(_RESTART_PAUSE_S)
    for process in children.values():
        process.wait()
