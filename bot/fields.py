"""How long WeChat lets a field of a template message be, and how a longer text is cut to fit.

From the platform's page 模板消息参数值内容限制. It fills no templates; contact does.
"""

import re
from typing import Final

ELLIPSIS: Final = "..."
LIMITS: Final = {
    "thing": 20,
    "character_string": 32,
    "phone_number": 17,
    "car_number": 8,
    "const": 20,
    "phrase": 5,
    "name": 10,
    "letter": 32,
    "symbol": 5,
    "number": 32,
}

_KEY: Final = re.compile(r"(?P<type>[a-z_]+?)_?\d*")


def cut(text: str, *, limit: int) -> str:
    """Shorten a text to at most `limit` signs, three dots included."""
    return text if len(text) <= limit else text[: limit - len(ELLIPSIS)] + ELLIPSIS


def has_limit(key: str) -> bool:
    """Whether a field such as `thing01` is of a type with a limit."""
    return _limit_of(key) is not None


def cut_field(key: str, text: str) -> str:
    """Shorten what goes into a field such as `thing01`; types without a limit stay as they are."""
    limit = _limit_of(key)
    return text if limit is None else cut(text, limit=limit)


def _limit_of(key: str) -> int | None:
    match = _KEY.fullmatch(key)
    return LIMITS.get(match["type"]) if match else None
