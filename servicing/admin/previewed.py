"""Acts that are shown before they happen: alone within one's authority, else with a second person.

A dialog is sent twice: first it comes back with what would happen, then with the seal of just that,
and only then anything happens. What would happen is decided in servicing.operations.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import propose
from desk.ports import Change, Role, act_in_dialog, current_site, current_staff
from kernel.clock import business_date
from kernel.errors import Conflict, FenqiError, Forbidden
from kernel.money import yuan
from kernel.web import now, today
from servicing import authority
from servicing.admin import words
from servicing.admin.forms import do_once

DECIDE_WITHIN: Final = timedelta(days=3)


class ShownChanged(Conflict):
    """The loan is not any more as it was when the proposal was made."""

    code = "shown-changed"
    message_zh = "分期情况已变化，与申请时展示的结果不同，请重新申请"


class NoAuthority(Forbidden):
    """None of the person's roles has anything to do with the act."""

    code = "no-authority"
    message_zh = "您的角色没有这项操作的授权"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What would happen.

    Attributes:
        act: By which authority it is measured.
        shown: What the person is shown, JSON-able.
        amount_fen: How much authority it takes.
        payload: What a second person's approval would carry out.
    """

    act: str
    shown: Mapping[str, Any]
    amount_fen: int
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seal(self) -> str:
        """Name what was shown, and what was asked for."""
        text = json.dumps([self.shown, self.payload], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def is_alone(self) -> bool:
        """Whether whoever is logged in needs nobody else."""
        roles = current_staff().roles
        return authority.may_do_alone(self.act, roles, self.amount_fen, on=today())


def previewed(
    *,
    form: Callable[..., str],
    look: Callable[[], Ahead],
    act: Callable[[Ahead], bool],
    said: str,
    then: str,
) -> ResponseReturnValue:
    """Show what a dialog's act would do; if just that was shown already, do or propose it.

    Args:
        form: Draws the dialog, given `error` or what is `ahead`.
        look: Reads the form and says what would happen.
        act: Does or proposes it; returns whether that happened now.
        said: What the next page says when it was done.
        then: The address of the next page.
    """
    try:
        ahead = look()
        require_authority(ahead.act)
    except FenqiError as error:
        return form(error=gettext(error.message_zh)), error.status
    if request.form.get("seen") != ahead.seal:
        return form(ahead=ahead)
    return act_in_dialog(
        form=lambda error: form(error=error, ahead=ahead),
        act=partial(act, ahead),
        said=said if ahead.is_alone else gettext("已提交申请，待另一位同事审批"),
        then=then,
    )


def require_authority(act: str) -> None:
    """Let only those act whose roles have to do with it.

    Raises:
        NoAuthority: None of the roles of whoever is logged in has.
    """
    if not authority.may_propose(act, current_staff().roles, on=today()):
        raise NoAuthority(f"no role for {act}")


def do_or_propose(
    ahead: Ahead,
    *,
    action: str,
    done: str,
    customer_id: int,
    subject: str,
    do: Callable[[Session], Mapping[str, Any]],
) -> bool:
    """Do what was shown, or ask a second person for it.

    Args:
        ahead: What was shown.
        action: The approvable act.
        done: What the audit chain calls it when it is done, without the area.
        customer_id: Whom it is about.
        subject: To what, for the proposal.
        do: Does it; returns what the audit chain shall say.
    """

    def ask(session: Session) -> dict[str, Any]:
        approval_id = propose(
            session,
            current_site(),
            action=action,
            subject=subject,
            payload=ahead.payload,
            proposed_by=current_staff().login,
            now=now(),
            expires_in=DECIDE_WITHIN,
            reason=request.form.get("why", "").strip(),
        )
        return {"approval": approval_id}

    is_alone = ahead.is_alone
    return do_once(
        done if is_alone else f"{done}_proposed",
        customer_id=customer_id,
        payload={"seal": ahead.seal},
        do=do if is_alone else ask,
    )


def is_within(act: str) -> Callable[[Mapping[str, Any], Collection[Role], datetime], bool]:
    """Return the check of a second person's authority for an act."""

    def check(payload: Mapping[str, Any], roles: Collection[Role], at: datetime) -> bool:
        return authority.may_approve(act, roles, payload["amount_fen"], on=business_date(at))

    return check


def asked_for(details: Mapping[str, Any]) -> list[Change]:
    """Say in lines what somebody filled in."""
    return [
        Change(
            label=str(words.said(words.DETAILS, name)), before="", after=words.detail(name, value)
        )
        for name, value in details.items()
        if value
    ]


def effects(shown: Mapping[str, Any]) -> list[Change]:
    """Say in lines what a preview comes to: what is owed, the plan, the cost a year."""
    lines = [
        _line(gettext("剩余应还（元）"), shown, "remaining", yuan),
        _line(gettext("年化综合成本"), shown, "cost", percent),
        _line(gettext("授信额度（元）"), shown, "granted", yuan),
    ]
    if "sum_fen" in shown:
        full, less = yuan(shown["full_fen"]), yuan(shown["sum_fen"])
        lines.append(Change(label=gettext("今天结清需还（元）"), before=full, after=less))
    if "plan_after" in shown:
        before, after = (_rows(shown[name]) for name in ("plan_before", "plan_after"))
        lines.append(Change(label=gettext("还款计划"), before=before, after=after))
    return [line for line in lines if line is not None and line.before != line.after]


def percent(share: str) -> str:
    """Write a share a year, such as 18.25%."""
    return f"{Decimal(share) * 100:.2f}%"


def _line(
    label: str, shown: Mapping[str, Any], name: str, say: Callable[[Any], str]
) -> Change | None:
    unit = "" if name == "cost" else "_fen"
    before, after = (shown.get(f"{name}_{when}{unit}") for when in ("before", "after"))
    if before is None or after is None:
        return None
    return Change(label=label, before=say(before), after=say(after))


def _rows(plan: Sequence[Sequence[Any]]) -> str:
    """Say a plan in short: how many instalments, from when to when, and the first one's amount."""
    if not plan:
        return str(gettext("无"))
    first, last = plan[0], plan[-1]
    return str(
        gettext(
            "%(count)s 期，%(first)s 至 %(last)s，每期约 ¥%(fen)s",
            count=len(plan),
            first=first[1],
            last=last[1],
            fen=yuan(sum(first[2:])),
        )
    )
