"""The words of a strategy as frozen data; docs/strategy-language.md tells them to analysts.

It holds no behaviour beyond look-ups. Everything here was checked by `risk.strategy.reading`, so
the interpreter, the compiler and the batch form trust it. Numbers, truths and days are floats here
(a day is its ordinal), as in `risk.features.values`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from risk.features.catalogue import Kind, Use
from risk.features.values import Domain
from risk.models.card import Scorecard


class Outcome(IntEnum):
    """What is decided; of several the greatest counts."""

    APPROVE = 0
    REVIEW = 1
    DECLINE = 2


class OnMissing(StrEnum):
    """What it means that a rule cannot be told true or false."""

    IGNORE = "ignore"
    REVIEW = "review"
    DECLINE = "decline"


ON_MISSING: Final[Mapping[OnMissing, Outcome | None]] = MappingProxyType(
    {
        OnMissing.IGNORE: None,
        OnMissing.REVIEW: Outcome.REVIEW,
        OnMissing.DECLINE: Outcome.DECLINE,
    }
)

# The reason of every hit that comes from missing data; strategies do not declare it.
DATA_MISSING: Final = "data-missing"

# What stands in the evidence, and its reason, if a decline rested on supporting values alone.
SUPPORT_ALONE: Final = "support-alone"

# The outputs that reach the loan: the line in fen, and the price a year as a share.
LINE: Final = "line_fen"
PRICE: Final = "rate_annual"


class Operator(StrEnum):
    """Arithmetic. A missing operand makes the result missing, save for `first_of`."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    DIVIDE = "divide"  # by zero: missing
    LEAST = "least"
    GREATEST = "greatest"
    ROUND_DOWN = "round_down"  # to a multiple of a step
    DAYS_SINCE = "days_since"  # from a day to the day of the decision
    FIRST_OF = "first_of"  # the first operand that is not missing


@dataclass(frozen=True, slots=True)
class Constant:
    """A number that the strategy gives."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A dimension, counter, derived value or output."""

    name: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """An operator over operands."""

    operator: Operator
    operands: "tuple[Expression, ...]"


Expression: TypeAlias = Constant | Name | Arithmetic


class Relation(StrEnum):
    """How two values are compared."""

    BELOW = "below"
    AT_MOST = "at_most"
    ABOVE = "above"
    AT_LEAST = "at_least"
    EQUALS = "equals"
    DIFFERS = "differs"


class Part(StrEnum):
    """Where a text is looked for."""

    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"


class Match(StrEnum):
    """How a value is looked up in a list."""

    EXACT = "exact"
    CIDR = "cidr"
    FUZZY = "fuzzy"


@dataclass(frozen=True, slots=True)
class Compare:
    """A named value against a constant or another named value of its kind."""

    name: str
    relation: Relation
    value: float | str | Name


