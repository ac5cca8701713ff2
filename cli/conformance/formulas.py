"""Vectors that are formulas: envelopes, replies, page signatures, fields, pay signatures."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bot import replies
from bot.crypto import (
    MessageCipher,
    PushRefused,
    jssdk_signature,
    signature,
    signature_matches,
)
from bot.fields import cut, cut_field, has_limit
from bot.messages import parse_fields
from cli.conformance.case import Case, Check, differs, first_of, without_empty
from cli.conformance.stage import Stage
from servicing.payments.crypto import (
    ResourceNotDecrypted,
    answer_message,
    certificate_serial,
    decrypt_resource,
    load_public_key,
    sign,
    sign_request_message,
    verify_signature,
)
from servicing.payments.notify import NotifyKeys, NotifyRefused, Reason, verify

_RANDOM: Final = 16


def _cipher(given: Mapping[str, Any]) -> MessageCipher:
    receiver = first_of(given, "appid", "receive_id", "corp_id")
    return MessageCipher(aes_key=str(given["encoding_aes_key"]), receiver=receiver)


def _sealed(given: Mapping[str, Any]) -> str:
    """Return what is sealed, also out of a whole envelope."""
    named = first_of(given, "encrypt", "ciphertext")
    if named:
        return named
    fields = parse_fields(first_of(given, "xml", "body").encode())
    return str(fields["Encrypt"])


def _random16(value: object) -> bytes:
    text = str(value)
    return text.encode() if len(text) == _RANDOM else bytes.fromhex(text)


def _encrypted_message(case: Case, _stage: Stage) -> str:
    given, expected = case.given, case.expected
    if not case.is_reproducible:
        return ""
    sealed = _sealed(given)
    parts = [str(given.get(name, "")) for name in ("timestamp", "nonce")]
    is_signed = "msg_signature" not in given or signature_matches(
        str(given["msg_signature"]), str(given.get("token", "")), *parts, sealed
    )
    try:
        opened = _cipher(given).open(sealed) if is_signed else None
    except PushRefused:
        opened = None
    why = differs("valid", opened is not None, bool(expected.get("valid", True)))
    if why or opened is None:
        return why
    if "random16" in expected:
        why = differs("random16", opened.random16, _random16(expected["random16"]))
    if "plaintext" in expected:
        why = why or differs("plaintext", opened.text, expected["plaintext"])
    if "fields" in expected:
        why = why or differs("fields", parse_fields(opened.text.encode()), expected["fields"])
    return why


def _encrypted_reply(case: Case, _stage: Stage) -> str:
    given, expected = case.given, case.expected
    sealed = _cipher(given).encrypt(str(given["plaintext"]), random16=_random16(given["random16"]))
    parts = [str(given.get(name, "")) for name in ("timestamp", "nonce")]
    token = str(given.get("token", ""))
    why = ""
    if "Encrypt" in expected:
        why = differs("Encrypt", sealed, expected["Encrypt"])
    if "MsgSignature" in expected:
        signed = signature(token, *parts, sealed)
        why = why or differs("MsgSignature", signed, expected["MsgSignature"])
    if "xml" in expected:
        written = replies.envelope(sealed, token=token, timestamp=parts[0], nonce=parts[1])
        got, wanted = parse_fields(written.encode()), parse_fields(expected["xml"].encode())
        why = why or differs("envelope", got, wanted)
    return why


def _reply_xml(case: Case, _stage: Stage) -> str:
    wanted = case.expected.get("fields") or parse_fields(str(case.expected["xml"]).encode())
    given = case.given
    built = replies.addressed(
        _reply_parts(str(wanted["MsgType"]), given),
        to=str(given["to"]),
        sender=str(given["from"]),
        created=int(str(wanted["CreateTime"])),
    )
    got = parse_fields(replies.to_xml(built).encode())
    return differs("reply", without_empty(got), without_empty(wanted))


def _reply_parts(kind: str, given: Mapping[str, Any]) -> replies.Parts:
    words = {name: first_of(given, name) for name in ("title", "description")}
    media_id = first_of(given, "media_id")
    builders = {
        "text": lambda: replies.text(first_of(given, "content")),
        "image": lambda: replies.image(media_id),
        "voice": lambda: replies.voice(media_id),
        "video": lambda: replies.video(media_id, **words),
        "music": lambda: replies.music(
            first_of(given, "thumb_media_id") or media_id,
            url=first_of(given, "url", "music_url"),
            hq_url=first_of(given, "hq_url", "hq_music_url"),
            **words,
        ),
        "news": lambda: replies.news(_articles(given)),
        "transfer_customer_service": lambda: replies.hand_over(first_of(given, "kf_account")),
    }
    return builders[kind]()


def _articles(given: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "title": first_of(article, "title"),
            "description": first_of(article, "description"),
            "picurl": first_of(article, "picurl", "image"),
            "url": first_of(article, "url"),
        }
        for article in given["articles"]
    ]


def _jssdk(case: Case, _stage: Stage) -> str:
    given = case.given
    got = jssdk_signature(
        ticket=str(given["jsapi_ticket"]),
        nonce=str(given["noncestr"]),
        timestamp=str(given["timestamp"]),
        url=str(given["url"]),
    )
    return differs("signature", got, case.expected["signature"])


def _template_field(case: Case, _stage: Stage) -> str:
    key, value, wanted = str(case.given["key"]), str(case.given["value"]), case.expected["value"]
    why = ""
    if "limit" in case.given:
        why = differs("cut", cut(value, limit=int(case.given["limit"])), wanted)
    return why or (differs("field", cut_field(key, value), wanted) if has_limit(key) else "")


def _pay_request(case: Case, _stage: Stage) -> str:
    given, expected = case.given, case.expected
    message = _page_message(given) or sign_request_message(
        method=str(given["method"]),
        path=str(given.get("path") or given.get("url")),
        timestamp=str(given["timestamp"]),
        nonce=str(given.get("nonce_str") or given.get("nonce")),
        body=str(given.get("body") or ""),
    )
    why = differs("message", message, expected["message"]) if "message" in expected else ""
    private_key = case.pem("key", "private_key")
    if private_key and "signature" in expected:
        signed = sign(message=message, private_key=private_key)
        why = why or differs("signature", signed, expected["signature"])
    return why


def _page_message(given: Mapping[str, Any]) -> str:
    """Build the four lines that a page's payment is signed over, if the vector is about one."""
    if "package" not in given and "prepay_id" not in given:
        return ""
    package = str(given.get("package") or f"prepay_id={given['prepay_id']}")
    lines = [
        first_of(given, "appid"),
        first_of(given, "timestamp"),
        first_of(given, "noncestr", "nonce"),
        package,
    ]
    return "".join(f"{line}\n" for line in lines)


