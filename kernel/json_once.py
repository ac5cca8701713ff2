"""JSON objects that say each key once: of two values nobody can tell which was meant.

`json.loads(text, object_pairs_hook=told_once)` refuses others.
"""

from typing import Any


class KeyTwice(ValueError):
    """An object says a key twice.

    Attributes:
        key: Which one.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key} stands twice")
        self.key = key


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
