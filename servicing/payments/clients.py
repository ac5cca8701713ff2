"""WeChat Pay API v3 for a direct merchant, through wechatpayv3 in public-key mode.

It turns answers into facts and failures into PayRefused or PayUnknown, and nothing else: when to
ask again is operations' business. The library's callback verifier is not used; notify.py is.
"""

import gzip
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, TypeVar

from prometheus_client import Counter
from wechatpayv3 import WeChatPay, WeChatPayType

from kernel.clock import shanghai
from kernel.ids import new_token
from kernel.settings import Settings
from servicing.payments.bills import BillKind
from servicing.payments.crypto import split_pem
from servicing.payments.ports import (
    FactUnreadable,
    NewOrder,
    PaymentFact,
    PayParams,
    PayRefused,
    PayUnknown,
    RefundFact,
    payment_fact,
    refund_fact,
)

NOTIFY_PATH = "/pay/notify"
REFUND_NOTIFY_PATH = "/pay/refund-notify"

_TIMEOUT_S = (3.0, 6.0)
_ABSENT = ("ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS")
_ALREADY_CLOSED = ("ORDER_CLOSED", "ORDERCLOSED")
_SIGN_TYPE = "RSA"
_TOO_MANY = 429
_NO_BILL = ("NO_STATEMENT_EXIST",)
_BILL_HASH = "SHA1"
_GZIP = b"\x1f\x8b"

Fact = TypeVar("Fact")
Answer = TypeVar("Answer")

PAY_CALLS = Counter("fenqi_pay_calls_total", "Calls to the payment provider", ["call", "outcome"])


def _values(text: str | bytes) -> Mapping[str, Any]:
    values = _json_object(text)
    if text and values is None:
        raise PayUnknown("unreadable-answer")
    return values or {}


def _unpacked(content: str | bytes) -> bytes:
    """Return a bill's bytes; the platform sends them packed where that was asked for."""
    raw = content.encode() if isinstance(content, str) else content
    try:
        return gzip.decompress(raw) if raw.startswith(_GZIP) else raw
    except (OSError, EOFError) as error:
        raise PayUnknown("bill-packing") from error


