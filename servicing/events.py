"""What servicing tells the areas above, in the past tense."""

from dataclasses import dataclass
from datetime import date

from kernel.outbox import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerCreated(Event):
    """A customer was entered."""

    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSubmitted(Event):
    """Somebody applied for an instalment purchase."""

    application_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationDecided(Event):
    """An application was approved, declined or sent to a person."""

    application_id: int
    customer_id: int
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsReviewed(Event):
    """A person looked at approved terms on the applicant's wish; the amount is what stands now.

    Attributes:
        was_rate_annual: The price before, as decimal text; empty in events of old.
    """

    application_id: int
    customer_id: int
    was_fen: int
    amount_fen: int
    was_rate_annual: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationWithdrawn(Event):
    """An application was taken back before it became a loan."""

    application_id: int
    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationLapsed(Event):
    """An approval was not used in time: it is cancelled, and what was held for it is free."""

    application_id: int
    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOpened(Event):
    """A customer was granted a line."""

    line_id: int
    customer_id: int
    granted_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRaised(Event):
    """A customer's line was raised for a purchase that they asked for."""

    line_id: int
    customer_id: int
    granted_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFrozen(Event):
    """A line cannot be drawn any more."""

    line_id: int
    customer_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanBooked(Event):
    """A loan was disbursed."""

    loan_id: int
    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepaymentPosted(Event):
    """A payment was allocated and entered in the ledger.

    Attributes:
        key: The key of the ledger entry, such as the payment's number.
        remaining_fen: What the loan's plan still asks for afterwards.
    """

    loan_id: int
    customer_id: int
    amount_fen: int
    value_date: date
    key: str
    remaining_fen: int
    is_settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanChanged(Event):
    """Something other than money coming in happened to a loan: its kind, and its number."""

    loan_id: int
    customer_id: int
    kind: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalmentMissed(Event):
    """The day after a due date was closed and the instalment is not paid."""

    loan_id: int
    customer_id: int
    due_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Event):
    """Contacts to a customer are barred from now on."""

    customer_id: int
    reason: str
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayClosed(Event):
    """A business date was closed for the whole book."""

    on: date
