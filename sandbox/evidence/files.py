"""What the stand-ins know of a person: the file they were given, else one made up of the number.

The same number always has the same file. Nobody in them exists.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from sandbox.world import World

_MATCH: Final = {True: "match", False: "differs"}
_CLEAN_SHARE: Final = 0.8


def identity(world: World, asked: Mapping[str, str]) -> dict[str, Any]:
    """Compare name and number with the file; whoever has none is who they say."""
    known = world.book.file(asked["id_number"])
    return {"result": _MATCH[known is None or known.get("name") == asked["name"]]}


def bureau(world: World, asked: Mapping[str, str]) -> dict[str, Any]:
    """Report on credit elsewhere."""
    known = world.book.file(asked["id_number"])
    if known is None:
        return {"found": True, **_made_up(asked["id_number"])}
    report = known.get("report")
    return {"found": True, **report} if report else {"found": False}


def lists(world: World, asked: Mapping[str, str]) -> dict[str, Any]:
    """Count the lists of others on which a person stands."""
    return {"hits": int((world.book.file(asked["id_number"]) or {}).get("hits", 0))}


def _made_up(id_number: str) -> dict[str, int]:
    drawn = hashlib.sha256(f"file/{id_number}".encode()).digest()
    share = [byte / 256 for byte in drawn]
    return {
        "score": 560 + int(200 * share[0]),
        "overdue_days_max_12m": 0 if share[1] < _CLEAN_SHARE else int(60 * share[2]),
        "queries_30d": int(6 * share[3] ** 2),
        "balance_fen": int(8_000_000 * share[4] ** 2),
        "service_monthly_fen": int(250_000 * share[5] ** 2),
    }
