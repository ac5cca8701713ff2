"""All that passed, in order: what reached people, what they did, and what the platforms pushed.

The chat window shows a person's part of it, tests count in it. Old entries are dropped; it is no
record for anybody but a developer.
"""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_KEPT = 100_000

OUTGOING = frozenset({"custom", "template", "sms", "reply"})


class Journal:
    """Numbered entries and counters of calls; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._seq = 0
        self._calls: Counter[str] = Counter()

    def add(
        self,
        kind: str,
        *,
        at: datetime,
        openid: str = "",
        phone: str = "",
        content: Mapping[str, Any],
    ) -> int:
        """Append an entry and return its number.

        Args:
            kind: custom, template, sms, reply (these left our service); person (what somebody
                did); fault, payment, human, notify, receipt (what a platform did).
            at: Instant on the development clock.
            openid: Whose chat it belongs to.
            phone: Whose phone it belongs to.
            content: The rest, JSON-able.
        """
        with self._lock:
            self._seq += 1
            entry = {"seq": self._seq, "kind": kind, "at": at.isoformat()}
            self._entries.append(
                entry | {"openid": openid, "phone": phone, "content": dict(content)}
            )
            return self._seq

    def count(self, what: str) -> None:
        """Count a call to an endpoint."""
        with self._lock:
            self._calls[what] += 1

    def calls(self) -> dict[str, int]:
        """Return how often each endpoint was called."""
        with self._lock:
            return dict(sorted(self._calls.items()))

    def since(self, after: int = 0) -> list[dict[str, Any]]:
        """Return entries with a greater number, oldest first."""
        with self._lock:
            newest_first = []
            for entry in reversed(self._entries):
                if entry["seq"] <= after:
                    break
                newest_first.append(entry)
            return newest_first[::-1]

    def last(self) -> int:
        """Return the newest number."""
        with self._lock:
            return self._seq

    def clear(self) -> None:
        """Forget entries and counters; numbers go on, so that cursors stay good."""
        with self._lock:
            self._entries.clear()
            self._calls.clear()
