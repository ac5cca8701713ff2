"""Reconciliation differences: the list by age, one of them side by side, and what is done with it.

Acts that move money are proposed here and decided by a second person; taking one up, with a note,
is done at once. What an act does to the books is servicing.payments' business.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import append_audit
from desk.ports import (
    Approvable,
    Change,
    NavItem,
    Site,
    act_in_dialog,
    current_staff,
    staff_page,
)
from desk.queries import waiting_approval
from kernel.clock import business_date
from kernel.listing import page_of
from kernel.money import fen_from_yuan, plain_yuan, yuan
from kernel.web import now, runtime
from servicing import queries
from servicing.admin import results, words
from servicing.admin.forms import dialog, do_on, written
from servicing.admin.previewed import Foreseen, Wanted, effects, proposed
from servicing.admin.shown import masked_names, span
from servicing.engine.events import Payment
from servicing.operations import preview_event
from servicing.payments import console
from servicing.payments import difference_queries as read
from servicing.payments import differences as acts
from servicing.payments.difference_queries import DifferenceView
from servicing.queries import LoanNotFound

VIEW: Final = "servicing.differences.view"
PROPOSE: Final = "servicing.differences.propose"
DECIDE: Final = "servicing.differences.decide"

TO_LOAN: Final = "servicing.difference.to_loan"
REFUND: Final = "servicing.difference.refund"
TAKE_BACK: Final = "servicing.difference.take_back"
WRITE_DOWN: Final = "servicing.difference.write_down"

_LONGEST_NOTE: Final = 200
_ACTS: Final = '"to-loan", "refund", "take-back", "write-down"'
_OLD: Final = timedelta(days=1)


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    at = "/admin/differences"
    add = blueprint.add_url_rule
    add(at, "differences", differences)
    add(f"{at}/<int:difference_id>", "difference", difference)
    add(f"{at}/<int:difference_id>/take-up", "take_up_form", take_up_form)
    add(f"{at}/<int:difference_id>/take-up", "take_up", take_up, methods=["POST"])
    add(f"{at}/<int:difference_id>/accept", "accept_form", accept_form)
    add(f"{at}/<int:difference_id>/accept", "accept", accept, methods=["POST"])
    act = f"{at}/<int:difference_id>/<any({_ACTS}):what>"
    add(act, "difference_form", difference_form)
    add(act, "propose_difference", propose_difference, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the list, its rights and the acts that need a second person on a site."""
    site.permissions.declare(VIEW, "查看对账差错", roles=("finance", "risk_manager", "auditor"))
    site.permissions.declare(PROPOSE, "申请处理对账差错", roles=("finance",))
    site.permissions.declare(DECIDE, "审批对账差错处理", roles=("finance", "risk_manager"))
    site.navigation.add(
        NavItem(
            label="对账差错",
            endpoint="servicing_admin.differences",
            permission=VIEW,
            group="账务",
            order=600,
            icon="scale",
        )
    )
    for action, label, execute in (
        (TO_LOAN, "差错款入账到分期", _do_to_loan),
        (REFUND, "差错款原路退回", _do_refund),
        (TAKE_BACK, "入账商户平台退款", _do_take_back),
        (WRITE_DOWN, "差错款转损益", _do_write_down),
    ):
        site.approvables.add(
            Approvable(
                action=action,
                label=label,
                permission_propose=PROPOSE,
                permission_decide=DECIDE,
                describe=partial(_describe, action),
                execute=execute,
                told=results.told,
            )
        )


# --- looking ---


@staff_page(VIEW)
def differences() -> ResponseReturnValue:
    """List open differences, the oldest first, or those that ended; and the last days' bills."""
    state = acts.RESOLVED if request.args.get("state") == acts.RESOLVED else acts.OPEN
    with runtime().database.read() as session:
        counts = {
            which: read.count_differences(session, state=which)
            for which in (acts.OPEN, acts.RESOLVED)
        }
        page = page_of(counts[state])
        found = read.differences(session, state=state, offset=page.offset, limit=page.rows)
        names = masked_names(session, [row.customer_id for row in found])
        days, proof = read.bill_days(session), read.clearing_proof(session)
    at = now()
    return render_template(
        "servicing/admin/differences.html",
        rows=[(row, span(at - row.opened_at), at - row.opened_at >= _OLD) for row in found],
        counts=counts,
        days=days,
        names=names,
        page=page,
        proof=proof,
        state=state,
        words=words,
    )


@staff_page(VIEW)
def difference(difference_id: int) -> ResponseReturnValue:
    """Show what the bill says beside what we know, and what can be done.

    Raises:
        DifferenceNotFound: There is none.
    """
    with runtime().database.read() as session:
        row = read.difference_of(session, difference_id=difference_id)
        names = masked_names(session, [row.customer_id])
        waiting = _waiting(session, difference_id)
        bookings = console.proposal_for(session, difference_id=difference_id)
    return render_template(
        "servicing/admin/difference.html",
        row=row,
        age=span((row.resolved_at or now()) - row.opened_at),
        name=names.get(row.customer_id or 0, ""),
        waiting=waiting,
        proposed=[_booked(booking.as_json()) for booking in bookings],
        words=words,
    )


