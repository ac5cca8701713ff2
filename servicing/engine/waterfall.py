"""In which order money settles what is owed, as data.

`allocation.py` follows it. Nothing here looks at a loan.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Final

from servicing.engine.parts import Component


class Timing(StrEnum):
    """How an instalment stands to the day of a payment."""

    PAST_DUE = "past-due"
    DUE = "due"
    IN_ADVANCE = "in-advance"


class Direction(StrEnum):
    """Instalment by instalment, or component by component over all instalments."""

    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"


class Future(StrEnum):
    """Which instalments take what is paid in advance."""

    NEXT = "next"
    LAST = "last"
    REAMORTISE = "re-amortise"


class DebtState(StrEnum):
    """How a debt stands when money comes in, as far as the order of allocation may hang on it.

    Attributes:
        NON_ACCRUAL: More than ninety days late.
        SETTLEMENT: The money is a prepayment, to settle all or part of it early.
        WRITTEN_OFF: Charged off; after a write-off nothing is allocated any more.
    """

    CURRENT = "current"
    LATE = "late"
    NON_ACCRUAL = "non-accrual"
    SETTLEMENT = "settlement"
    WRITTEN_OFF = "written-off"


ACCRUING_DAYS: Final = 90

Rule = tuple[Timing, Component]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """One order of allocation.

    Attributes:
        rules: Timing and component, first to be paid first; what is left out is never paid.
        future: For payments in advance, unless their kind has its own rule.
        future_by_kind: By the kind of the payment.
        has_due_charges_first: In advance, fees and penalties whose own day has come go first, in
            the order of `DUE`.
    """

    rules: tuple[Rule, ...]
    direction: Direction = Direction.HORIZONTAL
    future: Future = Future.NEXT
    future_by_kind: dict[str, Future] = field(default_factory=dict)
    has_due_charges_first: bool = False

    def components(self, timing: Timing) -> tuple[Component, ...]:
        """Return the order within one timing."""
        return tuple(component for of, component in self.rules if of is timing)

    @property
    def timings(self) -> tuple[Timing, ...]:
        """Return the timings in the order in which they appear first."""
        return tuple(dict.fromkeys(timing for timing, _ in self.rules))

    def future_of(self, kind: str) -> Future:
        """Return which instalments a payment of that kind settles in advance."""
        return self.future_by_kind.get(kind, self.future)


def every_timing(*components: Component) -> tuple[Rule, ...]:
    """Return rules with the same order of components at every timing, oldest debt first."""
    return tuple(product(Timing, components))


HOUSE_ORDER: Final = (
    Component.PENALTY,
    Component.FEE,
    Component.INTEREST,
    Component.PRINCIPAL,
)
# Beyond ninety days late, principal goes first: what is earned on such a loan is uncertain.
NON_ACCRUAL_ORDER: Final = (
    Component.PRINCIPAL,
    Component.INTEREST,
    Component.FEE,
    Component.PENALTY,
)
HOUSE_WATERFALL: Final = Waterfall(rules=every_timing(*HOUSE_ORDER))
NON_ACCRUAL_WATERFALL: Final = Waterfall(rules=every_timing(*NON_ACCRUAL_ORDER))
