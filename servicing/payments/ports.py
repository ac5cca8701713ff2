"""What payments ask of a payment provider, and the facts it answers with.

    PayProblem
    ├── PayRefused   the provider understood and said no; `code` is its own
    └── PayUnknown   no answer, or none that can be believed: ask, then repeat the same number

One implementation talks to WeChat Pay (clients.py); tests have a fake with the same contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from kernel.errors import Invalid
from servicing.payments.bills import BillKind


class PayProblem(Exception):
    """A call to the provider did not do what was asked.

    Args:
        code: The provider's code, or ours in lower case when it gave none.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PayRefused(PayProblem):
    """The provider said no; repeating the same call changes nothing soon."""


class PayUnknown(PayProblem):
    """Whether the provider did it is not known."""


class FactUnreadable(Invalid):
    """What the provider says about a payment or refund lacks something, or is not of its kind."""

    code = "pay-fact-unreadable"
    message_zh = "支付结果无法识别"


class Purpose(StrEnum):
    """What a payment order is for: what is due now, an amount of one's own, the loan's end."""

    DUE = "due"
    OWN = "own"
    SETTLE = "settle"


class TradeState(StrEnum):
    """The provider's trade states that we act on; others are left alone."""

    SUCCESS = "SUCCESS"
    REFUND = "REFUND"
    NOTPAY = "NOTPAY"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """What is registered with the provider; a repeat must be equal to the first.

    Attributes:
        amount_fen: > 0.
        expires_at: After it the provider takes no money for the order.
    """

    out_trade_no: str
    openid: str
    amount_fen: int
    description: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PayParams:
    """What a page needs for WeixinJSBridge's getBrandWCPayRequest.

    Attributes:
        timestamp: Seconds since the epoch, as text.
        package: `prepay_id=…`.
        out_trade_no: Our number of the order, for asking how it went.
        amount_fen: What will be paid.
    """

    app_id: str
    timestamp: str
    nonce: str
    package: str
    sign_type: str
    pay_sign: str
    out_trade_no: str
    amount_fen: int

    def bridge(self) -> dict[str, str]:
        """Return the six parameters by the names that the bridge expects."""
        return {
            "appId": self.app_id,
            "timeStamp": self.timestamp,
            "nonceStr": self.nonce,
            "package": self.package,
            "signType": self.sign_type,
            "paySign": self.pay_sign,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFact:
    """What the provider says about an order, by notify or by query.

    Attributes:
        trade_state: The provider's word, such as SUCCESS or NOTPAY.
        transaction_id: The provider's number of the payment; empty while there is none.
        success_at: When the money arrived; None while it has not.
        total_fen: The order's amount; None where the provider leaves it out.
    """

    out_trade_no: str
    trade_state: str
    appid: str
    mchid: str
    transaction_id: str = ""
    success_at: datetime | None = None
    total_fen: int | None = None
    openid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFact:
    """What the provider says about a refund.

    Attributes:
        status: PROCESSING, SUCCESS, CLOSED or ABNORMAL.
        success_at: When the money was back; None before.
        transaction_id: Of the payment that it gives back, where the provider says so.
        out_trade_no: Our number of that payment's order, likewise.
    """

    out_refund_no: str
    refund_id: str
    status: str
    refund_fen: int
    success_at: datetime | None = None
    transaction_id: str = ""
    out_trade_no: str = ""


class PayProvider(Protocol):
    """A payment provider for one merchant. Every method may raise PayRefused or PayUnknown."""

    @property
    def appid(self) -> str:
        """The official account that orders belong to."""
        ...

    @property
    def mchid(self) -> str:
        """The merchant that the money goes to."""
        ...

    def create_jsapi_order(self, order: NewOrder) -> str:
        """Register an order and return its prepay_id; safe to repeat with the same order."""
        ...

    def query(self, *, out_trade_no: str) -> PaymentFact | None:
        """Return what is known about an order, or None when the provider has none."""
        ...

    def close(self, *, out_trade_no: str) -> bool:
        """Close an unpaid order; False when the provider has none of that number.

        Raises:
            PayRefused: It is paid (`ORDERPAID`), or cannot be closed for another reason.
        """
        ...

    def refund(
        self,
        *,
        out_refund_no: str,
        transaction_id: str,
        refund_fen: int,
        total_fen: int,
        reason: str,
    ) -> RefundFact:
        """Send money back to its source; safe to repeat with the same number."""
        ...

    def query_refund(self, *, out_refund_no: str) -> RefundFact | None:
        """Return what is known about a refund, or None when the provider has none."""
        ...

    def bill(self, *, kind: BillKind, on: date) -> str | None:
        """Return the text of a day's bill, its hash verified; None when nothing was traded.

        Raises:
            PayRefused: It is not out yet (`STATEMENT_CREATING`), or no bill of that day is kept.
            PayUnknown: Also when the file is not the one whose hash was told.
        """
        ...

    def build_jsapi_params(
        self, *, prepay_id: str, out_trade_no: str, amount_fen: int, now: datetime
    ) -> PayParams:
        """Sign what the page hands to WeChat."""
        ...


def payment_fact(values: Mapping[str, Any]) -> PaymentFact:
    """Read a transaction as notify and query spell it.

    Raises:
        FactUnreadable: A field is missing or not of its kind, or the money is not in CNY.
    """
    amount = values.get("amount") or {}
    is_paid = values.get("trade_state") == TradeState.SUCCESS
    payer = values.get("payer")
    return PaymentFact(
        out_trade_no=_text(values, "out_trade_no"),
        trade_state=_text(values, "trade_state"),
        appid=_text(values, "appid"),
        mchid=_text(values, "mchid"),
        transaction_id=_text(values, "transaction_id") if is_paid else "",
        success_at=_instant(values, "success_time") if is_paid else None,
        total_fen=_fen(amount, "total") if is_paid else None,
        openid=str(payer.get("openid", "")) if isinstance(payer, dict) else "",
    )


def refund_fact(values: Mapping[str, Any]) -> RefundFact:
    """Read a refund as notify (`refund_status`) and query (`status`) spell it.

    Raises:
        FactUnreadable: A field is missing or not of its kind, or the money is not in CNY.
    """
    status = _text(values, "refund_status" if "refund_status" in values else "status")
    return RefundFact(
        out_refund_no=_text(values, "out_refund_no"),
        refund_id=_text(values, "refund_id"),
        status=status,
        refund_fen=_fen(values.get("amount") or {}, "refund"),
        success_at=_instant(values, "success_time") if status == "SUCCESS" else None,
        transaction_id=str(values.get("transaction_id") or ""),
        out_trade_no=str(values.get("out_trade_no") or ""),
    )


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise FactUnreadable(f"{name} is missing or not text")
    return value


def _fen(amount: object, name: str) -> int:
    if not isinstance(amount, dict) or amount.get("currency", "CNY") != "CNY":
        raise FactUnreadable("the amount is missing or not in CNY")
    value = amount.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise FactUnreadable(f"amount.{name} is missing or not a whole number")
    return value


def _instant(values: Mapping[str, Any], name: str) -> datetime:
    try:
        instant = datetime.fromisoformat(_text(values, name))
    except ValueError as error:
        raise FactUnreadable(f"{name} is not an instant") from error
    if instant.tzinfo is None:
        raise FactUnreadable(f"{name} has no time zone")
    return instant
