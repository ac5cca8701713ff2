"""The pure rules of payment orders and refunds: their states, and when we ask the platform again.

Each state machine is one table, state × event → state; everything else asks it. It knows no
database and no provider.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from kernel.errors import Conflict

# The platform keeps a prepay_id for two hours; we let an attempt live for less, so that a
# forgotten payment sheet does not block the debt for long.
ORDER_LIFETIME = timedelta(minutes=30)

# The platform gives money back for a year after it was paid, and in so many parts of one payment.
REFUNDABLE_FOR = timedelta(days=365)
MOST_PARTS = 50

_QUERY_AFTER_S = (30, 30, 60, 120, 300)
_LAST_QUERY_AFTER_S = 600
_REFUND_AFTER_S = (30, 60, 120, 300, 600, 1_800, 3_600, 10_800)


class StepRefused(Conflict):
    """The state machine has no such step."""

    code = "payment-step-refused"
    message_zh = "付款状态已变化，请刷新后重试"


class OrderState(StrEnum):
    """Where a payment order stands."""

    CREATED = "created"
    OPEN = "open"
    PAID = "paid"
    CLOSED = "closed"
    FAILED = "failed"


class OrderEvent(StrEnum):
    """What happens to a payment order."""

    REGISTERED = "registered"
    MONEY_ARRIVED = "money-arrived"
    CLOSED = "closed"
    REFUSED = "refused"


IN_FLIGHT = (OrderState.CREATED, OrderState.OPEN)

_ORDER_STEPS: Mapping[tuple[OrderState, OrderEvent], OrderState] = MappingProxyType(
    {
        (OrderState.CREATED, OrderEvent.REGISTERED): OrderState.OPEN,
        (OrderState.OPEN, OrderEvent.REGISTERED): OrderState.OPEN,
        (OrderState.CREATED, OrderEvent.CLOSED): OrderState.CLOSED,
        (OrderState.OPEN, OrderEvent.CLOSED): OrderState.CLOSED,
        (OrderState.CLOSED, OrderEvent.CLOSED): OrderState.CLOSED,
        (OrderState.FAILED, OrderEvent.CLOSED): OrderState.FAILED,
        (OrderState.CREATED, OrderEvent.REFUSED): OrderState.FAILED,
        # Money that arrived is a fact, whatever we believed about the order.
        (OrderState.CREATED, OrderEvent.MONEY_ARRIVED): OrderState.PAID,
        (OrderState.OPEN, OrderEvent.MONEY_ARRIVED): OrderState.PAID,
        (OrderState.CLOSED, OrderEvent.MONEY_ARRIVED): OrderState.PAID,
        (OrderState.FAILED, OrderEvent.MONEY_ARRIVED): OrderState.PAID,
    }
)


class RefundState(StrEnum):
    """Where a refund stands.

    `manual` has no payment that it could go back to, so a person transfers it; `transferred` is
    what a person has sent by bank, for one of these or for one that the platform gave up on.
    """

    READY = "ready"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CLOSED = "closed"
    ABNORMAL = "abnormal"
    MANUAL = "manual"
    TRANSFERRED = "transferred"


# What waits for a person, and what is on its way or may yet arrive.
NEEDS_PERSON = (RefundState.MANUAL, RefundState.ABNORMAL, RefundState.CLOSED)
REFUND_PENDING = (
    *(RefundState.READY, RefundState.PROCESSING),
    *(RefundState.MANUAL, RefundState.ABNORMAL),
)
REFUND_IN_FLIGHT = (RefundState.READY, RefundState.PROCESSING)

_REFUND_STEPS: Mapping[tuple[RefundState, str], RefundState] = MappingProxyType(
    {
        (before, status): after
        for before in (*REFUND_IN_FLIGHT, RefundState.ABNORMAL)
        for status, after in (
            ("PROCESSING", RefundState.PROCESSING),
            ("SUCCESS", RefundState.SUCCEEDED),
            ("CLOSED", RefundState.CLOSED),
            ("ABNORMAL", RefundState.ABNORMAL),
        )
    }
    # A repeat, or an older answer that arrives late, changes nothing that is over.
    | {
        (after, status): after
        for after in (RefundState.SUCCEEDED, RefundState.CLOSED, RefundState.TRANSFERRED)
        for status in ("PROCESSING", "SUCCESS", "CLOSED", "ABNORMAL")
    }
)


class WhyManual(StrEnum):
    """Why money cannot go back to where it came from."""

    TOO_OLD = "source-too-old"
    USED_UP = "source-used-up"
    NO_SOURCE = "no-source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A payment that money could go back to.

    Attributes:
        left_fen: What of it has not gone back yet, and is not on its way.
        parts: Into how many refunds it was split before.
        is_barred: The platform gave up on sending some of it back before.
    """

    payment_id: int
    success_at: datetime
    left_fen: int
    parts: int = 0
    is_barred: bool = False

    def can_take(self, now: datetime) -> bool:
        """Say whether the platform would send some of it back."""
        is_fresh = self.success_at > now - REFUNDABLE_FOR
        return is_fresh and self.left_fen > 0 and self.parts < MOST_PARTS and not self.is_barred


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an amount that goes back: to a payment, or by a person for a reason."""

    fen: int
    payment_id: int | None = None
    why: WhyManual | None = None


def spread(fen: int, sources: Sequence[Source], *, now: datetime) -> Iterator[Part]:
    """Split an amount over the payments that it can go back to, the newest first.

    What they cannot take is left to a person, with the reason.
    """
    for source in sorted(sources, key=lambda source: source.success_at, reverse=True):
        part = min(fen, source.left_fen)
        if source.can_take(now) and part > 0:
            yield Part(fen=part, payment_id=source.payment_id)
            fen -= part
    if fen:
        old = any(source.success_at <= now - REFUNDABLE_FOR for source in sources)
        why = WhyManual.TOO_OLD if old else WhyManual.USED_UP if sources else WhyManual.NO_SOURCE
        yield Part(fen=fen, why=why)


class DifferenceKind(StrEnum):
    """How the platform's bill and our book can disagree."""

    UNKNOWN_HERE = "unknown-here"
    LOST_NOTICE = "lost-notice"
    MISSING_THERE = "missing-there"
    AMOUNT_DIFFERS = "amount-differs"
    REFUNDED_THERE = "refunded-there"
    FEE_DIFFERS = "fee-differs"
    BILLED_TWICE = "billed-twice"
    BILL_MISSING = "bill-missing"


