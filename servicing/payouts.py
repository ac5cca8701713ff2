"""The life of a payout to a payee, as a table of state and event.

    PayoutRefused  409  it is not in a state for that, or more than is payable

What it does to the ledger is servicing.operations.payees' business.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from kernel.errors import Conflict


class PayoutState(StrEnum):
    """Where a payout stands.

    Attributes:
        APPROVED: A second person agreed; the bank has not sent it yet.
        PAID: Sent, and booked.
        RETURNED: The bank gave it back, or it was sent by mistake; it is payable again.
        CANCELLED: Called off before it was sent.
    """

    APPROVED = "approved"
    PAID = "paid"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class PayoutEvent(StrEnum):
    """What can happen to a payout."""

    PAY = "pay"
    RETURN = "return"
    CANCEL = "cancel"


class PayoutRefused(Conflict):
    """The payout is not in a state for that, or it is more than is payable by now."""

    code = "payout-refused"
    message_zh = "该笔付款当前不能这样处理，或金额超过应付余额"


_AFTER: Final[Mapping[tuple[PayoutState, PayoutEvent], PayoutState]] = {
    (PayoutState.APPROVED, PayoutEvent.PAY): PayoutState.PAID,
    (PayoutState.APPROVED, PayoutEvent.CANCEL): PayoutState.CANCELLED,
    (PayoutState.PAID, PayoutEvent.RETURN): PayoutState.RETURNED,
}


def payout_after(state: str, event: PayoutEvent) -> PayoutState:
    """Return the state after an event.

    Raises:
        PayoutRefused: Such an event cannot happen in the state.
    """
    after = _AFTER.get((PayoutState(state), event))
    if after is None:
        raise PayoutRefused(f"{event} of a payout that is {state}")
    return after
