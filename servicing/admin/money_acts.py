"""What staff do to a loan's money in place: take in, charge, waive, freeze, re-plan, reverse.

Each is shown before it happens. Within one's authority it happens at once, beyond it a second
person decides on just what was shown. What an act does is servicing.operations.money_acts'.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import Approvable, Change, Site, current_staff, staff_page
from kernel.clock import business_date
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import approval_facts, results, rights, words
from servicing.admin.forms import (
    amount,
    choice,
    count,
    day,
    dialog,
    moved_on,
    needed_day,
    page_of,
    share,
    written,
)
from servicing.admin.previewed import (
    Ahead,
    ShownChanged,
    asked_for,
    do_or_propose,
    effects,
    is_within,
    previewed,
)
from servicing.engine.terms import LENDER
from servicing.queries.history import find_loan

DONE: Final[Mapping[str, str]] = {
    "repay": "repaid",
    "prepay": "prepaid",
    "recover": "recovered",
    "charge": "charged",
    "charge-instalments": "instalments_charged",
    "waive": "waived",
    "goodwill": "goodwill_given",
    "freeze-interest": "interest_frozen",
    "freeze-penalty": "penalty_frozen",
    "extension": "extended",
    "due-day": "due_day_changed",
    "grace": "grace_given",
    "holiday": "holiday_given",
    "re-amortise": "re_amortised",
    "terminate": "terminated",
    "cancel-purchase": "purchase_cancelled",
    "charge-back": "charged_back",
    "re-price": "re_priced",
    "re-age": "re_aged",
    "draw": "tranche_drawn",
    "end-drawing": "drawing_ended",
    "reverse": "event_reversed",
    "charge-off": "charged_off",
    "write-off": "written_off",
}
"""What the audit chain calls them once they are done."""

_LONGEST_REASON: Final = 120
_LONGEST_REFERENCE: Final = 64
_LONGEST_NAME: Final = 40


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/loans/<int:loan_id>"
    add(f"{at}/acts/<act>", "act_form", act_form)
    add(f"{at}/acts/<act>", "do_act", do, methods=["POST"])


def plug_in(site: Site) -> None:
    """Plug in the acts that may need a second person."""
    for act, label in words.MONEY_ACTS.items():
        site.approvables.add(
            Approvable(
                action=_action(act),
                label=label,
                permission_propose=rights.ACT_ON_LOAN,
                permission_decide=rights.DECIDE_ON_LOAN,
                describe=_describe,
                execute=_execute,
                told=results.told,
                show=approval_facts.show,
                undo=_undo if operations.can_undo(act) else None,
                is_within=is_within(act),
            )
        )


@staff_page(rights.ACT_ON_LOAN)
def act_form(customer_id: int, loan_id: int, act: str) -> ResponseReturnValue:
    """Ask what the act needs to know."""
    return _form(customer_id, loan_id, act)


@staff_page(rights.ACT_ON_LOAN)
def do(customer_id: int, loan_id: int, act: str) -> ResponseReturnValue:
    """Show what the act would do, then do or propose it."""
    return previewed(
        form=partial(_form, customer_id, loan_id, act),
        look=partial(_look, customer_id, loan_id, act),
        act=partial(_do, customer_id, loan_id, act),
        said=gettext("已办理：%(what)s", what=words.act(act)),
        then=page_of(customer_id),
    )


# -- reading what a form says --------------------------------------------------------------------


def _details(act: str) -> dict[str, Any]:
    """Read what the act needs to know, JSON-able."""
    if act in words.FREEZE_ACTS:
        last_on = day("last_on")
        return {
            "first_on": needed_day("first_on").isoformat(),
            "last_on": last_on.isoformat() if last_on else None,
            "reason": written("why", most=_LONGEST_REASON),
        }
    return {name: read() for name, read in _FIELDS.get(act, {}).items()}


_Read = Mapping[str, Callable[[], Any]]
_RECEIPT: Final[_Read] = {
    "amount_fen": lambda: amount("amount"),
    "value_date": lambda: moved_on("value_date").isoformat(),
    "channel": lambda: choice("channel", words.RECEIPT_CHANNELS),
    "reference": lambda: written("reference", most=_LONGEST_REFERENCE),
}
_FEE: Final[_Read] = {
    "name": lambda: written("name", most=_LONGEST_NAME),
    "payee": lambda: written("payee", most=_LONGEST_NAME),
    "amount_fen": lambda: amount("amount"),
}
_FIELDS: Final[Mapping[str, _Read]] = {
    "repay": _RECEIPT,
    "prepay": {**_RECEIPT, "effect": lambda: choice("effect", words.PREPAYMENT_EFFECTS)},
    "recover": _RECEIPT,
    "charge": {**_FEE, "due_on": lambda: needed_day("due_on").isoformat()},
    "charge-instalments": _FEE,
    "waive": {
        "component": lambda: choice("component", words.COMPONENTS),
        "amount_fen": lambda: amount("amount"),
    },
    "goodwill": {"amount_fen": lambda: amount("amount")},
    "re-age": {
        "first_due_on": lambda: needed_day("first_due_on").isoformat(),
        "terms": lambda: count("terms"),
    },
    "re-price": {
        "rate_annual": lambda: str(share("rate")),
        "from_on": lambda: needed_day("from_on").isoformat(),
    },
    "draw": {"amount_fen": lambda: amount("amount")},
    "reverse": {"seq": lambda: count("seq")},
    "extension": {"extra_terms": lambda: count("extra_terms")},
    "due-day": {"due_day": lambda: count("due_day")},
    "grace": {"periods": lambda: count("periods")},
    "holiday": {
        "periods": lambda: count("periods"),
        "bears_interest": lambda: request.form.get("is_free") != "1",
    },
    "cancel-purchase": {
        "amount_fen": lambda: amount("amount"),
        "bears_cost": lambda: request.form.get("bears_cost") == "1",
    },
    "charge-back": {
        "seq": lambda: count("seq"),
        "amount_fen": lambda: amount("amount"),
    },
}


def _look(customer_id: int, loan_id: int, act: str) -> Ahead:
    details = _details(act)
    written("why", most=_LONGEST_REASON)
    with runtime().database.read() as session:
        queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        closed_to = find_loan(session, loan_id=loan_id).closed_to
        outlook = operations.look_ahead(
            session,
            act=act,
            loan_id=loan_id,
            details=details,
            on=today(),
            actor=current_staff().login,
        )
    shown = outlook.preview.shown()
    payload = {
        "act": act,
        "customer_id": customer_id,
        "loan_id": loan_id,
        "details": details,
        "on": today().isoformat(),
        "closed_to": closed_to.isoformat(),
        "amount_fen": outlook.amount_fen,
        "shown": shown,
        "by": current_staff().login,
    }
    return Ahead(
        act=act,
        shown=shown,
        amount_fen=outlook.amount_fen,
        payload=payload,
        cost_table=outlook.cost_table,
    )


def _do(customer_id: int, loan_id: int, act: str, ahead: Ahead) -> bool:
    def do(session: Session, payload: Mapping[str, Any]) -> dict[str, Any]:
        return {"reason": request.form["why"].strip(), **_carry_out(session, payload, now())}

    return do_or_propose(
        ahead,
        action=_action(act),
        done=f"loan.{DONE[act]}",
        customer_id=customer_id,
        subject=f"customer:{customer_id}:loan:{loan_id}",
        do=do,
    )


def _carry_out(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Do just what was shown, from the day on which it was asked for.

    Raises:
        ShownChanged: It would do something else by now.
    """
    act, loan_id, details = payload["act"], payload["loan_id"], payload["details"]
    on = date.fromisoformat(payload["on"])
    operations.lock_loan(session, loan_id=loan_id)
    outlook = operations.look_ahead(
        session,
        act=act,
        loan_id=loan_id,
        details=details,
        on=on,
        closed_to=date.fromisoformat(payload["closed_to"]),
    )
    if outlook.preview.shown() != payload["shown"]:
        raise ShownChanged(f"{act} would do something else to loan {loan_id} by now")
    key = Ahead(act=act, shown={}, amount_fen=0, payload={**payload, "at": at.isoformat()}).seal
    seq = operations.do_act(
        session,
        act=act,
        details=details,
        loan_id=loan_id,
        on=on,
        key=f"{act}/{loan_id}/{key}",
        actor=payload["by"],
        now=at,
        disclosure_id=payload.get("disclosure_id"),
        closed_to=date.fromisoformat(payload["closed_to"]),
    )
    return {"act": act, "loan": loan_id, "event": seq, "amount_fen": payload["amount_fen"]}


