"""Conditions between a document and the condition builder of static/builder.js.

The builder knows groups and statements with values as typed; this module turns them into the
language and back. What cannot be a condition at all is refused.
"""

from collections.abc import Mapping
from typing import Any, Final

from risk.admin import words
from risk.admin.editing import EditNotReadable
from risk.admin.names import Field, Names
from risk.admin.values import kept, typed

_DEEPEST: Final = 20
_MANY: Final = frozenset({"one_of", "none_of"})
_NO_VALUE: Final = frozenset({"missing", "present"})
_LISTED: Final = frozenset({"in_list", "not_in_list"})
_SEPARATORS: Final = "、,，;；"


def for_builder(condition: Any, names: Names) -> dict[str, Any]:
    """Turn a condition into a tree for the builder; its root is always a group."""
    node = _node(condition, names)
    return node if "join" in node else {"join": "all", "parts": [node]}


def _node(condition: Any, names: Names) -> dict[str, Any]:
    if not isinstance(condition, Mapping) or not condition:
        return {"join": "all", "parts": []}
    for join in ("all", "any"):
        if isinstance(condition.get(join), list):
            return {"join": join, "parts": [_node(part, names) for part in condition[join]]}
    if "not" in condition:
        inner = condition["not"]
        parts = inner["any"] if isinstance(inner, Mapping) and "any" in inner else [inner]
        return {"join": "none", "parts": [_node(part, names) for part in parts]}
    return _statement(condition, names)


def _statement(condition: Mapping[str, Any], names: Names) -> dict[str, Any]:
    field = names.field(condition.get("field", ""))
    value = condition.get("value")
    node: dict[str, Any] = {**for_picker(field), "is": condition.get("is", "")}
    if isinstance(value, Mapping):
        node["other"] = for_picker(names.field(value.get("field", "")))
    elif node["is"] == "between" and isinstance(value, list):
        node["values"] = [typed(each, field) for each in value]
    elif isinstance(value, list):
        node["values"] = ["、".join(typed(each, field) for each in value)]
    else:
        node["values"] = [typed(value, field)]
    return node | {key: condition[key] for key in ("list", "match") if key in condition}


def for_picker(field: Field) -> dict[str, Any]:
    """Say of a field what the builder and the picker show."""
    about = (
        words.window(field.window),
        words.unit(field.unit),
        words.said(words.SOURCES, field.source),
        field.basis,
    )
    return {
        "field": field.name,
        "label": field.label,
        "kind": field.kind,
        "unit": words.unit(field.unit),
        "choices": list(field.choices),
        "said": {code: words.said(words.CHOICES, code) for code in field.choices},
        "about": " · ".join(each for each in about if each),
        "supporting": field.is_supporting,
    }


def from_builder(node: Any, names: Names, depth: int = 0) -> dict[str, Any]:
    """Turn what the builder sent into a condition.

    Raises:
        EditNotReadable: It is no tree of groups and statements, or a too deep one.
    """
    if not isinstance(node, dict) or depth > _DEEPEST:
        raise EditNotReadable("no condition")
    if "join" not in node:
        return _said(node, names)
    parts = node.get("parts")
    if not isinstance(parts, list) or node["join"] not in {"all", "any", "none"}:
        raise EditNotReadable("no group of conditions")
    inner = [from_builder(part, names, depth + 1) for part in parts]
    if node["join"] == "none":
        return {"not": inner[0] if len(inner) == 1 else {"any": inner}}
    return inner[0] if len(inner) == 1 else {node["join"]: inner}


def _said(node: Mapping[str, Any], names: Names) -> dict[str, Any]:
    name, operator = str(node.get("field", "")), str(node.get("is", ""))
    said: dict[str, Any] = {"field": name, "is": operator}
    if operator in _NO_VALUE:
        return said
    if operator in _LISTED:
        return said | {"list": str(node.get("list", "")), "match": str(node.get("match", "exact"))}
    other = node.get("other")
    if isinstance(other, dict):
        return said | {"value": {"field": str(other.get("field", ""))}}
    values = node.get("values")
    texts = [str(each) for each in values] if isinstance(values, list) else []
    return said | {"value": _value(operator, texts, names.field(name))}


def _value(operator: str, texts: list[str], field: Field) -> Any:
    if operator == "between":
        return [kept(text, field) if text.strip() else None for text in texts[:2]]
    text = texts[0] if texts else ""
    if operator not in _MANY:
        return kept(text, field)
    for sign in _SEPARATORS:
        text = text.replace(sign, "、")
    return [kept(part, field) for part in text.split("、") if part.strip()]
