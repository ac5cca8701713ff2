"""Limits of template fields and of the menu, as the platform's documents state them. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.wechat.errors import Refused

_TIME = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?"
_DATE = r"\d{4}(年\d{1,2}月\d{1,2}日|[-/.]\d{1,2}[-/.]\d{1,2})"
_PERIOD = r"({one})(\s*[~至-]\s*({one}))?"
_ONE_TIME = rf"{_DATE}(\s*{_TIME})?|{_TIME}"

FIELDS: dict[str, re.Pattern[str]] = {
    "thing": re.compile(r".{1,20}", re.DOTALL),
    "number": re.compile(r"[-+]?\d{1,32}(\.\d+)?"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "symbol": re.compile(r"[^\w\s]{1,5}"),
    "character_string": re.compile(r"[\x20-\x7e]{1,32}"),
    "time": re.compile(_PERIOD.format(one=_ONE_TIME)),
    "date": re.compile(_PERIOD.format(one=_ONE_TIME)),
    "amount": re.compile(r"[¥￥$€]?-?[\d,]{1,13}(\.\d{1,2})?元?"),
    "phone_number": re.compile(r"[\d+\-() ]{1,17}"),
    "car_number": re.compile(r".{1,8}"),
    "name": re.compile(r"[\u4e00-\u9fff*·]{1,10}|[A-Za-z .*]{1,20}"),
    "phrase": re.compile(r"[\u4e00-\u9fff]{1,5}"),
    "const": re.compile(r".{1,20}", re.DOTALL),
    "keyword": re.compile(r".{1,200}", re.DOTALL),
}
_FIELD_NAME = re.compile(r"([a-z_]+?)(\d+)")
_HIDDEN = ("first", "remark")


def check_fields(data: object) -> dict[str, str]:
    """Return the visible fields of a template message.

    Raises:
        Refused: 47003 naming the first field that breaks the rule of its type.
    """
    if not isinstance(data, Mapping) or not data:
        raise Refused(47003, "data is empty")
    visible: dict[str, str] = {}
    for name, given in data.items():
        if name in _HIDDEN:
            continue
        value = given.get("value") if isinstance(given, Mapping) else None
        parts = _FIELD_NAME.fullmatch(name)
        rule = FIELDS.get(parts[1]) if parts else None
        if rule is None or not isinstance(value, str) or not rule.fullmatch(value):
            raise Refused(47003, f"data.{name}.value invalid")
        visible[name] = value
    return visible


_TOP, _SUB = 3, 5
_TOP_NAME_BYTES, _SUB_NAME_BYTES = 16, 40
_KEY_BYTES, _URL_BYTES = 128, 1024
_TYPES = frozenset({"click", "view", "miniprogram", "media_id", "article_id"})
_TYPES |= {"article_view_limited", "location_select", "scancode_push", "scancode_waitmsg"}
_TYPES |= {"pic_sysphoto", "pic_photo_or_album", "pic_weixin"}


def check_menu(menu: Mapping[str, Any]) -> None:
    """Let a menu within the limits pass.

    Raises:
        Refused: 40016 or 40023 for the count, 40018 or 40025 for a name, 40015 for a type,
            40019 for a key, 40020 for a link.
    """
    buttons = menu.get("button")
    if not isinstance(buttons, Sequence) or not 1 <= len(buttons) <= _TOP:
        raise Refused(40016)
    for button in buttons:
        _check_name(button, _TOP_NAME_BYTES, 40018)
        below = button.get("sub_button") or []
        if len(below) > _SUB:
            raise Refused(40023)
        for sub_button in below:
            _check_name(sub_button, _SUB_NAME_BYTES, 40025)
            _check_leaf(sub_button)
        if not below:
            _check_leaf(button)


def _check_name(button: Mapping[str, Any], limit: int, errcode: int) -> None:
    name = button.get("name")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= limit:
        raise Refused(errcode)


def _check_leaf(button: Mapping[str, Any]) -> None:
    kind = button.get("type")
    if kind not in _TYPES:
        raise Refused(40015)
    url, key = str(button.get("url", "")), str(button.get("key", ""))
    if kind == "view" and not 1 <= len(url.encode()) <= _URL_BYTES:
        raise Refused(40020)
    if kind == "click" and not 1 <= len(key.encode()) <= _KEY_BYTES:
        raise Refused(40019)
