"""The page that makes a list: its id, its title, what its values are and how rules ask it.

A list stays what it was made as: its entries are kept by its kind.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import act_in_dialog, staff_page
from kernel.errors import Invalid
from kernel.ids import new_token
from kernel.web import now
from risk.admin import rights, words
from risk.admin.dialogs import done_once, tell_after
from risk.decisions.listed import make_new_list
from risk.strategy.language import Match
from risk.strategy.lists import MATCHES, ListKind, ListTerms

_NAME: Final = re.compile(r"(?!new$)[a-z][a-z0-9-]{1,63}")
_LONGEST_TITLE: Final = 64


class ListOdd(Invalid):
    """A list needs an id, a title, a kind of value, and a way of matching that fits the kind."""

    code = "risk-list-odd"
    message_zh = "请检查名单的编号、名称、类型与匹配方式"

    def __init__(self, field: str, message_zh: str) -> None:
        super().__init__(f"{field} is odd", field=field)
        self.message_zh = message_zh


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/lists/new"
    add(at, "list_form", list_form)
    add(at, "make_list", make, methods=["POST"])


@staff_page(rights.EDIT_LISTS)
def list_form() -> ResponseReturnValue:
    """Ask what the list is."""
    return _form()


@staff_page(rights.EDIT_LISTS)
def make() -> ResponseReturnValue:
    """Make a list, empty."""

    def act() -> bool:
        name, terms = _given()

        def put(session: Session) -> Mapping[str, Any]:
            make_new_list(session, name=name, terms=terms, now=now())
            tell_after(session)
            return said

        said = {
            "title": terms.title,
            "kind": str(terms.kind),
            "match": str(terms.match),
            "needs_second": terms.needs_second,
        }
        return done_once(action="risk.list.made", subject=f"list:{name}", payload=said, do=put)

    return act_in_dialog(
        form=_form,
        act=act,
        said=gettext("名单已新建，可以加入条目并在策略中引用"),
        then=url_for("risk_admin.lists"),
    )


def _given() -> tuple[str, ListTerms]:
    given = {name: text.strip() for name, text in request.form.items()}
    name, title = given.get("name", ""), given.get("title", "")
    if not _NAME.fullmatch(name):
        raise ListOdd("name", "编号须为小写字母开头的字母、数字与短横线，2至64位，且不为 new")
    if not 0 < len(title) <= _LONGEST_TITLE:
        raise ListOdd("title", "请填写名称（不超过64字）")
    try:
        kind = ListKind(given.get("kind", ""))
    except ValueError as error:
        raise ListOdd("kind", "请选择值的类型") from error
    match = given.get("match", "")
    if match not in MATCHES[kind]:
        raise ListOdd("match", "匹配方式与值的类型不符")
    needs_second = "needs_second" in given
    return name, ListTerms(title=title, kind=kind, match=Match(match), needs_second=needs_second)


def _form(error: str = "") -> str:
    return render_template(
        "risk/admin/list_form.html",
        to=url_for("risk_admin.make_list"),
        error=error,
        key=new_token(),
        form=request.values,
        words=words,
    )
