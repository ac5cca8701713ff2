"""What risk asks of others: sub-systems outside about an applicant, servicing about applications.

A sub-system is whoever outside answers something, and says what its silence means. One is data and
a callable, so that a fake is as short as the real one. Each declares its patience and its fallback;
whoever gathers the answers keeps to them. What an answer leads to is a strategy's business.

    SubsystemFailed  503  it could not be asked, or its answer cannot be used
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy.orm import Session

from kernel.errors import Unavailable


class SubsystemFailed(Unavailable):
    """A sub-system could not be asked, or its answer cannot be used; asking again may help."""

    code = "subsystem-failed"


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
    """

    reference: str
    name: str = field(repr=False)
    id_number: str = field(repr=False)
    phone: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsystem:
    """One source of evidence.

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


class Applications(Protocol):
    """Knows which decision an application led to."""

    def decision_no(self, session: Session, *, application_no: str) -> str | None:
        """Return the number of an application's decision, None if there is none."""
        ...
