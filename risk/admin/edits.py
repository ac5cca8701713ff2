"""Edits of a document, out of what forms say.

Each changes the document in place and checks only that the form is one of ours: what is wrong with
a strategy, the checker says.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from risk.admin import saying, words
from risk.admin.cells import cell_of, text_of
from risk.admin.drafts import StrategyNotFound
from risk.admin.editing import Edit, EditNotReadable, StatutoryLocked, open_stage
from risk.admin.names import Field, Names
from risk.admin.values import kept
from risk.features.catalogue import Kind
from risk.strategy.statutory import STAGE as STATUTORY

_STEP: Final = re.compile(r"\.?(?P<key>[a-z_][\w-]*)|\[(?P<n>\d{1,4})\]")
_NUMBER: Final = Field(name="", label="", kind=Kind.NUMBER)
_WORDS: Final = frozenset({"title", "missing", "output", "model"})
_MOST_ROWS: Final = 2_000


# --- the whole ---


def order_stages(product: str, stages: Sequence[str], on: frozenset[str]) -> Edit:
    """Put the stages of a product in order, and leave out those that are off."""

    def edit(document: dict[str, Any]) -> None:
        entry = _product(document, product)
        if STATUTORY in entry["stages"] and (not stages or stages[0] != STATUTORY):
            raise StatutoryLocked("the statutory stage comes first")
        entry["stages"] = [each for each in stages if each in on or each == STATUTORY]

    return edit


def set_head(
    given: Mapping[str, str], required: Iterable[tuple[str, str]], *, catalogue: str
) -> Edit:
    """Set title, period and required fields, and take on the catalogue of today."""

    def edit(document: dict[str, Any]) -> None:
        _put(document, given)
        document["catalogue"] = catalogue
        document["required"] = [
            _without_blanks({"field": field, "missing": missing}) for field, missing in required
        ]

    return edit


def set_reasons(reasons: Iterable[Mapping[str, str]]) -> Edit:
    """Set all reasons: code, what staff read, and the sentence for the customer."""

    def edit(document: dict[str, Any]) -> None:
        document["reasons"] = [dict(each) for each in reasons]

    return edit


def add_stage(stage: Mapping[str, Any]) -> Edit:
    """Add a stage before the last, switched off until a product lists it."""

    def edit(document: dict[str, Any]) -> None:
        document["stages"].insert(max(0, len(document["stages"]) - 1), dict(stage))

    return edit


def set_outputs(outputs: Iterable[Mapping[str, str]]) -> Edit:
    """Set all outputs that stages may give a value to."""

    def edit(document: dict[str, Any]) -> None:
        document["outputs"] = [_without_blanks(each) for each in outputs]

    return edit


def set_derived(derived: Iterable[Mapping[str, Any]]) -> Edit:
    """Set all derived values."""

    def edit(document: dict[str, Any]) -> None:
        document["derived"] = [dict(each) for each in derived]

    return edit


def set_counters(counters: Iterable[Mapping[str, Any]]) -> Edit:
    """Set all counts over a time window."""

    def edit(document: dict[str, Any]) -> None:
        document["counters"] = [dict(each) for each in counters]

    return edit


def set_subsystems(product: str, uses: Sequence[Mapping[str, Any]] | None) -> Edit:
    """Say whom a product asks outside; None leaves it to the house."""

    def edit(document: dict[str, Any]) -> None:
        entry = _product(document, product)
        entry.pop("subsystems", None)
        if uses is not None:
            entry["subsystems"] = [dict(use) for use in uses]

    return edit


def add_product(product: str, like: str) -> Edit:
    """Let the strategy decide another product, just as one that it decides already.

    Raises (when it runs):
        StrategyNotFound: It does not decide that one.
    """

    def edit(document: dict[str, Any]) -> None:
        document["products"].append({**deepcopy(_product(document, like)), "product": product})

    return edit


def drop_product(product: str) -> Edit:
    """Have the strategy no longer decide a product."""

    def edit(document: dict[str, Any]) -> None:
        document["products"].remove(_product(document, product))

    return edit


def _product(document: Mapping[str, Any], product: str) -> dict[str, Any]:
    found: dict[str, Any] | None = next(
        (each for each in document["products"] if each["product"] == product), None
    )
    if found is None:
        raise StrategyNotFound(f"no product {product}")
    return found


def remove_stage(stage_id: str) -> Edit:
    """Remove a stage, from every product too."""

    def edit(document: dict[str, Any]) -> None:
        document["stages"].remove(open_stage(document, stage_id))
        for product in document["products"]:
            product["stages"] = [each for each in product["stages"] if each != stage_id]

    return edit


def free_id(stem: str, taken: Iterable[str]) -> str:
    """Make an id that is not taken."""
    known = set(taken)
    return next(name for n in range(1, len(known) + 2) if (name := f"{stem}.{n}") not in known)


# --- rules ---


def ids_in(part: Any) -> Iterator[str]:
    """Name every id of a document."""
    if isinstance(part, Mapping):
        if isinstance(part.get("id"), str):
            yield part["id"]
        for value in part.values():
            yield from ids_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from ids_in(value)


def put_rule(stage_id: str, rule: Mapping[str, Any], reason: Mapping[str, str] | None) -> Edit:
    """Change a rule, or add it behind the others if its id is new; and its reason's words."""

    def edit(document: dict[str, Any]) -> None:
        rules = open_stage(document, stage_id)["rules"]
        at = next((n for n, each in enumerate(rules) if each.get("id") == rule["id"]), len(rules))
        rules[at : at + 1] = [dict(rule)]
        if reason is not None:
            _put_reason(document["reasons"], reason)

    return edit


