"""The platform as a client of our callback: pushes, its three tries, and how it judges replies.

It acts for a person in the chat window or for a test; what a reply means it does not know.
"""

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import requests

from kernel.errors import Invalid
from sandbox.outward import post
from sandbox.wechat import quota
from sandbox.wire import Envelope, Malformed, from_xml, signature, to_xml
from sandbox.world import World, digits

ORIGINAL_ID = "gh_fenqi0sandbox"
FAULT = "该公众号提供的服务出现故障，请稍后再试"
TRIES = 3
TIMEOUT_S = 5.0
_TEXT_BYTES = 2048
_HUMAN = "transfer_customer_service"
_REPLIES = frozenset({"text", "image", "voice", "video", "music", "news", _HUMAN})

Fields = dict[str, str | int]


class PushInvalid(Invalid):
    """The person cannot do that."""

    code = "push-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a push: accepted, fault (malformed answer) or failed (no answer)."""

    result: str
    attempts: int
    reply: dict[str, Any] | None
    reason: str
    status: int | None
    seconds: float


def act(world: World, asked: Mapping[str, Any]) -> Outcome:
    """Do in a person's name what the control API or the chat window asks.

    Args:
        world: The state.
        asked: openid, kind, and what the kind needs; README.md lists them.

    Raises:
        PushInvalid: The kind is unknown or something is missing.
    """
    openid, kind = str(asked.get("openid") or ""), str(asked.get("kind") or "text")
    if not openid:
        message = "openid is missing"
        raise PushInvalid(message)
    fields, shown = _fields(kind, asked)
    with world.lock:
        _remember(world, openid, kind)
    world.journal.add("person", at=world.now(), openid=openid, content={"kind": kind} | shown)
    return push(world, openid, fields, mode=str(asked.get("mode") or ""))


def push(world: World, openid: str, fields: Mapping[str, str | int], *, mode: str = "") -> Outcome:
    """Push one message or event as the platform does, and show its passive reply.

    Args:
        world: The state.
        openid: Who caused it.
        fields: The message beyond addresses and time.
        mode: plain, compat or safe; empty for what the account is set to.
    """
    message: Fields = {
        "ToUserName": ORIGINAL_ID,
        "FromUserName": openid,
        "CreateTime": int(world.now().timestamp()),
    }
    message |= fields
    chosen = mode or world.settings.wechat_mode
    started = world.machine.now()
    outcome = _try(world, to_xml(message), openid, chosen)
    seconds = (world.machine.now() - started).total_seconds()
    result, attempts, reply, reason, status = outcome
    if result != "accepted" and fields.get("Event") not in ("unsubscribe", "TEMPLATESENDJOBFINISH"):
        content = {"text": FAULT, "reason": reason}
        world.journal.add("fault", at=world.now(), openid=openid, content=content)
    if reply is not None:
        _show(world, openid, reply)
    return Outcome(
        result=result, attempts=attempts, reply=reply, reason=reason, status=status, seconds=seconds
    )


def push_template_result(world: World, openid: str, *, msgid: int, status: str) -> Outcome:
    """Push TEMPLATESENDJOBFINISH for a template message."""
    fields: Fields = {
        "MsgType": "event",
        "Event": "TEMPLATESENDJOBFINISH",
        "MsgID": msgid,
        "Status": status,
    }
    return push(world, openid, fields)


_EVENTS = {"follow": "subscribe", "unfollow": "unsubscribe", "click": "CLICK", "view": "VIEW"}
_EVENTS |= {"scan": "SCAN"}
_CONTENT_KINDS = frozenset({"text", "image", "voice", "location", "msgmenu"})


def _fields(kind: str, asked: Mapping[str, Any]) -> tuple[Fields, dict[str, Any]]:
    """Return the message's own fields, and what the chat window shows of the act."""
    if kind in _EVENTS:
        return _event_fields(kind, asked)
    if kind == "raw":
        given = asked.get("fields")
        if not isinstance(given, Mapping):
            message = "raw needs fields"
            raise PushInvalid(message)
        return dict(given), {"fields": dict(given)}
    if kind not in _CONTENT_KINDS:
        message = f"unknown kind {kind!r}"
        raise PushInvalid(message)
    msg_id = int(asked.get("msg_id") or digits(17))
    text = str(asked.get("text") or "")
    if kind in ("text", "msgmenu"):
        if not text:
            message = "text is missing"
            raise PushInvalid(message)
        fields: Fields = {"MsgType": "text", "Content": text, "MsgId": msg_id}
        if kind == "msgmenu":
            fields["bizmsgmenuid"] = str(asked.get("id") or "1")
        return fields, {"text": text}
    return _media_fields(kind, asked, msg_id)


def _media_fields(
    kind: str, asked: Mapping[str, Any], msg_id: int
) -> tuple[Fields, dict[str, Any]]:
    media_id = secrets.token_urlsafe(24)
    if kind == "image":
        url = str(asked.get("url") or "http://mmbiz.qpic.cn/sandbox.png")
        return {"MsgType": "image", "PicUrl": url, "MediaId": media_id, "MsgId": msg_id}, {
            "url": url
        }
    if kind == "voice":
        words = str(asked.get("text") or "")
        fields: Fields = {"MsgType": "voice", "MediaId": media_id, "Format": "amr"}
        return fields | {"Recognition": words, "MsgId": msg_id}, {"text": words}
    label = str(asked.get("text") or "深圳市南山区")
    fields = {"MsgType": "location", "Location_X": "22.540", "Location_Y": "113.934", "Scale": 16}
    return fields | {"Label": label, "MsgId": msg_id}, {"text": label}


