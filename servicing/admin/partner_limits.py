"""How much a partner may: lowered by one person at once, raised when a second one agrees.

Both leave their reason. What a limit stops is decided in servicing.operations.partner_acts.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import append_audit
from desk.ports import Approvable, Change, Role, Site, act_in_dialog, current_staff, staff_page
from kernel.errors import FenqiError
from kernel.money import fen_from_yuan, yuan
from kernel.web import now, runtime, today
from servicing import operations
from servicing.admin import results
from servicing.admin.forms import dialog, do_on, written
from servicing.admin.partners import ACTS, RAISE, keys_of, limit_subject
from servicing.admin.previewed import LONGEST_REASON, Wanted, proposed
from servicing.queries.partner_limits import LimitView, limit_of

LIMIT: Final = "servicing.partner.limit"
DECIDE: Final = "servicing.partner.limit.decide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a partner shall be allowed of an act, at once and in a day, fen."""

    partner: str
    act: str
    each_fen: int
    day_fen: int


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    at = "/admin/partners/<partner>/limits/<act>"
    blueprint.add_url_rule(at, "limit_form", limit_form)
    blueprint.add_url_rule(at, "limit_partner", set_limit, methods=["POST"])


def plug_in(site: Site) -> None:
    """Plug in the rights, and the raise that needs a second person."""
    deciders = (Role.RISK_MANAGER, Role.FINANCE)
    site.permissions.declare(LIMIT, "设置合作方限额", roles=(Role.RISK_MANAGER,))
    site.permissions.declare(DECIDE, "审批调高合作方限额", roles=deciders)
    site.approvables.add(
        Approvable(
            action=RAISE,
            label="调高合作方限额",
            permission_propose=LIMIT,
            permission_decide=DECIDE,
            describe=_describe,
            execute=_raise,
            told=results.told,
        )
    )


@staff_page(LIMIT)
def limit_form(partner: str, act: str, error: str = "") -> str:
    """Ask how much of an act a partner may from now on, and why.

    Raises:
        PartnerNotFound: Nobody has a key under that name.
    """
    with runtime().database.read() as session:
        keys_of(session, partner)
        limit = limit_of(session, partner=partner, act=act, on=today())
    return dialog(
        "partner_limit_form.html",
        to=url_for("servicing_admin.limit_partner", partner=partner, act=act),
        error=error,
        limit=limit,
        act_name=ACTS.get(act, act),
    )


@staff_page(LIMIT)
def set_limit(partner: str, act: str) -> ResponseReturnValue:
    """Lower a limit at once, or ask a second person to raise it."""
    form = partial(limit_form, partner, act)
    try:
        asked = Asked(partner=partner, act=act, each_fen=_amount("each"), day_fen=_amount("day"))
        with runtime().database.read() as session:
            keys_of(session, partner)
            is_raise = operations.raises_limit(session, **asdict(asked), on=today())
    except FenqiError as error:
        return form(gettext(error.message_zh)), error.status
    then = url_for("servicing_admin.partner", partner=partner)
    if not is_raise:
        lower = partial(_lower, asked)
        return act_in_dialog(form=form, act=lower, said=gettext("限额已更新"), then=then)
    return proposed(
        form=form,
        look=partial(_wanted, asked),
        subject=limit_subject(partner, act),
        noted="partner.raise_proposed",
        told=asdict(asked),
        said=gettext("调高限额已提交，待另一位同事审批"),
        then=then,
    )


def _lower(asked: Asked) -> bool:
    reason = written("reason", most=LONGEST_REASON)

    def do(session: Session) -> Mapping[str, Any]:
        by, given = current_staff().login, asdict(asked)
        if operations.raises_limit(session, **given, on=today()):
            raise operations.LimitChanged("somebody lowered it meanwhile")
        operations.set_limit(session, **given, by=by, reason=reason, now=now())
        return _told(given, reason)

    payload = {**asdict(asked), "reason": reason}
    return do_on(f"partner:{asked.partner}", "partner.limited", payload=payload, do=do)


def _wanted(asked: Asked, session: Session) -> Wanted:
    before = _limit(session, asked)
    payload = {
        **asdict(asked),
        "each_before_fen": before.each_fen,
        "day_before_fen": before.day_fen,
        "by": current_staff().login,
        "reason": request.form["reason"].strip(),
    }
    return Wanted(action=RAISE, payload=payload)


def _limit(session: Session, asked: Asked) -> LimitView:
    return limit_of(session, partner=asked.partner, act=asked.act, on=today())


def _told(given: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Say for the audit chain what is allowed from now on."""
    return {"reason": reason} | {name: given[name] for name in ("act", "each_fen", "day_fen")}


def _amount(name: str) -> int:
    """Read an amount in yuan as fen; nothing may be allowed at all, so 0 will do."""
    return fen_from_yuan(request.form.get(name, "").replace(",", "").strip())


# --- what the second person sees and starts ---


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    def line(label: str, name: str) -> Change:
        before, after = payload[f"{name}_before_fen"], payload[f"{name}_fen"]
        return Change(label=label, before=yuan(before), after=yuan(after))

    act = str(ACTS[payload["act"]])
    return (
        Change(label=gettext("合作方"), before="", after=payload["partner"]),
        Change(label=gettext("操作"), before="", after=act),
        line(gettext("单笔限额（元）"), "each"),
        line(gettext("单日限额（元）"), "day"),
    )


def _raise(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    operations.raise_limit(
        session,
        partner=payload["partner"],
        act=payload["act"],
        before=(payload["each_before_fen"], payload["day_before_fen"]),
        after=(payload["each_fen"], payload["day_fen"]),
        by=payload["by"],
        reason=payload["reason"],
        now=at,
    )
    append_audit(
        session,
        actor="machine:approval",
        action="servicing.partner.limited",
        subject=f"partner:{payload['partner']}",
        details=_told(payload, payload["reason"]),
        now=at,
    )
    return {name: payload[name] for name in ("partner", "act", "each_fen", "day_fen")}
