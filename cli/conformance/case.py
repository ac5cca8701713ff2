"""One vector, and helpers to compare what came out with what it expects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.conformance.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One vector.

    Attributes:
        given: Its input.
        expected: What must come out.
        keys: PEM texts by name, from the file beside it.
        is_reproducible: Whether all keys are published; without them only the shape is checked.
    """

    id: str
    category: str
    given: Mapping[str, Any]
    expected: Mapping[str, Any]
    keys: Mapping[str, Any]
    is_reproducible: bool = True

    def pem(self, *names: str) -> str:
        """Return the PEM that one of these inputs names or holds, "" if none does."""
        for name in names:
            value = self.given.get(name)
            known = self.keys.get(str(value))
            if known is not None:
                return str(known["pem"] if isinstance(known, Mapping) else known)
            if isinstance(value, str) and "-----BEGIN" in value:
                return value.strip()
        return ""


Check = Callable[[Case, "Stage"], str]


def differs(what: str, got: object, wanted: object) -> str:
    """Return why two values are not the same, "" if they are."""
    return "" if got == wanted else f"{what} is {got!r}, expected {wanted!r}"


def first_of(given: Mapping[str, Any], *names: str) -> str:
    """Return the first of some inputs that is there, whatever the spelling of its name."""
    spelled = {name.replace("_", "").lower(): value for name, value in given.items()}
    found = (spelled.get(name.replace("_", "").lower()) for name in names)
    return next((str(value) for value in found if value is not None), "")


def without_empty(value: object) -> object:
    """Drop empty texts and fields at any depth: an empty element says as much as none.

    Numbers become text, as all that is pushed is text here, whichever format it came in.
    """
    if isinstance(value, Mapping):
        kept = {name: without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in ("", None, {}, [])}
    if isinstance(value, list):
        return [without_empty(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else value
