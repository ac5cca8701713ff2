"""Values as people type them, and as a strategy keeps them. Money is typed in yuan, kept in fen.

What cannot be read stays the text that was typed: nothing is lost, and the checker names it at
its place.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from flask_babel import gettext

from risk.admin import words
from risk.admin.names import Field
from risk.features.catalogue import Kind

_TRUTHS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("是", "true", "yes", "1"), True),
    **dict.fromkeys(("否", "false", "no", "0"), False),
}
_FEN_A_YUAN: Final = 100
_HUNDRED: Final = 100


def typed(value: Any, field: Field) -> str:
    """Write a constant as it would be typed."""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, int | float) and field.kind is Kind.NUMBER:
        number = Decimal(repr(value))
        return typed_number(number / _FEN_A_YUAN if field.unit == "fen" else number)
    return "" if value is None else str(value)


def kept(text: str, field: Field) -> Any:
    """Read what was typed, in the kind of its field; the text itself if it cannot be read."""
    text = text.strip()
    if field.kind is Kind.NUMBER:
        return _number(text, in_yuan=field.unit == "fen")
    if field.kind is Kind.TRUTH:
        return _TRUTHS.get(text.casefold(), text)
    return text


def shown(value: Any, field: Field) -> str:
    """Say a value for reading, with its unit."""
    if value is None:
        return str(gettext("缺失"))
    if isinstance(value, bool):
        return str(gettext("是") if value else gettext("否"))
    text = typed(value, field)
    if not isinstance(value, int | float):
        return words.said(words.CHOICES, text) if field.choices else text
    if field.unit == "fen":
        whole, _, rest = text.partition(".")
        text = f"{int(whole):,}" + (f".{rest}" if rest else "")
    unit = words.unit(field.unit)
    return f"{text} {unit}" if unit else text


def _number(text: str, *, in_yuan: bool) -> Any:
    plain = text.replace(",", "").replace("，", "").removeprefix("¥").removesuffix("元").strip()
    is_percent = plain.endswith("%")
    try:
        number = Decimal(plain.removesuffix("%"))
    except InvalidOperation:
        return text
    if not number.is_finite():
        return text
    number = number / _HUNDRED if is_percent else number
    number = number * _FEN_A_YUAN if in_yuan else number
    return int(number) if number == number.to_integral_value() else float(number)


def typed_number(number: Decimal) -> str:
    """Write without an exponent and without noughts at the end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