def _waiting(session: Session, difference_id: int) -> Any:
    """Return the proposal that waits for a decision on a difference, or None."""
    subject = _subject(difference_id)
    found = (
        waiting_approval(session, action=action, subject=subject, now=now())
        for action in (TO_LOAN, REFUND, TAKE_BACK, WRITE_DOWN)
    )
    return next((one for one in found if one is not None), None)


# --- acting ---


@staff_page(PROPOSE)
def take_up_form(difference_id: int, error: str = "") -> str:
    """Ask for a note by whoever takes it up."""
    return _dialog("take_up", "take_up", difference_id, error)


@staff_page(PROPOSE)
def take_up(difference_id: int) -> ResponseReturnValue:
    """Make the looker the one who deals with it."""

    def do(session: Session) -> dict[str, Any] | None:
        note, owner = written("note", most=_LONGEST_NOTE), current_staff().login
        is_new = acts.take_up(session, difference_id=difference_id, owner=owner, note=note)
        return {"note": note} if is_new else None

    return act_in_dialog(
        form=partial(take_up_form, difference_id),
        act=lambda: do_on(
            _subject(difference_id),
            "difference.taken_up",
            payload={"difference": difference_id},
            do=do,
        ),
        said=gettext("已认领"),
        then=url_for("servicing_admin.difference", difference_id=difference_id),
    )


@staff_page(PROPOSE)
def accept_form(difference_id: int, error: str = "") -> str:
    """Ask why a month may be closed while it is open."""
    return _dialog("accept", "accept", difference_id, error)


@staff_page(PROPOSE)
def accept(difference_id: int) -> ResponseReturnValue:
    """Let months be closed while it is open."""

    def do(session: Session) -> dict[str, Any] | None:
        why, by = written("reason", most=_LONGEST_NOTE), current_staff().login
        is_new = acts.accept(session, difference_id=difference_id, why=why, by=by, now=now())
        return {"why": why} if is_new else None

    return act_in_dialog(
        form=partial(accept_form, difference_id),
        act=lambda: do_on(
            _subject(difference_id),
            "difference.accepted",
            payload={"difference": difference_id},
            do=do,
        ),
        said=gettext("已注明，不再妨碍关账"),
        then=url_for("servicing_admin.difference", difference_id=difference_id),
    )


@staff_page(PROPOSE)
def difference_form(difference_id: int, what: str) -> str:
    """Ask for what a proposal needs."""
    return _act_form(difference_id, what)


@staff_page(PROPOSE)
def propose_difference(difference_id: int, what: str) -> ResponseReturnValue:
    """Show what an act would do, then ask a second person for it."""
    action, payload_of = _FORMS[what]

    def look(session: Session) -> Wanted:
        row = read.difference_of(session, difference_id=difference_id)
        if row.state != acts.OPEN or _waiting(session, difference_id) is not None:
            raise acts.DifferenceClosed(f"difference {difference_id} is being dealt with")
        payload = payload_of(session, row) | {"difference_id": difference_id}
        return Wanted(action=action, payload=payload)

    return proposed(
        form=partial(_act_form, difference_id, what),
        look=look,
        subject=_subject(difference_id),
        noted="difference.act_proposed",
        told={"act": what},
        said=gettext("已提交，待另一位同事审批"),
        then=url_for("servicing_admin.difference", difference_id=difference_id),
        foresee=partial(_foresee, difference_id),
    )


def _foresee(difference_id: int, session: Session, wanted: Wanted) -> list[Change]:
    """Say what becomes of the money that waits, and of the loan that would take it.

    Raises:
        EventRefused, PaymentTooLarge: The loan cannot take it.
    """
    row, payload = read.difference_of(session, difference_id=difference_id), wanted.payload
    after_fen = 0 if wanted.action == TAKE_BACK else row.open_fen - payload["fen"]
    lines = [
        Change(label=gettext("挂账余额（元）"), before=yuan(row.open_fen), after=yuan(after_fen)),
        *_describe(wanted.action, payload)[1:],
    ]
    if wanted.action == TO_LOAN:
        on = business_date(row.happened_at or now())
        event = Payment(id="", on=on, amount_fen=payload["fen"])
        seen = preview_event(session, loan_id=payload["loan_id"], event=event)
        lines += effects(seen.shown())
    return lines


def _act_form(
    difference_id: int, what: str, error: str = "", foreseen: Foreseen | None = None
) -> str:
    to, given = "propose_difference", {"what": what}
    return _dialog("act", to, difference_id, error, foreseen=foreseen, **given)


