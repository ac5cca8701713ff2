"""Stored decisions: looked for, shown with the way they took, and played again.

Personal texts are masked; who may see one in clear gives a reason.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import NavItem, Search, SearchHit, Site, Unmasker, staff_page
from desk.queries import document_version
from kernel.errors import FenqiError
from kernel.listing import PAGE_ROWS
from kernel.web import runtime, today
from risk.admin import rights, words
from risk.admin.editing import catalogue
from risk.admin.names import Names
from risk.admin.recorded import LONGEST_DAYS, Wanted, decisions, record_of
from risk.admin.values import shown
from risk.admin.walked import Read, Step, plain, read, reads, steps
from risk.decisions.engine import Served, circumstances, row_of
from risk.decisions.replay import as_then, replay
from risk.decisions.service import DecisionNotFound
from risk.decisions.strategies import STRATEGY
from risk.ports import Applications
from risk.strategy.interpreter import interpret
from risk.strategy.reasons import reasons_of
from risk.strategy.walking import names_of_product, with_sources

UNMASKER: Final = "risk.decision.text"

_WEEK: Final = timedelta(days=6)
_FIRST_YEAR: Final = 2000
_EVER: Final = date(_FIRST_YEAR, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """A decision laid out again.

    Attributes:
        error: Why it cannot be; then there is nothing else.
        values: What strategy and models read, with labels.
        reasons: Code, what staff read, what the customer reads.
    """

    error: str = ""
    steps: tuple[Step, ...] = ()
    values: tuple[Read, ...] = ()
    reasons: tuple[tuple[str, str, str], ...] = ()


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/decisions"
    add(at, "decisions", search)
    add(f"{at}/<decision_id>", "decision", decision)
    add(f"{at}/<decision_id>/replay", "replay", play_again, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the link, the search and the unmasking of texts on a site."""
    site.navigation.add(
        NavItem(
            label="决策记录",
            endpoint="risk_admin.decisions",
            permission=rights.DECISIONS,
            group="风控",
            order=310,
            icon="history",
        )
    )
    site.searches.add(Search(label="决策", permission=rights.DECISIONS, find=_find))
    site.unmaskers.add(
        Unmasker(key=UNMASKER, permission=rights.UNMASK, reveal=_reveal, label="决策所用文本")
    )


@staff_page(rights.DECISIONS)
def search() -> ResponseReturnValue:
    """List the decisions of some days, or go to the one whose number was typed.

    The number may be its own or that of the application that it decided.
    """
    number = request.args.get("id", "").strip()
    if number:
        return redirect(url_for("risk_admin.decision", decision_id=_decision_no(number)))
    until = _day("until", today())
    subject = request.args.get("subject", "").strip()
    wanted = Wanted(
        since=_day("since", _EVER if subject else until - _WEEK),
        until=until,
        subject=subject,
        outcome=request.args.get("outcome", ""),
        product=request.args.get("product", "").strip(),
    ).within_bounds()
    page = max(1, request.args.get("page", 1, type=int))
    with runtime().database.read() as session:
        listed = decisions(
            session, wanted=wanted, limit=PAGE_ROWS + 1, offset=(page - 1) * PAGE_ROWS
        )
    return render_template(
        "risk/admin/decisions.html",
        wanted=wanted,
        decisions=listed[:PAGE_ROWS],
        page=page,
        has_more=len(listed) > PAGE_ROWS,
        longest=LONGEST_DAYS,
        words=words,
    )


@staff_page(rights.DECISIONS)
def decision(decision_id: str) -> ResponseReturnValue:
    """Show one decision: what came out, the way there, the values read."""
    with runtime().database.read() as session:
        record = record_of(session, decision_id)
        answer, seen = json.loads(record.answer), json.loads(record.snapshot)
        laid = _laid(session, decision_id)
        made_by = answer["strategy"]
        body = _body(session, made_by["id"], made_by["version"])
    return render_template(
        "risk/admin/decision.html",
        answer=answer,
        seen=seen,
        decided_at=record.decided_at,
        laid=laid,
        outputs=_outputs(answer["outputs"], body),
        unmasker=UNMASKER,
        words=words,
    )


