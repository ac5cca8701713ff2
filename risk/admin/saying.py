"""Conditions, arithmetic and effects of a document in words, for reading and for differences.

It works on the document itself, so that drafts with mistakes can be read too; what it does not
understand it shows as it is.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask_babel import gettext

from risk.admin import words
from risk.admin.names import Field, Names
from risk.admin.values import shown, typed
from risk.features.catalogue import Kind
from risk.strategy.lists import STATUTORY_LISTS

_SIGNS: Final[Mapping[str, str]] = {
    "add": " + ",
    "subtract": " − ",
    "multiply": " × ",
    "divide": " ÷ ",
}


# --- conditions ---


def condition(document: Any, names: Names, *, is_inner: bool = False) -> str:
    """Say a condition."""
    if not isinstance(document, Mapping):
        return _raw(document)
    for key, joint in (("all", gettext("且")), ("any", gettext("或"))):
        parts = document.get(key)
        if isinstance(parts, list):
            said = f" {joint} ".join(condition(part, names, is_inner=True) for part in parts)
            return f"（{said}）" if is_inner and len(parts) > 1 else said
    if "not" in document:
        return str(gettext("并非（%(what)s）", what=condition(document["not"], names)))
    return f"{names.field(document.get('field', '?')).label} {_statement(document, names)}"


def _statement(document: Mapping[str, Any], names: Names) -> str:
    field = names.field(document.get("field", "?"))
    operator, value = document.get("is"), document.get("value")
    said = words.said(words.OPERATORS, operator)
    if operator in {"missing", "present"}:
        return said
    if operator in {"in_list", "not_in_list"}:
        name = str(document.get("list", ""))
        kept = STATUTORY_LISTS.get(name)
        return f"{said}“{gettext(kept.title) if kept else name}”"
    if operator == "between" and isinstance(value, list) and len(value) == len(("from", "below")):
        return span(value[0], value[1], field)
    return f"{said} {_operand(value, field, names)}"


def span(low: Any, high: Any, field: Field) -> str:
    """Say a half-open range."""
    ends = (("≥", low), ("<", high))
    return " ".join(f"{sign} {shown(end, field)}" for sign, end in ends if end is not None)


def below(edge: Any, field: Field) -> str:
    """Say a bin of a card by its upper edge; the last one has none."""
    return str(gettext("其余")) if edge is None else span(None, edge, field)


def cell(document: Any, field: Field, names: Names) -> str:
    """Say what a cell of a table, or a band of a matrix, asks of its column."""
    if document is None or document == {}:
        return str(gettext("不限"))
    if isinstance(document, Mapping) and "is" in document:
        return _statement({"field": field.name, **document}, names)
    if isinstance(document, Mapping):
        return span(document.get("from"), document.get("below"), field)
    return _operand(document, field, names)


def _operand(value: Any, field: Field, names: Names) -> str:
    if isinstance(value, Mapping):
        return names.field(value["field"]).label if "field" in value else _raw(value)
    if isinstance(value, list):
        return "、".join(shown(each, field) for each in value)
    return shown(value, field)


# --- what follows ---


def effect(document: Mapping[str, Any], names: Names) -> str:
    """Say what follows from a row, a cell of a matrix or a leaf."""
    said = []
    if document.get("outcome"):
        outcome = str(words.word(words.OUTCOMES, document["outcome"])[0])
        said.append(f"{outcome}（{names.reason(document.get('reason'))}）")
    sets = document.get("set")
    if isinstance(sets, Mapping):
        fields = [(names.field(name), value) for name, value in sets.items()]
        said += [f"{field.label} {shown(value, field)}" for field, value in fields]
    return "，".join(said) or "—"


def missing(code: object) -> str:
    """Say what it means that something cannot be told."""
    return words.said(words.MISSING, code) if code else str(gettext("未选择"))


def expectation(what: str, value: Any, names: Names) -> str:
    """Say one thing that a case expects or finds: an outcome, its reasons, or an output."""
    if what == "outcome":
        return str(words.word(words.OUTCOMES, value)[0])
    if what == "reasons":
        return "、".join(names.reason(code) for code in value) or str(gettext("无"))
    return str(gettext("无")) if value is None else shown(value, names.field(what))


# --- arithmetic ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a formula: words, or a number that can be changed.

    Attributes:
        path: Where the number stands; empty for words.
        text: The words, or the number as it would be typed.
    """

    text: str
    path: str = ""
    unit: str = ""


def formula(document: Any, names: Names, unit: str = "") -> str:
    """Say arithmetic in one line; `unit` is of what comes out."""
    return "".join(
        f"{piece.text}{words.unit(piece.unit)}" for piece in pieces(document, names, unit=unit)
    )


def pieces(document: Any, names: Names, *, unit: str = "", path: str = "") -> Iterator[Piece]:
    """Take arithmetic apart into words and numbers.

    Args:
        document: The expression.
        names: In reach of the draft.
        unit: Of what comes out, as in the catalogue: operands that are added or compared share it.
        path: Where the expression stands.
    """
    if isinstance(document, str):
        yield Piece(text=names.field(document).label)
    elif isinstance(document, Mapping) and len(document) == 1:
        operator, operands = next(iter(document.items()))
        yield from _operation(operator, operands, names, unit, f"{path}.{operator}")
    else:
        number = Field(name="", label="", kind=Kind.NUMBER, unit=unit)
        yield Piece(text=typed(document, number), path=path, unit=unit)


def _operation(operator: str, operands: Any, names: Names, unit: str, path: str) -> Iterator[Piece]:
    if not isinstance(operands, list):
        day = names.field(operands).label
        yield Piece(text=str(gettext("距“%(day)s”的天数", day=day)))
        return
    inner = "" if operator in {"multiply", "divide"} else unit
    parts = [
        list(pieces(operand, names, unit=inner, path=f"{path}[{n}]"))
        for n, operand in enumerate(operands)
    ]
    if operator in _SIGNS:
        yield from _joined(parts, _SIGNS[operator])
        return
    if operator == "round_down" and len(parts) == len(("value", "step")):
        yield from (*parts[0], Piece(text=str(gettext("，向下取整到"))), *parts[1])
        return
    openings = {
        "least": gettext("取最小（"),
        "greatest": gettext("取最大（"),
        "first_of": gettext("取首个有值（"),
    }
    yield Piece(text=str(openings.get(operator, f"{operator}（")))
    yield from _joined(parts, "，")
    yield Piece(text="）")


def _joined(parts: list[list[Piece]], joint: str) -> Iterator[Piece]:
    for n, part in enumerate(parts):
        if n:
            yield Piece(text=joint)
        yield from part


def _raw(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)
