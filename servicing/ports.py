"""What servicing asks of a judge: to decide an application and to grade accounts.

risk's operations have these shapes; jobs hand them in, so that the book can be closed and tested
without any judge. No rule of judgement lives here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy.orm import Session


class Reason(Protocol):
    """Why an application was not approved: a code, and the sentence that the applicant hears."""

    @property
    def code(self) -> str: ...  # noqa: D102
    @property
    def customer(self) -> str: ...  # noqa: D102


class Decision(Protocol):
    """What the judge says of an application.

    Attributes:
        outcome: "approve", "decline" or "review".
        reasons: The weightiest first; none for an approval.
        line_fen: The line that an approval grants in all; None leaves it at what is asked for.
        rate_annual: The price that it sets; None leaves it at the product's.
    """

    @property
    def decision_id(self) -> str: ...  # noqa: D102
    @property
    def outcome(self) -> str: ...  # noqa: D102
    @property
    def reasons(self) -> Sequence[Reason]: ...  # noqa: D102
    @property
    def strategy_version(self) -> str: ...  # noqa: D102
    @property
    def line_fen(self) -> int | None: ...  # noqa: D102
    @property
    def rate_annual(self) -> Decimal | None: ...  # noqa: D102


class Decide(Protocol):
    """Decides about a subject from values."""

    def __call__(
        self,
        *,
        key: str,
        subject: str,
        product: str,
        values: Mapping[str, Any],
        links: Mapping[str, str],
    ) -> Decision:
        """Decide for good: it is stored when this returns, and a key has one answer.

        Call it outside of any transaction. A missing value is an absent name, never a guess.

        Raises:
            DecisionProductUnknown: No strategy decides the product, so a person has to.
            Unavailable: Nothing can be decided now; repeating with the same key is safe.
        """
        ...


class DeclinesAnyway(Protocol):
    """Says whether a subject is declined whatever is still asked for; nothing is kept of it."""

    def __call__(
        self, *, subject: str, product: str, values: Mapping[str, Any], pending: Collection[str]
    ) -> bool:
        """Say whether what is known by now settles it; `pending` are dimensions still to come.

        Raises:
            DecisionProductUnknown: No strategy decides the product.
            Unavailable: Nothing can be decided now.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """How a customer pays, as of a closed business date.

    Attributes:
        days_past_due: Of the oldest unpaid instalment today.
        worst_dpd_12m: The latest that any instalment was in twelve months.
        on_time_ratio: Share of due instalments paid by their due date; None before the first.
        utilisation: Drawn share of the line; None without a grant.
        months_on_book: Whole months since the first disbursement.
    """

    customer_id: int
    days_past_due: int
    worst_dpd_12m: int
    on_time_ratio: Decimal | None
    utilisation: Decimal | None
    months_on_book: int


class Grade(Protocol):
    """What the judge says of an account.

    Attributes:
        grade: A letter, "A" the best; `is_worst` asks for the line to be frozen.
    """

    @property
    def customer_id(self) -> int: ...  # noqa: D102
    @property
    def grade(self) -> str: ...  # noqa: D102
    @property
    def is_worst(self) -> bool: ...  # noqa: D102
    @property
    def reasons(self) -> Sequence[str]: ...  # noqa: D102


class GradeAccounts(Protocol):
    """Grades a batch of accounts."""

    def __call__(
        self, session: Session, *, facts: Sequence[AccountFacts], on: date, now: datetime
    ) -> Sequence[Grade]:
        """Grade each account as of a closed business date and store the grades."""
        ...
