"""Single values between a product's form and its document: percent and yuan, shares and fen.

What cannot be read goes through as it was typed, so that reading the document says what is wrong.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation


def text_of(form: Mapping[str, str], name: str) -> str:
    """Read words."""
    return form.get(name, "").strip()


def whole(text: str) -> int | str:
    """Read a whole number."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else text


def optional(form: Mapping[str, str], name: str) -> int | str | None:
    """Read a whole number that may be left out."""
    return whole(form.get(name, "")) if text_of(form, name) else None


def fen(form: Mapping[str, str], name: str) -> int | str:
    """Read yuan as fen; 0 if there is nothing."""
    text = text_of(form, name).replace(",", "")
    number = _number(text or "0")
    exact = None if number is None else number * 100
    return int(exact) if exact is not None and exact == exact.to_integral_value() else text


def share(form: Mapping[str, str], name: str) -> str:
    """Read a percentage as a share; 0 if there is nothing."""
    text = text_of(form, name)
    number = _number(text or "0")
    return text if number is None else f"{(number / 100).normalize():f}"


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def yuan(amount_fen: int) -> str:
    """Write fen as yuan; nothing for 0."""
    return f"{(Decimal(amount_fen) / 100).normalize():f}" if amount_fen else ""


def percent(part: Decimal) -> str:
    """Write a share as a percentage; nothing for 0."""
    return f"{(part * 100).normalize():f}" if part else ""
