"""One stage of a draft: its rules, its table, its card, its numbers; each kind in its own form.

The statutory stage is shown and never edited.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import staff_page
from desk.queries import document_in_force
from kernel.web import runtime, today
from risk.admin import arithmetic, edits, rights, shapes, words
from risk.admin.cells import text_of
from risk.admin.conditions import for_builder, from_builder
from risk.admin.editing import EditNotReadable, Opened, draw, opened, saved, stage_at
from risk.admin.names import Field, Names
from risk.admin.values import typed
from risk.decisions.strategies import MODEL, versions_in_force
from risk.models.card import Scorecard
from risk.models.reading import read_model
from risk.models.trees import BoostedTrees
from risk.strategy.statutory import STAGE as STATUTORY
from risk.strategy.statutory import statutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the table editor, as static/grid.js draws it.

    Attributes:
        part: cell, outcome, reason or output.
        about: What stands small below the title.
        options: What can be chosen; anything else may be typed all the same.
    """

    name: str
    part: str
    title: str
    about: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledModel:
    """A published model as a strategy calls it."""

    version: int
    hash: str
    model: Scorecard | BoostedTrees
    features: tuple[Field, ...]

    @property
    def trees(self) -> int:
        """How many trees it adds up; 0 for a card."""
        return len(self.model.trees) if isinstance(self.model, BoostedTrees) else 0


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>/stages"
    add(at, "add_stage", add_stage, methods=["POST"])
    add(f"{at}/<stage_id>", "stage", stage)
    add(f"{at}/<stage_id>/values", "save_values", save_values, methods=["POST"])
    add(f"{at}/<stage_id>/table", "save_table", save_table, methods=["POST"])
    add(f"{at}/<stage_id>/formulas", "save_sets", save_sets, methods=["POST"])
    add(f"{at}/<stage_id>/otherwise", "save_otherwise", save_otherwise, methods=["POST"])
    add(f"{at}/<stage_id>/remove", "remove_stage", remove_stage, methods=["POST"])


@staff_page(rights.VIEW)
def stage(key: str, stage_id: str) -> ResponseReturnValue:
    """Show a stage in the form of its kind."""
    with runtime().database.read() as session:
        given = opened(session, key)
        number, found = stage_at(given.body, stage_id)
        called = _called(session, given, found)
        in_force = versions_in_force(session, on=today())
    kind = found["kind"]
    template = "rules" if kind == "final" else kind
    return draw(
        f"stage_{template}.html",
        given,
        stage=found,
        number=number,
        called=called,
        models=[name for what, name, version in in_force if what == MODEL and version],
        typed=typed,
        table=_table(given, found) if kind == "table" else None,
        text_of=text_of,
        tree_of=lambda when: for_builder(when, given.names),
        operators={code: str(word) for code, word in words.OPERATORS.items()},
        matches={code: str(word) for code, word in words.MATCHES.items()},
        outputs=[given.names.field(each.get("name", "")) for each in given.body.get("outputs", ())],
        leads_to=[each for each in given.body["stages"] if _is_led_to(each, stage_id)],
        functions=list(arithmetic.FUNCTIONS.values()),
        formula_of=partial(_formula, given),
        statutes={each.rule: each for each in statutes()},
        used_by=[
            words.said(words.PRODUCTS, each["product"])
            for each in given.body["products"]
            if stage_id in each["stages"]
        ],
    )


@staff_page(rights.EDIT)
def add_stage(key: str) -> ResponseReturnValue:
    """Add an empty stage, switched off, and open it."""
    kind, title = request.form.get("kind", ""), request.form.get("title", "").strip()
    with runtime().database.read() as session:
        given = opened(session, key)
    stage_id = edits.free_id(kind or "stage", edits.ids_in(given.body["stages"]))
    return saved(
        key,
        edits.add_stage(shapes.blank_stage(stage_id, kind, title or stage_id)),
        note=gettext("新增阶段 %(title)s", title=title),
        then=url_for("risk_admin.stage", key=key, stage_id=stage_id),
    )


@staff_page(rights.EDIT)
def remove_stage(key: str, stage_id: str) -> ResponseReturnValue:
    """Remove a stage from the draft."""
    with runtime().database.read() as session:
        title = _title(opened(session, key), stage_id)
    return saved(
        key,
        edits.remove_stage(stage_id),
        note=gettext("删除阶段 %(title)s", title=title),
        then=url_for("risk_admin.strategy", key=key),
    )


@staff_page(rights.EDIT)
def save_values(key: str, stage_id: str) -> ResponseReturnValue:
    """Save what was typed on the page of a stage, and add to or take from its structure."""
    with runtime().database.read() as session:
        given = opened(session, key)
    names = given.names
    whens = {
        name.removeprefix("when:"): _condition(text, names)
        for name, text in request.form.items()
        if name.startswith("when:")
    }
    sent = shapes.sent_by(request.form.items(), whens)
    return saved(
        key,
        shapes.put_stage(stage_id, sent, names),
        note=gettext("修改阶段 %(title)s", title=_title(given, stage_id)),
        then=url_for("risk_admin.stage", key=key, stage_id=stage_id) if sent.act else "",
    )


