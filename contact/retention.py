"""How long contact keeps the steps of contacts and the counts of days.

Contacts themselves, with what was said to whom and when, are proof and stay.
"""

from datetime import date
from typing import Final

from contact.tables import ContactEvent, ContactQuota
from kernel.retention import Kept

_FROM: Final = date(2026, 11, 26)

KEPT: Final = (
    Kept(
        model=ContactEvent,
        since=ContactEvent.at,
        days=3 * 366,
        from_on=_FROM,
        is_append_only=True,
        why="Claims of the limitation period of three years; the contact itself stays.",
    ),
    Kept(
        model=ContactQuota,
        since=ContactQuota.day,
        days=400,
        from_on=_FROM,
        why="No quota looks back further than its days; a year for questions.",
    ),
)
