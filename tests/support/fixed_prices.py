"""What products may cost, where a test says so itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy.orm import Session


@dataclass(frozen=True)
class FixedPrices:
    """Sells the house strategy's product between two yearly rates."""

    least: str = "0.15"
    most: str = "0.216"

    def ranges(self, session: Session, *, on: date) -> Mapping[str, tuple[Decimal, Decimal]]:
        assert session
        assert on
        return {"instalment": (Decimal(self.least), Decimal(self.most))}
