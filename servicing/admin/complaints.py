"""Complaints in place: taken, answered, closed. While one is open, what it disputes is on hold."""

from functools import partial
from typing import Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import act_in_dialog, current_staff, staff_page
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import rights, words
from servicing.admin.forms import choice, dialog, do_once, number, page_of, written
from servicing.operations.complaints import ComplaintNotFound
from servicing.queries import ComplaintView

TAB: Final = "care"

_LONGEST_TEXT: Final = 2000


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/complaints"
    add(f"{at}/new", "complaint_form", complaint_form)
    add(at, "open_complaint", open_one, methods=["POST"])
    for what, form, act in (("answer", answer_form, answer), ("close", close_form, close)):
        path = f"{at}/<int:complaint_id>/{what}"
        add(path, f"{what}_complaint_form", form)
        add(path, f"{what}_complaint", act, methods=["POST"])


@staff_page(rights.OPEN_COMPLAINT)
def complaint_form(customer_id: int) -> ResponseReturnValue:
    """Ask what the customer complains of."""
    return _complaint_form(customer_id)


@staff_page(rights.OPEN_COMPLAINT)
def open_one(customer_id: int) -> ResponseReturnValue:
    """Take a complaint."""
    return act_in_dialog(
        form=partial(_complaint_form, customer_id),
        act=partial(_open, customer_id),
        said=gettext("投诉已登记，有争议的款项已暂停催收"),
        then=page_of(customer_id, TAB),
    )


@staff_page(rights.HANDLE_COMPLAINT)
def answer_form(customer_id: int, complaint_id: int) -> ResponseReturnValue:
    """Ask for the answer."""
    return _handle_form("answer", customer_id, complaint_id)


@staff_page(rights.HANDLE_COMPLAINT)
def answer(customer_id: int, complaint_id: int) -> ResponseReturnValue:
    """Keep the answer that the customer got."""
    return act_in_dialog(
        form=partial(_handle_form, "answer", customer_id, complaint_id),
        act=partial(_answer, customer_id, complaint_id),
        said=gettext("已登记答复，确认客户满意后请结案"),
        then=page_of(customer_id, TAB),
    )


@staff_page(rights.HANDLE_COMPLAINT)
def close_form(customer_id: int, complaint_id: int) -> ResponseReturnValue:
    """Ask whether it is over."""
    return _handle_form("close", customer_id, complaint_id)


@staff_page(rights.HANDLE_COMPLAINT)
def close(customer_id: int, complaint_id: int) -> ResponseReturnValue:
    """Close a complaint and lift its hold."""
    return act_in_dialog(
        form=partial(_handle_form, "close", customer_id, complaint_id),
        act=partial(_close, customer_id, complaint_id),
        said=gettext("投诉已结案，对应的停催已解除"),
        then=page_of(customer_id, TAB),
    )


def _open(customer_id: int) -> bool:
    category = choice("category", words.COMPLAINT_CHOICES)
    channel = choice("channel", words.COMPLAINT_CHANNELS)
    text, loan_id = written("text", most=_LONGEST_TEXT), number("loan")
    about = {"category": category, "channel": channel, "loan": loan_id}

    def do(session: Session) -> dict[str, object]:
        if loan_id is not None:
            queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        complaint_id = operations.open_complaint(
            session,
            runtime().cipher,
            customer_id=customer_id,
            loan_id=loan_id,
            category=category,
            channel=channel,
            text=text,
            opened_by=current_staff().login,
            now=now(),
        )
        return {"complaint": complaint_id, **about}

    payload = {**about, "text": text}
    return do_once("complaint.opened", customer_id=customer_id, payload=payload, do=do)


def _answer(customer_id: int, complaint_id: int) -> bool:
    text = written("text", most=_LONGEST_TEXT)

    def do(session: Session) -> dict[str, object]:
        _complaint(session, customer_id, complaint_id)
        operations.answer_complaint(
            session,
            runtime().cipher,
            complaint_id=complaint_id,
            text=text,
            answered_by=current_staff().login,
            now=now(),
        )
        return {"complaint": complaint_id}

    payload = {"complaint": complaint_id, "text": text}
    return do_once("complaint.answered", customer_id=customer_id, payload=payload, do=do)


def _close(customer_id: int, complaint_id: int) -> bool:
    def do(session: Session) -> dict[str, object]:
        _complaint(session, customer_id, complaint_id)
        operations.close_complaint(
            session, complaint_id=complaint_id, closed_by=current_staff().login, now=now()
        )
        return {"complaint": complaint_id}

    payload = {"complaint": complaint_id}
    return do_once("complaint.closed", customer_id=customer_id, payload=payload, do=do)


def _complaint(session: Session, customer_id: int, complaint_id: int) -> ComplaintView:
    theirs = queries.complaints_of(session, runtime().cipher, customer_id=customer_id)
    found = next((complaint for complaint in theirs if complaint.id == complaint_id), None)
    if found is None:
        raise ComplaintNotFound(f"no complaint {complaint_id} of this customer")
    return found


def _complaint_form(customer_id: int, error: str = "") -> str:
    given = runtime()
    with given.database.read() as session:
        queries.customer_view(session, given.cipher, customer_id=customer_id)
        loans = queries.loans_of(session, customer_id=customer_id, on=today())
    return dialog(
        "complaint_form.html",
        to=url_for("servicing_admin.open_complaint", customer_id=customer_id),
        error=error,
        loans=loans,
        loan=request.values.get("loan", type=int),
    )


def _handle_form(what: str, customer_id: int, complaint_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        complaint = _complaint(session, customer_id, complaint_id)
    return dialog(
        f"complaint_{what}.html",
        to=url_for(
            f"servicing_admin.{what}_complaint", customer_id=customer_id, complaint_id=complaint_id
        ),
        error=error,
        complaint=complaint,
    )
