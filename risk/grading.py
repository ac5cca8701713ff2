"""Grades of accounts by a points card: the house's letters, until a fitted model replaces them.

Pure. The card is the same form as those of strategies (risk.models.card), with the letters and the
words for staff around it; points are a house judgement, fitted to no data yet. Whoever is more than
30 days late cannot reach more than 39 points, so that is the worst letter.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from risk.models.card import Characteristic, Scorecard
from risk.models.reading import read_model

_FILE: Final = Path(__file__).with_name("grade-card.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeCard:
    """A points card and what its points mean.

    Attributes:
        version: Ends in the hash of the text, so it says exactly which points it stands for.
        letters: Least points of each letter; what reaches none of them is `worst`.
        shown: Label and format of each characteristic, for staff.
    """

    version: str
    text: str
    card: Scorecard
    letters: Mapping[str, int]
    worst: str
    shown: Mapping[str, tuple[str, str]]


def read_grade_card(text: str) -> GradeCard:
    """Read a card.

    Raises:
        ModelInvalid: Its points are no card.
        ValueError: A characteristic is not named for staff, or it is no points card.
    """
    given = json.loads(text)
    card = read_model(given["card"])
    if not isinstance(card, Scorecard) or set(card.features) != set(given["shown"]):
        raise ValueError("grades need a points card whose every characteristic has a label")
    return GradeCard(
        version=f"{given['version']}@{hashlib.sha256(text.encode()).hexdigest()[:12]}",
        text=text,
        card=card,
        letters=given["letters"],
        worst=given["worst"],
        shown={name: (label, form) for name, (label, form) in given["shown"].items()},
    )


@cache
def house_grade_card() -> GradeCard:
    """Return the card by which accounts are graded now."""
    return read_grade_card(_FILE.read_text("utf-8"))


def grade(grades: GradeCard, facts: Mapping[str, Any]) -> tuple[str, int, list[str]]:
    """Return the letter, the points, and what cost points, the most costly first."""
    total, costs = grades.card.base, []
    for item in grades.card.characteristics:
        value = facts[item.name]
        points, best = _points(item, value), max(item.points)
        label, form = grades.shown[item.name]
        shown = "暂无" if value is None else form.format(value)
        total += points
        costs.append((points - best, f"{label} {shown}（{points}/{best} 分）"))
    reached = [(least, letter) for letter, least in grades.letters.items() if total >= least]
    letter = max(reached)[1] if reached else grades.worst
    return letter, total, [told for lost, told in sorted(costs) if lost < 0]


def _points(item: Characteristic, value: Any) -> int:
    if value is None:
        return item.missing or 0
    return item.points[bisect_right(item.edges, float(value))]