class Resolution(StrEnum):
    """How a difference ended: the first four by themselves, the others by people."""

    SETTLED_BY_QUERY = "settled-by-query"
    CAME_LATER = "came-later"
    OFFSET = "offset"
    NOTHING_BOOKED = "nothing-booked"
    TO_LOAN = "to-loan"
    REFUNDED = "refunded"
    TAKEN_BACK = "taken-back"
    WRITTEN_DOWN = "written-down"


def order_after(state: str, event: OrderEvent) -> OrderState:
    """Return the state that follows.

    Raises:
        StepRefused: The event cannot happen in this state.
    """
    try:
        return _ORDER_STEPS[OrderState(state), event]
    except KeyError:
        raise StepRefused(f"order is {state}, cannot be {event}") from None


def refund_after(state: str, status: str) -> RefundState:
    """Return the state that follows from the platform's refund status.

    Raises:
        StepRefused: The platform named a status that we do not know.
    """
    try:
        return _REFUND_STEPS[RefundState(state), status]
    except KeyError:
        raise StepRefused(f"refund is {state}, cannot take status {status}") from None


def next_query_at(*, asked: int, expires_at: datetime, now: datetime) -> datetime:
    """Say when to ask about an order again: after 30 s, then ever more rarely, and at its expiry.

    Args:
        asked: How often the poll asked already.
        expires_at: When the order can no longer be paid.
        now: The instant of the question just put.
    """
    later = now + timedelta(seconds=_step(_QUERY_AFTER_S, asked, _LAST_QUERY_AFTER_S))
    return min(later, expires_at) if expires_at > now else later


def next_refund_try_at(*, tried: int, now: datetime) -> datetime:
    """Say when to send, or ask about, a refund again."""
    return now + timedelta(seconds=_step(_REFUND_AFTER_S, tried, _REFUND_AFTER_S[-1]))


def _step(ladder: Sequence[int], index: int, last: int) -> int:
    return ladder[index] if index < len(ladder) else last
