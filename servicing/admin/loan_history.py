"""A loan's life: what happened and what each did, every plan that was in force, and any past day.

It shows and changes nothing; an event is taken back by the act that reverses one.
"""

from datetime import date, datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from desk.ports import staff_page
from kernel.clock import end_of_day
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import rights, words
from servicing.admin.forms import DayNotReadable, draw
from servicing.admin.previewed import asked_for, effects


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/loans/<int:loan_id>"
    add(f"{at}/history", "loan_history", history)
    add(f"{at}/history/<int:seq>", "loan_event", event)


@staff_page(rights.VIEW)
def history(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Show a loan as of a day, as known at the end of another, with its events and plans.

    Raises:
        DayNotReadable: A day is none.
    """
    on, known_on = _day("on"), _day("known")
    with runtime().database.read() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        events = queries.loan_events(session, loan_id=loan_id)
        # Before the loan was there, it is shown as it began.
        known_at = max(_end_of(known_on), events[0].recorded_at)
        state = queries.loan_as_of(
            session, loan_id=loan_id, on=max(on, loan.disbursed_on), known_at=known_at
        )
        called = queries.called_as_of(session, {loan_id: state}, known_at=known_at)[loan_id]
        versions = queries.plan_versions(session, loan_id=loan_id)
    reversed_by = {each.payload["of"]: each.seq for each in events if each.kind == "reversal"}
    return render_template(
        "servicing/admin/loan_history.html",
        called=called,
        events=events[::-1],
        known_on=known_on,
        loan=loan,
        on=on,
        owed=state.outstanding,
        reversed_by=reversed_by,
        state=state,
        status=queries.status_as_of(state),
        today=today(),
        versions=versions[::-1],
        words=words,
    )


@staff_page(rights.VIEW)
def event(customer_id: int, loan_id: int, seq: int) -> ResponseReturnValue:
    """Show what an event did to the loan when it became known."""
    with runtime().database.read() as session:
        queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        shown = operations.review_event(session, loan_id=loan_id, seq=seq).shown()
        proof = queries.receipt_of(session, loan_id=loan_id, seq=seq)
    said = asked_for({"channel": proof.channel, "reference": proof.reference}) if proof else []
    return draw("loan_event.html", effects=[*said, *effects(shown)], shown=shown)


def _day(name: str) -> date:
    """Read a day of the query; today where there is none."""
    try:
        return date.fromisoformat(request.args.get(name) or today().isoformat())
    except ValueError as error:
        raise DayNotReadable(f"{name} is no date") from error


def _end_of(day: date) -> datetime:
    """Return the last instant of a business date, or now."""
    return min(now(), end_of_day(day))
