"""A new strategy begins as a copy of another: its own id and name, one product, the same stages.

StrategyKeyOdd    422  the id is none
StrategyKeyTaken  409  there is a strategy of that id
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import act_once, save_draft
from desk.ports import act_in_dialog, current_staff, staff_page
from kernel.errors import Conflict, Invalid
from kernel.ids import new_token
from kernel.web import now, runtime, today
from risk.admin import rights
from risk.admin.drafts import strategy_keys, working
from risk.decisions.strategies import STRATEGY

_KEY: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST: Final = 40


class StrategyKeyOdd(Invalid):
    """An id is small letters and digits joined by dashes, at most 40 signs; likewise a product."""

    code = "risk-strategy-key-odd"
    message_zh = "编号与产品请用小写字母、数字，以短横线连接，不超过40位；名称不能为空"


class StrategyKeyTaken(Conflict):
    """There is a strategy of that id already."""

    code = "risk-strategy-key-taken"
    message_zh = "该编号已被其他策略使用"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    at = "/admin/risk/strategies/<key>/copy"
    blueprint.add_url_rule(at, "copy_form", copy_form)
    blueprint.add_url_rule(at, "copy", copy, methods=["POST"])


@staff_page(rights.EDIT)
def copy_form(key: str) -> ResponseReturnValue:
    """Ask for the id, the name and the product of the new strategy."""
    return _form(key)


@staff_page(rights.EDIT)
def copy(key: str) -> ResponseReturnValue:
    """Draft the new strategy; it decides nothing until it is published."""
    return act_in_dialog(
        form=partial(_form, key),
        act=partial(_copy, key),
        said=gettext("新策略已建为草稿，发布前不影响任何申请"),
        then=url_for("risk_admin.strategies"),
    )


def _copy(key: str) -> bool:
    given = {name: request.form.get(name, "").strip() for name in ("id", "title", "product")}
    names = (given["id"], given["product"])
    is_odd = any(not _KEY.fullmatch(name) or len(name) > _LONGEST for name in names)
    if is_odd or not given["title"]:
        raise StrategyKeyOdd("an id, a name and a product are needed")
    with runtime().database.write() as session:
        return act_once(
            session,
            actor=current_staff().login,
            action="risk.strategy.copied",
            subject=f"strategy:{given['id']}",
            key=request.form.get("key", ""),
            payload={"from": key, **given},
            do=lambda: _drafted(session, key, given),
            now=now(),
        )


def _drafted(session: Session, key: str, given: Mapping[str, str]) -> dict[str, Any]:
    if given["id"] in strategy_keys(session, on=today()):
        raise StrategyKeyTaken(f"{given['id']} is taken")
    found = working(session, key=key, on=today())
    products = [{**found.body["products"][0], "product": given["product"]}]
    body = found.body | {"id": given["id"], "title": given["title"], "products": products}
    note = str(gettext("复制自 %(title)s", title=found.title))
    author = current_staff().login
    save_draft(
        session, kind=STRATEGY, key=given["id"], body=body, author=author, now=now(), note=note
    )
    return {"from": key, "from_version": found.shown.version}


def _form(key: str, error: str = "") -> str:
    with runtime().database.read() as session:
        found = working(session, key=key, on=today())
    return render_template(
        "risk/admin/copy_form.html",
        to=url_for("risk_admin.copy", key=key),
        error=error,
        key=new_token(),
        form=request.values,
        strategy=found,
    )
