"""Whom a product asks outside: which sub-systems, in which step, and how patiently.

A product either leaves that to the house, which asks all at once, or says it itself. Whether the
choice is sound, the checker says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.ports import staff_page
from risk.admin import edits, rights, words
from risk.admin.editing import saved
from risk.admin.names import Names
from risk.evidence.house import DECLARED, Declared
from risk.strategy.language import patience_s
from risk.strategy.nodes import Node
from risk.strategy.problems import Problems
from risk.strategy.reading_subsystems import PROMISED_S, read_subsystems

_NUMBERS: Final = ("step", "timeout_s", "attempts")
_CHOSEN: Final = (*_NUMBERS, "fallback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sub-system as the editor shows it.

    Attributes:
        fields: What it may answer, in words.
        place: JSON path of its entry; empty if the product has none.
    """

    name: str
    label: str
    fields: tuple[str, ...]
    is_on: bool
    step: Any
    timeout_s: Any
    attempts: Any
    fallback: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiries:
    """What a product asks.

    Attributes:
        is_own: Whether it says so itself.
        patience_s: How long that may take at most; None if it cannot be read.
    """

    is_own: bool
    lines: tuple[Line, ...]
    place: str
    patience_s: int | None
    promised_s: int = PROMISED_S


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    at = "/admin/risk/strategies/<key>/subsystems"
    blueprint.add_url_rule(at, "save_subsystems", save_subsystems, methods=["POST"])


@staff_page(rights.EDIT)
def save_subsystems(key: str) -> ResponseReturnValue:
    """Save whom a product asks, or leave it to the house."""
    form, product = request.form, request.form.get("product", "")
    listed = zip(
        form.getlist("name"),
        *(form.getlist(name) for name in _NUMBERS),
        form.getlist("fallback"),
        strict=False,
    )
    on = frozenset(form.getlist("on"))
    uses = [_use(*typed) for typed in listed if typed[0] in on]
    edit = edits.set_subsystems(product, uses if form.get("whose") == "own" else None)
    said = gettext("调整 %(product)s 的外部查询", product=product)
    then = url_for("risk_admin.strategy", key=key, product=product)
    return saved(key, edit, note=said, then=then)


def inquiries(body: Mapping[str, Any], product: str, names: Names) -> Inquiries:
    """Say what a product asks, with all that it could ask."""
    number, entry = next(
        (n, each) for n, each in enumerate(body["products"]) if each["product"] == product
    )
    place = f"$.products[{number}].subsystems"
    given = entry.get("subsystems")
    chosen: dict[Any, tuple[int | None, Mapping[str, Any]]]
    chosen = {each.get("name"): (n, each) for n, each in enumerate(given or ())}
    known = {each.name: each for each in DECLARED}
    lines = []
    for name in dict.fromkeys([*chosen, *known]):
        n, typed = chosen.get(name, (None, {}))
        usual = known.get(str(name))
        lines.append(
            Line(
                name=str(name),
                label=words.subsystem(str(name)),
                fields=tuple(names.field(each).label for each in usual.fields) if usual else (),
                is_on=given is None or n is not None,
                place="" if n is None else f"{place}[{n}]",
                **(_usually(usual) | {key: typed[key] for key in _CHOSEN if key in typed}),
            )
        )
    return Inquiries(
        is_own=given is not None,
        lines=tuple(lines),
        place=place,
        patience_s=_patience(body, product),
    )


def _usually(declared: Declared | None) -> dict[str, Any]:
    """Say how a sub-system is asked where nobody chose."""
    if declared is None:
        return dict.fromkeys(_CHOSEN, "")
    return {
        "step": 1,
        "timeout_s": declared.timeout_s,
        "attempts": declared.attempts,
        "fallback": declared.fallback.value,
    }


def _patience(body: Mapping[str, Any], product: str) -> int | None:
    problems = Problems()
    uses = read_subsystems(Node(body, "$", problems)).get(product)
    return None if uses is None or problems else patience_s(uses)


def _use(name: str, step: str, timeout_s: str, attempts: str, fallback: str) -> dict[str, Any]:
    numbers = zip(_NUMBERS, (step, timeout_s, attempts), strict=True)
    return {
        "name": name,
        **{key: int(text) if text.strip().isdecimal() else text for key, text in numbers},
        "fallback": fallback,
    }
