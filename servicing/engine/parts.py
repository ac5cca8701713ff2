"""Amounts by component: what is owed or paid is principal, interest, fee and penalty, in fen.

It knows no rows and no rules: it only adds up.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple


class Component(StrEnum):
    """What an amount is for."""

    PENALTY = "penalty"
    FEE = "fee"
    INTEREST = "interest"
    PRINCIPAL = "principal"


_FIELDS: Final = {component: f"{component}_fen" for component in Component}


class Parts(NamedTuple):
    """An amount split by component, fen; named, not positional.

    A replay makes thousands of them, and a tuple is made several times faster than a dataclass.
    """

    principal_fen: int = 0
    interest_fen: int = 0
    fee_fen: int = 0
    penalty_fen: int = 0

    @classmethod
    def one(cls, component: Component, fen: int) -> "Parts":
        """Return an amount of one component only."""
        return cls(**{_FIELDS[component]: fen})

    @property
    def total_fen(self) -> int:
        """All components together."""
        return sum(self)

    def of(self, component: Component) -> int:
        """Return one component, fen."""
        return self[_PLACES[component]]

    def having(self, component: Component, fen: int) -> "Parts":
        """Return the same with one component set."""
        place = _PLACES[component]
        return Parts._make((*self[:place], fen, *self[place + 1 :]))

    def __add__(self, other: "Parts") -> "Parts":  # type: ignore[override]  # amounts add up
        return Parts(
            self.principal_fen + other.principal_fen,
            self.interest_fen + other.interest_fen,
            self.fee_fen + other.fee_fen,
            self.penalty_fen + other.penalty_fen,
        )

    def __sub__(self, other: "Parts") -> "Parts":
        return Parts(
            self.principal_fen - other.principal_fen,
            self.interest_fen - other.interest_fen,
            self.fee_fen - other.fee_fen,
            self.penalty_fen - other.penalty_fen,
        )


NOTHING: Final = Parts()
_PLACES: Final = {component: Parts._fields.index(name) for component, name in _FIELDS.items()}


def total(parts: Iterable[Parts]) -> Parts:
    """Add up some amounts, component by component."""
    return sum(parts, NOTHING)
