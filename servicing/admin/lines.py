"""Credit lines in place: one person freezes, two are needed to end a freeze before its time."""

from collections.abc import Mapping
from datetime import date, datetime
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
    current_staff,
    staff_page,
)
from desk.queries import waiting_approval
from kernel.clock import business_date
from kernel.errors import Conflict
from kernel.money import yuan
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import rights, words
from servicing.admin.forms import choice, day, dialog, do_once, draw, needed_day, page_of
from servicing.admin.previewed import Wanted, proposed
from servicing.model import MACHINE
from servicing.operations.lines import LineNotFound
from servicing.queries import LineFreezeView, LineView

UNFREEZE: Final = "servicing.line.unfreeze"


class LineChanged(Conflict):
    """The freeze was lifted or is over since the proposal was made."""

    code = "line-changed-since"
    message_zh = "这条冻结已解除或已到期，请刷新后重试"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    at = "/admin/customers/<int:customer_id>/lines/<int:line_id>"
    add = blueprint.add_url_rule
    add(f"{at}/freeze", "freeze_form", freeze_form)
    add(f"{at}/freeze", "freeze_line", freeze, methods=["POST"])
    add(f"{at}/freezes/<int:freeze_id>/lift", "unfreeze_form", unfreeze_form)
    add(
        f"{at}/freezes/<int:freeze_id>/lift", "propose_unfreeze", propose_unfreeze, methods=["POST"]
    )


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
            if line.freezes
        }
        holds = queries.holds_of(session, customer_id=customer_id, at=now())
    return draw(
        "lines.html",
        customer_id=customer_id,
        lines=lines,
        freezes={line.id: _standing(line) for line in lines},
        today=today(),
        waiting=waiting,
        holds=[hold for hold in holds if hold.is_in_force],
    )