def _event_fields(kind: str, asked: Mapping[str, Any]) -> tuple[Fields, dict[str, Any]]:
    fields: Fields = {"MsgType": "event", "Event": _EVENTS[kind]}
    key = str(asked.get("key") or asked.get("url") or asked.get("scene") or "")
    if kind == "follow" and key:
        key = f"qrscene_{key}"
        fields["Ticket"] = secrets.token_urlsafe(48)
    if kind == "scan":
        fields["Ticket"] = secrets.token_urlsafe(48)
    if kind in ("click", "view", "scan") and not key:
        message = f"{kind} needs a key, url or scene"
        raise PushInvalid(message)
    fields["EventKey"] = key
    return fields, {"key": key, "label": str(asked.get("label") or "")}


_EARNS = {"click": "click", "msgmenu": "click", "follow": "follow", "scan": "scan"}
_EARNS |= dict.fromkeys(("text", "image", "voice", "location"), "message")


def _remember(world: World, openid: str, kind: str) -> None:
    account, now = world.account, world.now()
    account.seen.setdefault(openid, now)
    if kind == "unfollow":
        account.unfollowed.add(openid)
        quota.lose_all(account, openid)
        return
    if kind == "follow":
        account.unfollowed.discard(openid)
    if kind in _EARNS:
        quota.earn(account, openid, _EARNS[kind], now=now)


_Tried = tuple[str, int, dict[str, Any] | None, str, int | None]


def _try(world: World, xml: str, openid: str, mode: str) -> _Tried:
    reason, status = "", None
    for attempt in range(1, TRIES + 1):
        url, body = _dressed(world, xml, openid, mode)
        headers = {"Content-Type": "text/xml", "User-Agent": "Mozilla/4.0"}
        try:
            answer = post(url, data=body.encode(), headers=headers, timeout_s=TIMEOUT_S)
        except requests.RequestException as error:
            reason = type(error).__name__
            continue
        status = answer.status_code
        if status != 200:  # noqa: PLR2004 -- HTTP OK
            reason = f"HTTP {status}"
            continue
        try:
            reply = _read_reply(world, answer.content, openid, mode)
        except Malformed as error:
            return "fault", attempt, None, str(error), status
        return "accepted", attempt, reply, "", status
    return "failed", TRIES, None, reason, status


def _envelope(world: World) -> Envelope:
    settings = world.settings
    return Envelope(
        token=settings.wechat_token, aes_key=settings.wechat_aes_key, app_id=settings.wechat_app_id
    )


def _dressed(world: World, xml: str, openid: str, mode: str) -> tuple[str, str]:
    """Return address and body of one try; each try is signed anew."""
    token = world.settings.wechat_token
    timestamp, nonce = str(int(world.now().timestamp())), digits(10)
    query = {
        "signature": signature(token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": openid,
    }
    body = xml
    if mode != "plain":
        sealed = _envelope(world).seal(xml)
        query |= {
            "encrypt_type": "aes",
            "msg_signature": signature(token, timestamp, nonce, sealed),
        }
        part = f"<Encrypt><![CDATA[{sealed}]]></Encrypt>"
        outer = f"<ToUserName><![CDATA[{ORIGINAL_ID}]]></ToUserName>"
        body = xml.removesuffix("</xml>") + part + "</xml>"
        if mode == "safe":
            body = f"<xml>{outer}{part}</xml>"
    return f"{world.settings.public_base_url}/wechat?{urlencode(query)}", body


def _read_reply(world: World, raw: bytes, openid: str, mode: str) -> dict[str, Any] | None:
    """Return the passive reply, or None when there is none.

    Raises:
        Malformed: WeChat would show its fault notice instead.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        message = "not UTF-8"
        raise Malformed(message) from error
    if text in ("", "success"):
        return None
    root = from_xml(text)
    is_sealed = root.find("Encrypt") is not None
    if mode == "safe" and not is_sealed:
        message = "a plain reply in safe mode"
        raise Malformed(message)
    if mode == "plain" and is_sealed:
        message = "an encrypted reply in plain mode"
        raise Malformed(message)
    if is_sealed:
        root = _envelope(world).open_reply(root)
    return _checked_reply(root, openid)


def _checked_reply(root: Any, openid: str) -> dict[str, Any]:
    reply = {child.tag: _plain(child) for child in root}
    is_swapped = hmac.compare_digest(str(reply.get("ToUserName")), openid)
    if not is_swapped or reply.get("FromUserName") != ORIGINAL_ID:
        message = "ToUserName and FromUserName are not swapped"
        raise Malformed(message)
    if reply.get("MsgType") not in _REPLIES or not str(reply.get("CreateTime")).isdigit():
        message = "MsgType or CreateTime is wrong"
        raise Malformed(message)
    if reply["MsgType"] == "text":
        text = reply.get("Content") or ""
        if not 1 <= len(str(text).encode()) <= _TEXT_BYTES:
            message = "the text is empty or longer than 2048 bytes"
            raise Malformed(message)
    return reply


def _plain(element: Any) -> Any:
    children = list(element)
    if not children:
        return element.text or ""
    if all(child.tag == "item" for child in children):
        return [_plain(child) for child in children]
    return {child.tag: _plain(child) for child in children}


def _show(world: World, openid: str, reply: Mapping[str, Any]) -> None:
    if reply["MsgType"] == _HUMAN:
        with world.lock:
            world.account.waiting[openid] = world.now()
        world.journal.add("human", at=world.now(), openid=openid, content={"event": "waiting"})
        return
    content = json.loads(json.dumps(reply))
    world.journal.add("reply", at=world.now(), openid=openid, content=content)