@staff_page(rights.REPLAY)
def play_again(decision_id: str) -> ResponseReturnValue:
    """Play a decision again: whether the bytes are the same, and what would have changed it."""
    with runtime().database.read() as session:
        record = record_of(session, decision_id)
        served, case = as_then(session, decision_id=decision_id, catalogue=catalogue())
        played = replay(session, decision_id=decision_id, catalogue=catalogue())
    names = Names(catalogue(), {})
    row = plain(row_of(served, case), names)
    changes = [
        {
            "now": read(names.field(change.name), row.get(change.name)),
            "then": shown(change.value, names.field(change.name)),
            "outcome": change.outcome.name.lower(),
        }
        for change in played.changes
    ]
    return render_template(
        "risk/admin/replayed.html",
        played=played,
        size=len(record.answer.encode()) + len(record.snapshot.encode()),
        outcome=record.outcome,
        changes=changes,
        names=names,
        words=words,
    )


def _laid(session: Session, decision_id: str) -> Laid:
    try:
        served, case = as_then(session, decision_id=decision_id, catalogue=catalogue())
    except FenqiError as refused:
        return Laid(error=str(gettext(refused.message_zh)))
    strategy, row = served.published.strategy, row_of(served, case)
    around = circumstances(served, row, case.lists, on=case.now, snoozed=case.snoozed)
    product = served.compiled.product
    taken = interpret(strategy, row, product=product, around=around)
    body = _body(session, served.published.key, served.published.version)
    names = Names(catalogue(), body)
    return Laid(
        steps=steps(strategy, body, product, taken, names),
        values=reads(_read_by(served, plain(row, names)), names),
        reasons=tuple(
            (reason.code, str(gettext(reason.internal)), reason.customer)
            for reason in reasons_of(strategy, taken.decision)
        ),
    )


def _read_by(served: Served, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was there to read, and what the product would have read and was missing."""
    strategy = served.published.strategy
    asked = with_sources(
        names_of_product(strategy, served.compiled.product), dict(strategy.derived)
    )
    features = {name for model in served.published.models.values() for name in model.features}
    wanted = {*asked, *features, *row}
    return {name: row.get(name) for name in served.inputs if name in wanted}


def _body(session: Session, key: str, version: int) -> Mapping[str, Any]:
    return document_version(session, kind=STRATEGY, key=key, version=version).body


def _outputs(outputs: Mapping[str, Any], body: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = Names(catalogue(), body)
    fields = [names.field(name) for name in outputs]
    return [
        (field.label, "—" if outputs[field.name] is None else shown(outputs[field.name], field))
        for field in fields
    ]


def _decision_no(number: str) -> str:
    """Turn an application's number into that of its decision; anything else stays."""
    applications = runtime().get(Applications)
    with runtime().database.read() as session:
        found = applications.decision_no(session, application_no=number)
    return found or number


def _day(name: str, otherwise: date) -> date:
    try:
        found = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return otherwise
    return found if found.year >= _FIRST_YEAR else otherwise


def _find(text: str) -> list[SearchHit]:
    """Find the decision of a number, its own or its application's, whole."""
    try:
        number = _decision_no(text.strip())
        with runtime().database.read() as session:
            record = record_of(session, number)
    except DecisionNotFound:
        return []
    outcome = str(words.word(words.OUTCOMES, record.outcome)[0])
    url = url_for("risk_admin.decision", decision_id=record.id)
    return [SearchHit(title=record.id, detail=f"{record.subject} · {outcome}", url=url)]


def _reveal(subject: str) -> str:
    """Read a personal text that a decision was made on; `subject` is number and field.

    Raises:
        DecisionNotFound: No such decision, or it read no such text.
    """
    decision_id, _, name = subject.partition("/")
    with runtime().database.read() as session:
        served, case = as_then(session, decision_id=decision_id, catalogue=catalogue())
    value = row_of(served, case).get(name)
    if not isinstance(value, str):
        raise DecisionNotFound("the decision read no such text")
    return value
