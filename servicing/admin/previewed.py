"""Acts that are shown before they happen: alone within one's authority, else with a second person.

A dialog is sent twice: first it comes back with what would happen, then with the seal of just that,
and only then anything happens. What costs the borrower more comes back with its cost table, which
they confirm at the counter or on the phone. An act that always needs a second person is proposed by
`proposed`, after a look at what it would do where that is foreseen. What would happen is decided in
servicing.operations.
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
from kernel.web import now, runtime, today
from servicing import authority, operations
from servicing.admin import words
from servicing.admin.forms import do_on, do_once, written

DECIDE_WITHIN: Final = timedelta(days=3)
LONGEST_REASON: Final = 200
# Where a borrower confirms what something costs, if not on their own phone.
CONFIRMED_BY: Final = ("counter", "phone")

_PREPAYMENT: Final = "prepayment"
_A_DAY_S: Final = 86_400
_LEAVE_BOOKS: Final = ("charge-off", "write-off")
# What the audit chain keeps of a preview.
_AUDITED: Final = ("remaining_before_fen", "remaining_after_fen", "cost_before", "cost_after")


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
        cost_table: What the borrower must confirm before; None where nothing costs them more.
    """

    act: str
    shown: Mapping[str, Any]
    amount_fen: int
    payload: Mapping[str, Any] = field(default_factory=dict)
    cost_table: Mapping[str, Any] | None = None

    @property
    def seal(self) -> str:
        """Name what was shown, and what was asked for."""
        return _seal([self.shown, self.payload, self.cost_table])

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
    do: Callable[[Session, Mapping[str, Any]], Mapping[str, Any]],
) -> bool:
    """Do what was shown, or ask a second person for it; what the borrower confirmed is kept.

    Args:
        ahead: What was shown.
        action: The approvable act.
        done: What the audit chain calls it when it is done, without the area.
        customer_id: Whom it is about.
        subject: To what, for the proposal.
        do: Does what a payload says; returns what the audit chain shall say.

    Raises:
        CostNotConfirmed: The borrower must confirm what it costs and has not.
    """
    is_alone = ahead.is_alone

    def act(session: Session) -> dict[str, Any]:
        kept = _confirmed(session, ahead, customer_id)
        payload = {**ahead.payload, **kept}
        if is_alone:
            return {**_told(ahead), **kept, **do(session, payload)}
        reason = request.form.get("why", "").strip()
        return kept | _ask(session, action, subject, payload, reason)

    return do_once(
        done if is_alone else f"{done}_proposed",
        customer_id=customer_id,
        payload={"seal": ahead.seal},
        do=act,
    )


def _confirmed(session: Session, ahead: Ahead, customer_id: int) -> dict[str, Any]:
    """Keep that the borrower confirmed the cost table, where, and how long it was before them."""
    if ahead.cost_table is None:
        return {}
    if request.form.get("confirmed") not in CONFIRMED_BY:
        raise operations.CostNotConfirmed("the borrower has not confirmed what it costs")
    shown_at = request.form.get("shown_at", type=int, default=int(now().timestamp()))
    disclosure_id = operations.confirm_cost(
        session,
        customer_id=customer_id,
        content=ahead.cost_table,
        seconds_shown=max(0, min(int(now().timestamp()) - shown_at, _A_DAY_S)),
        now=now(),
    )
    return {"disclosure_id": disclosure_id, "confirmed": request.form["confirmed"]}