def _pay_verify(case: Case, _stage: Stage) -> str:
    given = case.given
    pem = case.pem("public_key", "certificate", "key")
    if not pem and not case.is_reproducible:
        return ""
    if "message" in given:
        message = str(given["message"]).encode()
    else:
        message = answer_message(
            timestamp=str(given["timestamp"]),
            nonce=str(given["nonce"]),
            body=str(given["body"]).encode(),
        )
    is_valid = verify_signature(
        message=message, signature=str(given["signature"]), public_key=load_public_key(pem)
    )
    why = differs("valid", is_valid, bool(case.expected["valid"]))
    if "serial" in given and "BEGIN CERTIFICATE" in pem:
        why = why or differs("serial", certificate_serial(pem), str(given["serial"]).upper())
    return why


def _pay_notification(case: Case, _stage: Stage) -> str:
    given, expected = case.given, case.expected
    headers = {str(name): str(value) for name, value in given["headers"].items()}
    named = {name.lower(): value for name, value in headers.items()}
    pem = case.pem("certificate", "public_key")
    if not pem and not case.is_reproducible:
        return ""
    keys = NotifyKeys(
        public_keys={named.get("wechatpay-serial", ""): load_public_key(pem)},
        api_v3_key=str(given.get("apiv3_key") or given.get("key") or ""),
    )
    now = datetime.fromtimestamp(int(given.get("now") or named["wechatpay-timestamp"]), UTC)
    body = str(given["body"]).encode()
    is_signed = bool(expected.get("signature_valid", True))
    is_accepted = is_signed and bool(expected.get("accept", True))
    try:
        notice = verify(headers=headers.items(), body=body, now=now, keys=keys)
    except NotifyRefused as error:
        if is_accepted:
            return f"refused: {error.reason}"
        is_right = is_signed == (error.reason is not Reason.SIGNATURE)
        return "" if is_right else f"refused for {error.reason}"
    if not is_accepted:
        return "it was accepted"
    plaintext = expected.get("plaintext")
    return differs("resource", notice.resource, json.loads(plaintext)) if plaintext else ""


def _pay_decrypt(case: Case, _stage: Stage) -> str:
    given, expected = case.given, case.expected
    sealed: Mapping[str, Any] = given
    if "response" in given:
        sealed = given["response"]["data"][0]["encrypt_certificate"]
    elif "resource" in given:
        sealed = given["resource"]
    try:
        opened = decrypt_resource(
            api_v3_key=str(given.get("apiv3_key") or given.get("key")),
            nonce=str(sealed["nonce"]),
            associated_data=str(sealed.get("associated_data") or ""),
            ciphertext=str(sealed["ciphertext"]),
        ).decode()
    except ResourceNotDecrypted:
        return "" if "error" in expected else "it does not open"
    if "error" in expected:
        return "it opens"
    why = ""
    for name, wanted in expected.items():
        got = certificate_serial(opened) if name == "serial" else opened.strip()
        why = why or differs(name, got, str(wanted).strip())
    return why


FORMULA_CHECKS: Final[Mapping[str, Check]] = {
    "encrypted_message": _encrypted_message,
    "encrypted_reply": _encrypted_reply,
    "reply_xml": _reply_xml,
    "jssdk_signature": _jssdk,
    "template_field": _template_field,
    "pay_v3_request_sign": _pay_request,
    "pay_v3_verify": _pay_verify,
    "pay_v3_notification": _pay_notification,
    "pay_v3_decrypt": _pay_decrypt,
}