def _json_object(text: str | bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


class WeChatPayProvider:
    """PayProvider over HTTP; building one asks nothing of the network.

    Args:
        settings: Merchant, keys, gateway and our public address.
    """

    def __init__(self, settings: Settings) -> None:
        self.appid: Final = settings.wechat_app_id
        self.mchid: Final = settings.pay_mch_id
        self._refund_notify_url = settings.public_base_url + REFUND_NOTIFY_PATH
        is_plain = settings.pay_api_base.startswith("http://")
        self._pay = WeChatPay(
            wechatpay_type=WeChatPayType.JSAPI,
            mchid=settings.pay_mch_id,
            private_key=settings.pay_mch_private_key,
            cert_serial_no=settings.pay_mch_serial,
            appid=settings.wechat_app_id,
            apiv3_key=settings.pay_api_v3_key,
            notify_url=settings.public_base_url + NOTIFY_PATH,
            timeout=_TIMEOUT_S,
            # A plain gateway is a stand-in on this machine, which no proxy of the host can reach.
            proxy={"http": None, "https": None} if is_plain else None,
            public_key=split_pem(settings.pay_public_key)[0],
            public_key_id=settings.pay_public_key_id,
        )
        self._gateway = settings.pay_api_base.rstrip("/")
        self._pay._core._gate_way = self._gateway  # noqa: SLF001 -- the library has no other way to name its gateway

    def create_jsapi_order(self, order: NewOrder) -> str:
        """Register an order and return its prepay_id."""
        answer = self._ask(
            "create",
            lambda: self._pay.pay(
                description=order.description,
                out_trade_no=order.out_trade_no,
                amount={"total": order.amount_fen, "currency": "CNY"},
                payer={"openid": order.openid},
                time_expire=shanghai(order.expires_at).isoformat(timespec="seconds"),
            ),
        )
        prepay_id = answer.get("prepay_id")
        if not isinstance(prepay_id, str) or not prepay_id:
            raise PayUnknown("no-prepay-id")
        return prepay_id

    def query(self, *, out_trade_no: str) -> PaymentFact | None:
        """Return what is known about an order, or None."""
        try:
            answer = self._ask("query", lambda: self._pay.query(out_trade_no=out_trade_no))
        except PayRefused as error:
            if error.code in _ABSENT:
                return None
            raise
        return _read(payment_fact, answer)

    def close(self, *, out_trade_no: str) -> bool:
        """Close an unpaid order; False when there is none, True also when it was closed before."""
        try:
            self._ask("close", lambda: self._pay.close(out_trade_no=out_trade_no))
        except PayRefused as error:
            if error.code in _ABSENT:
                return False
            if error.code not in _ALREADY_CLOSED:
                raise
        return True

    def refund(
        self,
        *,
        out_refund_no: str,
        transaction_id: str,
        refund_fen: int,
        total_fen: int,
        reason: str,
    ) -> RefundFact:
        """Send money back to its source."""
        answer = self._ask(
            "refund",
            lambda: self._pay.refund(
                out_refund_no=out_refund_no,
                transaction_id=transaction_id,
                amount={"refund": refund_fen, "total": total_fen, "currency": "CNY"},
                reason=reason,
                notify_url=self._refund_notify_url,
            ),
        )
        return _read(refund_fact, answer)

    def query_refund(self, *, out_refund_no: str) -> RefundFact | None:
        """Return what is known about a refund, or None."""
        try:
            answer = self._ask("query-refund", lambda: self._pay.query_refund(out_refund_no))
        except PayRefused as error:
            if error.code in _ABSENT:
                return None
            raise
        return _read(refund_fact, answer)

    def bill(self, *, kind: BillKind, on: date) -> str | None:
        """Return the text of a day's bill, or None when nothing was traded."""
        ask = self._pay.trade_bill if kind is BillKind.TRADES else self._pay.fundflow_bill
        try:
            offer = self._ask("bill", lambda: ask(on.isoformat(), tar_type="GZIP"))
        except PayRefused as error:
            if error.code in _NO_BILL:
                return None
            raise
        return self._file(offer)

    def _file(self, offer: Mapping[str, Any]) -> str:
        """Download a bill; the file is not signed, but its hash came in a signed answer."""
        url, told = str(offer.get("download_url")), str(offer.get("hash_value"))
        if offer.get("hash_type") != _BILL_HASH or not url.startswith(f"{self._gateway}/"):
            raise PayUnknown("odd-bill-offer")
        content = self._ask_for("bill-file", lambda: self._pay.download_bill(url), _unpacked)
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(digest, told.lower()):
            raise PayUnknown("bill-hash")
        return content.decode("utf-8-sig")

    def build_jsapi_params(
        self, *, prepay_id: str, out_trade_no: str, amount_fen: int, now: datetime
    ) -> PayParams:
        """Sign what the page hands to WeChat."""
        timestamp, nonce = str(int(now.timestamp())), new_token()
        package = f"prepay_id={prepay_id}"
        pay_sign = self.sign_page(timestamp=timestamp, nonce=nonce, package=package)
        return PayParams(
            app_id=self.appid,
            timestamp=timestamp,
            nonce=nonce,
            package=package,
            sign_type=_SIGN_TYPE,
            pay_sign=pay_sign,
            out_trade_no=out_trade_no,
            amount_fen=amount_fen,
        )

    def sign_page(self, *, timestamp: str, nonce: str, package: str) -> str:
        """Sign appid, timestamp, nonce and package, a line each, as the payment sheet wants it."""
        return str(self._pay.sign([self.appid, timestamp, nonce, package]))

    def _ask(self, name: str, call: Callable[[], tuple[int, str | bytes]]) -> Mapping[str, Any]:
        return self._ask_for(name, call, _values)

    def _ask_for(
        self,
        name: str,
        call: Callable[[], tuple[int, str | bytes]],
        read: Callable[[str | bytes], Answer],
    ) -> Answer:
        try:
            answer = _answer(call, read)
        except PayRefused:
            PAY_CALLS.labels(name, "refused").inc()
            raise
        except PayUnknown:
            PAY_CALLS.labels(name, "unknown").inc()
            raise
        PAY_CALLS.labels(name, "done").inc()
        return answer


def _answer(
    call: Callable[[], tuple[int, str | bytes]], read: Callable[[str | bytes], Answer]
) -> Answer:
    try:
        status, text = call()
    except Exception as error:  # the library raises bare Exception for answers it cannot verify
        raise PayUnknown(type(error).__name__) from error
    if 200 <= status < 300:  # noqa: PLR2004 -- the range of HTTP successes
        return read(text)
    code = (_json_object(text) or {}).get("code")
    if not isinstance(code, str) or status == _TOO_MANY or status >= 500:  # noqa: PLR2004 -- the range of HTTP failures
        raise PayUnknown(str(code or f"http-{status}"))
    raise PayRefused(code)


def _read(read: Callable[[Mapping[str, Any]], Fact], answer: Mapping[str, Any]) -> Fact:
    try:
        return read(answer)
    except FactUnreadable as error:
        raise PayUnknown("unreadable-fact") from error
