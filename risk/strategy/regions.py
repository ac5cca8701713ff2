"""Sets of values, to tell whether conditions contradict, cover or overlap each other.

It is exact for comparisons with constants, ranges and sets. What it cannot see into (text parts,
lists, two names against each other) it keeps as it stands: equal or opposite statements are seen.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from risk.features.catalogue import Kind
from risk.strategy.language import (
    ATOMS,
    AllOf,
    Atom,
    Between,
    Compare,
    Condition,
    IsMissing,
    Not,
    OneOf,
    Relation,
)

# A cut lies just before a value (v, 0) or just behind it (v, 1); an interval lies between two cuts.
Cut: TypeAlias = tuple[float, int]
Intervals: TypeAlias = tuple[tuple[Cut, Cut], ...]

_START: Final[Cut] = (-math.inf, 0)
_END: Final[Cut] = (math.inf, 1)
_ALL: Final[Intervals] = ((_START, _END),)


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers, truths or days, as disjoint rising intervals; and whether missing belongs to it."""

    intervals: Intervals
    has_missing: bool

    def meet(self, other: Any) -> "Span":
        """Return what both hold; the other is a span too, since one name has one kind."""
        found = []
        for low, high in self.intervals:
            for other_low, other_high in other.intervals:
                start, end = max(low, other_low), min(high, other_high)
                if start < end:
                    found.append((start, end))
        return Span(tuple(found), self.has_missing and other.has_missing)

    def covers(self, other: Any) -> bool:
        """Say whether it holds all that the other holds."""
        if other.has_missing and not self.has_missing:
            return False
        return all(
            any(low <= start and end <= high for low, high in self.intervals)
            for start, end in other.intervals
        )

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is left."""
        return not self.intervals and not self.has_missing


@dataclass(frozen=True, slots=True)
class Texts:
    """Some texts, or all but some; and whether missing belongs to it."""

    values: frozenset[str]
    is_all_but: bool
    has_missing: bool

    def meet(self, other: Any) -> "Texts":
        """Return what both hold; the other holds texts too, since one name has one kind."""
        has_missing = self.has_missing and other.has_missing
        if self.is_all_but and other.is_all_but:
            return Texts(self.values | other.values, is_all_but=True, has_missing=has_missing)
        if self.is_all_but or other.is_all_but:
            some, but = (other, self) if self.is_all_but else (self, other)
            return Texts(some.values - but.values, is_all_but=False, has_missing=has_missing)
        return Texts(self.values & other.values, is_all_but=False, has_missing=has_missing)

    def covers(self, other: Any) -> bool:
        """Say whether it holds all that the other holds."""
        if other.has_missing and not self.has_missing:
            return False
        if self.is_all_but:
            return (
                self.values <= other.values if other.is_all_but else not self.values & other.values
            )
        return not other.is_all_but and other.values <= self.values

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is left."""
        return not self.is_all_but and not self.values and not self.has_missing


Region: TypeAlias = Span | Texts


@dataclass(frozen=True, slots=True)
class Box:
    """What a conjunction asks of each name; a name that is not there may be anything.

    Attributes:
        opaque: Statements that cannot be seen into; True where negated.
    """

    regions: Mapping[str, Region]
    opaque: frozenset[tuple[Atom, bool]]

    def meet(self, other: "Box") -> "Box":
        """Return what both ask."""
        regions = dict(self.regions)
        for name, region in other.regions.items():
            mine = regions.get(name)
            regions[name] = region if mine is None else mine.meet(region)
        return Box(regions, self.opaque | other.opaque)

    def contradiction(self) -> str | None:
        """Return a name of which the impossible is asked."""
        for name, region in self.regions.items():
            if region.is_empty:
                return name
        for atom, is_negated in self.opaque:
            if (atom, not is_negated) in self.opaque:
                return atom.name
        return None

    def covers(self, other: "Box") -> bool:
        """Say whether all that the other holds is held here."""
        for name, region in self.regions.items():
            theirs = other.regions.get(name)
            if theirs is None or not region.covers(theirs):
                return False
        return self.opaque <= other.opaque

    def may_meet(self, other: "Box") -> bool:
        """Say whether both may hold at once."""
        for name, region in self.regions.items():
            theirs = other.regions.get(name)
            if theirs is not None and region.meet(theirs).is_empty:
                return False
        return all((atom, not negated) not in other.opaque for atom, negated in self.opaque)


