"""The lists that strategies ask: what stands on them, since when, why, and until when.

People stand on them by the index of their id number or phone, which nobody can read back. Another
value may name somebody, so it is masked, and who may see it in clear gives a reason. Entries are
never deleted: they expire, or an appeal against them is upheld.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import NavItem, Site, Unmasker, act_in_dialog, current_staff, staff_page
from kernel.errors import Invalid
from kernel.ids import new_token
from kernel.listing import PAGE_ROWS
from kernel.web import runtime, today
from risk.admin import list_acts, rights, words
from risk.admin.dialogs import done_once, tell_after
from risk.decisions.list_values import ListValueOdd, kept_value
from risk.decisions.listed import (
    EntryView,
    ListEntryNotFound,
    change_entry,
    entries_of,
    entry_of,
    lists_with_counts,
    put_on_list,
    terms_of,
)
from risk.strategy.lists import KEYED, Appeal, ListEntry, ListKind, ListTerms

UNMASKER: Final = "risk.list.value"

_LONGEST: Final = 200


class ListEntryOdd(Invalid):
    """An entry needs a value and a reason of at most 200 signs, and may end later than today."""

    code = "risk-list-entry-odd"
    message_zh = "请填写名单值与理由（各不超过200字），到期日须晚于今天"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/lists"
    add(at, "lists", lists)
    add(f"{at}/<name>", "list_entries", entries)
    add(f"{at}/<name>/entries", "entry_form", entry_form)
    add(f"{at}/<name>/entries", "add_entry", add_entry, methods=["POST"])
    add(f"{at}/<name>/entries/<int:entry_id>", "change_entry_form", change_form)
    add(f"{at}/<name>/entries/<int:entry_id>", "change_entry", change, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the link and the unmasking of values on a site."""
    site.navigation.add(
        NavItem(
            label="名单",
            endpoint="risk_admin.lists",
            permission=rights.LISTS,
            group="风控",
            order=305,
            icon="shield",
        )
    )
    list_acts.plug_in(site)
    site.unmaskers.add(
        Unmasker(key=UNMASKER, permission=rights.UNMASK, reveal=_reveal, label="名单值")
    )


@staff_page(rights.LISTS)
def lists() -> ResponseReturnValue:
    """List all lists with how many stand on them."""
    with runtime().database.read() as session:
        found = lists_with_counts(session, on=today())
    return render_template("risk/admin/lists.html", lists=found, words=words)


@staff_page(rights.LISTS)
def entries(name: str) -> ResponseReturnValue:
    """List the entries of a list, or those that hold a text."""
    text = request.args.get("q", "").strip()
    page = max(1, request.args.get("page", 1, type=int))
    with runtime().database.read() as session:
        terms = terms_of(session, name=name)
        found = entries_of(
            session,
            name=name,
            on=today(),
            text=_sought(terms.kind, text),
            limit=PAGE_ROWS + 1,
            offset=(page - 1) * PAGE_ROWS,
        )
    return render_template(
        "risk/admin/list_entries.html",
        name=name,
        entries=found[:PAGE_ROWS],
        has_more=len(found) > PAGE_ROWS,
        page=page,
        text=text,
        terms=terms,
        keyed=terms.kind in KEYED,
        shown=list_acts.shown,
        unmasker=UNMASKER,
        words=words,
    )


@staff_page(rights.EDIT_LISTS)
def entry_form(name: str) -> ResponseReturnValue:
    """Ask what is put on a list, why, and until when."""
    return _form("entry", name)


@staff_page(rights.EDIT_LISTS)
def add_entry(name: str) -> ResponseReturnValue:
    """Put a value on a list, or propose it where that takes two."""
    terms = _terms(name)

    def act() -> bool:
        entry = _entry_given(name, terms.kind)

        def put(session: Session) -> Mapping[str, Any]:
            if terms.needs_second:
                return {"approval": list_acts.propose_entry(session, entry)}
            put_on_list(session, entries=[entry])
            tell_after(session)
            return {"list": name, "reason": entry.reason, "expires_on": str(entry.expires_on)}

        return done_once(
            action=f"risk.list.entry_{'proposed' if terms.needs_second else 'added'}",
            subject=f"list:{name}",
            payload={"value": entry.value, "reason": entry.reason, "to": str(entry.expires_on)},
            do=put,
        )

    return act_in_dialog(
        form=lambda error: _form("entry", name, error),
        act=act,
        said=_said(terms, gettext("已加入名单，约一秒内对新的申请生效")),
        then=url_for("risk_admin.list_entries", name=name),
    )


