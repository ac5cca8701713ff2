"""The published vectors, and what a signature must not accept."""

import json
from pathlib import Path
from typing import Any

import pytest

from kernel.development import MERCHANT_PUBLIC_KEY
from kernel.settings import Settings
from servicing.payments.crypto import (
    ResourceNotDecrypted,
    answer_message,
    certificate_serial,
    decrypt_resource,
    load_public_key,
    sign,
    sign_request_message,
    split_pem,
    verify_signature,
)

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases"

if not (CASES / "wechat_vectors.json").exists():
    pytest.skip("../shared is absent", allow_module_level=True)

VECTORS: list[dict[str, Any]] = json.loads((CASES / "wechat_vectors.json").read_text("utf-8"))
KEYS: dict[str, dict[str, str]] = json.loads((CASES / "wechat_keys.json").read_text("utf-8"))


def of(category: str) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in VECTORS if v["category"] == category]


@pytest.mark.parametrize("vector", of("pay_v3_verify"))
def test_verifies_as_published(vector: dict[str, Any]) -> None:
    given = vector["input"]
    pem = KEYS[given.get("public_key") or given["certificate"]]["pem"]
    if "message" in given:
        message = given["message"].encode()
    else:
        message = answer_message(
            timestamp=given["timestamp"], nonce=given["nonce"], body=given["body"].encode()
        )
    is_valid = verify_signature(
        message=message, signature=given["signature"], public_key=load_public_key(pem)
    )
    assert is_valid is vector["expected"]["valid"]
    if "serial" in given:
        assert certificate_serial(pem) == given["serial"]


@pytest.mark.parametrize("vector", of("pay_v3_decrypt"))
def test_decrypts_as_published(vector: dict[str, Any]) -> None:
    given, expected = vector["input"], vector["expected"]
    if "response" in given:
        sealed = given["response"]["data"][0]["encrypt_certificate"]
        key = given["apiv3_key"]
    else:
        sealed, key = given, given["key"]
    arguments = {name: sealed[name] for name in ("nonce", "associated_data", "ciphertext")}
    if "error" in expected:
        with pytest.raises(ResourceNotDecrypted):
            decrypt_resource(api_v3_key=key, **arguments)
        return
    plain = decrypt_resource(api_v3_key=key, **arguments).decode()
    assert plain.strip() == expected.get("plaintext", expected.get("certificate_pem")).strip()


@pytest.mark.parametrize("vector", of("pay_v3_request_sign"))
def test_builds_the_message_as_published(vector: dict[str, Any]) -> None:
    given = vector["input"]
    message = sign_request_message(
        method=given["method"],
        path=given["path"],
        timestamp=given["timestamp"],
        nonce=given["nonce_str"],
        body=given["body"],
    )
    assert message == vector["expected"]["message"]


@pytest.mark.parametrize("signature", ["", "x", "é", "AAAA", "a" * 100_000])
def test_an_odd_signature_is_just_wrong(signature: str) -> None:
    key = load_public_key(KEYS["official_response_public_key"]["pem"])
    assert not verify_signature(message=b"m", signature=signature, public_key=key)


@pytest.mark.parametrize(
    ("key", "nonce", "ciphertext"),
    [
        ("short", "uluk4a9R25RW", "AAAA"),
        ("a" * 32, "", "AAAA"),
        ("a" * 32, "uluk4a9R25RW", "not base 64 …"),
        ("a" * 32, "uluk4a9R25RW", ""),
    ],
)
def test_an_odd_resource_does_not_open(key: str, nonce: str, ciphertext: str) -> None:
    with pytest.raises(ResourceNotDecrypted):
        decrypt_resource(api_v3_key=key, nonce=nonce, associated_data="", ciphertext=ciphertext)


def test_what_is_signed_verifies(settings: Settings) -> None:
    key = settings.pay_mch_private_key
    signature = sign(message="a text", private_key=key)
    assert verify_signature(
        message=b"a text",
        signature=signature,
        public_key=load_public_key(MERCHANT_PUBLIC_KEY),
    )


def test_splits_keys_and_certificates_in_order() -> None:
    public = KEYS["official_response_public_key"]["pem"]
    certificate = KEYS["wechatpay_go_platform_cert"]["pem"]
    kinds = [pem.splitlines()[0] for pem in split_pem(f"{public}\n\n{certificate}\n")]
    assert kinds == ["-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----"]
