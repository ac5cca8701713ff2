"""What a decision is, and what it sees besides its row.

All forms of a strategy return the same `Decision`; how it is stored is not known here.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from risk.features.catalogue import Kind
from risk.features.values import shown
from risk.strategy.language import Outcome


class Lists(Protocol):
    """Looks values up in named lists."""

    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        """Say whether a list holds a value; None if the list cannot be read."""


class HitKind(StrEnum):
    """Why something stands in the evidence."""

    HIT = "hit"  # its condition held
    MISSING = "missing"  # it could not be told, and that has consequences
    SNOOZED = "snoozed"  # it would have counted, and is silenced for this subject
    FLOORED = "floored"  # it would decline by supporting values alone, which only ask for a review
    TAKEN = "taken"  # a row, leaf or case that sets or leads, without an outcome


class Hit(NamedTuple):
    """One piece of evidence.

    Attributes:
        rule: Id of a rule, row, leaf, case or stage; `required.` and a name for required fields.
        outcome: What it asks for; None for what is only taken.
        values: What was read, by name; None where missing.
    """

    rule: str
    outcome: Outcome | None
    reason: str | None
    kind: HitKind
    values: Mapping[str, Any]


class Decision(NamedTuple):
    """What a strategy decided, and why.

    Attributes:
        hits: In the order of the strategy.
        outputs: By name; None where never set.
        points: Of each card that ran, one per characteristic in its order; None where missing.
    """

    outcome: Outcome
    hits: tuple[Hit, ...]
    outputs: Mapping[str, Any]
    points: Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a decision sees besides its row.

    Attributes:
        on: The business date.
        score: Calls a model by name for this subject; None or NaN if it has no score.
        firm_score: The same as if supporting values were missing; None where they say no other.
        snoozed: Ids of rules that are silenced for this subject.
    """

    on: date
    lists: Lists
    score: Callable[[str], float | None]
    firm_score: Callable[[str], float | None] | None = None
    snoozed: AbstractSet[str] = frozenset()


def readable(raw: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Turn cleaned values into what JSON and people read."""
    return {name: shown(kinds[name], value) for name, value in raw.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snooze:
    """A rule silenced for a subject over a half-open period of days.

    Attributes:
        key: Whom it is silenced for, as `customer:17` or `merchant:8`.
    """

    rule: str
    key: str
    since: date
    until: date


def snoozed_rules(
    snoozes: "tuple[Snooze, ...]", *, keys: AbstractSet[str], on: date
) -> frozenset[str]:
    """Name the rules that are silenced for any of a subject's keys on a day."""
    return frozenset(
        snooze.rule
        for snooze in snoozes
        if snooze.key in keys and snooze.since <= on < snooze.until
    )
