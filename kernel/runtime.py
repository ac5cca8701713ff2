"""What a composition root hands to views and jobs: settings, stores, clock, and the given ports.

It is a plain bag, filled once at start. It builds nothing itself.
"""

from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from redis import Redis

from kernel.clock import Clock
from kernel.crypto import FieldCipher
from kernel.database import Database
from kernel.settings import Settings

Port = TypeVar("Port")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One process's parts."""

    settings: Settings
    database: Database
    redis: "Redis"
    clock: Clock
    cipher: FieldCipher
    _ports: dict[type, Any] = field(default_factory=dict)

    def provide(self, port: type[Port], implementation: Port) -> None:
        """Give the implementation of a port that a lower area asks for."""
        self._ports[port] = implementation

    def get(self, port: type[Port]) -> Port:
        """Return the implementation of a port.

        Raises:
            LookupError: The composition root gave none.
        """
        try:
            return cast("Port", self._ports[port])
        except KeyError:
            message = f"no implementation of {port.__name__} was provided"
            raise LookupError(message) from None
