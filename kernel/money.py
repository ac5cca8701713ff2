"""Money is a whole count of fen; this module is the only bridge to and from yuan and Decimal.

It holds no interest arithmetic: that is the money engine's in servicing.
"""

import re
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import NewType

from kernel.errors import Invalid

Fen = NewType("Fen", int)

_YUAN = re.compile(r"(?P<sign>-?)(?P<yuan>[0-9]{1,13})(?:\.(?P<fen>[0-9]{1,2}))?")


class MoneyNotReadable(Invalid):
    """The text is not an amount in yuan with at most two decimals."""

    code = "money-not-readable"
    message_zh = "金额格式不正确，请输入如 123.45 的金额"


class Rounding(StrEnum):
    """How a fraction of a fen is settled; named at each call."""

    HALF_UP = "half-up"
    HALF_EVEN = "half-even"
    DOWN = "down"
    UP = "up"


_MODES = {
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
    Rounding.DOWN: ROUND_DOWN,
    Rounding.UP: ROUND_CEILING,
}


def round_fen(amount: Decimal, *, rounding: Rounding) -> Fen:
    """Turn an exact amount into whole fen.

    Args:
        amount: Exact count of fen.
        rounding: What to do with the fraction.
    """
    return Fen(int(amount.quantize(Decimal(1), rounding=_MODES[rounding])))


def fen_from_yuan(text: str) -> Fen:
    """Read yuan such as "1234.5" or "-0.01".

    Raises:
        MoneyNotReadable: Anything but an optional sign, digits and at most two decimals.
    """
    match = _YUAN.fullmatch(text.strip())
    if match is None:
        raise MoneyNotReadable("expected yuan with at most two decimals")
    fen = int(match["yuan"]) * 100 + int((match["fen"] or "").ljust(2, "0"))
    return Fen(-fen if match["sign"] else fen)


def plain_yuan(fen: int) -> str:
    """Write fen as yuan for programs: "1234.50"."""
    sign = "-" if fen < 0 else ""
    yuan_part, fen_part = divmod(abs(fen), 100)
    return f"{sign}{yuan_part}.{fen_part:02d}"


def yuan(fen: int) -> str:
    """Write fen as yuan for people: "1,234.50"."""
    sign = "-" if fen < 0 else ""
    yuan_part, fen_part = divmod(abs(fen), 100)
    return f"{sign}{yuan_part:,}.{fen_part:02d}"
