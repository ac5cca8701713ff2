"""Lines in place: cut, renewed, and the last change taken back. A raise is an offer."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import act_in_dialog, current_staff, staff_page
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import rights
from servicing.admin.forms import amount, dialog, do_once, needed_day, page_of, written
from servicing.operations.lines import LineNotFound
from servicing.queries import LineChangeView, LineView

_LONGEST_REASON: Final = 120


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/lines/<int:line_id>"
    add(f"{at}/changes", "line_change_form", change_form)
    add(f"{at}/cut", "cut_line", cut, methods=["POST"])
    add(f"{at}/renew", "renew_line", renew, methods=["POST"])
    add(f"{at}/changes/<int:change_id>/undo", "undo_line_change", undo, methods=["POST"])


@staff_page(rights.CHANGE_LINE)
def change_form(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Show a line's changes, and ask for another."""
    return _form(customer_id, line_id)


@staff_page(rights.CHANGE_LINE)
def cut(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Grant less from now on; less than is used is lawful."""
    return _act(customer_id, line_id, partial(_cut, customer_id, line_id), gettext("额度已调低"))


@staff_page(rights.CHANGE_LINE)
def renew(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Let the line be drawn until another day."""
    act = partial(_renew, customer_id, line_id)
    return _act(customer_id, line_id, act, gettext("额度有效期已更新"))


@staff_page(rights.CHANGE_LINE)
def undo(customer_id: int, line_id: int, change_id: int) -> ResponseReturnValue:
    """Take the last change back."""
    act = partial(_undo, customer_id, line_id, change_id)
    return _act(customer_id, line_id, act, gettext("已撤销额度变更"))


def _cut(customer_id: int, line_id: int) -> bool:
    granted_fen, reason = amount("amount"), written("why", most=_LONGEST_REASON)

    def do(session: Session) -> dict[str, Any]:
        line = _line(session, customer_id, line_id)
        if granted_fen >= line.granted_fen:
            raise operations.LineChangeRefused("a raise is an offer to the customer")
        change_id = operations.change_granted(
            session,
            line_id=line_id,
            granted_fen=granted_fen,
            actor=current_staff().login,
            now=now(),
        )
        return {"line": line_id, "change": change_id, "granted_fen": granted_fen, "reason": reason}

    payload = {"line": line_id, "granted_fen": granted_fen, "reason": reason}
    return do_once("line.cut", customer_id=customer_id, payload=payload, do=do)


def _renew(customer_id: int, line_id: int) -> bool:
    expires_on, reason = needed_day("expires_on"), written("why", most=_LONGEST_REASON)

    def do(session: Session) -> dict[str, Any]:
        _line(session, customer_id, line_id)
        change_id = operations.renew_line(
            session,
            line_id=line_id,
            expires_on=expires_on,
            actor=current_staff().login,
            on=today(),
            now=now(),
        )
        return {"line": line_id, "change": change_id, "expires_on": expires_on, "reason": reason}

    payload = {"line": line_id, "expires_on": expires_on, "reason": reason}
    return do_once("line.renewed", customer_id=customer_id, payload=payload, do=do)


def _undo(customer_id: int, line_id: int, change_id: int) -> bool:
    def do(session: Session) -> dict[str, Any]:
        _line(session, customer_id, line_id)
        undone = operations.undo_line_change(
            session,
            change_id=change_id,
            line_id=line_id,
            actor=current_staff().login,
            now=now(),
        )
        return {"line": line_id, "change": change_id, "by_change": undone}

    payload = {"line": line_id, "change": change_id}
    return do_once("line.change_undone", customer_id=customer_id, payload=payload, do=do)


def _act(customer_id: int, line_id: int, act: Callable[[], bool], said: str) -> ResponseReturnValue:
    return act_in_dialog(
        form=partial(_form, customer_id, line_id), act=act, said=said, then=page_of(customer_id)
    )


def _form(customer_id: int, line_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        line = _line(session, customer_id, line_id)
        changes: tuple[LineChangeView, ...] = queries.line_changes(session, line_id=line_id)
    return dialog(
        "line_changes.html",
        to=url_for("servicing_admin.cut_line", customer_id=customer_id, line_id=line_id),
        error=error,
        customer_id=customer_id,
        line=line,
        changes=changes,
        today=today(),
    )


def _line(session: Session, customer_id: int, line_id: int) -> LineView:
    lines = queries.lines_of(session, customer_id=customer_id)
    found = next((line for line in lines if line.id == line_id), None)
    if found is None:
        raise LineNotFound(f"no line {line_id} of this customer")
    return found