@staff_page(rights.EDIT)
def save_table(key: str, stage_id: str) -> ResponseReturnValue:
    """Save a whole decision table."""
    try:
        given = json.loads(request.form.get("table", ""))
        given |= {name: request.form.get(name, "") for name in ("title", "policy", "missing")}
    except (ValueError, TypeError) as error:
        raise EditNotReadable("the table is no JSON object") from error
    with runtime().database.read() as session:
        names = opened(session, key).names
    note = gettext("修改决策表 %(title)s", title=given["title"] or stage_id)
    return saved(key, edits.put_table(stage_id, given, names), note=note)


@staff_page(rights.EDIT)
def save_sets(key: str, stage_id: str) -> ResponseReturnValue:
    """Save the formulas of a stage that computes outputs."""
    form = request.form
    listed = zip(form.getlist("output"), form.getlist("formula"), strict=False)
    with runtime().database.read() as session:
        given = opened(session, key)
    as_it_was = {
        (entry.get("output"), _formula(given, entry)): entry.get("value")
        for entry in stage_at(given.body, stage_id)[1].get("set", ())
    }
    sets = [
        {
            "output": output,
            "value": as_it_was.get((output, text), arithmetic.kept(text, given.names)),
        }
        for output, text in listed
        if output or text.strip()
    ]
    note = gettext("修改阶段 %(title)s", title=_title(given, stage_id))
    return saved(key, edits.put_sets(stage_id, sets, form.get("missing", "")), note=note)


@staff_page(rights.EDIT)
def save_otherwise(key: str, stage_id: str) -> ResponseReturnValue:
    """Save what becomes of those whom nothing approves."""
    outcome, reason = request.form.get("outcome", ""), request.form.get("reason", "")
    note = gettext("修改阶段 %(title)s", title=stage_id)
    return saved(key, edits.set_otherwise(stage_id, outcome, reason), note=note)


def _formula(given: Opened, entry: Mapping[str, Any]) -> str:
    field = given.names.field(entry.get("output", ""))
    return arithmetic.text_of(entry.get("value", ""), given.names, unit=field.unit)


def _title(given: Opened, stage_id: str) -> str:
    return str(stage_at(given.body, stage_id)[1].get("title") or stage_id)


def _is_led_to(stage: Mapping[str, Any], stage_id: str) -> bool:
    """Say whether a branch may lead to a stage."""
    return stage["id"] not in {stage_id, STATUTORY} and stage["kind"] != "final"


def _condition(text: str, names: Names) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise EditNotReadable("the condition is no JSON") from error
    return from_builder(tree, names)


def _called(session: Session, given: Opened, found: Mapping[str, Any]) -> CalledModel | None:
    if found["kind"] != "model":
        return None
    view = document_in_force(session, kind=MODEL, key=str(found.get("model")), on=today())
    if view is None:
        return None
    model = read_model(view.body)
    features = tuple(given.names.field(name) for name in model.features)
    return CalledModel(version=view.version, hash=view.body_hash, model=model, features=features)


def _table(given: Opened, found: Mapping[str, Any]) -> dict[str, Any]:
    """Say everything that the table editor needs."""
    outputs = edits.outputs_of(found)
    columns = [
        *(_column(given.names.field(name), "cell") for name in found["columns"]),
        *_ends(given),
        *(_column(given.names.field(name), "output") for name in outputs),
    ]
    return {
        "columns": [_drawn(column) for column in columns],
        "rows": edits.table_of(found, given.names),
        "ids": [row.get("id", "") for row in found["rows"]],
        "outputs": [
            _drawn(_column(field, "output"))
            for field in given.names.own.values()
            if field.source == "output"
        ],
    }


def _column(field: Field, part: str) -> Column:
    about = [field.name, words.unit(field.unit)]
    truths = tuple(map(str, words.TRUTHS.values())) if field.kind == "truth" else ()
    return Column(
        name=field.name,
        part=part,
        title=field.label,
        about=" · ".join(each for each in about if each),
        options=tuple(words.said(words.CHOICES, code) for code in field.choices) or truths,
    )


def _ends(given: Opened) -> Iterator[Column]:
    codes = tuple(str(reason.get("code", "")) for reason in given.body["reasons"])
    outcomes = tuple(str(words.OUTCOMES[code][0]) for code in ("review", "decline"))
    yield Column(name="outcome", part="outcome", title=str(gettext("结论")), options=outcomes)
    yield Column(name="reason", part="reason", title=str(gettext("原因码")), options=codes)


def _drawn(column: Column) -> dict[str, Any]:
    return {name: getattr(column, name) for name in Column.__slots__}
