"""What a provider lets stand in one blank of its template, and how a longer text is cut to fit.

From WeChat's page 模板消息参数值内容限制, and two types of our own for short messages. It knows no
templates; contact.messages fills them.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

ELLIPSIS: Final = "..."


class FieldType(StrEnum):
    """WeChat's field types, and two of our own for short messages."""

    THING = "thing"
    CHARACTER_STRING = "character_string"
    PHONE_NUMBER = "phone_number"
    CAR_NUMBER = "car_number"
    CONST = "const"
    PHRASE = "phrase"
    NAME = "name"
    LETTER = "letter"
    SYMBOL = "symbol"
    NUMBER = "number"
    AMOUNT = "amount"
    TIME = "time"
    DATE = "date"
    TEXT = "text"
    DIGITS = "digits"


# Signs, counted as the platform counts them: one for a Chinese sign as for a letter.
LIMITS: Final[Mapping[FieldType, int]] = MappingProxyType(
    {
        FieldType.THING: 20,
        FieldType.CHARACTER_STRING: 32,
        FieldType.PHONE_NUMBER: 17,
        FieldType.CAR_NUMBER: 8,
        FieldType.CONST: 20,
        FieldType.PHRASE: 5,
        FieldType.NAME: 10,
        FieldType.LETTER: 32,
        FieldType.SYMBOL: 5,
        FieldType.NUMBER: 32,
    }
)

_DAY: Final = r"\d{4}年\d{1,2}月\d{1,2}日"
_FITS: Final[Mapping[FieldType, re.Pattern[str]]] = MappingProxyType(
    {
        FieldType.THING: re.compile(r".+"),
        FieldType.CHARACTER_STRING: re.compile(r"[!-~]+"),
        FieldType.PHONE_NUMBER: re.compile(r"[0-9+\-]+"),
        FieldType.CAR_NUMBER: re.compile(r".+"),
        FieldType.CONST: re.compile(r".+"),
        FieldType.PHRASE: re.compile(r"[一-鿿]+"),
        FieldType.NAME: re.compile(r"[一-鿿·]+|[A-Za-z ·]+"),
        FieldType.LETTER: re.compile(r"[A-Za-z]+"),
        FieldType.SYMBOL: re.compile(r"[^\w\s]+"),
        FieldType.NUMBER: re.compile(r"\d+(\.\d+)?", re.ASCII),
        FieldType.AMOUNT: re.compile(r"[¥$]?\d{1,10}(\.\d{1,2})?元?", re.ASCII),
        FieldType.TIME: re.compile(rf"{_DAY}( \d{{1,2}}:\d{{2}})?", re.ASCII),
        FieldType.DATE: re.compile(_DAY, re.ASCII),
        FieldType.TEXT: re.compile(r".{1,35}"),
        FieldType.DIGITS: re.compile(r"\d{1,12}", re.ASCII),
    }
)
_KEY: Final = re.compile(r"(?P<type>[a-z_]+?)_?\d*")


def type_of(key: str) -> FieldType | None:
    """Read the type out of a blank's name as WeChat gives it, such as `thing01`."""
    match = _KEY.fullmatch(key)
    known = {one.value: one for one in FieldType}
    return known.get(match["type"]) if match else None


def cut(text: str, *, limit: int) -> str:
    """Shorten a text to at most `limit` signs, three dots included."""
    if len(text) <= limit:
        return text
    return (text[: max(limit - len(ELLIPSIS), 0)] + ELLIPSIS)[:limit]


def cut_to_type(field_type: FieldType, text: str) -> str:
    """Shorten what goes into a blank; types without a limit stay as they are."""
    limit = LIMITS.get(field_type)
    return text if limit is None else cut(text, limit=limit)


def fits(field_type: FieldType, text: str) -> bool:
    """Whether the provider takes a text of this length and these signs."""
    is_short = len(text) <= LIMITS.get(field_type, len(text))
    return is_short and _FITS[field_type].fullmatch(text) is not None