@staff_page(rights.FREEZE_LINE)
def freeze_form(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Ask why the line is frozen and on which days, and show what that keeps from whom."""
    return _freeze_form(customer_id, line_id)


@staff_page(rights.FREEZE_LINE)
def freeze(customer_id: int, line_id: int) -> ResponseReturnValue:
    """Stop drawings from today on, or from a later day."""
    return act_in_dialog(
        form=partial(_freeze_form, customer_id, line_id),
        act=partial(_freeze, customer_id, line_id),
        said=gettext("额度冻结已登记"),
        then=page_of(customer_id),
    )


@staff_page(rights.PROPOSE_UNFREEZE)
def unfreeze_form(customer_id: int, line_id: int, freeze_id: int) -> ResponseReturnValue:
    """Ask why a freeze should end before its time."""
    return _unfreeze_form(customer_id, line_id, freeze_id)


@staff_page(rights.PROPOSE_UNFREEZE)
def propose_unfreeze(customer_id: int, line_id: int, freeze_id: int) -> ResponseReturnValue:
    """Ask a second person to end a freeze before its time."""

    def look(session: Session) -> Wanted:
        line, freeze = _frozen(session, customer_id, line_id, freeze_id)
        return Wanted(action=UNFREEZE, payload=_payload(customer_id, line, freeze))

    return proposed(
        form=partial(_unfreeze_form, customer_id, line_id, freeze_id),
        look=look,
        subject=_subject(customer_id, line_id),
        noted="line.unfreeze_proposed",
        told={"line": line_id, "freeze": freeze_id},
        said=gettext("已提交解冻申请，待另一位同事审批"),
        then=page_of(customer_id),
    )


def _freeze(customer_id: int, line_id: int) -> bool:
    reason = choice("reason", words.FREEZE_CHOICES)
    first_on, last_on = needed_day("first_on"), day("last_on")
    payload = {"line": line_id, "reason": reason, "first_on": first_on, "last_on": last_on}

    def do(session: Session) -> dict[str, Any]:
        _line(session, customer_id, line_id)
        freeze_id = operations.place_line_freeze(
            session,
            line_id=line_id,
            reason=reason,
            first_on=first_on,
            last_on=last_on,
            by=current_staff().login,
            now=now(),
        )
        return {**payload, "freeze": freeze_id}

    return do_once("line.frozen", customer_id=customer_id, payload=payload, do=do)


def _standing(line: LineView) -> list[LineFreezeView]:
    """List the freezes of a line that are in force or to come."""
    return [each for each in line.freezes if each.last_on is None or each.last_on >= today()]


def _frozen(
    session: Session, customer_id: int, line_id: int, freeze_id: int
) -> tuple[LineView, LineFreezeView]:
    line = _line(session, customer_id, line_id)
    found = next((each for each in _standing(line) if each.id == freeze_id), None)
    if found is None:
        raise LineChanged(f"freeze {freeze_id} of line {line_id} has ended")
    return line, found


def _line(session: Session, customer_id: int, line_id: int) -> LineView:
    theirs = queries.lines_of(session, customer_id=customer_id)
    found = next((line for line in theirs if line.id == line_id), None)
    if found is None:
        raise LineNotFound(f"no line {line_id} of this customer")
    return found


def _subject(customer_id: int, line_id: int) -> str:
    return f"customer:{customer_id}:line:{line_id}"


def _freeze_form(customer_id: int, line_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        line = _line(session, customer_id, line_id)
    to = url_for("servicing_admin.freeze_line", customer_id=customer_id, line_id=line_id)
    return dialog(
        "freeze_form.html",
        to=to,
        error=error,
        line=line,
        freezes=_standing(line),
        left_fen=_left_fen(line),
        today=today(),
    )


def _unfreeze_form(customer_id: int, line_id: int, freeze_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        line, freeze = _frozen(session, customer_id, line_id, freeze_id)
    to = url_for(
        "servicing_admin.propose_unfreeze",
        customer_id=customer_id,
        line_id=line_id,
        freeze_id=freeze_id,
    )
    return dialog(
        "unfreeze_form.html",
        to=to,
        error=error,
        freeze=freeze,
        others=_others(line, freeze),
        left_fen=_left_fen(line),
    )


def _others(line: LineView, freeze: LineFreezeView) -> list[LineFreezeView]:
    """List what freezes a line today beside one freeze."""
    return [each for each in _standing(line) if each.id != freeze.id and each.first_on <= today()]


def _left_fen(line: LineView) -> int:
    """Return what could be drawn if nothing were frozen."""
    return max(0, line.granted_fen - line.held_fen - line.utilised_fen)


# --- the act that needs a second person ---


def _payload(customer_id: int, line: LineView, freeze: LineFreezeView) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "line_id": line.id,
        "freeze_id": freeze.id,
        "reason": freeze.reason,
        "first_on": freeze.first_on.isoformat(),
        "last_on": None if freeze.last_on is None else freeze.last_on.isoformat(),
        "is_in_force": freeze.first_on <= today(),
        "others": [each.reason for each in _others(line, freeze)],
        "available_fen": _left_fen(line),
    }


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    until = payload["last_on"] or gettext("无截止日")
    reason = words.said(words.FREEZE_REASONS, payload["reason"])
    others = "、".join(str(words.said(words.FREEZE_REASONS, each)) for each in payload["others"])
    lifted = Change(
        label=gettext("额度冻结"),
        before=f"{reason}（{payload['first_on']} {gettext('至')} {until}）",
        after=gettext("解除"),
    )
    if not payload["is_in_force"]:
        return (lifted,)
    return (
        lifted,
        Change(
            label=gettext("额度状态"),
            before=gettext("已冻结"),
            after=f"{gettext('仍冻结')}（{others}）" if others else gettext("正常"),
        ),
        Change(
            label=gettext("可用额度（元）"),
            before=yuan(0),
            after=yuan(0 if others else payload["available_fen"]),
        ),
    )


def _execute(session: Session, payload: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    freeze_id = payload["freeze_id"]
    if not operations.lift_line_freeze(session, freeze_id=freeze_id, by=MACHINE, now=now):
        raise LineChanged(f"freeze {freeze_id} has ended")
    _note(session, "unfrozen", payload, now)
    return {"line": payload["line_id"], "freeze": freeze_id}


def _undo(
    session: Session, payload: Mapping[str, Any], _result: Mapping[str, Any], now: datetime
) -> None:
    """Freeze again for what is left of the days."""
    first_on = max(date.fromisoformat(payload["first_on"]), business_date(now))
    last_on = payload["last_on"] and date.fromisoformat(payload["last_on"])
    if last_on is not None and last_on < first_on:
        return
    operations.place_line_freeze(
        session,
        line_id=payload["line_id"],
        reason=payload["reason"],
        first_on=first_on,
        last_on=last_on,
        by=MACHINE,
        now=now,
    )
    _note(session, "frozen", payload, now)


def _note(session: Session, what: str, payload: Mapping[str, Any], now: datetime) -> None:
    """Leave the trace with the customer, too; who decided stands in the approval's own."""
    append_audit(
        session,
        actor="machine:approval",
        action=f"servicing.line.{what}",
        subject=f"customer:{payload['customer_id']}",
        details={"line": payload["line_id"], "reason": payload["reason"]},
        now=now,
    )
