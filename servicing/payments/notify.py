"""Checks what comes to /pay/notify and /pay/refund-notify before anybody believes it.

Raw bytes and headers in, the opened resource out, or one refusal with its reason; odd input is
refused and never an accident. It does not settle anything, and it does not fetch keys: a serial
that is not configured is refused, so that forged input causes no traffic.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kernel.errors import Unauthorized
from kernel.settings import Settings
from servicing.payments.crypto import (
    SIGN_TEST_PREFIX,
    ResourceNotDecrypted,
    answer_message,
    certificate_serial,
    decrypt_resource,
    load_public_key,
    split_pem,
    verify_signature,
)

WINDOW_S = 300

_SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"
_ALGORITHM = "AEAD_AES_256_GCM"
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_NONCE = re.compile(r"[!-~]{1,128}")
_HEX = re.compile(r"0*([0-9A-F]+)")


class Reason(StrEnum):
    """Why a notify was refused; also a metric's label."""

    HEADERS = "headers"
    SIGNATURE_TYPE = "signature-type"
    WINDOW = "window"
    SIGN_TEST = "sign-test"
    SERIAL = "serial"
    SIGNATURE = "signature"
    BODY = "body"
    RESOURCE = "resource"


class NotifyRefused(Unauthorized):
    """The notify is not the platform's, not fresh, or not readable."""

    code = "pay-notify-refused"
    message_zh = "支付通知验证失败"

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"notify refused: {reason}", reason=reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyKeys:
    """What notifies are checked with.

    Attributes:
        public_keys: RSA keys by serial: a public key's id, or a certificate's serial in
            upper-case hex without leading zeros.
        api_v3_key: Opens the resource.
    """

    public_keys: Mapping[str, RSAPublicKey]
    api_v3_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notify that passed.

    Attributes:
        notice_id: The platform's id of the notify; repeats share it.
        event_type: Such as TRANSACTION.SUCCESS or REFUND.ABNORMAL.
        resource: The opened resource.
    """

    notice_id: str
    event_type: str
    resource: Mapping[str, Any]


def keys_from_settings(settings: Settings) -> NotifyKeys:
    """Gather the configured keys.

    PAY_PUBLIC_KEY holds the public key named by PAY_PUBLIC_KEY_ID; platform certificates may
    follow it, each under its own serial.
    """
    return NotifyKeys(
        public_keys=_keys(settings.pay_public_key_id, settings.pay_public_key),
        api_v3_key=settings.pay_api_v3_key,
    )


@lru_cache(maxsize=8)
def _keys(public_key_id: str, text: str) -> Mapping[str, RSAPublicKey]:
    return {
        certificate_serial(pem) if "CERTIFICATE" in pem else public_key_id: load_public_key(pem)
        for pem in split_pem(text)
    }


def verify(
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    body: bytes,
    now: datetime,
    keys: NotifyKeys,
) -> Notice:
    """Check a notify and open its resource.

    Args:
        headers: The request's headers, in any spelling of case.
        body: The body as it arrived.
        now: The instant of its arrival, aware UTC.
        keys: The configured keys.

    Raises:
        NotifyRefused: With the reason; nothing in it may be believed.
    """
    _check_signature(dict(headers), body, now, keys)
    envelope = _json_object(body, Reason.BODY)
    resource = envelope.get("resource")
    if not isinstance(resource, dict) or resource.get("algorithm") != _ALGORITHM:
        raise NotifyRefused(Reason.BODY)
    return Notice(
        notice_id=_text(envelope, "id", Reason.BODY),
        event_type=_text(envelope, "event_type", Reason.BODY),
        resource=_opened(resource, keys.api_v3_key),
    )


def _check_signature(
    headers: Mapping[str, str], body: bytes, now: datetime, keys: NotifyKeys
) -> None:
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get("wechatpay-timestamp", "")
    nonce = given.get("wechatpay-nonce", "")
    serial = given.get("wechatpay-serial", "")
    signature = given.get("wechatpay-signature", "")
    if not (_TIMESTAMP.fullmatch(timestamp) and _NONCE.fullmatch(nonce) and serial and signature):
        raise NotifyRefused(Reason.HEADERS)
    if given.get("wechatpay-signature-type", _SIGNATURE_TYPE) != _SIGNATURE_TYPE:
        raise NotifyRefused(Reason.SIGNATURE_TYPE)
    if abs(now.timestamp() - int(timestamp)) > WINDOW_S:
        raise NotifyRefused(Reason.WINDOW)
    if signature.startswith(SIGN_TEST_PREFIX):
        raise NotifyRefused(Reason.SIGN_TEST)
    public_key = keys.public_keys.get(_spelled(serial))
    if public_key is None:
        raise NotifyRefused(Reason.SERIAL)
    message = answer_message(timestamp=timestamp, nonce=nonce, body=body)
    if not verify_signature(message=message, signature=signature, public_key=public_key):
        raise NotifyRefused(Reason.SIGNATURE)


def _spelled(serial: str) -> str:
    """Spell a certificate's serial as the keys do; ids of public keys stay as they are."""
    match = _HEX.fullmatch(serial.upper())
    return match.group(1) if match else serial


def _opened(resource: Mapping[str, Any], api_v3_key: str) -> dict[str, Any]:
    try:
        plain = decrypt_resource(
            api_v3_key=api_v3_key,
            nonce=_text(resource, "nonce", Reason.RESOURCE),
            associated_data=resource.get("associated_data") or "",
            ciphertext=_text(resource, "ciphertext", Reason.RESOURCE),
        )
    except (ResourceNotDecrypted, AttributeError) as error:
        raise NotifyRefused(Reason.RESOURCE) from error
    return _json_object(plain, Reason.RESOURCE)


def _json_object(data: bytes, reason: Reason) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotifyRefused(reason) from error
    if not isinstance(value, dict):
        raise NotifyRefused(reason)
    return value


def _text(values: Mapping[str, Any], name: str, reason: Reason) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise NotifyRefused(reason)
    return value