def _told(ahead: Ahead) -> dict[str, Any]:
    """Say for the audit chain what somebody was shown before they did it."""
    return {name: ahead.shown[name] for name in _AUDITED if name in ahead.shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a second person is asked for: the approvable act, and what it would carry out."""

    action: str
    payload: Mapping[str, Any]


def proposed(
    *,
    form: Callable[..., str],
    look: Callable[[Session], Wanted],
    subject: str,
    noted: str,
    told: Mapping[str, Any],
    said: str,
    then: str,
    foresee: Callable[[Session, Wanted], Sequence[Change]] | None = None,
) -> ResponseReturnValue:
    """Ask a second person for what a dialog says, with the reason that its field `reason` holds.

    Args:
        form: Draws the dialog again around an error.
        look: Says what is wanted as things stand, or raises why nobody may ask for it.
        subject: To what.
        noted: What the audit chain calls the asking, without the area.
        told: What else the audit chain shall say.
        said: What the next page says.
        then: The address of the next page.
        foresee: Says what it would do; then the dialog comes back with that first.
    """

    def act() -> bool:
        reason = written("reason", most=LONGEST_REASON)

        def ask(session: Session) -> dict[str, Any]:
            wanted = look(session)
            return {**told, **_ask(session, wanted.action, subject, wanted.payload, reason)}

        return do_on(subject, noted, payload={**told, "reason": reason}, do=ask)

    def ask_now() -> ResponseReturnValue:
        return act_in_dialog(form=lambda error: form(error=error), act=act, said=said, then=then)

    def lines(session: Session) -> Sequence[Change]:
        return () if foresee is None else foresee(session, look(session))

    return ask_now() if foresee is None else foreseen_first(form=form, foresee=lines, go=ask_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a dialog would do, in lines."""

    lines: Sequence[Change]

    @property
    def seal(self) -> str:
        """Name what was shown."""
        return _seal([[line.label, line.before, line.after] for line in self.lines])


def foreseen_first(
    *,
    form: Callable[..., str],
    foresee: Callable[[Session], Sequence[Change]],
    go: Callable[[], ResponseReturnValue],
) -> ResponseReturnValue:
    """Let a dialog come back with what it would do, and go on once just that was shown.

    Args:
        form: Draws the dialog, given `error` or what is `foreseen`.
        foresee: Reads the form and says what would become of what.
        go: Does it.
    """
    try:
        with runtime().database.read() as session:
            seen = Foreseen(lines=foresee(session))
    except FenqiError as error:
        return form(error=gettext(error.message_zh)), error.status
    return go() if request.form.get("seen") == seen.seal else form(foreseen=seen)


def _seal(said: Any) -> str:
    text = json.dumps(said, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _ask(
    session: Session, action: str, subject: str, payload: Mapping[str, Any], reason: str
) -> dict[str, Any]:
    approval_id = propose(
        session,
        current_site(),
        action=action,
        subject=subject,
        payload=payload,
        proposed_by=current_staff().login,
        now=now(),
        expires_in=DECIDE_WITHIN,
        reason=reason,
    )
    return {"approval": approval_id}


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
    """Say in lines what a preview comes to: what is owed, the books, the cost a year, the plan."""
    lines = [
        _line(gettext("剩余应还（元）"), shown, "remaining", yuan),
        _more(gettext("比现在多付（元）"), gettext("比现在少付（元）"), _costs_more_fen(shown)),
        _more(gettext("其中间隔期利息（元）"), "", max(0, shown.get("gap_interest_fen", 0))),
        _line(gettext("应退客户（元）"), shown, "credit", yuan),
        *_of_books(shown),
        _line(gettext("核销后已收回（元）"), shown, "recovered", yuan),
        _line(gettext("年化综合成本"), shown, "cost", percent),
        _line(gettext("授信额度（元）"), shown, "granted", yuan),
    ]
    if "sum_fen" in shown:
        full, less = yuan(shown["full_fen"]), yuan(shown["sum_fen"])
        lines.append(Change(label=gettext("今天结清需还（元）"), before=full, after=less))
    if "plan_after" in shown:
        lines.append(_plans(shown))
    return [line for line in lines if line is not None and line.before != line.after]


def _costs_more_fen(shown: Mapping[str, Any]) -> int:
    """Say what it costs more in all; what is paid by the act itself was owed anyway."""
    return int(shown.get("extra_fen", 0)) + int(shown.get("paid_fen", 0))


def _plans(shown: Mapping[str, Any]) -> Change:
    """Say both plans in short; of a prepayment, what is to come after it."""
    plans = [shown["plan_before"], shown["plan_after"]]
    firsts = [(shown.get(f"open_{when}_n") or 1) - 1 for when in ("before", "after")]
    if shown.get("kind") == _PREPAYMENT:
        plans = [[row for row in plan if row[1] > shown["on"]] for plan in plans]
        firsts = [0, 0]
    kept = _same_rows(*plans)
    before, after = (
        _rows(plan, max(kept, first)) for plan, first in zip(plans, firsts, strict=True)
    )
    return Change(label=gettext("还款计划"), before=before, after=after)


def _more(label: str, label_if_less: str, fen: int) -> Change | None:
    if not fen:
        return None
    return Change(label=label if fen > 0 else label_if_less, before="", after=yuan(abs(fen)))


def _of_books(shown: Mapping[str, Any]) -> list[Change | None]:
    """Say what leaves the books, or comes back onto them, where a claim does."""
    if not (shown.get("kind") in _LEAVE_BOOKS or _is_off_books(shown)):
        return []
    return [
        _line(gettext("账内债权（元）"), shown, "on_books", yuan),
        _line(gettext("账外债权（元）"), shown, "off_books", yuan),
    ]


def _is_off_books(shown: Mapping[str, Any]) -> bool:
    return any(shown.get(f"off_books_{when}_fen") for when in ("before", "after"))


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


def _same_rows(before: Sequence[Any], after: Sequence[Any]) -> int:
    """Count the instalments at the beginning that two plans have in common."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((n for n, (one, other) in pairs if one != other), 0)


def _rows(plan: Sequence[Sequence[Any]], shows: int) -> str:
    """Say a plan in short: how many instalments, from when to when, and how much each.

    The amount is that of the instalment at the place that `shows` it: the first one to come that a
    change does not leave as it was.
    """
    if not plan:
        return str(gettext("无"))
    first, last = plan[0], plan[-1]
    return str(
        gettext(
            "%(count)s 期，%(first)s 至 %(last)s，每期约 ¥%(fen)s",
            count=len(plan),
            first=first[1],
            last=last[1],
            fen=yuan(sum(plan[min(shows, len(plan) - 1)][2:])),
        )
    )
