"""JSON objects that say each key once: of two values nobody can tell which was meant.

`json.loads(text, object_pairs_hook=told_once)` refuses others; `read_once` also says in which line.
"""

import json
import re
from typing import Any, Final

_TOKEN: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|(?P<open>\{)|(?P<close>\})'
)


class KeyTwice(ValueError):
    """An object says a key twice.

    Attributes:
        key: Which one.
        line: Where it stands for the second time, from 1 on; 0 where nobody looked.
    """

    def __init__(self, key: str, line: int = 0) -> None:
        super().__init__(
            f"the key {key} stands twice" + (f", again in line {line}" if line else "")
        )
        self.key, self.line = key, line


def told_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs.

    Raises:
        KeyTwice: See there.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise KeyTwice(next(name for n, name in enumerate(names) if name in names[:n]))
    return found


def read_once(text: str) -> Any:
    """Read JSON.

    Raises:
        KeyTwice: See there; it knows the line.
        ValueError: It is no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=told_once)
    except KeyTwice:
        raise _first_twice(text) from None


def _first_twice(text: str) -> KeyTwice:
    """Find the first key that stands twice in a text which is JSON up to there."""
    inside: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token["open"]:
            inside.append(set())
        elif token["close"]:
            inside.pop()
        elif token["colon"]:
            key = json.loads(token["string"], strict=False)
            if key in inside[-1]:
                return KeyTwice(key, text.count("\n", 0, token.start()) + 1)
            inside[-1].add(key)
    raise AssertionError("no key stands twice")  # pragma: no cover -- it was refused for one