def move_rule(stage_id: str, rule_id: str, by: int) -> Edit:
    """Move a rule up (-1) or down (1); 0 removes it."""

    def edit(document: dict[str, Any]) -> None:
        rules = open_stage(document, stage_id)["rules"]
        at = next((n for n, each in enumerate(rules) if each.get("id") == rule_id), None)
        if at is None:
            raise StrategyNotFound(f"no rule {rule_id}")
        rule = rules.pop(at)
        if by:
            rules.insert(max(0, at + by), rule)

    return edit


def put_sets(stage_id: str, sets: Iterable[Mapping[str, Any]], missing: str) -> Edit:
    """Set all formulas of a stage that computes, and what follows where one has no value."""

    def edit(document: dict[str, Any]) -> None:
        stage = open_stage(document, stage_id)
        if stage["kind"] != "compute":
            raise EditNotReadable(f"{stage_id} computes nothing")
        stage["set"] = [dict(each) for each in sets]
        _put(stage, {"missing": missing})

    return edit


def set_otherwise(stage_id: str, outcome: str, reason: str) -> Edit:
    """Say what becomes of those whom no final rule approves."""

    def edit(document: dict[str, Any]) -> None:
        stage = open_stage(document, stage_id)
        stage["otherwise"] = _without_blanks({"outcome": outcome, "reason": reason})

    return edit


def _put_reason(reasons: list[dict[str, str]], reason: Mapping[str, str]) -> None:
    for n, each in enumerate(reasons):
        if each.get("code") == reason["code"]:
            reasons[n] = dict(reason)
            return
    reasons.append(dict(reason))


# --- tables ---


def table_of(stage: Mapping[str, Any], names: Names) -> list[list[str]]:
    """Write the rows of a table as texts: cells, outcome, reason, outputs."""
    fields = [names.field(name) for name in stage.get("columns", ())]
    outputs = outputs_of(stage)
    return [
        [
            *(text_of(cell, field) for cell, field in zip(row["cells"], fields, strict=False)),
            str(words.word(words.OUTCOMES, row.get("outcome", ""))[0]),
            row.get("reason", ""),
            *(text_of(row.get("set", {}).get(name), names.field(name)) for name in outputs),
        ]
        for row in stage.get("rows", ())
    ]


def outputs_of(stage: Mapping[str, Any]) -> list[str]:
    """Name the outputs that the rows of a table set."""
    return list(dict.fromkeys(name for row in stage["rows"] for name in row.get("set", {})))


def put_table(stage_id: str, given: Any, names: Names) -> Edit:
    """Take over a whole table.

    Args:
        stage_id: Of the table.
        given: `title`, `policy`, `missing`, `columns`, `outputs`, `rows` of texts, and `ids`, one
            a row, empty where it has none.
        names: In reach of the draft.

    Raises:
        EditNotReadable: It is no table of texts.
    """
    columns, outputs, rows = _table_parts(given)
    fields = [names.field(name) for name in columns]

    def edit(document: dict[str, Any]) -> None:
        stage = open_stage(document, stage_id)
        as_it_was = _cells_as_they_were(stage, names)
        stage["columns"] = columns
        stage["rows"] = []
        for row_id, texts in rows:
            cells = [
                as_it_was.get((field.name, text), cell_of(text, field))
                for field, text in zip(fields, texts, strict=False)
            ]
            behind = texts[len(columns) :]
            row = _without_blanks({"id": row_id}) | {"cells": cells}
            stage["rows"].append(row | _effect(behind, outputs, names))
        _put(stage, {key: str(given.get(key, "")) for key in ("title", "policy", "missing")})

    return edit


