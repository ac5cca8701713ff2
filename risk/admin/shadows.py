"""Versions beside what is in force: the list of shadows and challengers, and what a shadow says.

A shadow decides what was decided and nobody hears it, so one person may start it; several run at
once. Who lets a challenger decide for real is in `challenges`.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import act_in_dialog, current_staff, staff_page
from desk.queries import DocumentView, document_versions, waiting_approval
from kernel.clock import start_of_day
from kernel.errors import Invalid
from kernel.ids import new_token
from kernel.listing import PAGE_ROWS
from kernel.web import now, runtime, today
from risk.admin import figures, rights
from risk.admin.dialogs import done_once
from risk.admin.editing import catalogue, draw, opened
from risk.decisions.strategies import STRATEGY
from risk.lifecycle import shadowing
from risk.lifecycle.comparing import granted_by_shadow
from risk.lifecycle.queries import ShadowView, challenges, shadow_differences, shadows
from risk.strategy.language import DATA_MISSING
from risk.strategy.reasons import MISSING

OUTCOMES: Final = ("approve", "review", "decline")

_USUAL_DAYS: Final = 14
_MOST_DAYS: Final = 92
_MOST_VERSIONS: Final = 20


class ShadowOdd(Invalid):
    """A shadow needs a version, and runs 1 to 92 days."""

    code = "risk-shadow-odd"
    message_zh = "请选择版本，运行天数须为1到92天"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>"
    add(f"{at}/beside", "beside", beside)
    add(f"{at}/shadows/start", "shadow_form", shadow_form)
    add(f"{at}/shadows", "start_shadow", start_shadow, methods=["POST"])
    add(f"{at}/shadows/<int:shadow_id>", "shadow", shadow)
    add(f"{at}/shadows/<int:shadow_id>/stop", "stop_shadow_form", stop_shadow_form)
    add(f"{at}/shadows/<int:shadow_id>/stop", "stop_shadow", stop_shadow, methods=["POST"])


@staff_page(rights.VIEW)
def beside(key: str) -> ResponseReturnValue:
    """List what runs beside the version in force, and what did."""
    with runtime().database.read() as session:
        given = opened(session, key)
        listed = challenges(session, strategy=key)
        found = shadows(session, strategy=key)
        waiting = [
            approval
            for action in ("risk.challenge.start", "risk.challenge.share")
            for approval in (
                waiting_approval(session, action=action, subject=f"challenge:{key}", now=now()),
            )
            if approval
        ]
    return draw(
        "beside.html",
        given,
        shadows=found,
        challenges=listed,
        running=next((each for each in listed if each.ended_at is None), None),
        waiting=waiting,
        figures=figures,
    )


@staff_page(rights.TRY)
def shadow_form(key: str) -> ResponseReturnValue:
    """Ask which version shall decide in the shadow, and for how long."""
    return _start_form(key)


@staff_page(rights.TRY)
def start_shadow(key: str) -> ResponseReturnValue:
    """Let a version decide beside what is in force."""
    return act_in_dialog(
        form=lambda error: _start_form(key, error),
        act=lambda: _started(key),
        said=gettext("影子运行已开始，不影响任何申请"),
        then=url_for("risk_admin.beside", key=key),
    )


@staff_page(rights.TRY)
def stop_shadow_form(key: str, shadow_id: int) -> ResponseReturnValue:
    """Ask whether a shadow shall end."""
    return _stop_form(key, shadow_id)


@staff_page(rights.TRY)
def stop_shadow(key: str, shadow_id: int) -> ResponseReturnValue:
    """End a shadow; what it said stays."""

    def stop(session: Session) -> Mapping[str, Any]:
        shadow_of(shadows(session, strategy=key), shadow_id)
        shadowing.stop_shadow(session, shadow_id=shadow_id, by=current_staff().login, now=now())
        return {"shadow": shadow_id}

    return act_in_dialog(
        form=lambda error: _stop_form(key, shadow_id, error),
        act=lambda: done_once(
            action="risk.strategy.shadow_ended_by_hand",
            subject=f"strategy:{key}",
            payload={"shadow": shadow_id},
            do=stop,
        ),
        said=gettext("影子运行已停止，已有的比较仍可查看"),
        then=url_for("risk_admin.beside", key=key),
    )


@staff_page(rights.VIEW)
def shadow(key: str, shadow_id: int) -> ResponseReturnValue:
    """Show how far a shadow agrees, what it would grant, and where it says otherwise."""
    pair = {name: request.args.get(name, "") for name in ("decided", "outcome")}
    asked = {name: code if code in OUTCOMES else None for name, code in pair.items()}
    page = max(1, request.args.get("page", 1, type=int))
    with runtime().database.read() as session:
        given = opened(session, key)
        found = shadow_of(shadows(session, strategy=key), shadow_id)
        listed = shadow_differences(
            session,
            shadow_id=shadow_id,
            **asked,
            limit=PAGE_ROWS + 1,
            offset=(page - 1) * PAGE_ROWS,
        )
        granted = granted_by_shadow(session, shadow=found)
    return draw(
        "shadow.html",
        given,
        shadow=found,
        outcomes=OUTCOMES,
        differing=listed[:PAGE_ROWS],
        has_more=len(listed) > PAGE_ROWS,
        page=page,
        asked=asked,
        granted=granted,
        reasons=internal_reasons(given.body),
    )


def shadow_of(listed: Sequence[ShadowView], shadow_id: int) -> ShadowView:
    """Find a shadow.

    Raises:
        ShadowNotFound: The strategy has none of that number.
    """
    for each in listed:
        if each.id == shadow_id:
            return each
    raise shadowing.ShadowNotFound(f"no shadow {shadow_id}")


def internal_reasons(body: Mapping[str, Any]) -> dict[str, str]:
    """Give the words for staff of each reason code."""
    said = {str(each.get("code")): str(each.get("internal") or "") for each in body["reasons"]}
    said[DATA_MISSING] = MISSING.internal
    return {code: str(gettext(internal)) for code, internal in said.items() if internal}


def candidates(session: Session, key: str, *states: str) -> list[DocumentView]:
    """List the newest versions that may run beside the one in force."""
    versions = document_versions(session, kind=STRATEGY, key=key)
    return [view for view in versions if view.state in states][:_MOST_VERSIONS]


def _started(key: str) -> bool:
    version = request.form.get("version", type=int)
    days = request.form.get("days", type=int)
    if version is None or days is None or not 1 <= days <= _MOST_DAYS:
        raise ShadowOdd("a version and 1 to 92 days are needed")

    def start(session: Session) -> Mapping[str, Any]:
        shadow_id = shadowing.start_shadow(
            session,
            key=key,
            version=version,
            catalogue=catalogue(),
            by=current_staff().login,
            ends_at=start_of_day(today() + timedelta(days=days + 1)),
            now=now(),
        )
        return {"shadow": shadow_id, "version": version, "days": days}

    return done_once(
        action="risk.strategy.shadow_begun",
        subject=f"strategy:{key}",
        payload={"version": version, "days": days},
        do=start,
    )


def _start_form(key: str, error: str = "") -> str:
    with runtime().database.read() as session:
        given = opened(session, key)
        versions = candidates(session, key, "draft", "tested", "retired")
    return render_template(
        "risk/admin/shadow_form.html",
        to=url_for("risk_admin.start_shadow", key=key),
        error=error,
        key=new_token(),
        form=request.values,
        strategy=given.working,
        versions=versions,
        days=_USUAL_DAYS,
        most=_MOST_DAYS,
    )


def _stop_form(key: str, shadow_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        found = shadow_of(shadows(session, strategy=key), shadow_id)
    return render_template(
        "risk/admin/stop_shadow_form.html",
        to=url_for("risk_admin.stop_shadow", key=key, shadow_id=shadow_id),
        error=error,
        key=new_token(),
        shadow=found,
    )
