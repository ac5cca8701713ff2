"""What payments tell the areas above, in the past tense."""

from dataclasses import dataclass

from kernel.outbox import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded(Event):
    """Money that no debt took is back where it came from; `amount_fen` > 0."""

    refund_id: int
    payment_id: int
    loan_id: int
    customer_id: int
    amount_fen: int
