"""A lead gives a review to a member of staff, or takes it back into the queue.

Whoever had it in hand has it no longer; the audit chain keeps from whom to whom it went.
"""

from typing import Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import append_audit
from desk.ports import Site, act_in_dialog, current_site, current_staff, staff_page
from desk.queries import StaffView, staff_list
from kernel.errors import Invalid
from kernel.web import now, runtime
from servicing import operations, queries
from servicing.admin.applications import REVIEW
from servicing.operations import ApplicationNotFound
from servicing.operations.applications.inhand import ENTERED_BY

ASSIGN: Final = "servicing.applications.assign"


class ReviewerUnknown(Invalid):
    """Nobody of that login reviews applications."""

    code = "reviewer-unknown"
    message_zh = "请选择一位能审核进件的同事"


def add_to(blueprint: Blueprint) -> None:
    """Put this act on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/applications/<int:application_id>/assign"
    add(at, "assign_form", assign_form)
    add(at, "assign", assign, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the right of a lead on a site."""
    site.permissions.declare(ASSIGN, "分配进件审核", roles=("risk_manager",))


@staff_page(ASSIGN)
def assign_form(application_id: int) -> ResponseReturnValue:
    """Ask who shall review an application."""
    return _form(application_id)


@staff_page(ASSIGN)
def assign(application_id: int) -> ResponseReturnValue:
    """Give a review to whom the form names, or back to the queue."""
    to = request.form.get("to", "").strip() or None
    return act_in_dialog(
        form=lambda error: _form(application_id, error),
        act=lambda: _assigned(application_id, to),
        said=gettext("已分配给 %(who)s", who=to) if to else gettext("已放回队列"),
        then=url_for("servicing_admin.application", application_id=application_id),
    )


def _form(application_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        found = queries.application_of(session, application_id=application_id)
        if found is None:
            raise ApplicationNotFound(f"no application {application_id}")
        reviewers = _reviewers(session)
        review = queries.reviews_of(session, application_ids=[application_id]).get(application_id)
    return render_template(
        "servicing/admin/assign_form.html",
        to=url_for("servicing_admin.assign", application_id=application_id),
        error=error,
        form=request.values,
        application=found,
        reviewers=[one for one in reviewers if one.login != found.attributes.get(ENTERED_BY)],
        holder=review.holder(now()) if review else None,
    )


def _reviewers(session: Session) -> tuple[StaffView, ...]:
    """List who may review applications."""
    allows = current_site().permissions.allows
    return tuple(
        each for each in staff_list(session) if each.is_active and allows(each.roles, REVIEW)
    )


def _assigned(application_id: int, to: str | None) -> bool:
    with runtime().database.write() as session:
        if to is not None and to not in {each.login for each in _reviewers(session)}:
            raise ReviewerUnknown(f"{to} reviews no applications")
        before = queries.reviews_of(session, application_ids=[application_id]).get(application_id)
        until = operations.assign_review(session, application_id=application_id, to=to, now=now())
        append_audit(
            session,
            actor=current_staff().login,
            action="servicing.application.assigned",
            subject=f"application:{application_id}",
            details={
                "from": before.holder(now()) if before else None,
                "to": to,
                "until": until.isoformat() if until else None,
            },
            now=now(),
        )
    return True
