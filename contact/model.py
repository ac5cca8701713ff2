"""The words of contacting people, and the states of a contact as one table.

It is pure: no tables, no providers. Whether a contact may go out is decided in `contact.gate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kernel.errors import Conflict


class Purpose(StrEnum):
    """Why somebody is contacted; every contact has exactly one."""

    ANSWER = "answer"
    STATUTORY_NOTICE = "statutory_notice"
    SERVICE_REMINDER = "service_reminder"
    COLLECTION = "collection"
    MARKETING = "marketing"


ABOUT_DEBT: Final = frozenset({Purpose.SERVICE_REMINDER, Purpose.COLLECTION})

PRIORITY: Final[Mapping[Purpose, int]] = MappingProxyType(
    {
        Purpose.ANSWER: 0,
        Purpose.STATUTORY_NOTICE: 10,
        Purpose.SERVICE_REMINDER: 20,
        Purpose.COLLECTION: 30,
        Purpose.MARKETING: 90,
    }
)


class Channel(StrEnum):
    """A way to a person."""

    WECHAT_TEMPLATE = "wechat_template"
    WECHAT_MESSAGE = "wechat_message"
    SMS = "sms"


class AddressKind(StrEnum):
    """What kind of address a channel writes to."""

    WECHAT = "wechat"
    PHONE = "phone"


ADDRESS_KIND: Final[Mapping[Channel, AddressKind]] = MappingProxyType(
    {
        Channel.WECHAT_TEMPLATE: AddressKind.WECHAT,
        Channel.WECHAT_MESSAGE: AddressKind.WECHAT,
        Channel.SMS: AddressKind.PHONE,
    }
)


class State(StrEnum):
    """Where a contact stands."""

    READY = "ready"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Step(StrEnum):
    """What happens to a contact."""

    CLAIM = "claim"
    RELEASE = "release"  # the sender died before the gate, or the gate says: later
    ALLOW = "allow"
    BLOCK = "block"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    ACCEPT = "accept"  # the provider has it
    REFUSE = "refuse"  # the provider does not want it, or will not deliver it
    RETRY = "retry"  # the provider certainly does not have it
    LOSE = "lose"  # nobody here can say whether the provider has it


class TransitionRefused(Conflict):
    """The contact is not in a state in which this can happen."""

    code = "contact-transition-refused"
    message_zh = "该条联系记录的状态已变化，请刷新后重试"


_TABLE: Final[Mapping[tuple[State, Step], State]] = MappingProxyType(
    {
        (State.READY, Step.CLAIM): State.CLAIMED,
        (State.READY, Step.WITHDRAW): State.WITHDRAWN,
        (State.READY, Step.EXPIRE): State.EXPIRED,
        (State.CLAIMED, Step.RELEASE): State.READY,
        (State.CLAIMED, Step.ALLOW): State.SENDING,
        (State.CLAIMED, Step.BLOCK): State.BLOCKED,
        (State.CLAIMED, Step.EXPIRE): State.EXPIRED,
        (State.CLAIMED, Step.WITHDRAW): State.WITHDRAWN,
        (State.SENDING, Step.ACCEPT): State.SENT,
        (State.SENDING, Step.REFUSE): State.FAILED,
        (State.SENDING, Step.RETRY): State.READY,
        (State.SENDING, Step.LOSE): State.UNKNOWN,
        (State.UNKNOWN, Step.ACCEPT): State.SENT,
        (State.UNKNOWN, Step.REFUSE): State.FAILED,
        (State.UNKNOWN, Step.RETRY): State.READY,
        (State.UNKNOWN, Step.LOSE): State.UNKNOWN,
    }
)


def next_state(state: State, step: Step) -> State:
    """Return where a step leads.

    Raises:
        TransitionRefused: The table has no such step from this state.
    """
    try:
        return _TABLE[state, step]
    except KeyError:
        raise TransitionRefused(f"a contact cannot {step} when {state}") from None


def states_before(step: Step) -> tuple[State, ...]:
    """Return the states from which a step is possible."""
    return tuple(state for state, known in _TABLE if known is step)


def state_after(step: Step) -> State:
    """Return the one state that a step leads to."""
    (state,) = {after for (_before, known), after in _TABLE.items() if known is step}
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """One thing that a customer still owes, as a reminder needs it.

    Attributes:
        ref: The owner's name for it, such as a loan number.
        label: A few neutral words that the customer recognises.
        amount_fen: What is owed now, > 0.
        due_on: The earliest day on which part of it falls or fell due.
        days_past_due: 0 if nothing is late.
    """

    ref: str
    label: str
    amount_fen: int
    due_on: date
    days_past_due: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reason not to contact somebody.

    Attributes:
        scope: `all`, a channel, or a purpose.
        until: When it ends, exclusive; None for an open end.
    """

    reason: str
    scope: str = "all"
    until: datetime | None = None
