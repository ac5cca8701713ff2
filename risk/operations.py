"""What risk does: it decides an application, grades accounts, stores why, and is told facts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.database import insert_ignore
from risk.lifecycle.tables import RiskFact
from risk.model import Card, Strategy, canonical, grade, judge
from risk.queries import DecisionView, GradeView, decision, grades_of, in_force
from risk.tables import RiskDecision, RiskGrade, RiskPolicy

# The kind of fact that backtests read: whether what was granted went bad.
OUTCOME: Final = "outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to a subject.

    Attributes:
        key: The teller's own name of it, such as `loan:17/written-off`; told twice, stored once.
        subject: As decisions name it, such as `customer:17`.
        kind: Such as `outcome`.
        known_at: Since when it could be known here, never before it happened.
        attributes: JSON-able; no names, numbers or addresses of people.
    """

    key: str
    subject: str
    kind: str
    happened_at: datetime
    known_at: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)


def record_facts(session: Session, *, facts: Sequence[Fact]) -> int:
    """Keep facts that areas above tell; returns how many are new. Safe to repeat.

    Raises:
        ValueError: One is known before it happened.
    """
    if any(fact.known_at < fact.happened_at for fact in facts):
        raise ValueError("a fact is known before it happened")
    rows = [
        {
            "key": fact.key,
            "subject": fact.subject,
            "kind": fact.kind,
            "happened_at": fact.happened_at,
            "known_at": fact.known_at,
            "attributes": dict(fact.attributes),
        }
        for fact in facts
    ]
    return insert_ignore(session, RiskFact, rows, conflict=["key"])


def record_outcome(
    session: Session,
    *,
    key: str,
    subject: str,
    is_bad: bool,
    happened_at: datetime,
    known_at: datetime,
    decision_id: str | None = None,
) -> int:
    """Keep what became of somebody who was granted something: the label of backtests.

    Of several about one decision the one known last counts.

    Args:
        session: An open write session.
        key: See `Fact`.
        subject: See `Fact`.
        is_bad: By the house's definition, such as 90 days past due within a year.
        happened_at: When that was settled.
        known_at: Since when it could be known here.
        decision_id: What it came of; without it, every earlier decision on the subject.
    """
    said = {"is_bad": is_bad} | ({"decision_id": decision_id} if decision_id else {})
    fact = Fact(
        key=key,
        subject=subject,
        kind=OUTCOME,
        happened_at=happened_at,
        known_at=known_at,
        attributes=said,
    )
    return record_facts(session, facts=[fact])


def decide(
    session: Session, *, application_id: int, snapshot: Mapping[str, Any], now: datetime
) -> DecisionView:
    """Decide a snapshot by the strategy in force.

    Only what the strategy may read is judged and stored: the record cannot be erased, so it
    holds no address or employer.
    """
    strategy = in_force(Strategy)
    _keep(session, strategy, now)
    stored = canonical({name: snapshot[name] for name in strategy.fact if name in snapshot})
    row = RiskDecision(
        application_id=application_id,
        strategy_version=strategy.version,
        snapshot=stored,
        verdict=canonical(judge(strategy, json.loads(stored))),
        decided_at=now,
    )
    session.add(row)
    session.flush()
    return decision(session, decision_id=row.id)


def grade_accounts(
    session: Session, *, facts: Sequence[Any], on: date, now: datetime
) -> tuple[GradeView, ...]:
    """Grade a batch as of a business date; the first grade of a customer and day stands.

    Each of `facts` has a `customer_id` and an attribute for each characteristic of the card.
    """
    card, rows = in_force(Card), []
    _keep(session, card, now)
    for account in facts:
        values = {name: getattr(account, name) for name in card.characteristic}
        letter, points, reasons = grade(card, values)
        rows.append(
            {
                "customer_id": account.customer_id,
                "graded_on": on,
                "grade": letter,
                "points": points,
                "is_worst": letter == card.worst,
                "reasons": reasons,
                "card_version": card.version,
                "graded_at": now,
            }
        )
    insert_ignore(session, RiskGrade, rows, conflict=["customer_id", "graded_on"])
    return grades_of(session, customer_ids=[account.customer_id for account in facts], on=on)


def _keep(session: Session, policy: Strategy | Card, now: datetime) -> None:
    row = {"version": policy.version, "content": policy.content, "first_used_at": now}
    insert_ignore(session, RiskPolicy, [row], conflict=["version"])
