"""What a notify must be before anybody believes it."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kernel.settings import Settings
from servicing.payments.crypto import certificate_serial, load_public_key
from servicing.payments.notify import (
    NotifyKeys,
    NotifyRefused,
    Reason,
    keys_from_settings,
    verify,
)

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases"
RESOURCE = {"out_trade_no": "PO1", "trade_state": "SUCCESS"}

Change = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]


def published(category: str) -> list[Any]:
    path = CASES / "wechat_vectors.json"
    if not path.exists():
        skipped = pytest.mark.skip(reason="../shared is absent")
        return [pytest.param({}, marks=skipped, id="absent")]
    vectors = json.loads(path.read_text("utf-8"))
    return [pytest.param(v, id=v["id"]) for v in vectors if v["category"] == category]


@pytest.mark.parametrize("vector", published("pay_v3_notification"))
def test_judges_as_published(vector: dict[str, Any]) -> None:
    given, expected = vector["input"], vector["expected"]
    pem = json.loads((CASES / "wechat_keys.json").read_text("utf-8"))[given["certificate"]]["pem"]
    keys = NotifyKeys(
        public_keys={certificate_serial(pem): load_public_key(pem)},
        api_v3_key=given.get("apiv3_key", ""),
    )
    now = datetime.fromtimestamp(given["now"], UTC)
    body = given["body"].encode()
    if expected.get("accept", True):
        notice = verify(headers=given["headers"], body=body, now=now, keys=keys)
        assert notice.resource == json.loads(expected["plaintext"])
    else:
        with pytest.raises(NotifyRefused) as refused:
            verify(headers=given["headers"], body=body, now=now, keys=keys)
        assert refused.value.reason is Reason.WINDOW


def test_opens_what_the_platform_sealed(notices: Any, settings: Settings) -> None:
    headers, body = notices.make(RESOURCE, notice_id="n-1")
    now = notices.runtime.clock.now()
    notice = verify(headers=headers, body=body, now=now, keys=keys_from_settings(settings))
    assert (notice.notice_id, notice.event_type) == ("n-1", "TRANSACTION.SUCCESS")
    assert notice.resource == RESOURCE


def _header(name: str, value: str | None) -> Change:
    def change(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        kept = {key: text for key, text in headers.items() if key != name}
        return (kept if value is None else kept | {name: value}), body

    return change


def _sign_test(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    probe = "WECHATPAY/SIGNTEST/" + headers["Wechatpay-Signature"]
    return headers | {"Wechatpay-Signature": probe}, body


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_header("Wechatpay-Timestamp", None), Reason.HEADERS),
        (_header("Wechatpay-Nonce", None), Reason.HEADERS),
        (_header("Wechatpay-Serial", None), Reason.HEADERS),
        (_header("Wechatpay-Signature", None), Reason.HEADERS),
        (_header("Wechatpay-Timestamp", "soon"), Reason.HEADERS),
        (_header("Wechatpay-Timestamp", "١٢٣"), Reason.HEADERS),
        (_header("Wechatpay-Timestamp", "9" * 5_000), Reason.HEADERS),
        (_header("Wechatpay-Nonce", "n" * 5_000), Reason.HEADERS),
        (_header("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"), Reason.SIGNATURE_TYPE),
        (_header("Wechatpay-Serial", "5157F09EFDC096DE15EBE81A47057A72"), Reason.SERIAL),
        (_header("Wechatpay-Serial", "PUB_KEY_ID_0000"), Reason.SERIAL),
        (_header("Wechatpay-Signature", "AAAA"), Reason.SIGNATURE),
        (_header("Wechatpay-Nonce", "another"), Reason.SIGNATURE),
        (_sign_test, Reason.SIGN_TEST),
        (lambda headers, body: (headers, body + b" "), Reason.SIGNATURE),
        (lambda headers, _body: (headers, b""), Reason.SIGNATURE),
    ],
)
def test_refuses_what_is_odd(
    change: Change, reason: Reason, notices: Any, settings: Settings
) -> None:
    headers, body = change(*notices.make(RESOURCE))
    now = notices.runtime.clock.now()
    with pytest.raises(NotifyRefused) as refused:
        verify(headers=headers, body=body, now=now, keys=keys_from_settings(settings))
    assert refused.value.reason is reason


@pytest.mark.parametrize("off_s", [300, -300])
def test_accepts_a_clock_that_is_five_minutes_off(
    off_s: int, notices: Any, settings: Settings
) -> None:
    headers, body = notices.make(RESOURCE)
    now = notices.runtime.clock.now() + timedelta(seconds=off_s)
    notice = verify(headers=headers, body=body, now=now, keys=keys_from_settings(settings))
    assert notice.resource == RESOURCE


@pytest.mark.parametrize("off_s", [302, -302])
def test_refuses_what_is_stale_or_from_the_future(
    off_s: int, notices: Any, settings: Settings
) -> None:
    headers, body = notices.make(RESOURCE)
    now = notices.runtime.clock.now() + timedelta(seconds=off_s)
    with pytest.raises(NotifyRefused) as refused:
        verify(headers=headers, body=body, now=now, keys=keys_from_settings(settings))
    assert refused.value.reason is Reason.WINDOW


def test_a_key_and_a_certificate_verify_side_by_side(settings: Settings) -> None:
    path = CASES / "wechat_keys.json"
    if not path.exists():
        pytest.skip("../shared is absent")
    certificate = json.loads(path.read_text("utf-8"))["wechatpay_go_platform_cert"]["pem"]
    both = replace(settings, pay_public_key=settings.pay_public_key + certificate)
    keys = keys_from_settings(both).public_keys
    assert list(keys) == [settings.pay_public_key_id, "D7CE59D1F522D701"]


def test_header_names_have_any_case(notices: Any, settings: Settings) -> None:
    headers, body = notices.make(RESOURCE)
    lower = {name.lower(): value for name, value in headers.items()}
    now = notices.runtime.clock.now()
    notice = verify(headers=lower, body=body, now=now, keys=keys_from_settings(settings))
    assert notice.resource == RESOURCE


def test_a_broken_tag_is_refused(notices: Any, settings: Settings) -> None:
    headers, body = notices.make(RESOURCE, is_tag_broken=True)
    now = notices.runtime.clock.now()
    with pytest.raises(NotifyRefused) as refused:
        verify(headers=headers, body=body, now=now, keys=keys_from_settings(settings))
    assert refused.value.reason is Reason.RESOURCE


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", Reason.BODY),
        ("[]", Reason.BODY),
        ("[" * 50_000, Reason.BODY),
        ('{"id": "n", "event_type": "T"}', Reason.BODY),
        ('{"id": "n", "event_type": "T", "resource": []}', Reason.BODY),
        ('{"id": "n", "event_type": "T", "resource": {"algorithm": "none"}}', Reason.BODY),
        (
            '{"id": 1, "event_type": "T", "resource": {"algorithm": "AEAD_AES_256_GCM"}}',
            Reason.BODY,
        ),
        (
            '{"id": "n", "event_type": "T", "resource": {"algorithm": "AEAD_AES_256_GCM"}}',
            Reason.RESOURCE,
        ),
        (
            '{"id":"n", "event_type":"T", "resource":{"algorithm":"AEAD_AES_256_GCM", "nonce":1}}',
            Reason.RESOURCE,
        ),
    ],
)
def test_signed_but_odd_bodies_are_refused(
    body: str, reason: Reason, notices: Any, settings: Settings
) -> None:
    headers, raw = notices.make(RESOURCE, body=body)
    now = notices.runtime.clock.now()
    with pytest.raises(NotifyRefused) as refused:
        verify(headers=headers, body=raw, now=now, keys=keys_from_settings(settings))
    assert refused.value.reason is reason