@staff_page(rights.EDIT_LISTS)
def change_form(name: str, entry_id: int) -> ResponseReturnValue:
    """Ask until when an entry counts, and what became of an appeal."""
    return _form("change_entry", name, entry_id=entry_id)


@staff_page(rights.EDIT_LISTS)
def change(name: str, entry_id: int) -> ResponseReturnValue:
    """Change until when an entry counts, or what became of an appeal."""
    terms = _terms(name)

    def act() -> bool:
        appeal, expires_on = _appeal_given(), _day_given()
        reason = _text_given("reason")
        given: dict[str, Any] = {"expires_on": expires_on, "appeal": appeal}

        def put(session: Session) -> Mapping[str, Any]:
            _entry_of(session, name, entry_id)
            if terms.needs_second:
                asked = list_acts.propose_change(session, entry_id=entry_id, reason=reason, **given)
                return {"approval": asked, "entry": entry_id}
            change_entry(session, entry_id=entry_id, **given)
            tell_after(session)
            return {"entry": entry_id, **said}

        said = {"appeal": str(appeal), "expires_on": str(expires_on), "reason": reason}
        return done_once(
            action=f"risk.list.entry_change{'_proposed' if terms.needs_second else 'd'}",
            subject=f"list:{name}",
            payload=said | {"entry": entry_id},
            do=put,
        )

    return act_in_dialog(
        form=lambda error: _form("change_entry", name, error, entry_id=entry_id),
        act=act,
        said=_said(terms, gettext("名单条目已更新")),
        then=url_for("risk_admin.list_entries", name=name),
    )


def _terms(name: str) -> ListTerms:
    with runtime().database.read() as session:
        return terms_of(session, name=name)


def _said(terms: ListTerms, done: str) -> str:
    return gettext("已提交，待另一位同事审批后生效") if terms.needs_second else done


def _entry_given(name: str, kind: ListKind) -> ListEntry:
    expires_on = _day_given()
    if expires_on is not None and expires_on <= today():
        raise ListEntryOdd("it would have ended already")
    return ListEntry(
        list_name=name,
        value=kept_value(runtime().cipher, kind=kind, text=_text_given("value")),
        source=f"staff:{current_staff().login}",
        reason=_text_given("reason"),
        added_on=today(),
        expires_on=expires_on,
    )


def _sought(kind: ListKind, text: str) -> str:
    """Seek a person by the index of the number that is typed; anything else as it is."""
    try:
        return kept_value(runtime().cipher, kind=kind, text=text) if kind in KEYED else text
    except ListValueOdd:
        return text


def _text_given(field: str) -> str:
    text = request.form.get(field, "").strip()
    if not 0 < len(text) <= _LONGEST:
        raise ListEntryOdd(f"{field} is empty or too long")
    return text


def _day_given() -> date | None:
    text = request.form.get("expires_on", "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ListEntryOdd("the day is none") from error


def _appeal_given() -> Appeal:
    try:
        return Appeal(request.form.get("appeal", ""))
    except ValueError as error:
        raise ListEntryOdd("no such state of an appeal") from error


def _entry_of(session: Session, name: str, entry_id: int) -> EntryView:
    found = entry_of(session, entry_id=entry_id, on=today())
    if found.entry.list_name != name:
        raise ListEntryNotFound(f"{name} has no entry {entry_id}")
    return found


def _form(what: str, name: str, error: str = "", *, entry_id: int | None = None) -> str:
    with runtime().database.read() as session:
        terms = terms_of(session, name=name)
        found = None if entry_id is None else _entry_of(session, name, entry_id)
    to = "risk_admin.add_entry" if entry_id is None else "risk_admin.change_entry"
    more: dict[str, Any] = {} if entry_id is None else {"entry_id": entry_id}
    return render_template(
        f"risk/admin/{what}_form.html",
        to=url_for(to, name=name, **more),
        error=error,
        key=new_token(),
        form=request.values,
        name=name,
        terms=terms,
        found=found,
        words=words,
    )


def _reveal(subject: str) -> str:
    """Read the value of an entry.

    Raises:
        ListEntryNotFound: There is none of that number.
    """
    with runtime().database.read() as session:
        number = int(subject) if subject.isdecimal() else 0
        return entry_of(session, entry_id=number, on=today()).entry.value
