"""What shall happen later on the development clock: pushes, notifications, receipts, retries.

Moving the clock makes waiting tasks due. Tasks run in a small pool, so that a service which
answers slowly holds up nobody else. It keeps nothing over a restart.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta

from kernel.clock import Clock
from kernel.logs import log

_TICK_S = 0.2
_THREADS = 8

Task = Callable[[], object]


class Schedule:
    """Tasks in order of their instants.

    Args:
        clock: Says what is due.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[datetime, int, str, Task]] = []
        self._number = itertools.count()
        self._running = 0
        self._stopped = False
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox-task")
        self._thread = threading.Thread(target=self._loop, name="sandbox-schedule", daemon=True)

    def start(self) -> None:
        """Begin to run tasks as they become due."""
        self._thread.start()

    def stop(self) -> None:
        """Run no more tasks; those that run are left to finish."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def after(self, delay: timedelta, what: str, task: Task) -> None:
        """Run a task when the development clock has gone on by a delay."""
        with self._changed:
            entry = (self._clock.now() + delay, next(self._number), what, task)
            heapq.heappush(self._heap, entry)
            self._changed.notify_all()

    def soon(self, what: str, task: Task) -> None:
        """Run a task at the next opportunity."""
        self.after(timedelta(), what, task)

    def waiting(self) -> list[dict[str, str]]:
        """Return what waits, soonest first."""
        with self._changed:
            return [{"at": at.isoformat(), "what": what} for at, _, what, _ in sorted(self._heap)]

    def clear(self) -> None:
        """Forget all that waits."""
        with self._changed:
            self._heap.clear()

    def settle(self, timeout_s: float = 10) -> bool:
        """Wait until nothing is due and nothing runs; tell whether that came to pass."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout_s)

    def _is_idle(self) -> bool:
        is_due = bool(self._heap) and self._heap[0][0] <= self._clock.now()
        return not is_due and self._running == 0

    def _loop(self) -> None:
        while not self._stopped:
            try:
                due = self._wait_for_due()
            except Exception as error:  # noqa: BLE001 -- a database that is busy must not end time
                log.warning("sandbox clock cannot be read", error=type(error).__name__)
                time.sleep(1)
                continue
            for what, task in due:
                self._submit(what, task)

    def _wait_for_due(self) -> list[tuple[str, Task]]:
        with self._changed:
            if not self._has_due():
                self._changed.wait(_TICK_S)
            due = self._pop_due()
            self._running += len(due)
            if not due:
                self._changed.notify_all()
            return due

    def _has_due(self) -> bool:
        return bool(self._heap) and self._heap[0][0] <= self._clock.now()

    def _pop_due(self) -> list[tuple[str, Task]]:
        due: list[tuple[str, Task]] = []
        now = self._clock.now() if self._heap else None
        while self._heap and not self._stopped and now and self._heap[0][0] <= now:
            _, _, what, task = heapq.heappop(self._heap)
            due.append((what, task))
        return due

    def _submit(self, what: str, task: Task) -> None:
        def finished(future: Future[object]) -> None:
            if not future.cancelled() and (error := future.exception()) is not None:
                log.error("sandbox task failed", task=what, exc_info=error)
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

        try:
            self._pool.submit(task).add_done_callback(finished)
        except RuntimeError:  # the pool was shut down between popping and running
            self._running -= 1
