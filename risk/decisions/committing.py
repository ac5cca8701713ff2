"""Decides in groups and stores before answering: many requests share one look-up and one commit.

One thread a process takes whatever waits, has it decided, writes it in one transaction and wakes
the requests when it is on disk. Keys go in first and win or lose there; decisions are stored for
the winners only, so nothing is stored twice, whoever repeats what and from where. While a group is
at work the next one gathers by itself.

    DecisionsBusy         503  too many decisions wait already
    DecisionNotConfirmed  503  the database did not confirm; repeating the key tells
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import psycopg
from sqlalchemy.exc import OperationalError

from kernel.database import Database
from kernel.errors import Unavailable
from kernel.idempotency import KeyReused
from kernel.logs import log
from risk.decisions.metrics import GROUP_SIZE, WAITING
from risk.decisions.writing import Entry, Writer, writer_for

WAITING_AT_MOST: Final = 1_000
_DECISIONS_ENOUGH: Final = 256
_PATIENCE_S: Final = 10.0


class DecisionsBusy(Unavailable):
    """Too many decisions wait to be stored already; nothing of this one was."""

    code = "decisions-busy"


class DecisionNotConfirmed(Unavailable):
    """The database did not confirm the decision; repeating with the same key is safe and tells."""

    code = "decision-not-confirmed"


class GroupCommit:
    """The queue and its thread, which starts with the first decision.

    Args:
        decide: Gives each entry of a group its rows, or a failure.
        waiting_at_most: Bound of the queue.
    """

    def __init__(
        self,
        database: Database,
        decide: Callable[[Sequence[Entry]], None],
        *,
        waiting_at_most: int = WAITING_AT_MOST,
    ) -> None:
        self._database = database
        self._decide = decide
        self._waiting: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._waiting_at_most = waiting_at_most
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def settle(self, entries: Sequence[Entry]) -> None:
        """Decide and store, each under its key; then each has its answers, on disk, or a failure.

        The answers are those of the first use of a key. A failure is `KeyReused`, `DecisionsBusy`,
        `DecisionNotConfirmed` or whatever kept it from being decided.
        """
        if self._thread is None:
            self._start()
        until = time.monotonic() + _PATIENCE_S
        for entry in entries:
            if self._waiting.qsize() < self._waiting_at_most:
                self._waiting.put(entry)
            else:
                entry.failure = DecisionsBusy("too many decisions wait")
                entry.done.release()
        for entry in entries:
            if not entry.done.acquire(timeout=max(0, until - time.monotonic())):
                entry.failure = DecisionNotConfirmed("the commit takes too long")

    def close(self) -> None:
        """End the thread after what waits is stored."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        writer = writer_for(self._database)
        while True:
            group, is_last = self._gathered()
            self._settle(writer, group)
            if is_last:
                writer.close()
                return

    def _gathered(self) -> tuple[list[Entry], bool]:
        """Wait for an entry, and take those behind it."""
        group: list[Entry] = []
        decisions = 0
        entry = self._waiting.get()
        while entry is not None:
            group.append(entry)
            decisions += len(entry.asked)
            if decisions >= _DECISIONS_ENOUGH:
                return group, False
            try:
                entry = self._waiting.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _settle(self, writer: Writer, group: Sequence[Entry]) -> None:
        """Decide and store a group and wake its requests, whatever happens."""
        GROUP_SIZE.observe(len(group))
        WAITING.set(self._waiting.qsize())
        # The same order everywhere, so that two processes never wait for each other in a circle.
        ordered = sorted(group, key=lambda entry: (entry.caller_id, entry.key))
        try:
            self._decide(ordered)
            _store_or_repeat(writer, [entry for entry in ordered if entry.failure is None])
        except Exception as error:  # noqa: BLE001 -- each request must learn of it
            log.error("decisions not stored", group=len(group), error=type(error).__name__)
            writer.close()
            for entry in ordered:
                entry.failure = entry.failure or DecisionNotConfirmed("it was not confirmed")
        for entry in ordered:
            entry.done.release()


def _store_or_repeat(writer: Writer, group: Sequence[Entry]) -> None:
    """Store a group; over a new connection if the old one broke, which the keys make safe."""
    if not group:
        return
    try:
        _store(writer, group)
    except (psycopg.OperationalError, OperationalError):
        writer.close()
        _store(writer, group)


def _store(writer: Writer, group: Sequence[Entry]) -> None:
    stored = writer.store(group)
    repeats = []
    for entry in group:
        if entry.ids in stored:
            entry.answers = tuple(row.answer for row in entry.rows)
        else:
            repeats.append(entry)
    if repeats:
        _answer_repeats(writer, repeats)


def _answer_repeats(writer: Writer, repeats: Sequence[Entry]) -> None:
    """Give those whose key was used before its answers, or tell that the payload differs."""
    known = writer.known([(entry.caller_id, entry.key) for entry in repeats])
    for entry in repeats:
        payload_hash, answers = known[entry.caller_id, entry.key]
        if payload_hash == entry.payload_hash:
            entry.answers = answers
        else:
            entry.failure = KeyReused("the key was used with another payload")
