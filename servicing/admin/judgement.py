"""What the judge found, as staff may see it: why it decided so, and how it graded a customer.

It shows and judges nothing; who may see the grounds of a decision is said in rights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from desk.ports import staff_page
from kernel.web import runtime
from risk.queries import (
    DecisionNotFound,
    DecisionView,
    GradeView,
    decision,
    grades_of,
    replays,
)
from servicing import queries
from servicing.admin import rights
from servicing.admin.forms import draw
from servicing.operations import ApplicationNotFound

_SHOWN_CHANGES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """A stored decision with what led to it, and whether it comes out the same today."""

    decision: DecisionView
    is_replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeSpan:
    """A grade and since when it stands; `last` is the newest of its days."""

    since: date
    last: GradeView


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/applications/<int:application_id>/grounds", "grounds", grounds)
    add("/admin/customers/<int:customer_id>/grades", "grades", grades)


@staff_page(rights.GROUNDS)
def grounds(application_id: int) -> ResponseReturnValue:
    """Draw what led to the machine's decision on an application.

    Raises:
        ApplicationNotFound: There is none.
    """
    with runtime().database.read() as session:
        found = queries.application_of(session, application_id=application_id)
        if found is None:
            raise ApplicationNotFound(f"no application {application_id}")
        return draw("grounds.html", grounds=grounds_of(session, decision_no=found.decision_no))


@staff_page(rights.VIEW)
def grades(customer_id: int) -> ResponseReturnValue:
    """Draw when a customer's grade changed, and what cost points."""
    with runtime().database.read() as session:
        history = grades_of(session, customer_ids=[customer_id])
    return draw("grades.html", spans=spans_of(history)[:_SHOWN_CHANGES])


def grounds_of(session: Session, *, decision_no: str | None) -> Grounds | None:
    """Collect the grounds of a decision; None where the machine has not decided or kept none."""
    if decision_no is None:
        return None
    try:
        return Grounds(
            decision=decision(session, decision_id=decision_no),
            is_replayed=replays(session, decision_id=decision_no),
        )
    except DecisionNotFound:
        return None


def spans_of(history: Sequence[GradeView]) -> list[GradeSpan]:
    """Fold a history, the newest first, into spans of one grade."""
    spans = []
    for _, days in groupby(history, key=lambda day: day.grade):
        last, *earlier = days
        spans.append(GradeSpan(since=(earlier or [last])[-1].graded_on, last=last))
    return spans
