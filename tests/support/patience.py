"""Waiting for what another thread or process does, for as long as a busy machine may need."""

import time
from collections.abc import Iterator

PATIENCE_S = 120


def turns(every_s: float = 0.02) -> Iterator[None]:
    """Give turns to look whether it has happened; whoever sees it leaves at once."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        yield
        time.sleep(every_s)
