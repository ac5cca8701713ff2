"""Staff look at the terms of an approved application, on the applicant's wish.

They confirm them or approve a larger amount; bounds and the line are servicing.operations' matter.
"""

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.operations import ReasonNeeded, append_audit
from desk.ports import current_staff, staff_page
from kernel.errors import FenqiError
from kernel.money import fen_from_yuan
from kernel.web import now, runtime
from servicing import operations, queries
from servicing.admin.applications import REVIEW
from servicing.admin.forms import share
from servicing.operations import ApplicationNotFound
from servicing.queries import ApplicationDetail

_MAX_NOTE = 200


def add_to(blueprint: Blueprint) -> None:
    """Put this act on the blueprint."""
    at = "/admin/applications/<int:application_id>/terms"
    blueprint.add_url_rule(at, "review_terms", review_terms, methods=["POST"])


@staff_page(REVIEW)
def review_terms(application_id: int) -> ResponseReturnValue:
    """Confirm or improve what was approved; a refusal is told on the application's page.

    Raises:
        ApplicationNotFound: There is none.
    """
    with runtime().database.read() as session:
        found = queries.application_of(session, application_id=application_id)
    if found is None:
        raise ApplicationNotFound(f"no application {application_id}")
    try:
        _answer(found)
    except FenqiError as error:
        flash(gettext(error.message_zh), "danger")
        return redirect(url_for("servicing_admin.application", application_id=application_id))
    flash(gettext("复核已完成，客户会收到结果"), "success")
    return redirect(url_for("servicing_admin.applications"))


def _answer(found: ApplicationDetail) -> None:
    note = request.form.get("note", "").strip()[:_MAX_NOTE]
    if not note:
        raise ReasonNeeded("a review needs its reason")
    amount_fen = fen_from_yuan(request.form.get("amount", ""))
    rate = share("rate") if "rate" in request.form else None
    with runtime().database.write() as session:
        operations.review_terms(
            session,
            application_id=found.id,
            amount_fen=amount_fen,
            rate_annual=rate,
            by=current_staff().login,
            now=now(),
        )
        append_audit(
            session,
            actor=current_staff().login,
            action="servicing.application.terms_reviewed",
            subject=f"application:{found.id}",
            details={
                "was_fen": found.amount_fen,
                "amount_fen": amount_fen,
                "rate_annual": str(rate or found.rate_annual),
                "was_rate_annual": str(found.rate_annual),
                "note": note,
            },
            now=now(),
        )
