"""What risk asks of others: sub-systems outside about an applicant, servicing about applications.

A sub-system is whoever outside answers something, and says what its silence means. One is data and
a callable, so that a fake is as short as the real one. Each declares its patience and its fallback;
whoever gathers the answers keeps to them. What an answer leads to is a strategy's business.

    SubsystemFailed         503  it could not be asked, or its answer cannot be used
    DecisionProductUnknown  422  no strategy in force decides that product
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol

from sqlalchemy.orm import Session

from kernel.errors import Invalid, Unavailable

# What applicants are promised: an answer of the machine within five minutes.
PROMISED_S: Final = 300


class SubsystemFailed(Unavailable):
    """A sub-system could not be asked, or its answer cannot be used; asking again may help."""

    code = "subsystem-failed"


class DecisionProductUnknown(Invalid):
    """No strategy in force decides that product."""

    code = "decision-product-unknown"
    message_zh = "没有生效中的策略决定该产品"


class Fallback(StrEnum):
    """What follows where a sub-system never answered; none of it approves."""

    IGNORE = "ignore"  # the strategy alone says what the missing values mean
    REVIEW = "review"  # a person looks at it, whatever the strategy makes of the rest
    DECLINE = "decline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """Whom to ask about; personal fields are clear and stay out of every log.

    Attributes:
        reference: Of the intention: asking twice under it is one inquiry to the provider.
        timeout_s: How long this call may take.
    """

    reference: str
    name: str = field(repr=False)
    id_number: str = field(repr=False)
    phone: str = field(repr=False)
    timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsystem:
    """One source of evidence, as it declares itself; a strategy may choose other patience for it.

    Attributes:
        name: Stable, as rows and metrics know it.
        label: In Chinese, for staff.
        fields: Dimensions of the catalogue that its answers may hold.
        timeout_s: Of one call.
        attempts: Calls at most, one after the other.
        deadline_s: From submission on; later answers are attached and change nothing.
        ask: Returns values by dimension; one that the source does not know is absent.
            Raises SubsystemFailed.
    """

    name: str
    label: str
    fields: tuple[str, ...]
    timeout_s: int
    attempts: int
    deadline_s: int
    fallback: Fallback
    ask: Callable[[Inquiry], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsystems:
    """All that an application is asked about; given at the root."""

    each: tuple[Subsystem, ...]

    def named(self, name: str) -> Subsystem:
        """Return one of them.

        Raises:
            LookupError: There is none of that name.
        """
        for one in self.each:
            if one.name == name:
                return one
        raise LookupError(f"no sub-system {name}")

    def find(self, name: str) -> Subsystem:
        """Return one of them; one that is gone never answers, so that its fallback counts."""
        try:
            return self.named(name)
        except LookupError:
            return _gone(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A sub-system as it is asked: with the patience and the fallback that hold for a product.

    Attributes:
        step: From 1 on; a step begins once the one before has settled.
    """

    subsystem: Subsystem
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePlan:
    """Who is asked about an application, and who is not.

    Attributes:
        strategy_version: Which strategy says so; None where none says anything, and all are asked
            at once as they declare themselves.
        left_out: Those that the strategy switches off for the product.
    """

    strategy_version: str | None
    asked: tuple[Planned, ...]
    left_out: tuple[Subsystem, ...] = ()


def _gone(name: str) -> Subsystem:
    def ask(_inquiry: Inquiry) -> Mapping[str, Any]:
        raise SubsystemFailed(f"there is no sub-system {name}")

    return Subsystem(
        name=name,
        label=name,
        fields=(),
        timeout_s=1,
        attempts=1,
        deadline_s=PROMISED_S,
        fallback=Fallback.REVIEW,
        ask=ask,
    )


class ProductPrices(Protocol):
    """Knows what the products that are sold may cost."""

    def ranges(self, session: Session, *, on: date) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Return the least and the most price a year of each product that is sold on a day."""
        ...


class Applications(Protocol):
    """Knows which decision an application led to."""

    def decision_no(self, session: Session, *, application_no: str) -> str | None:
        """Return the number of an application's decision, None if there is none."""
        ...
