"""The five classes in place: a person may class a loan worse than its days do, and take it back.

What days alone make of a loan is data of servicing.lateness; here nobody makes a class better.
"""

from functools import partial
from typing import Any, Final

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import act_in_dialog, current_staff, staff_page
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import rights, words
from servicing.admin.forms import choice, day, dialog, do_once, page_of, written
from servicing.operations import ClassRefused
from servicing.operations.classing import MarkNotFound

_LONGEST_REASON: Final = 200


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/loans/<int:loan_id>/class"
    add(at, "class_form", class_form)
    add(at, "downgrade", downgrade, methods=["POST"])
    add(f"{at}/<int:mark_id>/end", "end_class_form", end_form)
    add(f"{at}/<int:mark_id>/end", "end_downgrade", end, methods=["POST"])


@staff_page(rights.DOWNGRADE)
def class_form(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Ask to which class, until when and why."""
    return _form(customer_id, loan_id)


@staff_page(rights.DOWNGRADE)
def downgrade(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Class the loan no better than so from today on."""
    return act_in_dialog(
        form=partial(_form, customer_id, loan_id),
        act=partial(_downgrade, customer_id, loan_id),
        said=gettext("已下调五级分类，即刻生效"),
        then=page_of(customer_id),
    )


@staff_page(rights.DOWNGRADE)
def end_form(customer_id: int, loan_id: int, mark_id: int) -> ResponseReturnValue:
    """Ask why the loan is classed by its days again."""
    return _end_form(customer_id, loan_id, mark_id)


@staff_page(rights.DOWNGRADE)
def end(customer_id: int, loan_id: int, mark_id: int) -> ResponseReturnValue:
    """Take a person's judgement back."""
    return act_in_dialog(
        form=partial(_end_form, customer_id, loan_id, mark_id),
        act=partial(_end, customer_id, loan_id, mark_id),
        said=gettext("已撤销分类下调"),
        then=page_of(customer_id),
    )


def _form(customer_id: int, loan_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
    to = url_for("servicing_admin.downgrade", customer_id=customer_id, loan_id=loan_id)
    return dialog("class_form.html", to=to, error=error, loan=loan, today=today())


def _end_form(customer_id: int, loan_id: int, mark_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        mark = _mark(session, customer_id, loan_id, mark_id)
    to = url_for(
        "servicing_admin.end_downgrade",
        customer_id=customer_id,
        loan_id=loan_id,
        mark_id=mark_id,
    )
    return dialog("class_end_form.html", to=to, error=error, mark=mark)


def _downgrade(customer_id: int, loan_id: int) -> bool:
    until_on = day("until")
    if until_on is None:
        raise ClassRefused("a downgrade needs an end")
    payload = {
        "loan": loan_id,
        "at_least": choice("at_least", words.LOWER_CLASSES),
        "until": until_on.isoformat(),
        "reason": written("reason", most=_LONGEST_REASON),
    }

    def do(session: Session) -> dict[str, Any]:
        queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        mark_id = operations.downgrade(
            session,
            loan_id=loan_id,
            at_least=str(payload["at_least"]),
            until_on=until_on,
            reason=str(payload["reason"]),
            by=current_staff().login,
            on=today(),
            now=now(),
        )
        return {**payload, "mark": mark_id}

    return do_once("loan.downgraded", customer_id=customer_id, payload=payload, do=do)


def _end(customer_id: int, loan_id: int, mark_id: int) -> bool:
    payload = {"mark": mark_id, "reason": written("reason", most=_LONGEST_REASON)}

    def do(session: Session) -> dict[str, Any]:
        _mark(session, customer_id, loan_id, mark_id)
        operations.end_downgrade(
            session, mark_id=mark_id, by=current_staff().login, on=today(), now=now()
        )
        return {"loan": loan_id, **payload}

    return do_once("loan.downgrade_ended", customer_id=customer_id, payload=payload, do=do)


def _mark(session: Session, customer_id: int, loan_id: int, mark_id: int) -> queries.ClassMarkView:
    queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
    marks = queries.class_marks(session, loan_id=loan_id)
    found = next((mark for mark in marks if mark.id == mark_id), None)
    if found is None:
        raise MarkNotFound(f"no mark {mark_id} on this loan")
    return found
