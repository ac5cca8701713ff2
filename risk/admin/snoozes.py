"""Rules silenced for a customer or a merchant over some days.

It lets somebody pass whom a rule would hold back, so a second person approves it; anybody who may
propose has the rule count again at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import propose
from desk.ports import (
    Approvable,
    Change,
    Site,
    act_in_dialog,
    current_site,
    current_staff,
    staff_page,
)
from desk.queries import document_in_force, waiting_approval
from kernel.ids import new_token
from kernel.web import now, runtime, today
from risk.admin import rights
from risk.admin.dialogs import done_once, reason_given, tell_after
from risk.admin.drafts import StrategyNotFound
from risk.admin.editing import draw, opened
from risk.decisions.snoozes import (
    LONGEST,
    SnoozeOdd,
    assert_fit,
    end_snooze,
    snoozes_of,
    start_snooze,
)
from risk.decisions.strategies import STRATEGY
from risk.strategy.decision import Snooze

START: Final = "risk.snooze.start"

_DECIDE_WITHIN: Final = timedelta(days=3)
_USUAL: Final = timedelta(days=30)


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>/snoozes"
    add(at, "snoozes", snoozes)
    add(f"{at}/start", "snooze_form", snooze_form)
    add(f"{at}/start", "start_snooze", propose_snooze, methods=["POST"])
    add(f"{at}/<int:snooze_id>/end", "end_snooze", end, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the act that needs a second person on a site."""
    site.approvables.add(
        Approvable(
            action=START,
            label="静默规则",
            permission_propose=rights.PROPOSE,
            permission_decide=rights.PUBLISH,
            describe=_describe,
            execute=_execute,
            url=lambda subject: url_for("risk_admin.snoozes", key=subject.partition(":")[2]),
        )
    )


@staff_page(rights.VIEW)
def snoozes(key: str) -> ResponseReturnValue:
    """List what is silenced, for whom and until when."""
    with runtime().database.read() as session:
        given = opened(session, key)
        listed = snoozes_of(session, strategy=key)
        rules = dict(_rules(session, key))
        waiting = waiting_approval(session, action=START, subject=f"snooze:{key}", now=now())
    return draw("snoozes.html", given, snoozes=listed, rules=rules, waiting=waiting, today=today())


@staff_page(rights.PROPOSE)
def snooze_form(key: str) -> ResponseReturnValue:
    """Ask which rule is silenced, for whom, and until when."""
    return _form(key)


@staff_page(rights.PROPOSE)
def propose_snooze(key: str) -> ResponseReturnValue:
    """Ask a second person to silence a rule for somebody."""
    return act_in_dialog(
        form=lambda error: _form(key, error),
        act=lambda: _proposed(key),
        said=gettext("已提交，待另一位同事审批后生效"),
        then=url_for("risk_admin.snoozes", key=key),
    )


@staff_page(rights.PROPOSE)
def end(key: str, snooze_id: int) -> ResponseReturnValue:
    """Have a rule count again, at once."""

    def act() -> bool:
        with runtime().database.write() as session:
            end_snooze(
                session,
                strategy=key,
                snooze_id=snooze_id,
                by=current_staff().login,
                now=now(),
            )
            tell_after(session)
        return True

    return act_in_dialog(
        form=lambda error: error,
        act=act,
        said=gettext("静默已结束，规则恢复作用"),
        then=url_for("risk_admin.snoozes", key=key),
    )


def _proposed(key: str) -> bool:
    reason, form = reason_given(), request.form
    given = {name: form.get(name, "").strip() for name in ("rule", "whom", "since", "until")}
    snooze = _snooze(given)
    assert_fit(snooze, on=today())

    def ask(session: Session) -> Mapping[str, Any]:
        if snooze.rule not in dict(_rules(session, key)):
            raise StrategyNotFound(f"{snooze.rule} is no rule that may be silenced")
        approval = propose(
            session,
            current_site(),
            action=START,
            subject=f"snooze:{key}",
            payload={"strategy": key, "reason": reason, **given},
            proposed_by=current_staff().login,
            now=now(),
            expires_in=_DECIDE_WITHIN,
            reason=reason,
        )
        return {"approval": approval, "rule": snooze.rule}

    return done_once(
        action="risk.snooze.proposed",
        subject=f"strategy:{key}",
        payload=given | {"reason": reason},
        do=ask,
    )


def _snooze(given: Mapping[str, str]) -> Snooze:
    try:
        since, last = (date.fromisoformat(given[name]) for name in ("since", "until"))
    except ValueError as error:
        raise SnoozeOdd("a day is none") from error
    return Snooze(
        rule=given["rule"], key=given["whom"], since=since, until=last + timedelta(days=1)
    )


def _rules(session: Session, key: str) -> Iterator[tuple[str, str]]:
    """Name the rules in force that may be silenced."""
    view = document_in_force(session, kind=STRATEGY, key=key, on=today())
    for stage in view.body["stages"] if view else ():
        for rule in stage.get("rules", ()):
            if rule.get("may_snooze"):
                yield rule["id"], f"{stage.get('title') or stage['id']} · {rule.get('title', '')}"


def _form(key: str, error: str = "") -> str:
    with runtime().database.read() as session:
        given = opened(session, key)
        rules = list(_rules(session, key))
    return render_template(
        "risk/admin/snooze_form.html",
        to=url_for("risk_admin.start_snooze", key=key),
        error=error,
        key=new_token(),
        form=request.values,
        strategy=given.working,
        rules=rules,
        since=today(),
        until=today() + _USUAL,
        last=today() + LONGEST - timedelta(days=1),
    )


# --- the act that needs a second person ---


def _describe(payload: Mapping[str, Any]) -> Sequence[Change]:
    said = (
        (gettext("规则"), payload["rule"]),
        (gettext("对象"), payload["whom"]),
        (gettext("从"), payload["since"]),
        (gettext("到（含）"), payload["until"]),
    )
    return [Change(label=str(label), before="", after=text) for label, text in said]


def _execute(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    snooze_id = start_snooze(
        session,
        strategy=payload["strategy"],
        snooze=_snooze(payload),
        reason=payload["reason"],
        by=current_staff().login,
        now=at,
    )
    tell_after(session)
    return {"snooze": snooze_id}
