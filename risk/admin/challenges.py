"""Challengers: a tested version decides for a share of subjects, within guard rails.

It decides about money, so it is started, and its share changed, by two people; anybody who may
propose gives all subjects back to the champion at once.

    ChallengerUnfit  422  the version may not decide for anybody as things stand; says why
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import propose
from desk.operations.documents import AuthorApproves
from desk.ports import (
    Approvable,
    Change,
    Site,
    act_in_dialog,
    current_site,
    current_staff,
    staff_page,
)
from desk.queries import document_in_force, document_version
from kernel.errors import Invalid
from kernel.ids import new_token
from kernel.web import now, runtime, today
from risk.admin import diffs, figures, readiness, rights
from risk.admin.dialogs import done_once, reason_given, tell_after
from risk.admin.drafts import checked
from risk.admin.editing import catalogue, draw, opened, sold_in
from risk.admin.shadows import OUTCOMES, candidates, internal_reasons
from risk.decisions.strategies import STRATEGY, prices_of
from risk.lifecycle.challenging import (
    MACHINE,
    ChallengeNotFound,
    ChallengeOdd,
    assert_share,
    change_share,
    checked_rails,
    start_challenge,
    stop_challenge,
)
from risk.lifecycle.comparing import champion_otherwise, granted_by
from risk.lifecycle.queries import ChallengeView, challenge_history, challenges
from risk.lifecycle.splitting import Arm, Rails

START: Final = "risk.challenge.start"
SHARE: Final = "risk.challenge.share"

_DECIDE_WITHIN: Final = timedelta(days=3)
_AGAIN: Final = 200
_PERMILLE_A_PERCENT: Final = 10


class ChallengerUnfit(Invalid):
    """The version may not decide for anybody as things stand, such as outside of a price range."""

    code = "risk-challenger-unfit"
    message_zh = "该版本目前不能决定任何申请，请先改正"

    def __init__(self, version: int, why: str) -> None:
        super().__init__(f"version {version} may not decide as things stand")
        self.message_zh = why


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>/challenges"
    add(f"{at}/start", "challenge_form", challenge_form)
    add(at, "start_challenge", propose_challenge, methods=["POST"])
    one = f"{at}/<int:challenge_id>"
    add(one, "challenge", challenge)
    add(f"{one}/share", "share_form", share_form)
    add(f"{one}/share", "change_share", propose_share, methods=["POST"])
    add(f"{one}/stop", "stop_challenge_form", stop_challenge_form)
    add(f"{one}/stop", "stop_challenge", stop, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the acts that need a second person on a site."""
    named: dict[str, Any] = {
        "permission_propose": rights.PROPOSE,
        "permission_decide": rights.PUBLISH,
        "url": lambda subject: url_for("risk_admin.beside", key=subject.partition(":")[2]),
    }
    site.approvables.add(
        Approvable(
            action=START,
            label="开始冠军挑战",
            describe=_describe,
            execute=_start,
            show=readiness.shown,
            hindrance=_hindrance,
            **named,
        ),
        Approvable(action=SHARE, label="调整挑战分流", describe=_describe, execute=_share, **named),
    )


@staff_page(rights.VIEW)
def challenge(key: str, challenge_id: int) -> ResponseReturnValue:
    """Show both arms side by side, the guard rails, and where the champion would differ."""
    with runtime().database.read() as session:
        given = opened(session, key)
        found = _challenge_of(session, key, challenge_id)
        history = challenge_history(session, challenge_id=challenge_id)
        until = found.ended_at or now()
        granted = {
            arm: granted_by(session, strategy_hash=digest, since=found.started_at, until=until)
            for arm, digest in (
                (Arm.CHAMPION, found.champion_hash),
                (Arm.CHALLENGER, found.strategy_hash),
            )
        }
        otherwise = champion_otherwise(
            session, challenge=found, catalogue=catalogue(), now=now(), limit=_AGAIN
        )
    return draw(
        "challenge.html",
        given,
        challenge=found,
        granted=granted,
        figures=figures,
        machine=MACHINE,
        rails=figures.rails(found),
        why=figures.why_ended(found),
        picture=figures.shares_over_time(history),
        otherwise=otherwise,
        outcomes=OUTCOMES,
        reasons=internal_reasons(given.body),
    )