EVERYTHING: Final = Box({}, frozenset())


def box_of(parts: Iterable[Condition], kinds: Mapping[str, Kind]) -> Box:
    """Make the box of a conjunction of pushed-down parts; alternatives inside it are left out."""
    box = EVERYTHING
    for part in parts:
        box = box.meet(_box_of_part(part, kinds))
    return box


def _box_of_part(part: Condition, kinds: Mapping[str, Kind]) -> Box:
    if isinstance(part, AllOf):
        return box_of(part.parts, kinds)
    atom, is_negated = (part.part, True) if isinstance(part, Not) else (part, False)
    return (
        _box_of_atom(atom, kinds, is_negated=is_negated) if isinstance(atom, ATOMS) else EVERYTHING
    )


def _box_of_atom(atom: Atom, kinds: Mapping[str, Kind], *, is_negated: bool) -> Box:
    region = region_of(atom, kinds[atom.name], is_negated=is_negated)
    if region is None:
        return Box({}, frozenset({(atom, is_negated)}))
    return Box({atom.name: region}, frozenset())


def region_of(atom: Atom, kind: Kind, *, is_negated: bool) -> Region | None:
    """Return the values of which a statement is true; None if it cannot be seen into."""
    if isinstance(atom, IsMissing):
        return _of_missing(kind, is_missing=not is_negated)
    if kind is Kind.TEXT:
        return _texts(atom, is_negated=is_negated)
    intervals = _intervals(atom)
    if intervals is None:
        return None
    if is_negated:
        intervals = _complement(intervals)
    if kind is Kind.TRUTH:
        both: Intervals = (((0.0, 0), (0.0, 1)), ((1.0, 0), (1.0, 1)))
        return Span(intervals, has_missing=False).meet(Span(both, has_missing=False))
    return Span(intervals, has_missing=False)


def _of_missing(kind: Kind, *, is_missing: bool) -> Region:
    if kind is Kind.TEXT:
        return Texts(frozenset(), is_all_but=not is_missing, has_missing=is_missing)
    return Span(() if is_missing else _ALL, has_missing=is_missing)


def _texts(atom: Atom, *, is_negated: bool) -> Texts | None:
    match atom:
        case Compare(_, Relation.EQUALS | Relation.DIFFERS as relation, str(value)):
            is_all_but = (relation is Relation.DIFFERS) != is_negated
            return Texts(frozenset({value}), is_all_but=is_all_but, has_missing=False)
        case OneOf(_, values):
            texts = frozenset(str(value) for value in values)
            return Texts(texts, is_all_but=is_negated, has_missing=False)
        case _:
            return None


def _intervals(atom: Atom) -> Intervals | None:
    match atom:
        case Compare(_, relation, float(value)):
            return _related(relation, value)
        case Between(_, low, high):
            start = _START if low is None else (low, 0)
            return ((start, _END if high is None else (high, 0)),)
        case OneOf(_, values):
            return tuple(((value, 0), (value, 1)) for value in sorted(map(float, set(values))))
        case _:
            return None


def _related(relation: Relation, value: float) -> Intervals:
    before, behind = (value, 0), (value, 1)
    return {
        Relation.BELOW: ((_START, before),),
        Relation.AT_MOST: ((_START, behind),),
        Relation.ABOVE: ((behind, _END),),
        Relation.AT_LEAST: ((before, _END),),
        Relation.EQUALS: ((before, behind),),
        Relation.DIFFERS: ((_START, before), (behind, _END)),
    }[relation]


def _complement(intervals: Intervals) -> Intervals:
    cuts = [_START, *(cut for interval in intervals for cut in interval), _END]
    pairs = zip(cuts[::2], cuts[1::2], strict=True)
    return tuple((low, high) for low, high in pairs if low < high)
