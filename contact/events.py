"""What contact tells the areas above; never what was said to whom."""

from dataclasses import dataclass

from kernel.outbox import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactReady(Event):
    """An answer waits to be sent, so a sender should wake at once."""

    contact_id: int