@staff_page(rights.PROPOSE)
def challenge_form(key: str) -> ResponseReturnValue:
    """Ask which version shall decide, for how many, and within which guard rails."""
    return _start_form(key)


@staff_page(rights.PROPOSE)
def propose_challenge(key: str) -> ResponseReturnValue:
    """Ask a second person to let a challenger decide."""
    return act_in_dialog(
        form=lambda error: _start_form(key, error),
        act=lambda: _proposed_start(key),
        said=gettext("已提交，待另一位同事审批后开始分流"),
        then=url_for("risk_admin.beside", key=key),
    )


@staff_page(rights.PROPOSE)
def share_form(key: str, challenge_id: int) -> ResponseReturnValue:
    """Ask for the new share."""
    return _form("share", key, challenge_id)


@staff_page(rights.PROPOSE)
def propose_share(key: str, challenge_id: int) -> ResponseReturnValue:
    """Ask a second person to change the share."""
    return act_in_dialog(
        form=lambda error: _form("share", key, challenge_id, error),
        act=lambda: _proposed_share(key, challenge_id),
        said=gettext("已提交，待另一位同事审批后调整分流"),
        then=url_for("risk_admin.beside", key=key),
    )


@staff_page(rights.PROPOSE)
def stop_challenge_form(key: str, challenge_id: int) -> ResponseReturnValue:
    """Ask why the challenge shall end."""
    return _form("stop", key, challenge_id)


@staff_page(rights.PROPOSE)
def stop(key: str, challenge_id: int) -> ResponseReturnValue:
    """Give all subjects back to the champion, at once."""

    def act() -> bool:
        reason = reason_given()

        def end(session: Session) -> Mapping[str, Any]:
            _challenge_of(session, key, challenge_id)
            stop_challenge(
                session,
                challenge_id=challenge_id,
                by=current_staff().login,
                why=reason,
                now=now(),
            )
            tell_after(session)
            return {"challenge": challenge_id, "reason": reason}

        return done_once(
            action="risk.strategy.challenge_ended_by_hand",
            subject=f"strategy:{key}",
            payload={"challenge": challenge_id, "reason": reason},
            do=end,
        )

    return act_in_dialog(
        form=lambda error: _form("stop", key, challenge_id, error),
        act=act,
        said=gettext("挑战已停止，约一秒内全部申请由冠军决定"),
        then=url_for("risk_admin.beside", key=key),
    )


# --- what forms say ---


def _proposed_start(key: str) -> bool:
    version = request.form.get("version", type=int)
    if version is None:
        raise ChallengeOdd("no version was chosen")
    why = _why_unfit(key, version)
    if why:
        raise ChallengerUnfit(version, why)
    payload = {
        "key": key,
        "version": version,
        "share_permille": _permille("share"),
        "rails": checked_rails(_rails_given()),
    }
    return _proposed(START, payload)


def _why_unfit(key: str, version: int) -> str:
    """Say the first thing for which a version may not decide for anybody today; empty if none."""
    with runtime().database.read() as session:
        view = document_version(session, kind=STRATEGY, key=key, version=version)
        found = checked(view.body, catalogue(), on=today(), sold=sold_in(session))
    return found.problems[0].message if found.problems else ""


def _proposed_share(key: str, challenge_id: int) -> bool:
    with runtime().database.read() as session:
        found = _challenge_of(session, key, challenge_id)
    payload = {
        "key": key,
        "challenge": challenge_id,
        "version": found.version,
        "was_permille": found.share_permille,
        "share_permille": _permille("share"),
    }
    return _proposed(SHARE, payload)


def _proposed(action: str, payload: dict[str, Any]) -> bool:
    reason = reason_given()
    share = payload["share_permille"]
    assert_share(share)

    def ask(session: Session) -> Mapping[str, Any]:
        described = payload | {"changes": _changes(session, payload)}
        approval_id = propose(
            session,
            current_site(),
            action=action,
            subject=f"challenge:{payload['key']}",
            payload=described,
            proposed_by=current_staff().login,
            now=now(),
            expires_in=_DECIDE_WITHIN,
            reason=reason,
        )
        return {"approval": approval_id, "version": payload["version"], "share_permille": share}

    return done_once(
        action=f"{action}_proposed",
        subject=f"strategy:{payload['key']}",
        payload={"reason": reason, **payload},
        do=ask,
    )


