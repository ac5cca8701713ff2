"""What others may read: decisions with their evidence, grades, sentences for customers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import NotFound
from risk.model import OTHER, Policy, Strategy, canonical, judge, read_policy
from risk.tables import RiskDecision, RiskGrade, RiskPolicy


class DecisionNotFound(NotFound):
    """There is no such decision."""

    code = "risk-decision-not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """One decision; `findings` hold code, outcome, note (for staff) and the values read."""

    decision_id: int
    application_id: int
    outcome: str
    findings: tuple[dict[str, Any], ...]
    snapshot: dict[str, Any]
    strategy_version: str
    decided_at: datetime

    @property
    def reasons(self) -> tuple[str, ...]:
        """The codes of the findings that decided, milder ones left out."""
        decisive = (found for found in self.findings if found["outcome"] == self.outcome)
        return tuple(dict.fromkeys(found["code"] for found in decisive))


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One finding in words for staff; `read` pairs what was read with its value, if any."""

    code: str
    outcome: str
    note: str
    read: tuple[tuple[str, Any], ...]


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


@cache
def in_force(kind: type[Policy]) -> Policy:
    """Return the strategy or card that judges now."""
    path = Path(__file__).with_name(f"{kind.__name__.lower()}.toml")
    return read_policy(kind, path.read_text("utf-8"))


def decision(session: Session, *, decision_id: int) -> DecisionView:
    """Return a decision as it was made.

    Raises:
        DecisionNotFound: There is none.
    """
    row = _row(session, decision_id)
    verdict = json.loads(row.verdict)
    return DecisionView(
        decision_id=row.id,
        application_id=row.application_id,
        outcome=verdict["outcome"],
        findings=tuple(verdict["findings"]),
        snapshot=json.loads(row.snapshot),
        strategy_version=row.strategy_version,
        decided_at=row.decided_at,
    )


def findings_of(session: Session, *, decision_id: int) -> tuple[FindingView, ...]:
    """Say what led to a decision, the weightiest first, in the words of the strategy that made it.

    Raises:
        DecisionNotFound: There is none.
    """
    row = _row(session, decision_id)
    facts = _strategy_of(session, row).fact
    return tuple(
        FindingView(
            code=found["code"],
            outcome=found["outcome"],
            note=found["note"],
            read=tuple((facts[name].label, value) for name, value in found["values"].items()),
        )
        for found in json.loads(row.verdict)["findings"]
    )


def replays(session: Session, *, decision_id: int) -> bool:
    """Say whether the stored snapshot under the stored strategy gives the same bytes again.

    Raises:
        DecisionNotFound: There is none.
    """
    row = _row(session, decision_id)
    strategy = _strategy_of(session, row)
    again = canonical(judge(strategy, json.loads(row.snapshot)))
    return (strategy.version, again) == (row.strategy_version, row.verdict)


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


def customer_reasons(codes: Iterable[str]) -> tuple[str, ...]:
    """Say reason codes in sentences for a customer; a code of unknown origin gets a general one."""
    strategy = in_force(Strategy)
    told = {**strategy.sentences, **{rule.code: rule.customer_zh for rule in strategy.rule}}
    return tuple(dict.fromkeys(told.get(code, told[OTHER]) for code in codes))


def staff_reasons() -> Mapping[str, str]:
    """Return the words for staff of each reason code that the strategy in force may give."""
    strategy = in_force(Strategy)
    return {**strategy.sentences, **{rule.code: rule.internal for rule in strategy.rule}}


def _strategy_of(session: Session, row: RiskDecision) -> Strategy:
    """Read the strategy by which a decision was made, as it was then."""
    return read_policy(Strategy, session.get_one(RiskPolicy, row.strategy_version).content)


def _row(session: Session, decision_id: int) -> RiskDecision:
    row = session.get(RiskDecision, decision_id)
    if row is None:
        raise DecisionNotFound(f"no decision {decision_id}")
    return row
