"""What the pages of a draft share: how it is opened and drawn, and how a save is answered.

A save answers JSON: the new version and every mistake with its place, which static/editor.js marks
in the page. Nothing typed is lost: the page stays as it is, whatever the answer.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from flask import Blueprint, current_app, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import current_staff
from kernel.errors import Invalid
from kernel.web import now, runtime, today
from risk.admin import saying, words
from risk.admin.drafts import (
    Checked,
    DraftChanged,
    Noted,
    StrategyNotFound,
    Working,
    checked,
    save,
    working,
)
from risk.admin.names import Names
from risk.decisions.strategies import prices_of
from risk.features.catalogue import Catalogue
from risk.strategy.pricing import PriceRange
from risk.strategy.statutory import STAGE as STATUTORY

_PLACE: Final = re.compile(r"\$\.(?P<part>\w+)(?:\[(?P<n>\d+)\])?(?:\.rules\[(?P<rule>\d+)\])?")
_EXTENSION: Final = "risk.catalogue"

Edit = Callable[[dict[str, Any]], None]


class EditNotReadable(Invalid):
    """A form holds what its page cannot have sent."""

    code = "risk-edit-not-readable"
    message_zh = "提交的内容无法识别，请刷新页面后重试"


class StatutoryLocked(Invalid):
    """The statutory rules are not for editing: their words are the law's."""

    code = "risk-statutory-locked"
    message_zh = "法定规则由合规维护，不能在策略中修改、移动或关闭"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A strategy as its pages need it."""

    working: Working
    names: Names
    checked: Checked

    @property
    def body(self) -> dict[str, Any]:
        """The document."""
        return self.working.body

    def problems(self) -> list[dict[str, str]]:
        """Say every mistake, with the page where it can be put right."""
        return [
            {**asdict(noted), **place_of(self.working, noted)} for noted in self.checked.problems
        ]


def remember(blueprint: Blueprint, catalogue: Catalogue) -> None:
    """Give the pages of a blueprint the catalogue that its app decides by."""
    blueprint.record(lambda state: state.app.extensions.update({_EXTENSION: catalogue}))


def catalogue() -> Catalogue:
    """Return the catalogue of the current app."""
    found: Catalogue = current_app.extensions[_EXTENSION]
    return found


def opened(session: Session, key: str) -> Opened:
    """Open a strategy.

    Raises:
        StrategyNotFound: There is none.
    """
    return _looked_through(working(session, key=key, on=today()), sold_in(session))


def sold_in(session: Session) -> Mapping[str, PriceRange]:
    """Return what the products that are sold may cost, as far as anybody knows."""
    prices = prices_of(runtime())
    return prices.ranges(session, on=today()) if prices else {}


def _looked_through(found: Working, sold: Mapping[str, PriceRange]) -> Opened:
    return Opened(
        working=found,
        names=Names(catalogue(), found.body),
        checked=checked(found.body, catalogue(), on=today(), sold=sold),
    )


def draw(template: str, given: Opened, **more: Any) -> str:
    """Draw a page of a strategy."""
    return render_template(
        f"risk/admin/{template}",
        strategy=given.working,
        body=given.body,
        names=given.names,
        problems=given.problems(),
        can_publish=given.checked.strategy is not None,
        words=words,
        saying=saying,
        statutory=STATUTORY,
        **more,
    )


def stage_at(body: Mapping[str, Any], stage_id: str) -> tuple[int, dict[str, Any]]:
    """Find a stage and its place in a document.

    Raises:
        StrategyNotFound: There is none of that id.
    """
    for n, stage in enumerate(body.get("stages", ())):
        if stage.get("id") == stage_id:
            return n, stage
    raise StrategyNotFound(f"no stage {stage_id}")


def open_stage(body: Mapping[str, Any], stage_id: str) -> dict[str, Any]:
    """Find a stage that may be edited.

    Raises:
        StrategyNotFound: There is none of that id.
        StatutoryLocked: It is the law's.
    """
    if stage_id == STATUTORY:
        raise StatutoryLocked("the statutory stage is not for editing")
    return stage_at(body, stage_id)[1]


def saved(key: str, edit: Edit, *, note: str, then: str = "") -> ResponseReturnValue:
    """Save an edit of a draft and answer what came of it.

    Args:
        key: Of the strategy.
        edit: Changes the document in place.
        note: What was edited, in words.
        then: Where the page goes; it stays if empty.
    """
    base = request.form.get("base", type=int)
    if base is None:
        raise EditNotReadable("the form does not say which version it is made on")
    try:
        with runtime().database.write() as session:
            found = save(
                session,
                key=key,
                base=base,
                edit=edit,
                author=current_staff().login,
                note=note,
                now=now(),
                on=today(),
            )
            sold = sold_in(session)
    except DraftChanged:
        return _conflict(key, base), DraftChanged.status
    said = gettext("已保存为草稿 v%(version)s", version=found.newest)
    return jsonify(
        version=found.newest,
        problems=_looked_through(found, sold).problems(),
        message=said if found.newest != base else gettext("没有变化"),
        then=then,
    )


def _conflict(key: str, base: int) -> Any:
    with runtime().database.read() as session:
        found = working(session, key=key, on=today())
    message = gettext(
        "%(who)s 已保存了 v%(version)s，您的修改还没有保存，仍保留在本页。",
        who=found.shown.author,
        version=found.newest,
    )
    compare = url_for("risk_admin.changes", key=key, against=base)
    return jsonify(message=message, version=found.newest, compare=compare)


def place_of(found: Working, noted: Noted) -> dict[str, str]:
    """Say in words where a mistake is, and on which page it can be put right."""
    match = _PLACE.match(noted.path)
    key = found.key
    part = match["part"] if match else ""
    if part == "reasons":
        return {"place": gettext("原因码"), "url": url_for("risk_admin.reasons", key=key)}
    if part in {"derived", "counters"}:
        return {"place": gettext("派生与计数"), "url": url_for("risk_admin.formulas", key=key)}
    if match and part == "products" and match["n"]:
        product = found.body["products"][int(match["n"])].get("product")
        url = url_for("risk_admin.strategy", key=key, product=product)
        return {"place": f"{gettext('策略编排')} · {product}", "url": url}
    stages = found.body.get("stages", ())
    if match is None or part != "stages" or not match["n"] or int(match["n"]) >= len(stages):
        return {"place": gettext("策略编排"), "url": url_for("risk_admin.strategy", key=key)}
    stage = stages[int(match["n"])]
    place = str(stage.get("title") or stage["id"])
    url = url_for("risk_admin.stage", key=key, stage_id=stage["id"])
    rules = stage.get("rules", ())
    if match["rule"] and int(match["rule"]) < len(rules):
        rule = rules[int(match["rule"])]
        place = f"{place} · {rule.get('title') or rule['id']}"
        if stage["id"] != STATUTORY:
            url = url_for("risk_admin.rule", key=key, stage_id=stage["id"], rule_id=rule["id"])
    return {"place": place, "url": url}
