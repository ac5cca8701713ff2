"""Parts of a stage that come and go: bins, attributes, bands, branches of a tree, cases.

A page sends what was typed and one act together, so that nothing typed is lost: what was typed is
put where it stood, then the act changes the structure. New parts are blank, and the checker asks
for them at their places: nothing is filled in for the analyst.

    add:characteristics[0].bins   another bin before the open one
    drop:characteristics[0]       a part of a list is taken out; of a band its cells too
    up:cases[1]  down:cases[1]    moved among its neighbours
    unset:characteristics[0].missing, blank:characteristics[0].missing
    split:root.then               a leaf becomes a fork, and is what follows if it holds
    keep:root.then                a fork is replaced by one of its two sides
"""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from risk.admin.cells import cell_of
from risk.admin.editing import Edit, EditNotReadable, open_stage
from risk.admin.edits import free_id, ids_in, put_values
from risk.admin.names import Names
from risk.admin.values import kept

_STEP: Final = re.compile(r"(?P<key>[a-z_]+)|\[(?P<n>\d{1,4})\]")
_BAND: Final = re.compile(r"(?P<axis>rows|columns)\.bands\[(?P<n>\d{1,4})\]")
_EFFECT: Final = re.compile(r"cells\[\d{1,4}\]\[\d{1,4}\]|root(\.then|\.else)*")
_WHEN: Final = re.compile(r"cases\[\d{1,4}\]\.when|root(\.then|\.else)*\.when")
_LISTED: Final = re.compile(
    r"characteristics\[\d+\](\.(bins|specials)\[\d+\])?|cases\[\d+\](\.stages\[\d+\])?"
    r"|otherwise\[\d+\]"
)
_LISTS: Final = re.compile(
    r"characteristics(\[\d+\]\.(bins|specials))?|(rows|columns)\.bands|cases(\[\d+\]\.stages)?"
    r"|otherwise"
)
_OPTIONAL: Final = re.compile(r"characteristics\[\d+\]\.missing")
_SIDE: Final = re.compile(r"(?P<fork>root(\.then|\.else)*)\.(?P<side>then|else)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a page of a stage sent.

    Attributes:
        values: Single values as typed, by path.
        effects: Outcome, reason and outputs of cells and leaves as typed, by path.
        bands: Bands of a matrix as typed, by path.
        whens: Conditions, by path.
        fields: Fields that were picked anew, by path.
        act: `verb:path`, or empty.
        picked: What the act adds: a field, or a stage.
    """

    values: Mapping[str, str]
    effects: Mapping[str, Mapping[str, str]]
    bands: Mapping[str, str]
    whens: Mapping[str, Mapping[str, Any]]
    fields: Mapping[str, str]
    act: str = ""
    picked: str = ""


def put_stage(stage_id: str, sent: Sent, names: Names) -> Edit:
    """Take over what was typed, then do the act.

    Raises (when it runs):
        EditNotReadable: A path leads nowhere, or to what may not be changed so.
    """
    values = put_values(stage_id, sent.values, names)

    def edit(document: dict[str, Any]) -> None:
        values(document)
        stage = open_stage(document, stage_id)
        for path, field in sent.fields.items():
            _put_field(stage, path, field)
        for path, text in sent.bands.items():
            _put_band(stage, path, text, names)
        for path, texts in sent.effects.items():
            _put_effect(stage, path, texts, names)
        for path, when in sent.whens.items():
            _asserted(_WHEN, path)
            at(stage, path.removesuffix(".when"))["when"] = dict(when)
        if sent.act:
            _do(document, stage, sent)

    return edit


def at(stage: Mapping[str, Any], path: str) -> Any:
    """Find a part of a stage.

    Raises:
        EditNotReadable: There is none.
    """
    found: Any = stage
    try:
        for match in _STEP.finditer(path):
            found = found[match["key"] or int(match["n"])]
    except (KeyError, IndexError, TypeError) as error:
        raise EditNotReadable(f"{path} leads nowhere") from error
    return found


# --- what was typed ---


def _put_field(stage: dict[str, Any], path: str, field: str) -> None:
    if path not in {"rows.field", "columns.field"}:
        raise EditNotReadable(f"{path} takes no field")
    at(stage, path.removesuffix(".field"))["field"] = field


def _put_band(stage: dict[str, Any], path: str, text: str, names: Names) -> None:
    match = _BAND.fullmatch(path)
    if match is None:
        raise EditNotReadable(f"{path} is no band")
    axis, n = at(stage, match["axis"]), int(match["n"])
    at(stage, path)
    axis["bands"][n] = cell_of(text, names.field(axis["field"]))


def _put_effect(stage: dict[str, Any], path: str, texts: Mapping[str, str], names: Names) -> None:
    _asserted(_EFFECT, path)
    part = at(stage, path)
    if not isinstance(part, dict) or "when" in part:
        raise EditNotReadable(f"{path} has no effect of its own")
    for key in ("outcome", "reason"):
        _put_or_drop(part, key, texts.get(key, "").strip())
    sets = {
        name: kept(text, names.field(name))
        for key, text in texts.items()
        for name in (key.removeprefix("set."),)
        if key.startswith("set.") and text.strip()
    }
    _put_or_drop(part, "set", sets)


def _put_or_drop(part: dict[str, Any], key: str, value: Any) -> None:
    if value:
        part[key] = value
    else:
        part.pop(key, None)


# --- acts ---


def _do(document: dict[str, Any], stage: dict[str, Any], sent: Sent) -> None:
    verb, _, path = sent.act.partition(":")
    if verb not in _ACTS:
        raise EditNotReadable(f"no such act: {verb}")
    _ACTS[verb](document, stage, path, sent.picked)


def _add(document: dict[str, Any], stage: dict[str, Any], path: str, picked: str) -> None:
    _asserted(_LISTS, path)
    holder, _, key = path.rpartition(".")
    parts = (at(stage, holder) if holder else stage).setdefault(key, [])
    if key == "bands":
        _add_band(stage, holder)
    elif key == "characteristics":
        parts.append({"field": picked, "bins": [{"below": "", "points": ""}, {"points": ""}]})
    elif key == "bins":
        parts.insert(max(0, len(parts) - 1), {"below": "", "points": ""})
    elif key == "specials":
        parts.append({"value": "", "points": ""})
    elif key == "cases":
        case_id = free_id(stage["id"], ids_in(document["stages"]))
        parts.append({"id": case_id, "when": {}, "stages": []})
    else:
        parts.append(picked)


def _add_band(stage: dict[str, Any], axis: str) -> None:
    stage[axis]["bands"].append(None)
    if axis == "rows":
        stage["cells"].append([{} for _ in stage["columns"]["bands"]])
    else:
        for line in stage["cells"]:
            line.append({})


def _drop(_: dict[str, Any], stage: dict[str, Any], path: str, __: str) -> None:
    band = _BAND.fullmatch(path)
    if band is None:
        _asserted(_LISTED, path)
    at(stage, path)
    holder, n = _place(path)
    del at(stage, holder)[n]
    if band and band["axis"] == "rows":
        del stage["cells"][n]
    elif band:
        for line in stage["cells"]:
            del line[n]


def _moving(by: int) -> Callable[[dict[str, Any], dict[str, Any], str, str], None]:
    def move(_: dict[str, Any], stage: dict[str, Any], path: str, __: str) -> None:
        _asserted(_LISTED, path)
        at(stage, path)
        holder, n = _place(path)
        parts = at(stage, holder)
        parts.insert(max(0, n + by), parts.pop(n))

    return move


def _blank(_: dict[str, Any], stage: dict[str, Any], path: str, __: str) -> None:
    _asserted(_OPTIONAL, path)
    at(stage, path.rpartition(".")[0])["missing"] = ""


def _unset(_: dict[str, Any], stage: dict[str, Any], path: str, __: str) -> None:
    _asserted(_OPTIONAL, path)
    at(stage, path.rpartition(".")[0]).pop("missing", None)


def _split(document: dict[str, Any], stage: dict[str, Any], path: str, _: str) -> None:
    _asserted(_EFFECT, path)
    leaf = at(stage, path)
    if stage["kind"] != "tree" or "when" in leaf:
        raise EditNotReadable(f"{path} is no leaf")
    other = {"id": free_id(stage["id"], ids_in(document["stages"]))}
    _replace(stage, path, {"when": {}, "then": leaf, "else": other})


def _keep(_: dict[str, Any], stage: dict[str, Any], path: str, __: str) -> None:
    match = _SIDE.fullmatch(path)
    if match is None:
        raise EditNotReadable(f"{path} is no side of a fork")
    _replace(stage, match["fork"], deepcopy(at(stage, path)))


def _replace(stage: dict[str, Any], path: str, part: dict[str, Any]) -> None:
    above, _, key = path.rpartition(".")
    (at(stage, above) if above else stage)[key] = part


def _place(path: str) -> tuple[str, int]:
    holder, _, n = path.rpartition("[")
    return holder, int(n.rstrip("]"))


def _asserted(pattern: re.Pattern[str], path: str) -> None:
    if not pattern.fullmatch(path):
        raise EditNotReadable(f"{path} cannot be changed so")


_ACTS: Final[Mapping[str, Callable[[dict[str, Any], dict[str, Any], str, str], None]]] = {
    "add": _add,
    "drop": _drop,
    "up": _moving(-1),
    "down": _moving(1),
    "blank": _blank,
    "unset": _unset,
    "split": _split,
    "keep": _keep,
}


# --- new stages ---


def blank_stage(stage_id: str, kind: str, title: str) -> dict[str, Any]:
    """Make a stage with nothing in it.

    Raises:
        EditNotReadable: Another kind is asked for.
    """
    axis: dict[str, Any] = {"field": "", "bands": [None]}
    empty: Mapping[str, dict[str, Any]] = {
        "rules": {"rules": []},
        "table": {"policy": "first", "columns": [], "rows": []},
        "card": {"base": "", "characteristics": [], "missing_at_most": 0, "output": ""},
        "model": {"model": "", "output": ""},
        "matrix": {"rows": axis, "columns": deepcopy(axis), "cells": [[{}]]},
        "tree": {"root": {"id": f"{stage_id}.1"}},
        "branch": {"cases": [], "otherwise": []},
        "compute": {"set": []},
    }
    if kind not in empty:
        raise EditNotReadable(f"{kind} cannot be added")
    return {"id": stage_id, "kind": kind, "title": title, **empty[kind]}


ADDABLE: Final = ("rules", "table", "card", "model", "matrix", "tree", "branch", "compute")


def sent_by(items: Iterable[tuple[str, str]], whens: Mapping[str, Mapping[str, Any]]) -> Sent:
    """Sort out what a form says, by the beginnings of its names."""
    values: dict[str, str] = {}
    effects: dict[str, dict[str, str]] = {}
    bands: dict[str, str] = {}
    fields: dict[str, str] = {}
    single: dict[str, str] = {}
    for name, text in items:
        kind, _, path = name.partition(":")
        if kind == "value":
            values[path] = text
        elif kind == "band":
            bands[path] = text
        elif kind == "field":
            fields[path] = text
        elif kind == "effect":
            place, _, key = path.partition(":")
            effects.setdefault(place, {})[key] = text
        else:
            single[name] = text
    return Sent(
        values=values,
        effects=effects,
        bands=bands,
        fields=fields,
        whens=whens,
        act=single.get("act", ""),
        picked=single.get("picked", ""),
    )
