"""Proposals that wait, those that are past, one with its diff, and the decision.

What an approved act does is its area's business.
"""

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk import operations, queries
from desk.model import APPROVALS, ApprovalState
from desk.operations import ApprovalNotFound
from desk.ports import Approvable, Subject, staff_page
from desk.views.shell import may, member, site
from kernel.listing import page_of
from kernel.web import now, runtime


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/approvals", "approvals", approvals)
    add("/admin/approvals/<int:approval_id>", "approval", approval)
    add("/admin/approvals/<int:approval_id>/decide", "decide", decide, methods=["POST"])
    add("/admin/approvals/<int:approval_id>/withdraw", "withdraw", withdraw, methods=["POST"])
    add("/admin/approvals/<int:approval_id>/undo", "undo", undo, methods=["POST"])


@staff_page(APPROVALS)
def approvals() -> ResponseReturnValue:
    """List proposals: the waiting ones first of all."""
    is_waiting = request.args.get("view") != "past"
    with runtime().database.read() as session:
        page = page_of(queries.count_approvals(session, now=now(), is_waiting=is_waiting))
        found = queries.approvals(
            session, now=now(), is_waiting=is_waiting, limit=page.rows, offset=page.offset
        )
    named = _named([each.subject for each in found])
    labels = {approvable.action: approvable.label for approvable in site().approvables}
    return render_template(
        "desk/approvals.html",
        approvals=found,
        labels=labels,
        named=named,
        is_waiting=is_waiting,
        page=page,
    )


@staff_page(APPROVALS)
def approval(approval_id: int) -> ResponseReturnValue:
    """Show one proposal, its diff, and what the member may do with it."""
    with runtime().database.read() as session:
        found = queries.approval(session, approval_id=approval_id, now=now())
    if found is None:
        raise ApprovalNotFound("no such proposal")
    approvable = site().approvables.get(found.action)
    may_decide = approvable is not None and may(approvable.permission_decide)
    is_waiting = found.state is ApprovalState.WAITING
    is_own = found.proposed_by == member().login
    can_undo = approvable is not None and approvable.undo is not None
    hindrance = approvable.hindrance if approvable is not None and is_waiting else None
    return render_template(
        "desk/approval.html",
        approval=found,
        label=approvable.label if approvable else found.action,
        subject=_subject(approvable, found.subject),
        facts=approvable.show(found.payload) if approvable and approvable.show else "",
        is_own=is_own,
        hindrance=hindrance(found.payload) if hindrance else "",
        told=approvable.told(found.result or {}) if approvable and approvable.told else {},
        may_decide=is_waiting and may_decide and not is_own,
        may_withdraw=is_waiting and is_own,
        may_undo=found.state is ApprovalState.EXECUTED and may_decide and can_undo,
    )


def _subject(approvable: Approvable | None, subject: str) -> Subject:
    """Say what a proposal is about: by its name, else as it is written."""
    plain = Subject(
        title=subject,
        url=approvable.url(subject) if approvable and approvable.url else "",
    )
    return _named([subject]).get(subject, plain)


def _named(subjects: Sequence[str]) -> dict[str, Subject]:
    """Name subjects for people, as far as somebody knows their kind."""
    named: dict[str, Subject] = {}
    for kind in site().subjects:
        theirs = [subject for subject in subjects if subject.partition(":")[0] == kind.key]
        named |= kind.name(theirs) if theirs else {}
    return named


@staff_page(APPROVALS)
def decide(approval_id: int) -> ResponseReturnValue:
    """Approve or refuse."""
    is_approved = request.form.get("decision") == "approve"
    with runtime().database.write() as session:
        operations.decide(
            session,
            site(),
            approval_id=approval_id,
            decided_by=member().login,
            approve=is_approved,
            note=request.form.get("note", ""),
            now=now(),
        )
    flash(gettext("已批准并执行") if is_approved else gettext("已拒绝"), "success")
    return redirect(url_for("desk.approvals"))


@staff_page(APPROVALS)
def withdraw(approval_id: int) -> ResponseReturnValue:
    """Take one's own proposal back."""
    with runtime().database.write() as session:
        operations.withdraw(session, approval_id=approval_id, by=member().login, now=now())
    flash(gettext("已撤回申请"), "success")
    return redirect(url_for("desk.approvals"))


@staff_page(APPROVALS)
def undo(approval_id: int) -> ResponseReturnValue:
    """Take back what an approval did."""
    with runtime().database.write() as session:
        operations.undo(
            session,
            site(),
            approval_id=approval_id,
            undone_by=member().login,
            reason=request.form.get("reason", ""),
            now=now(),
        )
    flash(gettext("已撤销"), "success")
    return redirect(url_for("desk.approval", approval_id=approval_id))
