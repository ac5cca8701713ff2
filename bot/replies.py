"""Passive replies: what may be answered to a push, rendered so that no text can break out of it.

A reply is a value; rendering knows XML, JSON and the sealed envelope. What to answer is not
decided here.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bot.crypto import signature
from bot.messages import Message

TEXT_BYTES: Final = 2048

Parts = Mapping[str, object]

# All that XML 1.0 allows, section 2.2.
_NOT_IN_XML: Final = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def text(content: str) -> Parts:
    """Answer a text of at most 2,048 bytes."""
    return {"MsgType": "text", "Content": content}


def image(media_id: str) -> Parts:
    """Answer a picture."""
    return {"MsgType": "image", "Image": {"MediaId": media_id}}


def voice(media_id: str) -> Parts:
    """Answer a recording."""
    return {"MsgType": "voice", "Voice": {"MediaId": media_id}}


def video(media_id: str, *, title: str = "", description: str = "") -> Parts:
    """Answer a film."""
    inner = {"MediaId": media_id, "Title": title, "Description": description}
    return {"MsgType": "video", "Video": inner}


def music(
    thumb_media_id: str, *, title: str = "", description: str = "", url: str = "", hq_url: str = ""
) -> Parts:
    """Answer a piece of music."""
    inner = {
        "ThumbMediaId": thumb_media_id,
        "Title": title,
        "Description": description,
        "MusicUrl": url,
        "HQMusicUrl": hq_url,
    }
    return {"MsgType": "music", "Music": inner}


def news(articles: Sequence[Mapping[str, str]]) -> Parts:
    """Answer cards with a link; each has title, description, picurl and url."""
    items = [
        {
            "Title": article.get("title", ""),
            "Description": article.get("description", ""),
            "PicUrl": article.get("picurl", ""),
            "Url": article.get("url", ""),
        }
        for article in articles
    ]
    return {"MsgType": "news", "ArticleCount": len(items), "Articles": {"item": items}}


def hand_over(kf_account: str = "") -> Parts:
    """Hand the talk to a person, or to a named one."""
    named = {"TransInfo": {"KfAccount": kf_account}} if kf_account else {}
    return {"MsgType": "transfer_customer_service", **named}


def addressed(parts: Parts, *, to: str, sender: str, created: int) -> Parts:
    """Put the addresses and the time (seconds since the epoch) in front of a reply."""
    head = {"ToUserName": to, "FromUserName": sender, "CreateTime": created}
    return head | dict(parts)


def render(parts: Parts, *, message: Message, created: int) -> str:
    """Write a reply to a message in the format of its account."""
    whole = addressed(parts, to=message.openid, sender=message.account, created=created)
    return json.dumps(whole, ensure_ascii=False) if message.is_json else to_xml(whole)


def envelope(sealed: str, *, token: str, timestamp: str, nonce: str, is_json: bool = False) -> str:
    """Write the signed envelope of an encrypted reply."""
    signed = signature(token, timestamp, nonce, sealed)
    parts = {
        "Encrypt": sealed,
        "MsgSignature": signed,
        "TimeStamp": int(timestamp),
        "Nonce": nonce,
    }
    return json.dumps(parts) if is_json else to_xml(parts)


def to_xml(parts: Parts) -> str:
    """Write fields as WeChat does: numbers bare, texts in CDATA, lists as repeated elements."""
    return f"<xml>{''.join(_elements(parts))}</xml>"


def _elements(parts: Parts) -> Iterator[str]:
    for name, value in parts.items():
        for item in value if isinstance(value, list) else [value]:
            yield f"<{name}>{_content(item)}</{name}>"


def _content(value: object) -> str:
    if isinstance(value, Mapping):
        return "".join(_elements(value))
    return str(value) if isinstance(value, int) else cdata(str(value))


def cdata(content: str) -> str:
    """Wrap a text so that nothing in it can end the section or is no XML."""
    clean = _NOT_IN_XML.sub("", content)
    return "<![CDATA[" + clean.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def split_text(content: str, *, limit: int = TEXT_BYTES) -> list[str]:
    """Split a text into parts of at most `limit` bytes of UTF-8, at line ends where possible."""
    parts: list[str] = []
    current = ""
    for line in content.split("\n"):
        joined = f"{current}\n{line}" if current else line
        if len(joined.encode()) <= limit:
            current = joined
            continue
        if current:
            parts.append(current)
        *full, current = _split_line(line, limit)
        parts += full
    return [*parts, current] if current else parts


def _split_line(line: str, limit: int) -> list[str]:
    pieces: list[str] = []
    piece: list[str] = []
    size = 0
    for sign in line:
        width = len(sign.encode(errors="replace"))
        if size + width > limit:
            pieces.append("".join(piece))
            piece, size = [], 0
        piece.append(sign)
        size += width
    return [*pieces, "".join(piece)]
