"""What the payment platform remembers of one merchant. Plain data; the rules are beside it."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from kernel.settings import Settings
from sandbox.pay.signing import Keys


@dataclass(slots=True, kw_only=True)
class Order:
    """A payment order; `asked` is the request that made it, for comparing repeats."""

    number: str
    asked: dict[str, Any]
    total_fen: int
    openid: str
    notify_url: str
    description: str
    expires_at: datetime
    prepay_id: str
    prepay_expires_at: datetime
    state: str = "NOTPAY"
    transaction_id: str = ""
    success_at: datetime | None = None
    refunded_fen: int = 0


@dataclass(slots=True, kw_only=True)
class Refund:
    """A refund of one order, whole or in part."""

    number: str
    refund_id: str
    asked: dict[str, Any]
    order: Order
    amount_fen: int
    notify_url: str
    created_at: datetime
    status: str = "PROCESSING"
    success_at: datetime | None = None


@dataclass(slots=True)
class Merchant:
    """One direct merchant: keys, orders, refunds, and what was notified."""

    settings: Settings
    keys: Keys = field(init=False)
    orders: dict[str, Order] = field(default_factory=dict)
    by_prepay_id: dict[str, Order] = field(default_factory=dict)
    by_transaction_id: dict[str, Order] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    nonces: dict[str, datetime] = field(default_factory=dict)
    held_back: list[Any] = field(default_factory=list)
    bill_files: dict[str, bytes] = field(default_factory=dict)
    late_on_bill: dict[str, date] = field(default_factory=dict)
    payouts: dict[date, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Load the keys of both sides."""
        self.keys = Keys.of(self.settings)
