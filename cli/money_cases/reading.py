"""Reads what cases are written in: decimal text, dates, percentages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

FEN_A_YUAN = 100


class NotCovered(Exception):
    """The case asks for something that the engine has no word for; the text says what."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Say that a case is not covered where it lacks a field or uses a word that is not known."""
    try:
        yield
    except KeyError as missing:
        raise NotCovered(f"{what} {missing} is not known here") from missing


def fen(value: object) -> int:
    """Read an amount with at most two decimals."""
    exact = Decimal(str(value)) * FEN_A_YUAN
    if exact != int(exact):
        raise NotCovered(f"{value} is finer than the smallest coin")
    return int(exact)


def money(amount_fen: int) -> str:
    """Write an amount with two decimals."""
    return f"{Decimal(amount_fen) / FEN_A_YUAN:.2f}"


def day(value: object) -> date:
    """Read a date."""
    return date.fromisoformat(str(value))


def percent(value: object) -> Decimal:
    """Read a percentage as a share."""
    return Decimal(str(value)) / 100


def whole(value: object, default: int = 0) -> int:
    """Read a whole number."""
    return default if value is None else int(str(value))


Json = Mapping[str, Any]
