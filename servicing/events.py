"""What servicing tells the areas above, in the past tense."""

from dataclasses import dataclass
from datetime import date

from kernel.outbox import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanBooked(Event):
    """A loan was disbursed."""

    loan_id: int
    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepaymentPosted(Event):
    """A payment was allocated and entered in the ledger."""

    loan_id: int
    customer_id: int
    amount_fen: int
    value_date: date
    key: str
