"""The form of one rule: when it holds, what follows, why, and what missing data means."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.ports import staff_page
from kernel.web import runtime
from risk.admin import edits, rights, words
from risk.admin.conditions import for_builder, from_builder
from risk.admin.drafts import StrategyNotFound
from risk.admin.editing import (
    EditNotReadable,
    Opened,
    StatutoryLocked,
    draw,
    opened,
    saved,
    stage_at,
)
from risk.strategy.statutory import STAGE as STATUTORY

NEW = "new"
"""Stands for the rule that is being made."""

_MOVES: Mapping[str, int] = {"up": -1, "down": 1, "remove": 0}


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>/stages/<stage_id>/rules"
    add(f"{at}/<rule_id>", "rule", rule)
    add(f"{at}/<rule_id>", "save_rule", save_rule, methods=["POST"])
    add(f"{at}/<rule_id>/move", "move_rule", move_rule, methods=["POST"])


@staff_page(rights.VIEW)
def rule(key: str, stage_id: str, rule_id: str) -> ResponseReturnValue:
    """Show the form of a rule, or an empty one."""
    with runtime().database.read() as session:
        given = opened(session, key)
    number, stage = _stage(given, stage_id)
    at, found = _rule(stage, rule_id)
    reasons = {each.get("code"): each for each in given.body["reasons"]}
    return draw(
        "rule.html",
        given,
        stage=stage,
        rule=found,
        rule_id=rule_id,
        path=f"$.stages[{number}].rules[{at}]",
        tree=for_builder(found.get("when"), given.names),
        operators={code: str(word) for code, word in words.OPERATORS.items()},
        operators_of=words.OPERATORS_OF,
        matches={code: str(word) for code, word in words.MATCHES.items()},
        reasons=reasons,
        shared=_sharing(given.body, found),
    )


@staff_page(rights.EDIT)
def save_rule(key: str, stage_id: str, rule_id: str) -> ResponseReturnValue:
    """Save a rule with its reason's words."""
    with runtime().database.read() as session:
        given = opened(session, key)
    _, stage = _stage(given, stage_id)
    made = _read(given, stage, rule_id)
    then = ""
    if rule_id == NEW:
        then = url_for("risk_admin.rule", key=key, stage_id=stage_id, rule_id=made["id"])
    return saved(
        key,
        edits.put_rule(stage_id, made, _reason() if stage["kind"] == "rules" else None),
        note=gettext("修改规则 %(title)s", title=made.get("title") or made["id"]),
        then=then,
    )


@staff_page(rights.EDIT)
def move_rule(key: str, stage_id: str, rule_id: str) -> ResponseReturnValue:
    """Move a rule within its stage, or remove it."""
    move = _MOVES.get(request.form.get("move", ""))
    if move is None:
        raise EditNotReadable("no such move")
    return saved(
        key,
        edits.move_rule(stage_id, rule_id, move),
        note=gettext("调整规则 %(title)s", title=rule_id),
        then=url_for("risk_admin.stage", key=key, stage_id=stage_id),
    )


def _stage(given: Opened, stage_id: str) -> tuple[int, dict[str, Any]]:
    if stage_id == STATUTORY:
        raise StatutoryLocked("the statutory stage is not for editing")
    number, stage = stage_at(given.body, stage_id)
    if "rules" not in stage:
        raise StrategyNotFound(f"the stage {stage_id} has no rules")
    return number, stage


def _rule(stage: Mapping[str, Any], rule_id: str) -> tuple[int, dict[str, Any]]:
    if rule_id == NEW:
        return len(stage["rules"]), {}
    for n, each in enumerate(stage["rules"]):
        if each.get("id") == rule_id:
            return n, each
    raise StrategyNotFound(f"no rule {rule_id}")


def _read(given: Opened, stage: Mapping[str, Any], rule_id: str) -> dict[str, Any]:
    """Read the form; what was left blank is left out, so that the checker asks for it."""
    form = request.form
    try:
        tree = json.loads(form.get("when", ""))
    except ValueError as error:
        raise EditNotReadable("the condition is no JSON") from error
    own_id = _rule(stage, rule_id)[1].get("id")
    made: dict[str, Any] = {
        "id": own_id or edits.free_id(stage["id"], edits.ids_in(given.body["stages"])),
        "title": form.get("title", "").strip(),
        "when": from_builder(tree, given.names),
    }
    keys = ["missing", "effective_from", "effective_to"]
    if stage["kind"] == "rules":
        made["reason"] = form.get("code", "").strip()
        keys.append("outcome")
    made |= {key: form.get(key, "").strip() for key in keys}
    if form.get("may_snooze") and stage["kind"] == "rules":
        made["may_snooze"] = True
    return {key: value for key, value in made.items() if value != ""}


def _reason() -> dict[str, str] | None:
    """Read the words of the reason; None if none is named."""
    given = {key: request.form.get(key, "").strip() for key in ("code", "internal", "customer")}
    return given if given["code"] else None


def _sharing(body: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Name the other rules that give the same reason: its words are theirs too."""
    return [
        str(each.get("title") or each["id"])
        for stage in body["stages"]
        for each in stage.get("rules", ())
        if found and each.get("reason") == found.get("reason") and each["id"] != found["id"]
    ]
