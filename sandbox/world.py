"""The stand-ins' one state, shared by all of their HTTP endpoints and background tasks.

Whoever changes state holds `lock`; whoever calls out over the network does not. It decides
nothing: the platforms' rules are in wechat, pay, sms and evidence.
"""

import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from flask import current_app

from kernel.clock import Clock, SystemClock
from kernel.settings import Settings
from sandbox.book import Book
from sandbox.journal import Journal
from sandbox.knobs import Knobs
from sandbox.pay.state import Merchant
from sandbox.schedule import Schedule
from sandbox.sms.state import Carrier
from sandbox.wechat.state import Account

MoveClock = Callable[[timedelta], None]


class World:
    """Everything the stand-ins know.

    Args:
        settings: Those of the service under test, development ones.
        clock: The development clock: rules of the platforms, time stamps of pushes.
        move: Moves that clock by an amount; None if it cannot be moved.
    """

    def __init__(self, settings: Settings, clock: Clock, move: MoveClock | None) -> None:
        self.settings = settings
        self.clock = clock
        self.move = move
        self.machine = SystemClock()
        self.lock = threading.RLock()
        self.journal = Journal()
        self.knobs = Knobs()
        self.schedule = Schedule(clock)
        self.book = Book(Path(settings.state_dir) / "sandbox.json")
        self.account = Account()
        self.merchant = Merchant(settings)
        self.carrier = Carrier()
        self._nonces: set[str] = set()

    def first_use(self, nonce: str) -> bool:
        """Tell whether an inquiry's nonce was never seen before, and remember it."""
        with self.lock:
            is_new = bool(nonce) and nonce not in self._nonces
            self._nonces.add(nonce)
            return is_new

    def now(self) -> datetime:
        """Return the instant on the development clock."""
        return self.clock.now()

    def is_recent(self, timestamp: int, *, window_s: int) -> bool:
        """Tell whether a time stamp is near the development clock's or the machine's instant.

        Client libraries stamp with the machine's clock, our service with the movable one.
        """
        instants = (self.clock.now().timestamp(), self.machine.now().timestamp())
        return any(abs(timestamp - instant) <= window_s for instant in instants)

    def reset(self) -> None:
        """Forget all but the book, and switch all knobs off."""
        with self.lock:
            self.schedule.clear()
            self.knobs.clear()
            self.journal.clear()
            self.account = Account()
            self.merchant = Merchant(self.settings)
            self.carrier = Carrier()


def this_world() -> World:
    """Return the world of the current app."""
    return cast("World", current_app.extensions["sandbox"])


def digits(count: int) -> str:
    """Return random decimal digits, the first of them not zero."""
    return str(secrets.randbelow(9 * 10 ** (count - 1)) + 10 ** (count - 1))
