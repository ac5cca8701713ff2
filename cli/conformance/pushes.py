"""Vectors that are pushed: messages, events, attacks by XML, and the proof of address."""

import json
import os
from collections.abc import Mapping
from typing import Final

from bot.callback import cipher_of
from bot.crypto import MessageCipher, PushRefused, signature, signature_matches
from bot.memory import ACCEPTED
from bot.messages import Fields, MessageNotReadable, is_json, parse_fields, read_message
from cli.conformance.case import Case, Check, differs, first_of, without_empty
from cli.conformance.stage import MODES, Stage

_REPLIES: Final = frozenset(
    {"text", "image", "voice", "video", "music", "news", "transfer_customer_service"}
)
_OK: Final = 200
_FORBIDDEN: Final = 403
_SERVER_ERROR: Final = 500


def _body(case: Case) -> str:
    given = case.given.get("xml") or case.given.get("json") or case.given.get("body") or ""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _pushed(stage: Stage, mode: str, body: str) -> tuple[int, str]:
    """Sign a body now, push it in a mode, and return status and answer."""
    stage.redis.flushdb()
    settings = stage.settings
    timestamp, nonce = str(int(stage.now().timestamp())), os.urandom(6).hex()
    query = {"timestamp": timestamp, "nonce": nonce, "openid": "o"}
    query["signature"] = signature(settings.wechat_token, timestamp, nonce)
    if mode != "plain":
        sealed = cipher_of(settings).encrypt(body, random16=os.urandom(16))
        query["encrypt_type"] = "aes"
        query["msg_signature"] = signature(settings.wechat_token, timestamp, nonce, sealed)
        body = _with_envelope(body, sealed, keeps_plain=mode == "compat")
    response = stage.client(mode).post("/wechat", query_string=query, data=body.encode())
    return response.status_code, response.get_data(as_text=True)


def _with_envelope(body: str, sealed: str, *, keeps_plain: bool) -> str:
    if is_json(body.encode()):
        plain = body.strip().removesuffix("}") + "," if keeps_plain else "{"
        return f'{plain}"Encrypt":"{sealed}"}}'
    end = body.rfind("</xml>")
    plain = body[:end] if keeps_plain and end >= 0 else "<xml>"
    return f"{plain}<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"


def _opened(stage: Stage, mode: str, answer: str) -> Fields:
    """Check the envelope of a reply and return its fields.

    Raises:
        MessageNotReadable: It is not well formed.
        PushRefused: It cannot be opened.
    """
    fields = parse_fields(answer.encode())
    if mode == "plain":
        return fields
    token = stage.settings.wechat_token
    parts = [str(fields.get(name, "")) for name in ("TimeStamp", "Nonce", "Encrypt")]
    if not signature_matches(str(fields.get("MsgSignature", "")), token, *parts):
        raise PushRefused("the reply's MsgSignature is wrong")
    return parse_fields(cipher_of(stage.settings).open(parts[-1]).text.encode())


def _message(case: Case, stage: Stage) -> str:
    body = _body(case)
    fields = parse_fields(body.encode())
    wanted = case.expected.get("fields")
    why = differs("fields", without_empty(fields), without_empty(wanted)) if wanted else ""
    for mode in MODES:
        why = why or _answered(stage, mode, body)
    return why


def _answered(stage: Stage, mode: str, body: str) -> str:
    """Push a message and say what is wrong with the answer, if anything is."""
    try:
        message = read_message(body.encode())
    except MessageNotReadable:
        message = None
    status, answer = _pushed(stage, mode, body)
    if status != _OK:
        return f"{mode}: HTTP {status}"
    if answer == ACCEPTED:
        is_text = message is not None and message.kind == "text"
        return f"{mode}: a text is not answered" if is_text else ""
    if message is None:
        return f"{mode}: something unreadable is answered"
    reply = _opened(stage, mode, answer)
    addresses = (reply.get("ToUserName"), reply.get("FromUserName"))
    if addresses != (message.openid, message.account):
        return f"{mode}: the reply goes to {addresses}"
    if reply.get("MsgType") not in _REPLIES or not str(reply.get("CreateTime")).isdigit():
        return f"{mode}: the reply is {reply}"
    return ""


def _attack(case: Case, stage: Stage) -> str:
    body = _body(case)
    is_accepted = bool(case.expected.get("accept", False))
    try:
        parse_fields(body.encode())
    except MessageNotReadable as error:
        if is_accepted:
            return f"refused: {error}"
    else:
        if not is_accepted:
            return "it was read"
    for mode in MODES:
        status, answer = _pushed(stage, mode, body)
        if status >= _SERVER_ERROR or (answer not in (ACCEPTED, "") and not is_accepted):
            return f"{mode}: HTTP {status} {answer[:60]}"
    return ""


def _address(case: Case, stage: Stage) -> str:
    given, wanted = case.given, bool(case.expected.get("valid"))
    signed = [str(given["timestamp"]), str(given["nonce"])]
    name = "signature" if "signature" in given else "msg_signature"
    sealed = given.get("encrypt") or given.get("echostr")
    if name == "msg_signature" and sealed:
        signed.append(str(sealed))
    is_valid = signature_matches(str(given[name]), str(given["token"]), *signed)
    why = differs("valid", is_valid, wanted)
    if not why and is_valid and name == "msg_signature":
        why = _echo_inside(given, case.expected)
    return why or _echo(stage, is_valid=is_valid)


def _echo_inside(given: Mapping[str, object], expected: Mapping[str, object]) -> str:
    """Open an encrypted echostr, as other kinds of accounts get it."""
    wanted = first_of(expected, "plaintext", "echostr", "decrypted", "reply")
    if not wanted or "encoding_aes_key" not in given:
        return ""
    receiver = first_of(given, "receive_id", "appid", "corp_id")
    cipher = MessageCipher(aes_key=str(given["encoding_aes_key"]), receiver=receiver)
    return differs("echostr", cipher.open(str(given["echostr"])).text, wanted)


def _echo(stage: Stage, *, is_valid: bool) -> str:
    """Ask the app for the same proof, signed now, or signed wrongly where it must refuse."""
    token = stage.settings.wechat_token if is_valid else "another-token"
    timestamp, nonce = str(int(stage.now().timestamp())), os.urandom(6).hex()
    query = {"timestamp": timestamp, "nonce": nonce, "echostr": "4242"}
    query["signature"] = signature(token, timestamp, nonce)
    wanted = (_OK, "4242") if is_valid else (_FORBIDDEN, "")
    for mode in MODES:
        response = stage.client(mode).get("/wechat", query_string=query)
        got = (response.status_code, response.get_data(as_text=True))
        if got != wanted:
            return f"{mode}: GET answers {got}"
    return ""


PUSH_CHECKS: Final[Mapping[str, Check]] = {
    "incoming_message": _message,
    "incoming_event": _message,
    "xml_attack": _attack,
    "url_verification": _address,
}
