"""How a loan is classed: today on every level, day by day, and by whose judgement.

A person may ask to class a loan worse than its days do, and to take that back; a second person
decides on either. What days alone make of a loan is data of servicing.lateness; nobody makes a
class better than that.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import append_audit
from desk.ports import Approvable, Change, Site, current_staff, staff_page
from desk.queries import waiting_approval
from kernel.clock import business_date
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import rights, words
from servicing.admin.forms import choice, day, dialog, page_of, written
from servicing.admin.previewed import Wanted, proposed
from servicing.lateness import STAFF
from servicing.operations import ClassRefused
from servicing.operations.classing import MarkNotFound

DOWNGRADE: Final = "servicing.loan.downgrade"
END: Final = "servicing.loan.downgrade-end"

_LONGEST_REASON: Final = 200


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/loans/<int:loan_id>/class"
    add(f"{at}es", "loan_classes", classes)
    add(at, "class_form", class_form)
    add(at, "downgrade", downgrade, methods=["POST"])
    add(f"{at}/<int:mark_id>/end", "end_class_form", end_form)
    add(f"{at}/<int:mark_id>/end", "end_downgrade", end, methods=["POST"])


def plug_in(site: Site) -> None:
    """Plug in the two acts that need a second person."""
    needs = partial(
        Approvable,
        permission_propose=rights.DOWNGRADE,
        permission_decide=rights.DECIDE_CLASS,
        describe=_describe,
        url=_url,
    )
    site.approvables.add(
        needs(action=DOWNGRADE, label="下调五级分类", execute=_downgrade, undo=_undo),
        needs(action=END, label="撤销分类下调", execute=_end),
    )


@staff_page(rights.VIEW)
def classes(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Show how a loan, its instalments and its customer are classed, and how that came."""
    on, subject = today(), _subject(customer_id, loan_id)
    with runtime().database.read() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
        state = queries.loan_as_of(session, loan_id=loan_id, on=on)
        given = {
            "called": queries.called_as_of(session, {loan_id: state})[loan_id],
            "customer": queries.customer_lateness(session, customer_id=customer_id, on=on),
            "instalments": queries.instalment_lateness(session, loan_id=loan_id, on=on),
            "marks": queries.class_marks(session, loan_id=loan_id),
            "spans": queries.lateness_spans(session, loan_id=loan_id, on=on),
            "waiting": any(
                waiting_approval(session, action=action, subject=subject, now=now())
                for action in (DOWNGRADE, END)
            ),
        }
    return render_template(
        "servicing/admin/loan_classes.html", loan=loan, on=on, words=words, staff=STAFF, **given
    )


