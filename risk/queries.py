"""What others may read: decisions with their evidence in words for staff, grades."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from desk.queries import document_version
from kernel.money import yuan
from risk.decisions.house import version_of
from risk.decisions.replay import DecisionNotReplayable, replay
from risk.decisions.service import DecisionNotFound
from risk.decisions.strategies import STRATEGY, strategies_in_force
from risk.decisions.writing import day_of
from risk.evidence.plans import plan_of
from risk.features.catalogue import Catalogue, read_catalogue
from risk.lifecycle.arms import deciding
from risk.ports import EvidencePlan, Subsystems
from risk.strategy.language import DATA_MISSING
from risk.strategy.nodes import Node
from risk.strategy.problems import Problems
from risk.strategy.reading_subsystems import read_subsystems
from risk.strategy.reasons import MISSING
from risk.tables import DecisionRecord, RiskGrade

__all__ = [
    "USUAL_LABELS",
    "DecisionNotFound",
    "DecisionView",
    "FindingView",
    "GradeView",
    "decision",
    "evidence_plan",
    "field_labels",
    "field_value",
    "grades_of",
    "replays",
    "staff_reasons",
]

_WEIGHT: Final = {"decline": 0, "review": 1}
USUAL_LABELS: Final[Mapping[str, str]] = {
    "score": "评分",
    "band": "客群等级",
    "multiple": "额度倍数",
    "line_fen": "额度",
    "line_left_fen": "剩余额度",
    "rate_annual": "年化利率",
    "debt_to_income": "负债收入比",
    "exposure_after_fen": "本次后消费信贷余额",
    "employed_days": "在职天数",
    "income_half_fen": "半月收入",
}
"""What staff call the usual names that strategies declare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One finding in words for staff; `read` pairs what was read with its value, if any."""

    code: str
    outcome: str
    note: str
    read: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """One decision as it was made.

    Attributes:
        findings: What asked for a review or a decline, the weightiest first.
        outputs: What the strategy set, such as score, band and line, by name.
    """

    decision_id: str
    outcome: str
    findings: tuple[FindingView, ...]
    outputs: Mapping[str, Any]
    strategy_version: str
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeView:
    """One grade; `reasons` tell staff what cost points, the most costly first."""

    customer_id: int
    graded_on: date
    grade: str
    points: int
    is_worst: bool
    reasons: tuple[str, ...]
    card_version: str


def decision(session: Session, *, decision_id: str) -> DecisionView:
    """Return a decision as it was made, in the words of the strategy that made it.

    Raises:
        DecisionNotFound: There is none.
    """
    record = _record(session, decision_id)
    said = json.loads(record.answer)
    strategy = said["strategy"]
    body = document_version(
        session, kind=STRATEGY, key=strategy["id"], version=strategy["version"]
    ).body
    notes = _notes(body)
    found = [_finding(hit, notes) for hit in said["evidence"] if hit["outcome"] in _WEIGHT]
    return DecisionView(
        decision_id=record.id,
        outcome=said["outcome"],
        findings=tuple(sorted(found, key=lambda each: _WEIGHT[each.outcome])),
        outputs={name: value for name, value in said["outputs"].items() if value is not None},
        strategy_version=version_of(strategy),
        decided_at=record.decided_at,
    )


def replays(session: Session, *, decision_id: str) -> bool:
    """Say whether a decision comes out the same to the byte from what was kept of it.

    Raises:
        DecisionNotFound: There is none.
    """
    try:
        return replay(session, decision_id=decision_id, catalogue=_catalogue()).is_same
    except DecisionNotReplayable:
        return False


def grades_of(
    session: Session, *, customer_ids: Iterable[int], on: date | None = None
) -> tuple[GradeView, ...]:
    """List grades as of a business date or, without one, of all dates, the newest first."""
    days = [] if on is None else [RiskGrade.graded_on == on]
    rows = session.execute(
        select(*(getattr(RiskGrade, name) for name in GradeView.__slots__))
        .where(RiskGrade.customer_id.in_(customer_ids), *days)
        .order_by(RiskGrade.graded_on.desc(), RiskGrade.customer_id)
    )
    return tuple(GradeView(**{**row, "reasons": tuple(row["reasons"])}) for row in rows.mappings())


def staff_reasons(session: Session, *, on: date) -> Mapping[str, str]:
    """Return the words for staff of each reason code that strategies in force may give."""
    found: dict[str, str] = {}
    for view in strategies_in_force(session, on=on):
        found |= _notes(view.body)
    return found


def field_labels() -> Mapping[str, str]:
    """Return the words for staff of each dimension of the catalogue."""
    return {each.name: each.label for each in _catalogue().dimensions}


def field_value(name: str, value: Any) -> Any:
    """Return a dimension's value as staff read it: money in yuan, whole numbers without a point."""
    is_whole = (
        isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    )
    if not is_whole:
        return value
    return f"¥{yuan(int(value))}" if name.endswith("_fen") else int(value)


def evidence_plan(
    session: Session, *, product: str, subject: str, subsystems: Subsystems, on: date
) -> EvidencePlan:
    """Say whom to ask about an application, by the strategy that decides it as of now.

    Args:
        session: An open session.
        product: What is applied for.
        subject: Who applies: where a challenge runs, that says which strategy decides.
        subsystems: All that can be asked.
        on: The business date.
    """
    view = deciding(session, product=product, subject=subject, on=on)
    if view is None:
        return plan_of(None, subsystems, strategy_version=None)
    uses = read_subsystems(Node(view.body, "$", Problems())).get(product)
    named = {"id": view.key, "version": view.version, "hash": view.body_hash}
    return plan_of(uses, subsystems, strategy_version=version_of(named))


def _finding(hit: Mapping[str, Any], notes: Mapping[str, str]) -> FindingView:
    labels = {**USUAL_LABELS, **field_labels()}
    return FindingView(
        code=hit["rule"],
        outcome=hit["outcome"],
        note=notes.get(hit["reason"], hit["rule"]),
        read=tuple(
            (labels.get(name, name), field_value(name, value))
            for name, value in hit["values"].items()
        ),
    )


def _notes(body: Mapping[str, Any]) -> dict[str, str]:
    notes = {reason["code"]: reason["internal"] for reason in body["reasons"]}
    return notes | {DATA_MISSING: MISSING.internal}


@cache
def _catalogue() -> Catalogue:
    return read_catalogue()


def _record(session: Session, decision_id: str) -> DecisionRecord:
    try:
        on = day_of(decision_id)
    except ValueError:
        raise DecisionNotFound("no decision has such a number") from None
    record = session.get(DecisionRecord, (on, decision_id))
    if record is None:
        raise DecisionNotFound("no decision has that number")
    return record
