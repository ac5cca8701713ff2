"""The parent that keeps workers running, and how quickly a worker lets go."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from patience import PATIENCE_S, turns
from rq.serializers import JSONSerializer

from kernel.jobs import queue_of
from kernel.runtime import Runtime
from worker import StayingWorker

HEAVY = ("sqlalchemy", "rq", "flask", "numpy", "servicing", "worker", "assembly")
CHILD = "import os, signal\nopen(f'{os.getpid()}.began', 'w').close()\nsignal.pause()\n"


def children(folder: Path) -> set[int]:
    return {int(path.stem) for path in folder.glob("*.began")}


def test_keeps_so_many_running_and_ends_them_with_itself(tmp_path: Path) -> None:
    (tmp_path / "cli.py").write_text(CHILD)
    parent = tmp_path / "elsewhere" / "parent.py"
    parent.parent.mkdir()
    parent.write_text("from cli.keeper import keep_running\nkeep_running(['x'], processes=2)\n")
    with subprocess.Popen(
        [sys.executable, str(parent)], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as keeper:
        assert any(len(children(tmp_path)) == 2 for _ in turns())
        os.kill(min(children(tmp_path)), signal.SIGKILL)
        assert any(len(children(tmp_path)) == 3 for _ in turns())
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(PATIENCE_S) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children(tmp_path))


def test_the_keeper_costs_no_worker_s_memory() -> None:
    looks = f"import sys, cli; print([one for one in {HEAVY} if one in sys.modules])"
    seen = subprocess.run(
        [sys.executable, "-c", looks], capture_output=True, text=True, check=True
    ).stdout
    assert seen == "[]\n"


def test_a_command_ends_without_searching_what_it_imported() -> None:
    ends = (
        "import atexit, gc, sys, cli; atexit.register(lambda: print(gc.get_freeze_count() > 0));"
        "sys.argv = ['fenqi', '--help']; cli.main()"
    )
    seen = subprocess.run(
        [sys.executable, "-c", ends], capture_output=True, text=True, check=True
    ).stdout
    assert seen.endswith("True\n")


def test_a_worker_lets_go_though_its_listener_was_told_first(runtime: Runtime) -> None:
    worker = StayingWorker(
        [queue_of(runtime, "send")], connection=runtime.redis, serializer=JSONSerializer
    )
    worker.subscribe()
    listener, pubsub = worker.pubsub_thread, worker.pubsub
    unsubscribe = pubsub.unsubscribe

    def unsubscribe_and_be_heard() -> None:
        unsubscribe()
        assert any(not pubsub.subscribed for _ in turns())

    pubsub.unsubscribe = unsubscribe_and_be_heard
    worker.unsubscribe()
    assert not listener.is_alive()
