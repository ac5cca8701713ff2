"""What risk does: it decides an application and grades accounts, and stores why."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from kernel.database import insert_ignore
from risk.model import Card, Strategy, canonical, grade, judge
from risk.queries import DecisionView, GradeView, decision, grades_of, in_force
from risk.tables import RiskDecision, RiskGrade, RiskPolicy


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
