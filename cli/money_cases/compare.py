"""Compares what came out with what a case expects.

Only what is expected is looked at. Numbers are equal as numbers, whatever their zeros; a list has
to have all its items and no other, unless it says of itself that it is a part.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

_PARTIAL = {"transactions_include", "journal", "rows_zero_based"}
_STATUS_WORDS = (
    "overpaid",
    "writtenoff",
    "obligationsmet",
    "active",
    "approved",
    "closed",
    "partiallydisbursed",
    "disbursed",
)
# A loan is closed whether or not somebody says why; written off is something else.
_SAME_STATUS = {"obligationsmet": "closed", "disbursed": "active"}


def differences(expected: Any, got: Any, where: str = "") -> list[str]:
    """List where two values differ, in words."""
    if isinstance(expected, Mapping):
        return _of_mapping(expected, got, where)
    if isinstance(expected, list):
        return _of_list(expected, got, where)
    is_same = _status(expected) == _status(got) if where.endswith("status") else same(expected, got)
    return [] if is_same else [f"{where} is {got}, expected {expected}"]


def _of_mapping(expected: Mapping[str, Any], got: Any, where: str) -> list[str]:
    if not isinstance(got, Mapping):
        return [f"{where} is {got}, expected {dict(expected)}"]
    found = []
    for name, wanted in expected.items():
        path = f"{where}.{name}" if where else name
        if name not in got:
            found.append(f"{path} did not come out")
        elif name == "transactions" and shows_all(wanted):
            found += _of_size(wanted, got[name], path) or _of_part(wanted, got[name], path)
        elif name == "entries":
            is_same = _postings(wanted) == _postings(got[name])
            found += [] if is_same else [f"{path} is {got[name]}, expected {wanted}"]
        elif name in _PARTIAL or name == "transactions":
            found += _of_part(wanted, got[name], path)
        else:
            found += differences(wanted, got[name], path)
    return found


def shows_all(transactions: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a table shows all that happened: one that starts with the disbursement."""
    return any(row.get("type") == "Disbursement" for row in transactions)


def _postings(lines: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], Decimal]:
    """Sum both sides of each account: in how many lines, and in which order, says nothing."""
    sums: dict[tuple[Any, ...], Decimal] = {}
    for line in lines:
        for side in ("debit", "credit"):
            key = line.get("type"), line.get("account"), side
            sums[key] = sums.get(key, Decimal(0)) + (_number(line.get(side)) or 0)
    return {key: value for key, value in sums.items() if value}


def _of_size(expected: Sequence[Any], got: Any, where: str) -> list[str]:
    if isinstance(got, list) and len(got) == len(expected):
        return []
    size = len(got) if isinstance(got, list) else got
    return [f"{where} has {size} items, expected {len(expected)}"]


def _of_list(expected: Sequence[Any], got: Any, where: str) -> list[str]:
    found = _of_size(expected, got, where)
    if found:
        return found
    for index, (wanted, value) in enumerate(zip(expected, got, strict=True)):
        found += differences(wanted, value, f"{where}[{index}]")
    return found


def _of_part(expected: Sequence[Any], got: Sequence[Any], where: str) -> list[str]:
    """Each expected item must be found, each in an item of its own."""
    left, missing = list(got), []
    for wanted in expected:
        match = next((item for item in left if not differences(wanted, item)), None)
        if match is None:
            missing.append(f"{where} has no {wanted}")
        else:
            left.remove(match)
    return missing


def same(expected: Any, got: Any) -> bool:
    """Say whether two plain values mean the same."""
    if expected == "null":
        return got is None
    if isinstance(expected, bool) or isinstance(got, bool):
        return str(expected).lower() == str(got).lower()
    first, second = _number(expected), _number(got)
    if first is not None and second is not None:
        return first == second
    return bool(expected == got)


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _status(value: Any) -> str:
    letters = "".join(letter for letter in str(value).lower() if letter.isalpha())
    word = next((word for word in _STATUS_WORDS if word in letters), letters)
    return _SAME_STATUS.get(word, word)
