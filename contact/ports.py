"""What contact asks of the areas above and of the providers it sends through.

The three questions (still due, holds, standing) are asked for a whole mini-batch at once, inside
the transaction that reserves the quota. Implementations are given at the composition root.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy.orm import Session

from contact.model import ADDRESS_KIND, AddressKind, Channel, Debt, Hold, Purpose
from kernel.errors import Unavailable

__all__ = [
    "ADDRESS_KIND",
    "AddressKind",
    "Channel",
    "Debt",
    "Hold",
    "Holds",
    "OutcomeUnknown",
    "ProviderNotReached",
    "Purpose",
    "SmsError",
    "SmsProvider",
    "SmsStatus",
    "Standing",
    "StillDue",
    "WeChatApi",
    "WeChatError",
]


class StillDue(Protocol):
    """Tells what customers owe at this moment."""

    def debts(
        self, session: Session, *, customer_ids: Sequence[int], purpose: Purpose, on: date
    ) -> Mapping[int, tuple[Debt, ...]]:
        """Return each customer's unpaid debts; who owes nothing may be left out.

        For a service reminder: what is overdue, due on the day, or falls due soon after. For a
        collection: what is overdue on the day. Held or disputed debts are left out.
        """
        ...


class Holds(Protocol):
    """Tells who must be left alone."""

    def held(
        self, session: Session, *, customer_ids: Sequence[int], at: datetime
    ) -> Mapping[int, tuple[Hold, ...]]:
        """Return each customer's open holds; who has none may be left out."""
        ...


class Standing(Protocol):
    """Tells who may get marketing."""

    def opted_in(
        self, session: Session, *, customer_ids: Sequence[int], at: datetime
    ) -> frozenset[int]:
        """Return those whose own opt-in for marketing stands."""
        ...

    def marketing_barred(
        self, session: Session, *, customer_ids: Sequence[int], on: date
    ) -> Mapping[int, str]:
        """Return a reason for each customer who may get none: overdue, held, student."""
        ...


class WeChatError(Unavailable):
    """The official account platform answered with an error code, so nothing was done.

    Attributes:
        errcode: The platform's number, such as 45015.
    """

    code = "wechat-refused"

    def __init__(self, errcode: int, message: str = "") -> None:
        super().__init__(f"errcode {errcode}: {message}", errcode=errcode)
        self.errcode = errcode


class SmsError(Unavailable):
    """The SMS provider answered with an error code, so nothing was sent.

    Attributes:
        provider_code: The provider's word, such as `isv.MOBILE_NUMBER_ILLEGAL`.
    """

    code = "sms-refused"

    def __init__(self, provider_code: str, message: str = "") -> None:
        super().__init__(f"{provider_code}: {message}", provider_code=provider_code)
        self.provider_code = provider_code


class ProviderNotReached(Unavailable):
    """No connection came about, so the provider certainly has nothing."""

    code = "provider-not-reached"


class OutcomeUnknown(Unavailable):
    """The request went out and no usable answer came back."""

    code = "provider-outcome-unknown"


class WeChatApi(Protocol):
    """The calls of the official account that we use.

    Each raises WeChatError, ProviderNotReached or OutcomeUnknown.
    """

    def send_template(
        self, openid: str, template_id: str, data: Mapping[str, str], url: str, client_msg_id: str
    ) -> str:
        """Send a template message and return its msgid; deduplicated for 10 minutes."""
        ...

    def send_text(self, openid: str, text: str) -> None:
        """Send a customer-service text."""
        ...

    def send_menu_message(
        self, openid: str, head: str, items: Sequence[tuple[str, str]], tail: str
    ) -> None:
        """Send a customer-service message with choices, each an (id, text)."""
        ...

    def create_menu(self, menu: Mapping[str, Any]) -> None:
        """Replace the account's menu."""
        ...

    def get_user(self, openid: str) -> dict[str, Any]:
        """Return what the platform tells of a follower."""
        ...

    def call(self, method: str, path: str, json: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make any other call, such as POST /cgi-bin/customservice/kfsession/create."""
        ...


class SmsStatus(StrEnum):
    """What the provider knows of a message."""

    DELIVERED = "delivered"
    FAILED = "failed"
    WAITING = "waiting"
    ABSENT = "absent"


class SmsProvider(Protocol):
    """A sender of short messages.

    Each call raises SmsError, ProviderNotReached or OutcomeUnknown.
    """

    def send(self, phone: str, template_id: str, params: Mapping[str, str], out_id: str) -> str:
        """Send a message and return the provider's id of it."""
        ...

    def query(self, phone: str, out_id: str, on: date) -> SmsStatus:
        """Ask what became of our message of a day (Asia/Shanghai)."""
        ...
