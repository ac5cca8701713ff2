"""Holds in place: left alone from now on, or no longer. The gate asks for them at each contact."""

from datetime import timedelta
from functools import partial
from typing import Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from contact.queries import kept_by_hold
from desk.ports import act_in_dialog, current_staff, staff_page
from kernel.clock import start_of_day
from kernel.errors import Conflict, Invalid
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import rights, words
from servicing.admin.forms import choice, day, dialog, do_once, number, page_of, written
from servicing.operations.holds import HoldNotFound
from servicing.queries import HoldView

TAB: Final = "care"

_LONGEST_REASON: Final = 120
# How much of what waits and would be kept back is shown before.
_SHOWN: Final = 5


class HoldIsComplaints(Conflict):
    """The hold belongs to a complaint and ends when that is closed."""

    code = "hold-is-complaints"
    message_zh = "这条停催由投诉产生，投诉结案时自动解除"


class HoldEndsInThePast(Invalid):
    """The last day of the hold is over."""

    code = "hold-ends-in-the-past"
    message_zh = "停催截止日不能早于今天"


class ScopeNotForLoan(Invalid):
    """A hold on a single loan cannot have that scope."""

    code = "hold-scope-not-for-loan"
    message_zh = "只针对一笔分期时，范围只能选择全部、催收或账单提醒"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/holds"
    add(f"{at}/new", "hold_form", hold_form)
    add(at, "place_hold", place, methods=["POST"])
    add(f"{at}/<int:hold_id>/lift", "lift_form", lift_form)
    add(f"{at}/<int:hold_id>/lift", "lift_hold", lift, methods=["POST"])


@staff_page(rights.PLACE_HOLD)
def hold_form(customer_id: int) -> ResponseReturnValue:
    """Ask what the hold is about."""
    return _hold_form(customer_id)


@staff_page(rights.PLACE_HOLD)
def place(customer_id: int) -> ResponseReturnValue:
    """Leave the customer alone from now on."""
    return act_in_dialog(
        form=partial(_hold_form, customer_id),
        act=partial(_place, customer_id),
        said=gettext("已登记停催，即刻生效"),
        then=page_of(customer_id, TAB),
    )


@staff_page(rights.LIFT_HOLD)
def lift_form(customer_id: int, hold_id: int) -> ResponseReturnValue:
    """Ask why the hold ends."""
    return _lift_form(customer_id, hold_id)


@staff_page(rights.LIFT_HOLD)
def lift(customer_id: int, hold_id: int) -> ResponseReturnValue:
    """End a hold."""
    return act_in_dialog(
        form=partial(_lift_form, customer_id, hold_id),
        act=partial(_lift, customer_id, hold_id),
        said=gettext("已解除停催"),
        then=page_of(customer_id, TAB),
    )


def _place(customer_id: int) -> bool:
    reason = choice("reason", words.HOLD_REASONS)
    scope = choice("scope", words.HOLD_SCOPES)
    loan_id, last_day = number("loan"), day("until")
    if last_day is not None and last_day < today():
        raise HoldEndsInThePast("the hold would be over already")
    if loan_id is not None and scope not in words.LOAN_SCOPES:
        raise ScopeNotForLoan(f"{scope} means nothing for one loan")
    payload = {"reason": reason, "scope": scope, "loan": loan_id, "last_day": last_day}

    def do(session: Session) -> dict[str, object]:
        if loan_id is not None:
            queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        hold_id = operations.place_hold(
            session,
            customer_id=customer_id,
            reason=reason,
            scope=scope,
            until=start_of_day(last_day + timedelta(days=1)) if last_day else None,
            opened_by=current_staff().login,
            now=now(),
            loan_id=loan_id,
        )
        return {"hold": hold_id, **payload}

    return do_once("hold.placed", customer_id=customer_id, payload=payload, do=do)


def _lift(customer_id: int, hold_id: int) -> bool:
    reason = written("reason", most=_LONGEST_REASON)

    def do(session: Session) -> dict[str, object] | None:
        _liftable(session, customer_id, hold_id)
        is_lifted = operations.lift_hold(
            session, hold_id=hold_id, lifted_by=current_staff().login, reason=reason, now=now()
        )
        return {"hold": hold_id} if is_lifted else None

    payload = {"hold": hold_id, "reason": reason}
    return do_once("hold.lifted", customer_id=customer_id, payload=payload, do=do)


def _liftable(session: Session, customer_id: int, hold_id: int) -> HoldView:
    held = queries.holds_of(session, customer_id=customer_id, at=now())
    hold = next((hold for hold in held if hold.id == hold_id), None)
    if hold is None:
        raise HoldNotFound(f"no hold {hold_id} of this customer")
    if hold.complaint_id is not None:
        raise HoldIsComplaints(f"hold {hold_id} ends with its complaint")
    return hold


def _hold_form(customer_id: int, error: str = "") -> str:
    given = runtime()
    with given.database.read() as session:
        queries.customer_view(session, given.cipher, customer_id=customer_id)
        loans = queries.loans_of(session, customer_id=customer_id, on=today())
        planned = kept_by_hold(session, customer_id=customer_id, on=today(), limit=_SHOWN)
    return dialog(
        "hold_form.html",
        to=url_for("servicing_admin.place_hold", customer_id=customer_id),
        error=error,
        loans=[loan for loan in loans if loan.remaining_fen],
        loan=request.values.get("loan", type=int),
        planned=planned,
        today=today(),
    )


def _lift_form(customer_id: int, hold_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        hold = _liftable(session, customer_id, hold_id)
    return dialog(
        "lift_form.html",
        to=url_for("servicing_admin.lift_hold", customer_id=customer_id, hold_id=hold_id),
        error=error,
        hold=hold,
    )
