"""Puts a draft in force by two people, and goes back to what was in force before.

A proposal names a version, whose body never changes, and what it replaces: what the second person
approves is what is put in force, or nothing is.

    DraftNotPublishable  422  the draft has mistakes
    DraftNotTested       409  its cases were not run, or do not pass
    NothingToPublish     409  there is no draft, or it changes nothing
    BaseChanged          409  another version came into force since the proposal
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
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
from desk.queries import document_version, document_versions, waiting_approval
from kernel.clock import business_date
from kernel.errors import Conflict, Invalid
from kernel.ids import new_token
from kernel.web import now, runtime, today
from risk.admin import diffs, readiness, rights
from risk.admin.dialogs import done_once, reason_given, tell_after
from risk.admin.drafts import Working, drop, working
from risk.admin.editing import Opened, catalogue, draw, opened
from risk.decisions.strategies import STRATEGY, prices_of, rollback_strategy
from risk.lifecycle.publishing import publish_version
from risk.lifecycle.readiness import Readiness

PUBLISH: Final = "risk.strategy.publish"

_DECIDE_WITHIN: Final = timedelta(days=3)


class DraftNotPublishable(Invalid):
    """The draft has mistakes; its pages say which."""

    code = "risk-draft-not-publishable"
    message_zh = "草稿还有未解决的问题，不能提交发布"


class DraftNotTested(Conflict):
    """The draft was not marked as tested by its cases."""

    code = "risk-draft-not-tested"
    message_zh = "草稿尚未测试：请先让全部测试用例通过并标记为已测试"

    def __init__(self, detail: str, why: str) -> None:
        super().__init__(detail)
        self.message_zh = why


class NothingToPublish(Conflict):
    """There is no draft, or it says what is in force already."""

    code = "risk-nothing-to-publish"
    message_zh = "没有与生效版本不同的草稿"


class BaseChanged(Conflict):
    """Another version came into force since the proposal, so the diff is not true any more."""

    code = "risk-publish-base-changed"
    message_zh = "提交之后生效版本已变化，请重新提交发布"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>"
    add(f"{at}/changes", "changes", changes)
    add(f"{at}/propose", "propose_form", propose_form)
    add(f"{at}/propose", "propose", propose_publication, methods=["POST"])
    add(f"{at}/rollback", "rollback_form", rollback_form)
    add(f"{at}/rollback", "roll_back", roll_back, methods=["POST"])
    add(f"{at}/drop", "drop_form", drop_form)
    add(f"{at}/drop", "drop", drop_drafts, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the act that needs a second person on a site."""
    site.approvables.add(
        Approvable(
            action=PUBLISH,
            label="发布风险策略",
            permission_propose=rights.PROPOSE,
            permission_decide=rights.PUBLISH,
            describe=_describe,
            execute=_execute,
            url=_url,
            show=readiness.shown,
            hindrance=_why_not_now,
        )
    )


@staff_page(rights.VIEW)
def changes(key: str) -> ResponseReturnValue:
    """Show in words what the draft changes, by default of what is in force."""
    against = request.args.get("against", type=int)
    with runtime().database.read() as session:
        given = opened(session, key)
        found = given.working
        before = found.in_force
        if against is not None:
            before = document_version(session, kind=STRATEGY, key=key, version=against)
        waiting = waiting_approval(session, action=PUBLISH, subject=_subject(key), now=now())
        ready = readiness.ready_for(session, key=key, version=found.shown.version)
    return draw(
        "changes.html",
        given,
        ready=ready,
        proof=readiness.drawn(ready) if found.is_draft else "",
        hindrance=_hindrance(given, ready) if found.is_draft else "",
        before=before,
        changes=diffs.changes(before.body if before else None, given.body, catalogue()),
        waiting=waiting,
    )


@staff_page(rights.PROPOSE)
def propose_form(key: str) -> ResponseReturnValue:
    """Ask why the draft should come into force."""
    return _form("propose", key)


@staff_page(rights.PROPOSE)
def propose_publication(key: str) -> ResponseReturnValue:
    """Ask a second person to put the draft in force."""
    return _acted("propose", key, _propose, gettext("已提交发布，待另一位同事审批"))


@staff_page(rights.ROLL_BACK)
def rollback_form(key: str) -> ResponseReturnValue:
    """Ask why, and show what would change."""
    return _form("roll_back", key)


@staff_page(rights.ROLL_BACK)
def roll_back(key: str) -> ResponseReturnValue:
    """Put what was in force before back in force, at once."""
    return _acted("roll_back", key, _roll_back, gettext("已回滚，约一秒内对新的申请生效"))


@staff_page(rights.EDIT)
def drop_form(key: str) -> ResponseReturnValue:
    """Ask whether the draft is to be given up."""
    return _form("drop", key)


@staff_page(rights.EDIT)
def drop_drafts(key: str) -> ResponseReturnValue:
    """Give up the draft; its versions stay readable in the history."""
    return _acted("drop", key, _drop, gettext("草稿已放弃"))


def _acted(
    what: str, key: str, act: Callable[[Session, str, str], Mapping[str, Any] | None], said: str
) -> ResponseReturnValue:
    """Do what a dialog asks for, once, with its trace in the audit chain."""
    names = {"propose": "publication_proposed", "roll_back": "rolled_back", "drop": "draft_dropped"}

    def do() -> bool:
        reason = reason_given()
        return done_once(
            action=f"risk.strategy.{names[what]}",
            subject=f"strategy:{key}",
            payload={"key": key, "reason": reason},
            do=lambda session: act(session, key, reason),
        )

    then = url_for("risk_admin.changes", key=key)
    return act_in_dialog(form=partial(_form, what, key), act=do, said=said, then=then)