@staff_page(rights.DOWNGRADE)
def class_form(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Ask to which class, until when and why."""
    return _form(customer_id, loan_id)


@staff_page(rights.DOWNGRADE)
def downgrade(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Ask a second person to class the loan no better than so."""

    def look(session: Session) -> Wanted:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        at_least, until_on = choice("at_least", words.LOWER_CLASSES), day("until")
        if until_on is None:
            raise ClassRefused("a downgrade needs an end")
        operations.require_downgradable(
            session, loan_id=loan_id, at_least=at_least, until_on=until_on, on=today()
        )
        payload = {
            **_payload(loan),
            "at_least": at_least,
            "until": until_on.isoformat(),
            "reason": written("reason", most=_LONGEST_REASON),
        }
        return Wanted(action=DOWNGRADE, payload=payload)

    return proposed(
        form=partial(_form, customer_id, loan_id),
        look=look,
        subject=_subject(customer_id, loan_id),
        noted="loan.downgrade_proposed",
        told={"loan": loan_id},
        said=gettext("已提交申请，待另一位同事审批"),
        then=page_of(customer_id),
    )


@staff_page(rights.DOWNGRADE)
def end_form(customer_id: int, loan_id: int, mark_id: int) -> ResponseReturnValue:
    """Ask why the loan is classed by its days again."""
    return _end_form(customer_id, loan_id, mark_id)


@staff_page(rights.DOWNGRADE)
def end(customer_id: int, loan_id: int, mark_id: int) -> ResponseReturnValue:
    """Ask a second person to take a person's judgement back."""

    def look(session: Session) -> Wanted:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        mark = _mark(session, customer_id, loan_id, mark_id)
        if mark.kind != STAFF or mark.ended_at is not None:
            raise MarkNotFound(f"mark {mark_id} is none that could be taken back")
        payload = {**_payload(loan), "mark_id": mark_id, "at_least": mark.at_least}
        return Wanted(action=END, payload=payload)

    return proposed(
        form=partial(_end_form, customer_id, loan_id, mark_id),
        look=look,
        subject=_subject(customer_id, loan_id),
        noted="loan.downgrade_end_proposed",
        told={"loan": loan_id, "mark": mark_id},
        said=gettext("已提交申请，待另一位同事审批"),
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


def _mark(session: Session, customer_id: int, loan_id: int, mark_id: int) -> queries.ClassMarkView:
    queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
    marks = queries.class_marks(session, loan_id=loan_id)
    found = next((mark for mark in marks if mark.id == mark_id), None)
    if found is None:
        raise MarkNotFound(f"no mark {mark_id} on this loan")
    return found


def _subject(customer_id: int, loan_id: int) -> str:
    return f"customer:{customer_id}:loan:{loan_id}:class"


def _url(subject: str) -> str:
    _, customer_id, _, loan_id, _ = subject.split(":")
    return url_for("servicing_admin.loan_classes", customer_id=customer_id, loan_id=loan_id)


# --- the acts that need a second person ---


def _payload(loan: queries.LoanView) -> dict[str, Any]:
    return {
        "customer_id": loan.customer_id,
        "loan_id": loan.id,
        "loan_no": loan.loan_no,
        "five_class": loan.five_class,
        "by": current_staff().login,
    }


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    def named(five_class: str) -> str:
        return str(words.word(words.FIVE_CLASSES, five_class)[0])

    loan = Change(label=gettext("分期"), before="", after=payload["loan_no"])
    now_classed, marked = named(payload["five_class"]), named(payload["at_least"])
    if "mark_id" in payload:
        by_days = gettext("按逾期天数分类")
        return loan, Change(label=gettext("五级分类"), before=marked, after=by_days)
    return (
        loan,
        Change(
            label=gettext("五级分类"),
            before=now_classed,
            after=gettext("不优于 %(name)s", name=marked),
        ),
        Change(label=gettext("到哪天为止（不含当天）"), before="", after=payload["until"]),
        Change(label=gettext("原因"), before="", after=words.hide_numbers(payload["reason"])),
    )


def _downgrade(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    mark_id = operations.downgrade(
        session,
        loan_id=payload["loan_id"],
        at_least=payload["at_least"],
        until_on=date.fromisoformat(payload["until"]),
        reason=payload["reason"],
        by=payload["by"],
        on=business_date(at),
        now=at,
    )
    details = {name: payload[name] for name in ("at_least", "until", "reason")}
    _note(session, "downgraded", payload, {"mark": mark_id, **details}, at)
    return {"loan": payload["loan_id"], "mark": mark_id}


def _undo(
    session: Session, payload: Mapping[str, Any], result: Mapping[str, Any], at: datetime
) -> None:
    _end(session, {**payload, "mark_id": result["mark"]}, at)


def _end(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    operations.end_downgrade(
        session, mark_id=payload["mark_id"], by=payload["by"], on=business_date(at), now=at
    )
    _note(session, "downgrade_ended", payload, {"mark": payload["mark_id"]}, at)
    return {"loan": payload["loan_id"], "mark": payload["mark_id"]}


def _note(
    session: Session,
    what: str,
    payload: Mapping[str, Any],
    details: Mapping[str, Any],
    at: datetime,
) -> None:
    """Leave the trace with the customer, too; who decided stands in the approval's own."""
    append_audit(
        session,
        actor="machine:approval",
        action=f"servicing.loan.{what}",
        subject=f"customer:{payload['customer_id']}",
        details={"loan": payload["loan_id"], **details},
        now=at,
    )