# -- the second person ---------------------------------------------------------------------------


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    said = asked_for(payload["details"])
    if "confirmed" in payload:
        where = words.said(words.CONFIRMED, payload["confirmed"])
        said.append(Change(label=gettext("客户已确认成本明示表"), before="", after=str(where)))
    return (*said, *effects(payload["shown"]))


def _execute(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    return _carry_out(session, payload, at)


def _undo(
    session: Session, payload: Mapping[str, Any], result: Mapping[str, Any], at: datetime
) -> None:
    operations.undo_act(
        session,
        loan_id=payload["loan_id"],
        seq=result["event"],
        on=business_date(at),
        key=f"undo/{payload['act']}/{payload['loan_id']}/{result['event']}",
        actor=payload["by"],
        now=at,
    )


def _action(act: str) -> str:
    return f"servicing.loan.{act}"


# -- dialogs -------------------------------------------------------------------------------------


def _form(
    customer_id: int, loan_id: int, act: str, error: str = "", ahead: Ahead | None = None
) -> str:
    if act not in words.MONEY_ACTS:
        raise operations.ActUnknown(f"no act {act}")
    with runtime().database.read() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        events = queries.loan_events(session, loan_id=loan_id)
        settling = queries.settlement_if_any(session, loan=loan, on=today())
    to = url_for("servicing_admin.do_act", customer_id=customer_id, loan_id=loan_id, act=act)
    return dialog(
        "money_act_form.html",
        to=to,
        error=error,
        act=act,
        loan=loan,
        events=events[1:],
        settling=settling,
        lender=LENDER,
        ahead=ahead,
        effects=effects(ahead.shown) if ahead else (),
        shown_at=int(now().timestamp()),
        today=today(),
    )