def _rails_given() -> dict[str, Any]:
    """Read the guard rails; one that is left empty is as usual."""
    found: dict[str, Any] = {}
    try:
        for rail in figures.RAILS:
            text = request.form.get(rail, "").strip()
            if text:
                found[rail] = figures.bound_of(rail, text)
    except ValueError as error:
        raise ChallengeOdd("a guard rail is no number") from error
    return found


def _permille(name: str) -> int:
    """Read a share in per cent, to one place."""
    try:
        return round(float(request.form.get(name, "")) * _PERMILLE_A_PERCENT)
    except (ValueError, OverflowError) as error:
        raise ChallengeOdd("the share is no number") from error


def _start_form(key: str, error: str = "") -> str:
    with runtime().database.read() as session:
        given = opened(session, key)
        versions = candidates(session, key, "tested")
    return render_template(
        "risk/admin/challenge_form.html",
        to=url_for("risk_admin.start_challenge", key=key),
        error=error,
        key=new_token(),
        form=request.values,
        strategy=given.working,
        versions=versions,
        figures=figures,
        rails=figures.RAILS,
        usual={rail: figures.typed_bound(rail, getattr(Rails(), rail)) for rail in figures.RAILS},
    )


def _form(what: str, key: str, challenge_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        found = _challenge_of(session, key, challenge_id)
    to = {"share": "risk_admin.change_share", "stop": "risk_admin.stop_challenge"}[what]
    return render_template(
        f"risk/admin/{what}_challenge_form.html",
        to=url_for(to, key=key, challenge_id=challenge_id),
        error=error,
        key=new_token(),
        form=request.values,
        challenge=found,
    )


def _challenge_of(session: Session, key: str, challenge_id: int) -> ChallengeView:
    for each in challenges(session, strategy=key):
        if each.id == challenge_id:
            return each
    raise ChallengeNotFound(f"{key} has no challenge {challenge_id}")


# --- the acts that need a second person ---


def _changes(session: Session, payload: Mapping[str, Any]) -> list[dict[str, str]]:
    """Say what the second person should know: the share, the rails, what decides otherwise."""
    was = payload.get("was_permille")
    said = [
        Change(label=str(gettext("挑战版本")), before="", after=f"v{payload['version']}"),
        Change(
            label=str(gettext("分流比例")),
            before="" if was is None else figures.percent(was),
            after=figures.percent(payload["share_permille"]),
        ),
    ]
    for rail, bound in payload.get("rails", {}).items():
        said.append(Change(label=figures.label_of(rail), before="", after=figures.say(rail, bound)))
    in_force = document_in_force(session, kind=STRATEGY, key=payload["key"], on=today())
    if was is None and in_force is not None:
        view = document_version(
            session, kind=STRATEGY, key=payload["key"], version=payload["version"]
        )
        said += diffs.changes(in_force.body, view.body, catalogue())
    return [{"label": c.label, "before": c.before, "after": c.after} for c in said]


def _describe(payload: Mapping[str, Any]) -> Sequence[Change]:
    return [Change(**change) for change in payload["changes"]]


def _hindrance(payload: Mapping[str, Any]) -> str:
    """Say why the version may not decide for anybody as things stand; empty if it may."""
    ready = readiness.known(payload)
    if current_staff().login == ready.version.author:
        return str(gettext(AuthorApproves.message_zh))
    return readiness.hindrance(ready) or _why_unfit(payload["key"], payload["version"])


def _start(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    challenge_id = start_challenge(
        session,
        key=payload["key"],
        version=payload["version"],
        share_permille=payload["share_permille"],
        rails=payload["rails"],
        catalogue=catalogue(),
        by=current_staff().login,
        now=at,
        prices=prices_of(runtime()),
    )
    tell_after(session)
    return {"challenge": challenge_id}


def _share(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    change_share(
        session,
        challenge_id=payload["challenge"],
        share_permille=payload["share_permille"],
        by=current_staff().login,
        now=at,
    )
    tell_after(session)
    return {"challenge": payload["challenge"], "share_permille": payload["share_permille"]}
