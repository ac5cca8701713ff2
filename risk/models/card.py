"""A points scorecard: bins of each characteristic with their points, which are the reasons.

It is the form that strategies embed and that fitted cards are published in. Points are whole, so
every form of a card gives the same sum.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristic:
    """Points of one value: bins by upper edge, codes that stand alone, points where missing.

    Attributes:
        name: A dimension, or what a strategy names.
        edges: Rising upper bounds, exclusive; the last bin has none.
        points: One more than edges.
        specials: Codes such as -9 with points of their own, looked at before the bins.
        missing: None if the score is missing then.
    """

    name: str
    edges: tuple[float, ...]
    points: tuple[int, ...]
    specials: tuple[tuple[float, int], ...]
    missing: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """A base and the points of characteristics.

    Attributes:
        missing_at_most: With more characteristics missing than this the score is missing, so that
            points for missing values never add up to an approval.
    """

    base: int
    characteristics: tuple[Characteristic, ...]
    missing_at_most: int

    @property
    def features(self) -> tuple[str, ...]:
        """What it reads, in order."""
        return tuple(each.name for each in self.characteristics)
