"""Cells of a decision table as text that a spreadsheet can hold, and back.

    (empty)      anything            ≥18 <25     from 18 to below 25
    A            exactly A           18~25       the same, easier to type
    A、B         A or B              >60  ≤60    as in mathematics
    ≠A           anything but A      缺失 有值    missing, present
    名单：x      on the list x       开头：x      begins with x (结尾, 包含)

What cannot be read stays as text, and the checker names it at its cell. Rare forms are JSON.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from flask_babel import force_locale, gettext

from risk.admin import words
from risk.admin.names import Field
from risk.admin.values import kept, typed
from risk.features.catalogue import Kind

_LANGUAGES: Final = ("zh_CN", "en")
_ORDERED: Final = frozenset({Kind.NUMBER, Kind.DAY})
_NARROW: Final = str.maketrans("＞＜＝～，：", "><=~,:")
_SEPARATOR: Final = re.compile(r"[、|;；]")
_BOTH_ENDS: Final = re.compile(r"(?:≥|>=)\s*(?P<low>\S+)\s*(?:且|,|\s)\s*<(?!=)\s*(?P<high>\S+)")
_SPAN: Final = re.compile(r"(?P<low>\S+)\s*[~至]\s*(?P<high>\S+)")
_SIGNED: Final = re.compile(r"(?P<sign>≥|>=|≤|<=|>|<)\s*(?P<value>.+)")
_NOT: Final = re.compile(r"(?:≠|!=|<>)\s*(?P<value>.+)")
_SIGNS: Final[Mapping[str, str]] = {"≤": "at_most", "<=": "at_most", ">": "above"}
_WORDED: Final[Mapping[str, str]] = {
    "开头": "starts_with",
    "结尾": "ends_with",
    "包含": "contains",
    "名单": "in_list",
    "非名单": "not_in_list",
}
_ENGLISH: Final[Mapping[str, str]] = {
    "starts": "开头",
    "ends": "结尾",
    "contains": "包含",
    "list": "名单",
    "not on list": "非名单",
}
_MATHEMATICAL: Final = frozenset("<≤>≥≠")
_PRESENCE: Final[Mapping[str, str]] = {
    "缺失": "missing",
    "missing": "missing",
    "有值": "present",
    "present": "present",
}
_ANYTHING: Final = frozenset({"", "*", "不限", "-", "—", "any"})
_WRITTEN: Final[Mapping[str, str]] = {
    "below": "<",
    "at_most": "≤",
    "above": ">",
    "at_least": "≥",
    "differs": "≠",
    "none_of": "≠",
    "missing": "缺失",
    "present": "有值",
    "starts_with": "开头：",
    "ends_with": "结尾：",
    "contains": "包含：",
    "in_list": "名单：",
    "not_in_list": "非名单：",
}


def text_of(cell: Any, field: Field) -> str:
    """Write a cell as text, in the language of the page; both languages are read."""
    if cell is None:
        return ""
    if isinstance(cell, list):
        return "、".join(_typed(each, field) for each in cell)
    if not isinstance(cell, Mapping):
        return _typed(cell, field)
    if "is" in cell:
        return _text_of_statement(cell, field)
    ends = (("≥", cell.get("from")), ("<", cell.get("below")))
    return " ".join(f"{sign}{typed(end, field)}" for sign, end in ends if end is not None)


def _typed(value: Any, field: Field) -> str:
    text = typed(value, field)
    if field.choices:
        return words.said(words.CHOICES, text)
    return str(gettext(text)) if isinstance(value, bool) else text


def _kept(text: str, field: Field) -> Any:
    """Read a constant; one of few values also by its name in either language."""
    return _named(field.choices).get(text.strip().casefold()) or kept(text, field)


@cache
def _named(choices: tuple[str, ...]) -> Mapping[str, str]:
    codes: dict[str, str] = {}
    for language in _LANGUAGES:
        with force_locale(language):
            codes |= {words.said(words.CHOICES, code).casefold(): code for code in choices}
    return codes


def _written(word: str) -> str:
    """Say a word of the grammar: a sign as it is, a word in the page's language."""
    said = _WRITTEN[word]
    return said if said in _MATHEMATICAL else str(gettext(said))


def cell_of(text: str, field: Field) -> Any:
    """Read a cell; what cannot be read stays text."""
    text = text.strip()
    if text.casefold() in _ANYTHING:
        return None
    if text.casefold() in _PRESENCE:
        return {"is": _PRESENCE[text.casefold()]}
    if text.startswith("{"):
        return _json(text)
    found = _in_order(text.translate(_NARROW), field) if field.kind in _ORDERED else None
    return found or _worded(text, field) or _chosen(text, field)


def _chosen(text: str, field: Field) -> Any:
    """Read a constant, some of them, or all but some."""
    differing = _NOT.fullmatch(text)
    found = [
        _kept(part, field)
        for part in _SEPARATOR.split(differing["value"] if differing else text)
        if part.strip()
    ]
    one = found[0] if len(found) == 1 else None
    if differing:
        none_of = {"is": "none_of", "value": found}
        return none_of if one is None else {"is": "differs", "value": one}
    return found if one is None else one


def _text_of_statement(cell: Mapping[str, Any], field: Field) -> str:
    word, value = str(cell.get("is")), cell.get("value")
    if isinstance(value, Mapping) or word not in _WRITTEN:
        return json.dumps(cell, ensure_ascii=False)
    if "list" in cell:
        exact = cell.get("match") == "exact"
        return f"{_written(word)}{cell['list']}" + ("" if exact else f"/{cell.get('match')}")
    many = value if isinstance(value, list) else [value]
    return _written(word) + "、".join(_typed(each, field) for each in many)


def _in_order(text: str, field: Field) -> Any:
    match = _BOTH_ENDS.fullmatch(text) or _SPAN.fullmatch(text)
    if match:
        return {"from": kept(match["low"], field), "below": kept(match["high"], field)}
    signed = _SIGNED.fullmatch(text)
    if signed is None or text.startswith("<>"):
        return None
    value = kept(signed["value"], field)
    if signed["sign"] in _SIGNS:
        return {"is": _SIGNS[signed["sign"]], "value": value}
    return {"below": value} if signed["sign"] == "<" else {"from": value}


def _worded(text: str, field: Field) -> dict[str, Any] | None:
    said, colon, rest = text.replace(":", "：", 1).partition("：")
    said = _ENGLISH.get(said.strip().casefold(), said)
    if not colon or said not in _WORDED or field.kind is not Kind.TEXT:
        return None
    word, rest = _WORDED[said], rest.strip()
    if word in {"in_list", "not_in_list"}:
        name, _, match = rest.partition("/")
        return {"is": word, "list": name, "match": match or "exact"}
    return {"is": word, "value": rest}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
