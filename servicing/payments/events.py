"""What payments tell the areas above, in the past tense."""

from dataclasses import dataclass

from kernel.outbox import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded(Event):
    """Money that a loan or no debt owed is back with the borrower; `amount_fen` > 0.

    `payment_id` is None where it went back by bank and not to a payment; then `is_transfer` holds.
    """

    refund_id: int
    payment_id: int | None
    loan_id: int
    customer_id: int
    amount_fen: int
    is_transfer: bool = False
