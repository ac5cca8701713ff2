"""What a process decides by: every published strategy, compiled, and the lists of the day.

A thread looks about once a second whether something was published and compiles it there; requests
take whatever stands and finish on it. If the new one cannot be read, the old one stays.

    NothingPublished  503  no strategy is in force
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from redis import RedisError

from kernel.clock import business_date
from kernel.errors import Unavailable
from kernel.logs import log
from kernel.runtime import Runtime
from risk.decisions.engine import Served, serve
from risk.decisions.listed import lists_on, lists_signature
from risk.decisions.metrics import LOADS, VERSION
from risk.decisions.snoozes import snoozes_on, snoozes_signature
from risk.decisions.strategies import NEWS, published, strategies_in_force, versions_in_force
from risk.features.catalogue import Catalogue
from risk.lifecycle.arms import Challenger, Meter, running_challengers, running_signature
from risk.ports import DecisionProductUnknown
from risk.strategy.decision import Lists, Snooze

_LOOK_EACH_S: Final = 1.0
_ASK_DATABASE_EACH_S: Final = 15.0


class NothingPublished(Unavailable):
    """No strategy is in force, so nothing can be decided."""

    code = "no-strategy-in-force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """All that decisions of a day go by; never changed, only replaced.

    Attributes:
        signature: What it was made of.
        challengers: Of products that are being challenged.
        snoozes: Of rules that are silenced for somebody today, by strategy.
    """

    products: Mapping[str, Served]
    lists: Lists
    signature: tuple[Any, ...]
    challengers: Mapping[str, Challenger]
    snoozes: Mapping[str, tuple[Snooze, ...]]

    def product(self, name: str) -> Served:
        """Return what decides a product.

        Raises:
            NothingPublished: Nothing is in force.
            DecisionProductUnknown: Nothing decides this one.
        """
        if not self.products:
            raise NothingPublished("no strategy is in force")
        try:
            return self.products[name]
        except KeyError:
            raise DecisionProductUnknown(f"no strategy decides the product {name}") from None


@dataclass(slots=True)
class _Watch:
    news: bytes | None = None
    on: date = date.min
    asked_at: float = field(default=float("-inf"))


class Holder:
    """Holds what is in force; starts with the first question."""

    def __init__(self, runtime: Runtime, catalogue: Catalogue) -> None:
        self._runtime = runtime
        self._catalogue = catalogue
        self._held: Held | None = None
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._watch = _Watch()
        self.meter: Final = Meter()

    def in_force(self) -> Held:
        """Return what decisions go by now; the first caller waits until it is compiled."""
        held = self._held
        return self._started() if held is None else held

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.meter.flush(self._runtime.redis)

    def look(self) -> None:
        """Replace what is held if something else is in force."""
        watch, now = self._watch, time.monotonic()
        news, on = self._news(), business_date(self._runtime.clock.now())
        is_due = now - watch.asked_at > _ASK_DATABASE_EACH_S
        if (news, on) == (watch.news, watch.on) and not is_due:
            return
        before, self._held = self._held, self._loaded(on, was_told=news != watch.news)
        if self._held is not before:
            _note(self._held)
        self._watch = _Watch(news, on, now)

    def _started(self) -> Held:
        with self._starting:
            if self._held is None:
                self.look()
                self._thread = threading.Thread(target=self._run, name="strategies", daemon=True)
                self._thread.start()
            assert self._held is not None  # noqa: S101 -- `look` holds something or raises
            return self._held

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_EACH_S):
            self.meter.flush(self._runtime.redis)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 -- the old ones stay in force here
                LOADS.labels("failed").inc()
                log.error("strategies not reloaded", error=type(error).__name__, exc_info=error)

    def _news(self) -> bytes | None:
        try:
            found: Any = self._runtime.redis.get(NEWS)
        except RedisError:
            return None
        return found if isinstance(found, bytes) else None

    def _loaded(self, on: date, *, was_told: bool) -> Held:
        with self._runtime.database.read() as session:
            signature = (
                on,
                versions_in_force(session, on=on),
                lists_signature(session),
                running_signature(session),
                snoozes_signature(session, on=on),
            )
            if not was_told and self._held is not None and self._held.signature == signature:
                return self._held
            products: dict[str, Served] = {}
            for view in strategies_in_force(session, on=on):
                found = published(session, view, self._catalogue, on=on)
                if found.strategy.may_decide(on):
                    for product in found.strategy.products:
                        products[product] = serve(found, self._catalogue, product=product)
            return Held(
                products=MappingProxyType(products),
                lists=lists_on(session, on=on),
                signature=signature,
                challengers=running_challengers(session, products, self._catalogue, on=on),
                snoozes=snoozes_on(session, on=on),
            )


def _note(held: Held) -> None:
    """Let operators see what was loaded."""
    LOADS.labels("loaded").inc()
    for product, served in held.products.items():
        VERSION.labels(product, served.published.key).set(served.published.version)
