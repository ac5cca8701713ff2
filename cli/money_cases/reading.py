"""Reads what cases are written in: decimal text, dates, percentages, words of a fixed list.

What cannot be read is not covered, and what nobody looked at is known afterwards, so that nothing
of a case is passed over in silence.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

FEN_A_YUAN = 100
Json = Mapping[str, Any]
Word = TypeVar("Word")


class NotCovered(Exception):
    """The case asks for something that the engine has no word for; the text says what."""


class Told(Mapping[str, Any]):
    """A part of a case that remembers which of its fields were looked at.

    `startDate` and `start_date` are one name: only letters and digits tell names apart.
    """

    def __init__(self, fields: Json) -> None:
        self._fields = {name: _told(value) for name, value in fields.items()}
        self._spelled = {letters(name): name for name in fields}
        self._seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        found = name if name in self._fields else self._spelled.get(letters(name), name)
        value = self._fields[found]
        self._seen.add(found)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def unread(self, meaningless: frozenset[str]) -> Iterator[str]:
        """List the fields that nobody looked at, less those that change no figure."""
        for name, value in self._fields.items():
            if name not in self._seen and name not in meaningless:
                yield name
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Told) and name in self._seen:
                    yield from part.unread(meaningless)


def letters(name: object) -> str:
    """Return what tells a name apart, however it is spelled."""
    return "".join(letter for letter in str(name).lower() if letter.isalnum())


def first_of(told: Json, *names: str, default: Any = None) -> Any:
    """Return the first of some fields that a part of a case has, whichever name it uses."""
    return next((told[name] for name in names if told.get(name) is not None), default)


def _told(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Told(value)
    return [_told(item) for item in value] if isinstance(value, list) else value


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Say that a case is not covered where it lacks a field."""
    try:
        yield
    except KeyError as missing:
        raise NotCovered(f"{what} {missing} is not known here") from missing


def one_of(words: Mapping[str, Word], value: object, what: str) -> Word:
    """Read a word of a list; what it means is in the list."""
    try:
        return words[str(value)]
    except KeyError:
        raise NotCovered(f"{what} {value} is not known here") from None


def decimal(value: object) -> Decimal:
    """Read a number."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise NotCovered(f"{value} is no number") from None


def fen(value: object) -> int:
    """Read an amount with at most two decimals."""
    exact = decimal(value) * FEN_A_YUAN
    if not exact.is_finite() or exact != int(exact):
        raise NotCovered(f"{value} is finer than the smallest coin")
    return int(exact)


def money(amount_fen: int) -> str:
    """Write an amount with two decimals."""
    return f"{Decimal(amount_fen) / FEN_A_YUAN:.2f}"


def day(value: object) -> date:
    """Read a date."""
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise NotCovered(f"{value} is no date") from None


def percent(value: object) -> Decimal:
    """Read a percentage as a share."""
    return decimal(value) / 100


def whole(value: object, default: int = 0) -> int:
    """Read a whole number."""
    if value is None:
        return default
    try:
        return int(str(value))
    except ValueError:
        raise NotCovered(f"{value} is no whole number") from None
