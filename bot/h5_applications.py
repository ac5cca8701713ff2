"""The borrower's page about their last application: where it stands, and asking for a person."""

from apiflask import APIBlueprint
from flask import g, render_template

from bot import phrases
from kernel.errors import Conflict
from kernel.web import now, runtime
from servicing import queries
from servicing.operations import ApplicationNotFound, appeal_application


def add_to(blueprint: APIBlueprint) -> None:
    """Put this page on the blueprint."""
    add, at = blueprint.add_url_rule, "/application"
    add(at, "application", application)
    add(at, "appeal", appeal, methods=["POST"])


def application() -> str:
    """Show the looker's last application, and by when a person answers if one looks at it."""
    return _page()


def appeal() -> str | tuple[str, int]:
    """Ask for a person to look at the last application; asking again changes nothing."""
    try:
        with runtime().database.write() as session:
            found = queries.latest_application(session, customer_id=g.customer_id)
            if found is None:
                raise ApplicationNotFound(f"customer {g.customer_id} never applied")
            appeal_application(session, application_id=found.id, now=now())
    except Conflict as error:
        return _page(error.message_zh), error.status
    return _page()


def _page(problem: str = "") -> str:
    with runtime().database.read() as session:
        found = queries.latest_application(session, customer_id=g.customer_id)
        review = queries.review_of(session, application_id=found.id) if found else None
    waits = found is not None and review is not None and review.waits_in(found.state)
    return render_template(
        "bot/application.html",
        problem=problem,
        told=phrases.application(found, queries.customer_reasons(found.reasons, found.told))
        if found
        else phrases.NO_APPLICATION,
        until=phrases.waits_until(review.due_at) if review and waits else "",
        may_ask=found is not None and queries.may_appeal(found, review),
    )