def _table_parts(given: Any) -> tuple[list[str], list[str], list[tuple[str, list[str]]]]:
    try:
        columns, outputs = [str(n) for n in given["columns"]], [str(n) for n in given["outputs"]]
        rows = [[str(text) for text in row] for row in given["rows"]]
        ids = [str(row_id) for row_id in given["ids"]]
    except (KeyError, TypeError) as error:
        raise EditNotReadable("no table") from error
    width = len(columns) + len(("outcome", "reason")) + len(outputs)
    if len(rows) > _MOST_ROWS or len(ids) != len(rows) or any(len(row) != width for row in rows):
        raise EditNotReadable("rows of another width, or too many of them")
    return columns, outputs, list(zip(ids, rows, strict=True))


def _cells_as_they_were(stage: Mapping[str, Any], names: Names) -> dict[tuple[str, str], Any]:
    """Remember how each cell was written, so that only what was typed anew is written anew."""
    found: dict[tuple[str, str], Any] = {}
    for row in stage["rows"]:
        for name, cell in zip(stage["columns"], row["cells"], strict=False):
            found.setdefault((name, text_of(cell, names.field(name))), cell)
    return found


def _effect(texts: Sequence[str], outputs: Sequence[str], names: Names) -> dict[str, Any]:
    outcome, reason, *values = (text.strip() for text in texts)
    codes = {str(said): code for code, (said, _) in words.OUTCOMES.items()}
    said: dict[str, Any] = {"outcome": codes.get(outcome, outcome), "reason": reason}
    sets = {
        name: kept(text, names.field(name))
        for name, text in zip(outputs, values, strict=True)
        if text
    }
    return _without_blanks(said) | ({"set": sets} if sets else {})


# --- single values: cards, matrices, line and price ---


def put_values(stage_id: str, given: Mapping[str, str], names: Names) -> Edit:
    """Change single values of a stage, each named by its path in it; only words can be added.

    Raises (when it runs):
        EditNotReadable: A path leads to no single value.
    """

    def edit(document: dict[str, Any]) -> None:
        stage = open_stage(document, stage_id)
        fields = fields_of(stage, names)
        for path, text in given.items():
            if path in _WORDS:
                _put(stage, {path: text})
                continue
            holder, key = _holder(stage, path)
            holder[key] = kept(text, fields.get(path, _NUMBER))

    return edit


def fields_of(stage: Mapping[str, Any], names: Names) -> dict[str, Field]:
    """Tell of which field or unit the values of a stage are, by path."""
    found: dict[str, Field] = {}
    for n, entry in enumerate(stage.get("characteristics", ())):
        field = names.field(entry["field"])
        for m, _ in enumerate(entry.get("bins", ())):
            found[f"characteristics[{n}].bins[{m}].below"] = field
        for m, _ in enumerate(entry.get("specials", ())):
            found[f"characteristics[{n}].specials[{m}].value"] = field
    for n, entry in enumerate(stage.get("set", ())):
        unit = names.field(entry["output"]).unit
        for piece in saying.pieces(entry["value"], names, unit=unit, path=f"set[{n}].value"):
            if piece.path:
                found[piece.path] = Field(name="", label="", kind=Kind.NUMBER, unit=piece.unit)
    return found


def _holder(stage: dict[str, Any], path: str) -> tuple[Any, Any]:
    """Find what holds a value; only a single value that is there can be changed."""
    steps = [match["key"] or int(match["n"]) for match in _STEP.finditer(path)]
    if not steps or steps[-1] in {"id", "kind"}:
        raise EditNotReadable(f"{path} is no path")
    holder: Any = stage
    try:
        for step in steps[:-1]:
            holder = holder[step]
        value = holder[steps[-1]]
    except (KeyError, IndexError, TypeError) as error:
        raise EditNotReadable(f"{path} leads nowhere") from error
    if isinstance(value, dict | list):
        raise EditNotReadable(f"{path} is no single value")
    return holder, steps[-1]


def _put(holder: dict[str, Any], given: Mapping[str, str]) -> None:
    """Set texts; a blank one is taken out, so that the checker asks for it where it is needed."""
    for key, text in given.items():
        holder[key] = text.strip()
        if not holder[key]:
            del holder[key]


def _without_blanks(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value != ""}
