"""What two versions do beside each other: what they grant, and where they part.

It reads only what is stored. Of a challenger's own decisions it asks the champion what it would
have said, on exactly what was seen then.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from desk.queries import DocumentView, document_versions
from kernel.clock import business_date
from risk.decisions.strategies import STRATEGY
from risk.features.catalogue import Catalogue
from risk.lifecycle.queries import ChallengeView, ShadowDifference, ShadowView
from risk.lifecycle.shadowing import Again
from risk.lifecycle.tables import ShadowDecision
from risk.tables import DecisionRecord

_SAMPLE: Final = 1_000
_APPROVE: Final = "approve"
LINE: Final = "line_fen"
RATE: Final = "rate_annual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the approved were granted on average, over the newest decisions of a version.

    Attributes:
        count: How many approvals it is taken from.
        line_fen: None if none of them says a line.
        rate_annual: None if none of them says a price.
    """

    count: int
    line_fen: int | None
    rate_annual: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """How the champion would have decided what the challenger decided.

    Attributes:
        matrix: How many by what the challenger decided and what the champion would have.
        differing: Where they part, newest first, with what the challenger answered.
    """

    matrix: Mapping[tuple[str, str], int]
    differing: tuple[ShadowDifference, ...]


def granted_by(
    session: Session, *, strategy_hash: str, since: datetime, until: datetime
) -> Granted:
    """Say what a version granted within some time, by its newest decisions."""
    record = DecisionRecord
    answers = session.scalars(
        select(record.answer)
        .where(
            record.decided_on.between(business_date(since), business_date(until)),
            record.decided_at.between(since, until),
            record.strategy_hash == strategy_hash,
            record.outcome == _APPROVE,
        )
        .order_by(record.decided_at.desc())
        .limit(_SAMPLE)
    )
    return _granted(answers)


def granted_by_shadow(session: Session, *, shadow: ShadowView) -> tuple[Granted, Granted]:
    """Say what was granted, and what the shadow would have granted, on the same applications."""
    said, record = ShadowDecision, DecisionRecord
    newest = (
        select(said.decision_id, said.answer)
        .where(said.shadow_id == shadow.id)
        .order_by(said.decided_at.desc())
        .limit(_SAMPLE)
    )
    rows = session.execute(newest).all()
    days = (business_date(shadow.started_at), business_date(shadow.seen_at))
    actual = session.scalars(
        select(record.answer).where(
            record.decided_on.between(*days),
            record.id.in_([row.decision_id for row in rows]),
        )
    )
    return _granted(actual), _granted(row.answer for row in rows)


def champion_otherwise(
    session: Session, *, challenge: ChallengeView, catalogue: Catalogue, now: datetime, limit: int
) -> Otherwise:
    """Have the champion decide again the challenger's newest decisions; nothing is stored."""
    view = _version_of(session, challenge.strategy, challenge.champion_hash)
    matrix: Counter[tuple[str, str]] = Counter()
    differing = []
    if view is None:
        return Otherwise(matrix={}, differing=())
    champion = Again.by(session, view, catalogue, now=now)
    for record in _decided_by(session, challenge, now=now, limit=limit):
        said = champion.said(session, record)
        if said is None:
            continue
        matrix[record.outcome, said["outcome"]] += 1
        if record.outcome != said["outcome"]:
            differing.append(
                ShadowDifference(
                    decision_id=record.id,
                    decided=record.outcome,
                    outcome=said["outcome"],
                    decided_at=record.decided_at,
                    answer=json.loads(record.answer),
                )
            )
    return Otherwise(matrix=matrix, differing=tuple(differing))


def _decided_by(session: Session, challenge: ChallengeView, *, now: datetime, limit: int) -> Any:
    record = DecisionRecord
    until = challenge.ended_at or now
    return session.execute(
        select(record.id, record.outcome, record.snapshot, record.answer, record.decided_at)
        .where(
            record.decided_on.between(business_date(challenge.started_at), business_date(until)),
            record.decided_at >= challenge.started_at,
            record.strategy_hash == challenge.strategy_hash,
        )
        .order_by(record.decided_at.desc())
        .limit(limit)
    ).all()


def _version_of(session: Session, key: str, body_hash: str) -> DocumentView | None:
    versions = document_versions(session, kind=STRATEGY, key=key)
    return next((view for view in versions if view.body_hash == body_hash), None)


def _granted(answers: Iterable[str]) -> Granted:
    said = [json.loads(answer) for answer in answers]
    approved = [each["outputs"] for each in said if each["outcome"] == _APPROVE]
    lines, rates = (
        [Decimal(str(outputs[name])) for outputs in approved if outputs.get(name) is not None]
        for name in (LINE, RATE)
    )
    return Granted(
        count=len(approved),
        line_fen=round(sum(lines, Decimal()) / len(lines)) if lines else None,
        rate_annual=sum(rates, Decimal()) / len(rates) if rates else None,
    )
