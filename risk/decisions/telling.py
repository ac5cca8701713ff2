"""Decisions that partners asked for, told as facts: what their applicants share then counts.

The house tells of its own applications. A partner's decision keeps hashes of what it was asked
with, and a walk behind the stored decisions records each as the fact that somebody applied. No
request waits for that, and a crash loses nothing: the walk goes on where it was. It looks again at
the last half minute, so that a commit which came late is not passed over; the key of the fact keeps
a decision from counting twice.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.database import insert_ignore
from risk.decisions.writing import HOUSE
from risk.lifecycle.tables import RiskFact
from risk.operations import Fact, record_facts
from risk.tables import DecisionRecord, RiskWalk

SETTLED_AFTER: Final = timedelta(seconds=30)
"""A decision that is not seen by then was never stored: commits end within ten seconds."""

_APPLICATION: Final = "application"
_KEY: Final = "decision:"
_WALK: Final = "partner-decisions"
_AT_ONCE: Final = 500


def tell_decisions(session: Session, *, now: datetime, at_once: int = _AT_ONCE) -> int:
    """Record the next decisions of partners as facts; returns how many, 0 once all are told.

    Safe to repeat; of two at once one has nothing to do.
    """
    walk = _walk(session, now)
    if walk is None:
        return 0
    told_to = datetime.fromisoformat(walk.place["told_to"])
    records = _untold(session, told_to, now, at_once)
    record_facts(session, facts=[_fact(each) for each in records])
    settled = now - SETTLED_AFTER
    if len(records) == at_once:
        settled = min(settled, records[-1].decided_at)
    walk.place, walk.moved_at = {"told_to": max(told_to, settled).isoformat()}, now
    return len(records)


def _walk(session: Session, now: datetime) -> RiskWalk | None:
    """Lock how far it has come; the first time it begins with the oldest decision."""
    if session.get(RiskWalk, _WALK) is None:
        first = session.scalar(select(func.min(DecisionRecord.decided_at))) or now
        row = {"name": _WALK, "place": {"told_to": first.isoformat()}, "moved_at": now}
        insert_ignore(session, RiskWalk, [row], conflict=["name"])
    return session.scalar(
        select(RiskWalk).where(RiskWalk.name == _WALK).with_for_update(skip_locked=True)
    )


def _untold(session: Session, since: datetime, now: datetime, at_once: int) -> Sequence[Any]:
    record = DecisionRecord
    is_told = select(RiskFact.id).where(RiskFact.key == _KEY + record.id).exists()
    return session.execute(
        select(record.id, record.subject, record.snapshot, record.decided_at)
        .where(
            record.decided_on.between(business_date(since), business_date(now)),
            record.decided_at >= since,
            record.decided_at <= now,
            record.caller_id != HOUSE,
            ~is_told,
        )
        .order_by(record.decided_at, record.id)
        .limit(at_once)
    ).all()


def _fact(record: Any) -> Fact:
    return Fact(
        key=_KEY + record.id,
        subject=record.subject,
        kind=_APPLICATION,
        happened_at=record.decided_at,
        known_at=record.decided_at,
        attributes={"decision_id": record.id},
        shared=json.loads(record.snapshot).get("shared", {}),
    )
