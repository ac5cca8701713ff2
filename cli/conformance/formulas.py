"""Vectors that are formulas: envelopes, replies, page signatures, fields, pay signatures."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from bot import replies
from bot.crypto import (
    MessageCipher,
    PushRefused,
    jssdk_signature,
    signature,
    signature_matches,
)
from bot.messages import parse_fields
from cli.conformance.case import Case, Check, differs, first_of, without_empty
from cli.conformance.stage import Stage
from contact.fields import LIMITS, cut, cut_to_type, type_of
from servicing.payments.crypto import (
    ResourceNotDecrypted,
    answer_message,
    certificate_serial,
    decrypt_resource,
    load_public_key,
    public_key_of,
    sign,
    sign_request_message,
    verify_signature,
)
from servicing.payments.notify import NotifyKeys, NotifyRefused, Reason, verify

_RANDOM: Final = 16
_HEADER_PART: Final = re.compile(r'(\w+)="([^"]*)"')


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
        got = without_empty(parse_fields(opened.text.encode()))
        why = why or differs("fields", got, without_empty(expected["fields"]))
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
        ticket=first_of(given, "jsapi_ticket", "ticket"),
        nonce=first_of(given, "noncestr", "nonce"),
        timestamp=str(given["timestamp"]),
        url=str(given["url"]),
    )
    return differs("signature", got, case.expected["signature"])


def _template_field(case: Case, _stage: Stage) -> str:
    key, value, wanted = str(case.given["key"]), str(case.given["value"]), case.expected["value"]
    field_type = type_of(key)
    if field_type is None:
        limit = case.given.get("limit", len(value))
        return differs("cut", cut(value, limit=int(limit)), wanted)
    limit = LIMITS.get(field_type)
    why = differs("limit", limit, case.given.get("limit", limit))
    return why or differs("field", cut_to_type(field_type, value), wanted)


def _pay_request(case: Case, stage: Stage) -> str:
    if "package" in case.given or "prepay_id" in case.given:
        return _pay_page(case, stage)
    given, expected = case.given, case.expected
    message = sign_request_message(
        method=str(given["method"]),
        path=first_of(given, "path", "url"),
        timestamp=str(given["timestamp"]),
        nonce=first_of(given, "nonce_str", "nonce"),
        body=first_of(given, "body"),
    )
    why = differs("message", message, expected["message"]) if "message" in expected else ""
    private_key = case.pem("key", "private_key")
    if private_key and "signature" in expected:
        signed = sign(message=message, private_key=private_key)
        why = why or differs("signature", signed, expected["signature"])
    return why or _own_request(stage)


def _own_request(stage: Stage) -> str:
    """Let the product's client ask for something, and check what its request was signed over."""
    stage.platform.prepare({"code": "ORDER_NOT_EXIST", "message": ""}, status=404)
    stage.pay.query(out_trade_no="PO20260310CONFORMANCE")
    (call,) = stage.platform.calls
    header, body = stage.platform.signed
    named = dict(_HEADER_PART.findall(header))
    message = sign_request_message(
        method=call[0],
        path=f"{call[1]}?{urlencode(call[2])}",
        timestamp=named["timestamp"],
        nonce=named["nonce_str"],
        body=body,
    )
    public_key = public_key_of(stage.settings.pay_mch_private_key)
    is_signed = verify_signature(
        message=message.encode(), signature=named["signature"], public_key=public_key
    )
    return "" if is_signed else "the client signs something else"


def _pay_page(case: Case, stage: Stage) -> str:
    """Let the product's client sign for a page; without a published key, by a key of ours."""
    given, expected = case.given, case.expected
    published = case.pem("key", "private_key")
    private_key = published or stage.settings.pay_mch_private_key
    client = stage.pay_as(app_id=first_of(given, "appid"), private_key=private_key)
    signed = client.sign_page(
        timestamp=first_of(given, "timestamp"),
        nonce=first_of(given, "noncestr", "nonce"),
        package=str(given.get("package") or f"prepay_id={given['prepay_id']}"),
    )
    wanted = first_of(expected, "signature", "paysign")
    if published and wanted:
        return differs("signature", signed, wanted)
    message = str(expected.get("message", "")).encode()
    is_over_it = not message or verify_signature(
        message=message, signature=signed, public_key=public_key_of(private_key)
    )
    return "" if is_over_it else "another message is signed"


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
