"""Arranges what came out in the shape of what a case expects, so that the two lie side by side.

It chooses and orders, and changes no figure: what happened on one day has no order of its own, and
a case may show a part of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cli.money_cases.compare import differences, shows_all

_UNORDERED: Final = ("transactions", "transactions_include", "journal", "entries")
# By these a line is known whose figures are others than expected.
_IDENTITY: Final = ("date", "type", "transaction", "account")


def shaped(expected: Any, got: Any) -> Any:
    """Return what came out under the names that are expected, lines in the expected order."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return {
            name: _of_name(name, wanted, got[name])
            for name, wanted in expected.items()
            if name in got
        }
    if isinstance(expected, list) and isinstance(got, list):
        lines = [shaped(*pair) for pair in zip(expected, got, strict=False)]
        return [*lines, *got[len(lines) :]]
    return got


def _of_name(name: str, wanted: Any, got: Any) -> Any:
    if name not in _UNORDERED or not isinstance(got, list):
        return shaped(wanted, got)
    lines, rest = _arranged(wanted, got)
    return [*lines, *rest] if name == "transactions" and shows_all(wanted) else lines


def _arranged(expected: Sequence[Any], got: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Put lines in the expected order; return also those that nobody expects."""
    left, lines = list(got), []
    for wanted in expected:
        alike = [line for line in left if _identity(wanted) == _identity(line)]
        exact = [line for line in alike if not differences(wanted, line)]
        for line in (exact or alike)[:1]:
            left.remove(line)
            lines.append(shaped(wanted, line))
    return lines, left


def _identity(line: Mapping[str, Any]) -> list[Any]:
    return [line.get(name) for name in _IDENTITY]
