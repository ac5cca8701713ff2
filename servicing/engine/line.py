"""A credit line: what is granted, held, drawn and free, after every event.

available = granted − held − utilised, never negative; nothing is free unless the line is active.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from servicing.engine.payments import EventRefused


class LineState(StrEnum):
    """Where a line stands."""

    ACTIVE = "active"
    FROZEN = "frozen"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A credit line, fen."""

    granted_fen: int
    held_fen: int = 0
    utilised_fen: int = 0
    state: LineState = LineState.ACTIVE

    @property
    def available_fen(self) -> int:
        """What may still be drawn."""
        if self.state is not LineState.ACTIVE:
            return 0
        return max(0, self.granted_fen - self.held_fen - self.utilised_fen)

    def hold(self, fen: int) -> "Line":
        """Set an amount aside for a purchase.

        Raises:
            EventRefused: There is not so much.
        """
        if not 0 < fen <= self.available_fen:
            raise EventRefused("line-short", "the line does not reach")
        return replace(self, held_fen=self.held_fen + fen)

    def release(self, fen: int) -> "Line":
        """Give back what was held and not drawn."""
        if not 0 < fen <= self.held_fen:
            raise EventRefused("line-short", "so much is not held")
        return replace(self, held_fen=self.held_fen - fen)

    def draw(self, fen: int) -> "Line":
        """Draw an amount that is free."""
        held = self.hold(fen)
        return replace(held, held_fen=self.held_fen, utilised_fen=self.utilised_fen + fen)

    def draw_held(self, fen: int) -> "Line":
        """Draw what was held."""
        released = self.release(fen)
        return replace(released, utilised_fen=self.utilised_fen + fen)

    def repay(self, principal_fen: int) -> "Line":
        """Take back principal that was repaid."""
        if not 0 <= principal_fen <= self.utilised_fen:
            raise EventRefused("line-short", "so much is not drawn")
        return replace(self, utilised_fen=self.utilised_fen - principal_fen)
