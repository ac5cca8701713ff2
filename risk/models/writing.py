"""Writing Python text: lines with their depth, constants by `repr`.

It knows neither models nor strategies.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any


class Text:
    """Lines of Python with their depth, and fresh names."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._made = 0

    def line(self, text: str) -> None:
        """Write a line."""
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Write what follows one deeper, below a head that ends in a colon."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def fresh(self) -> str:
        """Make a name that nothing else has."""
        self._made += 1
        return f"t{self._made}"

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def quoted(value: float | str) -> str:
    """Write a constant; a negative number in brackets, so that signs cannot run together."""
    text = repr(value)
    return f"({text})" if text.startswith("-") else text


def loaded(source: str, *, name: str, world: Mapping[str, object] = MappingProxyType({})) -> Any:
    """Compile a text that defines the function `name`, and return the function.

    Args:
        source: Of our own making; what users wrote enters it by `repr` alone.
        name: The function, and what tracebacks call the text.
        world: All that the text can name, beside nothing.
    """
    found: dict[str, Any] = {"__builtins__": {}, **world}
    exec(compile(source, f"<{name}>", "exec"), found)  # noqa: S102 - see `source`
    return found[name]
