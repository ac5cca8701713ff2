"""A place in the document: what stands there, and where that is.

It knows JSON, not strategies. Every method either returns what it was asked for or notes the
problem and raises `Unreadable`, which `each` catches so that reading goes on with the next item.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar

from risk.features.catalogue import Kind
from risk.features.values import CLEAN, is_missing
from risk.strategy.problems import Code, Problems, Unreadable

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")

Read = TypeVar("Read")
Word = TypeVar("Word", bound=StrEnum)

_WRITTEN: Final[Mapping[Kind, type | tuple[type, ...]]] = {
    Kind.NUMBER: (int, float),
    Kind.TRUTH: bool,
    Kind.DAY: str,
    Kind.TEXT: str,
}
_WRONG: Final[Mapping[Kind, Code]] = {
    Kind.NUMBER: Code.NOT_A_NUMBER,
    Kind.TRUTH: Code.NOT_A_TRUTH,
    Kind.DAY: Code.NOT_A_DAY,
    Kind.TEXT: Code.NOT_A_TEXT,
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document with its JSON path."""

    value: Any
    path: str
    problems: Problems

    def fail(self, code: Code, **words: object) -> NoReturn:
        """Note a mistake here and stop reading this part.

        Raises:
            Unreadable: Always.
        """
        self.problems.add(self.path, code, **words)
        raise Unreadable

    def note(self, code: Code, **words: object) -> None:
        """Note a mistake here and go on."""
        self.problems.add(self.path, code, **words)

    def keys(self, needed: str, optional: str = "") -> None:
        """Make sure that this is an object with these keys, given as words in one text."""
        if not isinstance(self.value, dict):
            self.fail(Code.NOT_AN_OBJECT)
        known = {*needed.split(), *optional.split()}
        for key in self.value:
            if key not in known:
                self.note(Code.KEY_UNKNOWN, name=key)
        self.need(needed)

    def need(self, keys: str) -> None:
        """Make sure that this object has these keys."""
        absent = [key for key in keys.split() if key not in self.value]
        for key in absent:
            self.note(Code.KEY_MISSING, name=key)
        if absent:
            raise Unreadable

    def has(self, key: str) -> bool:
        """Say whether this object holds a key with something in it."""
        return self.value.get(key) is not None

    def at(self, key: str) -> "Node":
        """Go to a key that is there."""
        return Node(self.value[key], f"{self.path}.{key}", self.problems)

    def items(self) -> "list[Node]":
        """Go to each item of a list that is not empty."""
        if not isinstance(self.value, list):
            self.fail(Code.NOT_A_LIST)
        if not self.value:
            self.fail(Code.EMPTY)
        return [Node(item, f"{self.path}[{n}]", self.problems) for n, item in enumerate(self.value)]

    def each(self, read: "Callable[[Node], Read]") -> tuple[Read, ...]:
        """Read every item, noting the mistakes of all.

        Raises:
            Unreadable: An item could not be read.
        """
        found = [attempt(read, item) for item in self.items()]
        if any(item is None for item in found):
            raise Unreadable
        return tuple(item for item in found if item is not None)

    def text(self, key: str) -> str:
        """Read a text that is not blank."""
        return str(self.at(key).constant(Kind.TEXT))

    def title(self) -> str:
        """Read the optional title."""
        return self.text("title") if self.has("title") else ""

    def name(self, key: str) -> str:
        """Read an id or a name."""
        return self.at(key).as_name()

    def as_name(self) -> str:
        """Read this as an id or a name."""
        if not isinstance(self.value, str) or not _NAME.fullmatch(self.value):
            self.fail(Code.NAME_MALFORMED, name=self.value)
        return self.value

    def word(self, key: str, words: type[Word]) -> Word:
        """Read one of a few words."""
        return self.at(key).as_word(words)

    def as_word(self, words: type[Word]) -> Word:
        """Read this as one of a few words."""
        if self.value not in list(words):
            self.fail(Code.WORD_UNKNOWN, name=self.value, options="、".join(words))
        return words(self.value)

    def constant(self, kind: Kind) -> float | str:
        """Read this as a constant of a kind."""
        value = CLEAN[kind](self.value)
        if value is None or is_missing(value) or not isinstance(self.value, _WRITTEN[kind]):
            self.fail(_WRONG[kind])
        return value

    def whole(self, key: str) -> int:
        """Read a whole number."""
        node = self.at(key)
        value = float(node.constant(Kind.NUMBER))
        return int(value) if value.is_integer() else node.fail(Code.NOT_A_NUMBER)

    def truth(self, key: str, *, default: bool) -> bool:
        """Read true or false."""
        if key in self.value and not isinstance(self.value[key], bool):
            self.at(key).fail(Code.NOT_A_TRUTH)
        return bool(self.value.get(key, default))

    def day(self, key: str) -> date | None:
        """Read a date, None if the key is not there."""
        if not self.has(key):
            return None
        return date.fromordinal(int(self.at(key).constant(Kind.DAY)))

    def period(self) -> tuple[date | None, date | None]:
        """Read `effective_from` and `effective_to`."""
        since, until = self.day("effective_from"), self.day("effective_to")
        if until is not None and until <= (since or date.min):
            self.fail(Code.PERIOD_EMPTY)
        return since, until


def attempt(read: Callable[[Node], Read], node: Node) -> Read | None:
    """Read a node, or return None having noted why not."""
    try:
        return read(node)
    except Unreadable:
        return None
