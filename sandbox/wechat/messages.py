"""Messages to people: customer-service messages within their quota, and template messages.

They land in the journal, from which the chat window shows them.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sandbox.wechat import quota
from sandbox.wechat.errors import Refused
from sandbox.wechat.rules import check_fields
from sandbox.world import World

_OPENID = re.compile(r"[A-Za-z0-9_-]{6,64}")
_TEMPLATE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SAME_ID = timedelta(minutes=10)
_RESULT_AFTER = timedelta(seconds=1)
_TEXT_BYTES = 2048
_KINDS = frozenset(
    ["text", "image", "voice", "video", "music", "news", "mpnews", "msgmenu", "miniprogrampage"]
)

PushResult = Callable[[str, int, str], object]


def send_custom(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer POST /cgi-bin/message/custom/send."""
    openid = _receiver(world, body, "wechat.custom")
    kind = str(body.get("msgtype"))
    if kind not in _KINDS:
        raise Refused(40008)
    content = body.get(kind)
    if not isinstance(content, Mapping):
        raise Refused(44004)
    _check_text(kind, content)
    quota.spend(world.account, openid, now=world.now())
    record = {"msgtype": kind, kind: dict(content)}
    world.journal.add("custom", at=world.now(), openid=openid, content=record)
    return {"errcode": 0, "errmsg": "ok"}


def show_typing(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer POST /cgi-bin/message/custom/typing."""
    openid = _receiver(world, body, "wechat.typing")
    if body.get("command") not in ("Typing", "CancelTyping"):
        raise Refused(40008)
    if not world.account.grants.get(openid):
        raise Refused(45015)
    return {"errcode": 0, "errmsg": "ok"}


def send_template(world: World, body: Mapping[str, Any], push: PushResult) -> dict[str, Any]:
    """Answer POST /cgi-bin/message/template/send, and push its result a second later.

    Args:
        world: The state.
        body: touser, template_id, data, and optionally url, miniprogram, client_msg_id.
        push: Called with openid, msgid and status when the result is due.
    """
    now = world.now()
    client_msg_id = str(body.get("client_msg_id") or "")
    known = world.account.client_msg_ids.get(client_msg_id)
    if client_msg_id and known and now - known[0] < _SAME_ID:
        return {"errcode": 0, "errmsg": "ok", "msgid": known[1]}
    openid = _receiver(world, body, "wechat.template")
    template_id = str(body.get("template_id") or "")
    if not _TEMPLATE_ID.fullmatch(template_id):
        raise Refused(40037)
    fields = check_fields(body.get("data"))
    if openid in world.account.unfollowed:
        raise Refused(43004)
    msgid = world.account.next_msgid
    world.account.next_msgid += 1
    if client_msg_id:
        world.account.client_msg_ids[client_msg_id] = (now, msgid)
    status = str(world.knobs.take("wechat.template", "result") or "success")
    content = {
        "template_id": template_id,
        "fields": fields,
        "url": str(body.get("url") or ""),
        "msgid": msgid,
        "client_msg_id": client_msg_id,
        "status": status,
    }
    world.journal.add("template", at=now, openid=openid, content=content)
    if world.knobs.take("wechat.template", "no_result") is None:
        world.schedule.after(
            _RESULT_AFTER, f"template result {msgid}", lambda: push(openid, msgid, status)
        )
    return {"errcode": 0, "errmsg": "ok", "msgid": msgid}


def _receiver(world: World, body: Mapping[str, Any], feature: str) -> str:
    openid = body.get("touser")
    if not isinstance(openid, str) or not _OPENID.fullmatch(openid):
        raise Refused(40003)
    if world.knobs.take(feature, "unfollow") is not None:
        world.account.unfollowed.add(openid)
        quota.lose_all(world.account, openid)
    return openid


def _check_text(kind: str, content: Mapping[str, Any]) -> None:
    if kind != "text":
        return
    text = str(content.get("content") or "")
    if not text:
        raise Refused(44004)
    if len(text.encode()) > _TEXT_BYTES:
        raise Refused(45002)