def _propose(session: Session, key: str, reason: str) -> Mapping[str, Any]:
    given = opened(session, key)
    found = given.working
    before = found.in_force
    if not found.is_draft or (before and before.body_hash == found.shown.body_hash):
        raise NothingToPublish(f"{key} has no draft that changes anything")
    if given.checked.strategy is None or given.checked.problems:
        raise DraftNotPublishable(f"the draft of {key} has mistakes")
    ready = readiness.ready_for(session, key=key, version=found.shown.version)
    if ready.hindrance is not None:
        raise DraftNotTested(f"the draft of {key}: {ready.hindrance}", readiness.hindrance(ready))
    approval_id = propose(
        session,
        current_site(),
        action=PUBLISH,
        subject=_subject(key),
        payload=_payload(found, readiness.summary(ready)),
        proposed_by=current_staff().login,
        now=now(),
        expires_in=_DECIDE_WITHIN,
        reason=reason,
    )
    return {"version": found.shown.version, "approval": approval_id}


def _roll_back(session: Session, key: str, reason: str) -> Mapping[str, Any]:
    by = current_staff().login
    made = rollback_strategy(
        session,
        key=key,
        by=by,
        reason=reason,
        catalogue=catalogue(),
        now=now(),
        prices=prices_of(runtime()),
    )
    tell_after(session)
    return {"version": made.version, "reason": reason}


def _drop(session: Session, key: str, reason: str) -> Mapping[str, Any] | None:
    dropped = drop(session, key=key, by=current_staff().login, now=now(), on=today())
    return {"versions": dropped, "reason": reason} if dropped else None


def _form(what: str, key: str, error: str = "") -> str:
    with runtime().database.read() as session:
        given = opened(session, key)
        back = _before(session, given.working) if what == "roll_back" else None
    in_force = given.working.in_force
    undone = diffs.changes(in_force.body, back.body, catalogue()) if in_force and back else []
    return render_template(
        f"risk/admin/{what}_form.html",
        to=url_for(f"risk_admin.{what}", key=key),
        error=error,
        key=new_token(),
        form=request.values,
        strategy=given.working,
        problems=given.problems(),
        back=back,
        changes=undone,
    )


def _before(session: Session, found: Working) -> Any:
    """Find what a rollback would bring back, None if nothing was in force before."""
    current = found.in_force
    if current is None:
        return None
    limit = current.restores or current.version
    retired = [
        view
        for view in document_versions(session, kind=STRATEGY, key=found.key)
        if view.state == "retired"
        and view.version < limit
        and view.body_hash != current.body_hash
        and view.effective_on is not None
    ]
    return max(retired, key=lambda view: (view.effective_on, view.version), default=None)


# --- the act that needs a second person ---


def _subject(key: str) -> str:
    return f"strategy:{key}"


def _url(subject: str) -> str:
    return url_for("risk_admin.changes", key=subject.partition(":")[2])


def _payload(found: Working, known: Sequence[Change]) -> dict[str, Any]:
    before = found.in_force.body if found.in_force else None
    said = [*diffs.changes(before, found.body, catalogue()), *known]
    return {
        "key": found.key,
        "version": found.shown.version,
        "replaces": found.in_force.version if found.in_force else None,
        "changes": [asdict(change) for change in said],
    }


def _describe(payload: Mapping[str, Any]) -> Sequence[Change]:
    replaced = payload["replaces"]
    version = Change(
        label=gettext("生效版本"),
        before="" if replaced is None else f"v{replaced}",
        after=f"v{payload['version']}",
    )
    return [version, *(Change(**change) for change in payload["changes"])]


def _why_not_now(payload: Mapping[str, Any]) -> str:
    """Say why the version that waits cannot be approved as things stand; empty if it can."""
    ready = readiness.known(payload)
    replaces = ready.in_force.version if ready.in_force else None
    if replaces != payload["replaces"]:
        return str(gettext(BaseChanged.message_zh))
    if current_staff().login == ready.version.author:
        return str(gettext(AuthorApproves.message_zh))
    return readiness.hindrance(ready)


def _hindrance(given: Opened, ready: Readiness) -> str:
    """Say why a draft cannot be proposed as it stands; empty if it can."""
    found = given.working
    if found.in_force and found.in_force.body_hash == found.shown.body_hash:
        return str(gettext(NothingToPublish.message_zh))
    if given.checked.problems:
        return str(gettext(DraftNotPublishable.message_zh))
    return readiness.hindrance(ready)


def _execute(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    found = working(session, key=payload["key"], on=business_date(at))
    replaces = found.in_force.version if found.in_force else None
    if replaces != payload["replaces"]:
        raise BaseChanged(f"{replaces} is in force, not {payload['replaces']}")
    made = publish_version(
        session,
        key=payload["key"],
        version=payload["version"],
        catalogue=catalogue(),
        by=current_staff().login,
        effective_on=business_date(at),
        now=at,
        prices=prices_of(runtime()),
    )
    tell_after(session)
    return {
        "version": made.version,
        "effective_on": made.effective_on.isoformat(),
        "forms_compared": made.compared,
        "stored_rows": made.stored,
    }
