"""Who may give how much away, alone or as the second person: a dated table in authority.toml.

Amounts are what the lender gives up, or what a line grows by, in fen. Who somebody is, and which
pages they may open, is not decided here.
"""

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

LIMITS_FILE: Final = Path(__file__).with_name("authority.toml")

_FEN_A_YUAN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a role may grant by an act from a day on.

    Attributes:
        alone_fen: Up to so much without asking anybody.
        second_fen: Up to so much of what somebody else proposes.
    """

    act: str
    role: str
    alone_fen: int
    second_fen: int
    since: date


@cache
def limits(path: Path = LIMITS_FILE) -> tuple[Limit, ...]:
    """Read the table."""
    return tuple(
        Limit(
            act=row["act"],
            role=row["role"],
            alone_fen=row["alone_yuan"] * _FEN_A_YUAN,
            second_fen=row["second_yuan"] * _FEN_A_YUAN,
            since=row["since"],
        )
        for row in tomllib.loads(path.read_text("utf-8"))["limit"]
    )


def may_propose(act: str, roles: Collection[str], *, on: date) -> bool:
    """Say whether one of the roles has anything to do with an act."""
    return bool(_in_force(act, roles, on))


def may_do_alone(act: str, roles: Collection[str], amount_fen: int, *, on: date) -> bool:
    """Say whether somebody with these roles needs nobody else for an amount.

    Who may nothing alone does not even do alone what comes to nothing.
    """
    most = max((limit.alone_fen for limit in _in_force(act, roles, on)), default=0)
    return most > 0 and amount_fen <= most


def may_approve(act: str, roles: Collection[str], amount_fen: int, *, on: date) -> bool:
    """Say whether somebody with these roles may be the second person for an amount."""
    most = max((limit.second_fen for limit in _in_force(act, roles, on)), default=0)
    return most > 0 and amount_fen <= most


def _in_force(act: str, roles: Collection[str], on: date) -> Iterable[Limit]:
    """List the last row of each of the roles that a day knows."""
    rows = [row for row in limits() if row.act == act and row.role in roles and row.since <= on]
    return {row.role: row for row in sorted(rows, key=lambda row: row.since)}.values()