def _dialog(
    template: str,
    to: str,
    difference_id: int,
    error: str,
    foreseen: Foreseen | None = None,
    **given: Any,
) -> str:
    with runtime().database.read() as session:
        row = read.difference_of(session, difference_id=difference_id)
        bookings = console.proposal_for(session, difference_id=difference_id)
    return dialog(
        f"difference_{template}_form.html",
        to=url_for(f"servicing_admin.{to}", difference_id=difference_id, **given),
        error=error,
        row=row,
        open_yuan=plain_yuan(abs(row.open_fen)),
        proposed=[_booked(booking.as_json()) for booking in bookings],
        foreseen=foreseen,
        **given,
    )


def _to_loan(session: Session, row: DifferenceView) -> dict[str, Any]:
    """Read which loan takes how much.

    Raises:
        LoanNotFound: No loan has that number.
        MoneyNotReadable: The amount is none.
    """
    number = written("loan_no", most=32)
    loan_id = queries.loan_id_of(session, loan_no=number)
    if loan_id is None:
        raise LoanNotFound("no loan of that number")
    fen = fen_from_yuan(request.form.get("amount", ""))
    if not 0 < fen <= row.open_fen:
        raise acts.DifferenceClosed("more than is open")
    return {"loan_id": loan_id, "loan_no": number, "fen": fen}


def _all_of_it(_session: Session, row: DifferenceView) -> dict[str, Any]:
    return {"fen": row.open_fen}


def _back(_session: Session, row: DifferenceView) -> dict[str, Any]:
    if not row.may_go_back:
        raise acts.ActNotFitting(f"difference {row.id} is {row.kind}")
    return {"fen": row.open_fen}


def _as_proposed(session: Session, row: DifferenceView) -> dict[str, Any]:
    bookings = console.proposal_for(session, difference_id=row.id)
    if not bookings:
        raise acts.ActNotFitting(f"no booking fits difference {row.id}")
    return {
        "fen": row.open_fen,
        "loan_id": row.loan_id,
        "bookings": [booking.as_json() for booking in bookings],
    }


_FORMS: Final[Mapping[str, tuple[str, Callable[[Session, DifferenceView], dict[str, Any]]]]] = {
    "to-loan": (TO_LOAN, _to_loan),
    "refund": (REFUND, _back),
    "take-back": (TAKE_BACK, _as_proposed),
    "write-down": (WRITE_DOWN, _all_of_it),
}


# --- what the second person sees and starts ---


def _describe(action: str, payload: Mapping[str, Any]) -> tuple[Change, ...]:
    to = {
        TO_LOAN: gettext("分期 %(number)s", number=payload.get("loan_no", "")),
        REFUND: gettext("原路退回付款人"),
        TAKE_BACK: "；".join(_booked(each) for each in payload.get("bookings", ())),
        WRITE_DOWN: gettext("对账差错损益"),
    }[action]
    return (
        Change(label=gettext("金额（元）"), before="", after=yuan(payload["fen"])),
        Change(label=gettext("去向"), before=gettext("暂收挂账"), after=to),
    )


def _booked(booking: Mapping[str, Any]) -> str:
    """Say what a proposed booking of a refund past us would do."""
    kind = words.said(words.CONSOLE_BOOKINGS, booking["kind"])
    if booking["kind"] == console.Back.REPAYMENT and not booking["is_whole"]:
        kind = gettext("冲回部分还款，相应欠款恢复")
    return f"{kind} ¥{yuan(booking['fen'])}"


def _do_to_loan(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    acts.settle_to_loan(
        session,
        difference_id=payload["difference_id"],
        loan_id=payload["loan_id"],
        fen=payload["fen"],
        by=_MACHINE,
        now=at,
    )
    return _done(session, "to_loan", payload, at)


def _do_refund(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    number = acts.refund_to_source(
        session, difference_id=payload["difference_id"], fen=payload["fen"], by=_MACHINE, now=at
    )
    return _done(session, "refunded", payload, at) | {"out_refund_no": number}


def _do_take_back(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    console.book_proposal(
        session,
        difference_id=payload["difference_id"],
        bookings=console.bookings_of(payload["bookings"]),
        by=_MACHINE,
        now=at,
    )
    return _done(session, "taken_back", payload, at)


def _do_write_down(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    acts.write_down(
        session, difference_id=payload["difference_id"], fen=payload["fen"], by=_MACHINE, now=at
    )
    return _done(session, "written_down", payload, at)


_MACHINE: Final = "machine:approval"


def _done(session: Session, what: str, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Leave the trace with the difference, too; who decided stands in the approval's own."""
    append_audit(
        session,
        actor=_MACHINE,
        action=f"servicing.difference.{what}",
        subject=_subject(payload["difference_id"]),
        details={"fen": payload["fen"], "loan_id": payload.get("loan_id")},
        now=at,
    )
    return {"difference": payload["difference_id"], "fen": payload["fen"]}


def _subject(difference_id: int) -> str:
    return f"difference:{difference_id}"
