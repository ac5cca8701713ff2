"""Tries a draft on one applicant: typed in, or taken from a stored decision.

Nothing is stored and nothing is decided by it. Personal texts of a stored decision stay on the
server; the form shows that they are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import mask_id, staff_page
from kernel.errors import FenqiError
from kernel.web import runtime, today
from risk.admin import rights
from risk.admin.editing import Opened, catalogue, draw, opened
from risk.admin.names import Field, Names
from risk.admin.values import kept, typed
from risk.admin.walked import Step, plain, steps
from risk.decisions.engine import row_of
from risk.decisions.listed import lists_on
from risk.decisions.replay import as_then
from risk.decisions.strategies import models_of
from risk.models.generated import scorer_of
from risk.models.reading import read_model
from risk.strategy.decision import Circumstances, Decision
from risk.strategy.interpreter import interpret
from risk.strategy.language import Reason, Strategy
from risk.strategy.reasons import reasons_of
from risk.strategy.scoring import asking
from risk.strategy.supplying import needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came out.

    Attributes:
        steps: The way through the stages.
        reasons: Why it was not approved.
    """

    decision: Decision
    steps: tuple[Step, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the applicant is, and where it came from.

    Attributes:
        row: Values by name.
        hidden: Names of personal texts that came from the stored decision and are not shown.
        error: Why the stored decision could not be taken.
    """

    row: Mapping[str, Any]
    hidden: frozenset[str] = frozenset()
    error: str = ""


def add_to(blueprint: Blueprint) -> None:
    """Put this page on the blueprint."""
    at = "/admin/risk/strategies/<key>/try"
    blueprint.add_url_rule(at, "try_draft", try_draft, methods=["GET", "POST"])


@staff_page(rights.TRY)
def try_draft(key: str) -> ResponseReturnValue:
    """Ask for an applicant, and show the way that the draft takes with them."""
    with runtime().database.read() as session:
        given = opened(session, key)
        strategy = given.checked.strategy
        products = [each["product"] for each in given.body["products"]]
        asked = request.values.get("product", "")
        product = asked if asked in products else products[0] if products else ""
        fields = [given.names.field(name) for name in inputs(session, strategy, product)]
        applicant = _applicant(session, fields, given.names)
        tried = None
        if strategy and request.method == "POST":
            tried = _tried(session, given, strategy, product, applicant.row)
    return draw(
        "try.html",
        given,
        groups=_grouped(fields),
        products=products,
        product=product,
        applicant=applicant,
        masks={name: mask_id(str(applicant.row[name])) for name in applicant.hidden},
        typed=typed,
        tried=tried,
        decision_id=request.values.get("decision", "").strip(),
    )


def inputs(session: Session, strategy: Strategy | None, product: str) -> tuple[str, ...]:
    """Name what a strategy and the models that it calls read for a product."""
    if strategy is None or product not in strategy.products:
        return ()
    models = models_of(session, strategy, on=today())
    features = {name: read_model(view.body).features for name, view in models.items()}
    read = needed(strategy, product, features=features)
    known = {*strategy.inputs, *(name for each in features.values() for name in each)}
    return tuple(name for name in read if name in known)


def _applicant(session: Session, fields: list[Field], names: Names) -> Given:
    """Take a stored decision's values, and what was typed over them."""
    decision_id = request.values.get("decision", "").strip()
    row: dict[str, Any] = {}
    error = ""
    if decision_id:
        try:
            served, case = as_then(session, decision_id=decision_id, catalogue=catalogue())
            row = plain(row_of(served, case), names)
        except FenqiError as refused:
            error = str(gettext(refused.message_zh))
    hidden = frozenset(f.name for f in fields if f.is_personal and isinstance(row.get(f.name), str))
    if request.method == "POST":
        for field in fields:
            text = request.form.get(f"value.{field.name}", "").strip()
            if text:
                row[field.name] = kept(text, field)
            elif field.name not in hidden:
                row.pop(field.name, None)
    hidden = frozenset(n for n in hidden if not request.form.get(f"value.{n}", "").strip())
    return Given(row=row, hidden=hidden, error=error)


def _tried(
    session: Session, given: Opened, strategy: Strategy, product: str, row: Mapping[str, Any]
) -> Tried:
    models = models_of(session, strategy, on=today())
    loaded = {name: read_model(view.body) for name, view in models.items()}
    scorers = {name: (model.features, scorer_of(model)) for name, model in loaded.items()}
    score, firm_score = asking(strategy, row, scorers)
    lists = lists_on(session, on=today())
    around = Circumstances(on=today(), lists=lists, score=score, firm_score=firm_score)
    taken = interpret(strategy, row, product=product, around=around)
    return Tried(
        decision=taken.decision,
        steps=steps(strategy, given.body, product, taken, given.names),
        reasons=reasons_of(strategy, taken.decision),
    )


def _grouped(fields: list[Field]) -> dict[str, list[Field]]:
    groups: dict[str, list[Field]] = {}
    for field in fields:
        groups.setdefault(field.source, []).append(field)
    return groups