@dataclass(frozen=True, slots=True)
class Between:
    """low ≤ value < high; None is an open end, never both."""

    name: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of some constants of its kind."""

    name: str
    values: tuple[float | str, ...]


@dataclass(frozen=True, slots=True)
class HasText:
    """A text starts with, ends with or contains another, case counting."""

    name: str
    part: Part
    text: str


@dataclass(frozen=True, slots=True)
class InList:
    """The text stands on a list; unknown if the list cannot be read."""

    name: str
    list_name: str
    match: Match


@dataclass(frozen=True, slots=True)
class IsMissing:
    """The value is missing; never unknown."""

    name: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts hold; nothing to hold is true."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Condition"


# An atom says one thing of one name.
Atom: TypeAlias = Compare | Between | OneOf | HasText | InList | IsMissing
ATOMS: Final = (Compare, Between, OneOf, HasText, InList, IsMissing)
Condition: TypeAlias = Atom | AllOf | AnyOf | Not


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What follows.

    Attributes:
        outcome: None where only outputs are set.
        reason: A reason code; None exactly where there is no outcome.
        sets: Outputs with their constants.
    """

    outcome: Outcome | None
    reason: str | None
    sets: tuple[tuple[str, float | str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition that leads to an outcome.

    Attributes:
        effective_from: First day on which it counts, None for ever since.
        effective_to: First day on which it no longer counts, None for no end.
        may_snooze: It can be silenced for a subject and a period.
    """

    id: str
    title: str
    when: Condition
    effect: Effect
    missing: OnMissing
    effective_from: date | None
    effective_to: date | None
    may_snooze: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Rules that are all looked at; every hit is kept."""

    id: str
    title: str
    rules: tuple[Rule, ...]


class Policy(StrEnum):
    """Which matching rows of a table count.

    With `unique` no two rows may match together, which is proven when the strategy is read.
    """

    FIRST = "first"
    UNIQUE = "unique"
    COLLECT = "collect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a decision table; a cell that is None matches anything."""

    id: str
    cells: tuple[Condition | None, ...]
    effect: Effect

    @property
    def when(self) -> AllOf:
        """All cells that say something."""
        return AllOf(tuple(cell for cell in self.cells if cell is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A decision table; a matrix is a table with two columns."""

    id: str
    title: str
    policy: Policy
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    missing: OnMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A points scorecard that stands in the strategy itself."""

    id: str
    title: str
    scorecard: Scorecard
    output: str
    missing: OnMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A call of a published model by name."""

    id: str
    title: str
    model: str
    output: str
    missing: OnMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """Where a tree ends."""

    id: str
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Where a tree parts."""

    when: Condition
    then: "TreeNode"
    otherwise: "TreeNode"


TreeNode: TypeAlias = Leaf | Fork


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A decision tree; at a fork that is unknown it ends, as `missing` says."""

    id: str
    title: str
    root: TreeNode
    missing: OnMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Stages that run if a condition holds."""

    id: str
    when: Condition
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The stages of the first case that holds, or the others.

    A case that is unknown is passed over with `ignore`; else the branch ends there, as `missing`
    says.
    """

    id: str
    title: str
    cases: tuple[Case, ...]
    otherwise: tuple[str, ...]
    missing: OnMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Outputs by arithmetic: line and price."""

    id: str
    title: str
    sets: tuple[tuple[str, Expression], ...]
    missing: OnMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRules:
    """The only place that approves: if a rule holds and nothing asked for review or declined."""

    id: str
    title: str
    rules: tuple[Rule, ...]
    otherwise: Effect


Stage: TypeAlias = RuleSet | Table | Card | Model | Tree | Branch | Compute | FinalRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why, twice: for staff, and for the customer, in Chinese."""

    code: str
    internal: str
    customer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """A field without which nobody decides."""

    name: str
    missing: OnMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A count of events over a window, fetched before the decision and read like a field.

    Attributes:
        by: The dimension whose value the events share.
        window_s: Seconds that it looks back.
    """

    name: str
    event: str
    by: str
    window_s: int


# How long a call may at most be waited for after the one before it, and what a step may lose to
# queues and to workers that die: both count when the patience of a product is added up.
PAUSE_S: Final = 2
SLACK_S: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsystemUse:
    """A sub-system that is asked about a product's applications.

    Attributes:
        step: From 1 on; those of one step are asked at once, once all of the step before settled.
        timeout_s: Of one call.
        attempts: Calls at most, one after the other.
        fallback: What its silence means for the outcome, whatever the stages make of the values.
    """

    name: str
    step: int
    timeout_s: int
    attempts: int
    fallback: OnMissing

    @property
    def patience_s(self) -> int:
        """How long it is waited for at most."""
        return self.timeout_s * self.attempts + PAUSE_S * (self.attempts - 1)


def patience_s(uses: Iterable[SubsystemUse]) -> int:
    """Add up how long an application waits at most: step after step, each for its slowest."""
    slowest: dict[int, int] = {}
    for use in uses:
        slowest[use.step] = max(slowest.get(use.step, 0), use.patience_s + SLACK_S)
    return sum(slowest.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A strategy that has been read and checked.

    Attributes:
        derived: In an order in which each needs only those before it.
        outputs: Kinds by name.
        stages: By id.
        products: The stages of each product, in order.
        subsystems: Who is asked about a product's applications, by step; a product that says
            nothing of it asks all there are, as they declare themselves.
        kinds: Of every name that the strategy may read.
        inputs: Dimensions and counters that it does read: what a row has to hold.
        domains: What dimensions may hold, where the catalogue says so; anything else is missing,
            for models too.
        support: Supporting dimensions, by which nobody is declined alone.
        digest: sha256 of the document.
    """

    id: str
    title: str
    use: Use
    catalogue: str
    effective_from: date
    effective_to: date | None
    required: tuple[Required, ...]
    counters: tuple[Counter, ...]
    derived: tuple[tuple[str, Expression], ...]
    reasons: Mapping[str, Reason]
    outputs: Mapping[str, Kind]
    stages: Mapping[str, Stage]
    products: Mapping[str, tuple[str, ...]]
    subsystems: Mapping[str, tuple[SubsystemUse, ...]]
    kinds: Mapping[str, Kind]
    inputs: tuple[str, ...]
    domains: Mapping[str, Domain]
    support: frozenset[str]
    digest: str

    def is_in_effect(self, on: date) -> bool:
        """Say whether it counts on a day."""
        return counts_on(self.effective_from, self.effective_to, on)

    def may_decide(self, on: date) -> bool:
        """Say whether it may decide on a day: whatever can approve is a strategy for credit."""
        return self.use is Use.CREDIT and self.is_in_effect(on)


def counts_on(effective_from: date | None, effective_to: date | None, on: date) -> bool:
    """Say whether a day falls into a half-open period."""
    return (effective_from or date.min) <= on and (effective_to is None or on < effective_to)
