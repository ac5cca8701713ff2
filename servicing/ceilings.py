"""How much a partner may let happen unless another limit was set: a dated table in ceilings.toml.

What one partner may instead, and what it used today, is in the database: operations.partner_acts.
"""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

CEILINGS_FILE: Final = Path(__file__).with_name("ceilings.toml")

_FEN_A_YUAN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """How much of an act may happen at once, and in a day, fen."""

    each_fen: int
    day_fen: int


_NOTHING: Final = Ceiling(each_fen=0, day_fen=0)


@cache
def _rows() -> tuple[tuple[date, str, Ceiling], ...]:
    rows = tomllib.loads(CEILINGS_FILE.read_text("utf-8"))["ceiling"]
    return tuple(
        (
            row["since"],
            row["act"],
            Ceiling(each_fen=row["each_yuan"] * _FEN_A_YUAN, day_fen=row["day_yuan"] * _FEN_A_YUAN),
        )
        for row in sorted(rows, key=lambda row: row["since"])
    )


def house_ceiling(act: str, *, on: date) -> Ceiling:
    """Return how much of an act any partner may on a day; of what has no row, nothing."""
    in_force = [ceiling for since, name, ceiling in _rows() if name == act and since <= on]
    return in_force[-1] if in_force else _NOTHING


def acts() -> tuple[str, ...]:
    """List the acts that have a ceiling."""
    return tuple(dict.fromkeys(name for _, name, _ in _rows()))
