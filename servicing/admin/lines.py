"""Credit lines in place: one person freezes at once, two are needed to unfreeze."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup
from sqlalchemy.orm import Session

from desk.operations import append_audit
from desk.ports import (
    Approvable,
    Change,
    Panel,
    Site,
    act_in_dialog,
    staff_page,
)
from desk.queries import waiting_approval
from kernel.errors import Conflict
from kernel.money import yuan
from kernel.web import now, runtime
from servicing import operations, queries
from servicing.admin import rights, words
from servicing.admin.forms import choice, dialog, do_once, draw, page_of
from servicing.admin.previewed import Wanted, proposed
from servicing.operations.lines import FROZEN, LineNotFound, lock_line
from servicing.queries import LineView

UNFREEZE: Final = "servicing.line.unfreeze"


class LineChanged(Conflict):
    """The line is not frozen any more, or for another reason than when the proposal was made."""

    code = "line-changed-since"
    message_zh = "额度状态或冻结原因已变化，请重新申请"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    at = "/admin/customers/<int:customer_id>/lines/<int:line_id>"
    add = blueprint.add_url_rule
    add(f"{at}/freeze", "freeze_form", freeze_form)
    add(f"{at}/freeze", "freeze_line", freeze, methods=["POST"])
    add(f"{at}/unfreeze", "unfreeze_form", unfreeze_form)
    add(f"{at}/unfreeze", "propose_unfreeze", propose_unfreeze, methods=["POST"])


def plug_in(site: Site) -> None:
    """Plug in the panel of lines and the act that needs a second person."""
    site.customer_panels.add(
        Panel(key="lines", title="", permission=rights.VIEW, order=30, render=panel, width=4)
    )
    site.approvables.add(
        Approvable(
            action=UNFREEZE,
            label="解冻额度",
            permission_propose=rights.PROPOSE_UNFREEZE,
            permission_decide=rights.DECIDE_UNFREEZE,
            describe=_describe,
            execute=_execute,
            undo=_undo,
        )
    )


def panel(customer_id: int) -> Markup:
    """Draw the lines, and what keeps us from contacting the customer."""
    with runtime().database.read() as session:
        lines = queries.lines_of(session, customer_id=customer_id)
        waiting = {
            line.id: waiting_approval(
                session, action=UNFREEZE, subject=_subject(customer_id, line.id), now=now()
            )
            for line in lines
            if line.state == FROZEN
        }
        holds = queries.holds_of(session, customer_id=customer_id, at=now())
    return draw(
        "lines.html",
        customer_id=customer_id,
        lines=lines,
        waiting=waiting,
        holds=[hold for hold in holds if hold.is_in_force],
    )


@staff_page(rights.FREEZE_LINE)
def freeze_form(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Ask why the line is frozen."""
    return _form("freeze", customer_id, line_id)


@staff_page(rights.FREEZE_LINE)
def freeze(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Stop drawings at once."""
    return act_in_dialog(
        form=partial(_form, "freeze", customer_id, line_id),
        act=partial(_freeze, customer_id, line_id),
        said=gettext("额度已冻结"),
        then=page_of(customer_id),
    )


@staff_page(rights.PROPOSE_UNFREEZE)
def unfreeze_form(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Ask why the line should be open again."""
    return _form("unfreeze", customer_id, line_id)


@staff_page(rights.PROPOSE_UNFREEZE)
def propose_unfreeze(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Ask a second person to allow drawings again."""

    def look(session: Session) -> Wanted:
        line = _line(session, customer_id, line_id)
        if line.state != FROZEN:
            raise LineChanged(f"line {line_id} is {line.state}")
        return Wanted(action=UNFREEZE, payload=_payload(customer_id, line))

    return proposed(
        form=partial(_form, "unfreeze", customer_id, line_id),
        look=look,
        subject=_subject(customer_id, line_id),
        noted="line.unfreeze_proposed",
        told={"line": line_id},
        said=gettext("已提交解冻申请，待另一位同事审批"),
        then=page_of(customer_id),
    )


def _freeze(customer_id: int, line_id: int) -> bool:
    payload = {"line": line_id, "reason": choice("reason", words.FREEZE_CHOICES)}

    def do(session: Session) -> dict[str, Any] | None:
        _line(session, customer_id, line_id)
        is_frozen = operations.freeze_line(
            session, line_id=line_id, reason=str(payload["reason"]), now=now()
        )
        return payload if is_frozen else None

    return do_once("line.frozen", customer_id=customer_id, payload=payload, do=do)


def _line(session: Session, customer_id: int, line_id: int) -> LineView:
    theirs = queries.lines_of(session, customer_id=customer_id)
    found = next((line for line in theirs if line.id == line_id), None)
    if found is None:
        raise LineNotFound(f"no line {line_id} of this customer")
    return found


def _subject(customer_id: int, line_id: int) -> str:
    return f"customer:{customer_id}:line:{line_id}"


def _form(what: str, customer_id: int, line_id: int, error: str = "") -> str:
    act = {"freeze": "freeze_line", "unfreeze": "propose_unfreeze"}[what]
    with runtime().database.read() as session:
        line = _line(session, customer_id, line_id)
    to = url_for(f"servicing_admin.{act}", customer_id=customer_id, line_id=line_id)
    return dialog(f"{what}_form.html", to=to, error=error, line=line)


# --- the act that needs a second person ---


def _payload(customer_id: int, line: LineView) -> dict[str, Any]:
    left = line.granted_fen - line.held_fen - line.utilised_fen
    return {
        "customer_id": customer_id,
        "line_id": line.id,
        "frozen_reason": line.frozen_reason,
        "available_fen": max(0, left),
    }


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    reason = words.said(words.FREEZE_REASONS, payload["frozen_reason"])
    return (
        Change(
            label=gettext("额度状态"),
            before=f"{gettext('已冻结')}（{reason}）",
            after=gettext("正常"),
        ),
        Change(
            label=gettext("可用额度（元）"), before=yuan(0), after=yuan(payload["available_fen"])
        ),
    )


def _execute(session: Session, payload: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    line = lock_line(session, line_id=payload["line_id"])
    if line.state != FROZEN or line.frozen_reason != payload["frozen_reason"]:
        raise LineChanged(f"line {line.id} is not as it was")
    operations.unfreeze_line(session, line_id=line.id)
    _note(session, "unfrozen", payload, now)
    return {"line": line.id, "state": line.state}


def _undo(
    session: Session, payload: Mapping[str, Any], _result: Mapping[str, Any], now: datetime
) -> None:
    operations.freeze_line(
        session, line_id=payload["line_id"], reason=payload["frozen_reason"], now=now
    )
    _note(session, "frozen", payload, now)


def _note(session: Session, what: str, payload: Mapping[str, Any], now: datetime) -> None:
    """Leave the trace with the customer, too; who decided stands in the approval's own."""
    append_audit(
        session,
        actor="machine:approval",
        action=f"servicing.line.{what}",
        subject=f"customer:{payload['customer_id']}",
        details={"line": payload["line_id"]},
        now=now,
    )
