"""Reads of stored decisions for staff: how many there were, and which.

The table lies by day, and within a day rows are found by instant and by subject. A question names
its days: a month of all decisions, or all that is kept of one subject.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, Self

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from kernel.clock import business_date, start_of_day
from risk.decisions.keeping import KEPT_DAYS
from risk.decisions.service import DecisionNotFound
from risk.decisions.writing import day_of
from risk.tables import DecisionRecord

LONGEST_DAYS: Final = 31
"""How many days a search over all subjects may span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for; empty means any.

    Attributes:
        since: First business date.
        until: Last business date, included.
    """

    since: date
    until: date
    subject: str = ""
    outcome: str = ""
    product: str = ""

    @property
    def longest_days(self) -> int:
        """How many days it may span."""
        return KEPT_DAYS if self.subject else LONGEST_DAYS

    def within_bounds(self) -> Self:
        """Shorten it from the front to what it may span."""
        earliest = self.until - timedelta(days=self.longest_days - 1)
        return replace(self, since=max(self.since, earliest))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """A decision in the list.

    Attributes:
        reasons: What the customer is told, each sentence once.
    """

    id: str
    subject: str
    product: str
    outcome: str
    decided_at: datetime
    strategy: str
    version: int
    reasons: tuple[str, ...]


def outcomes_between(
    session: Session, *, moments: Sequence[datetime]
) -> Iterator[tuple[str, int, str, int]]:
    """Count decisions by strategy, version that answered and outcome, the last moment included.

    Two versions may be of one text, as after a rollback; a moment at which one followed the other
    has to be among the moments, since between two of them a text is counted as one version.
    """
    record = DecisionRecord
    *ends, last = moments[1:]
    for since, until in zip(moments, [*ends, last + timedelta.resolution], strict=False):
        counted = (
            select(record.outcome, func.count(), func.max(record.id))
            .where(
                record.decided_on.between(business_date(since), business_date(until)),
                record.decided_at >= since,
                record.decided_at < until,
            )
            .group_by(record.strategy_hash, record.outcome)
        )
        for outcome, count, example in session.execute(counted):
            strategy = json.loads(record_of(session, example).answer)["strategy"]
            yield strategy["id"], strategy["version"], outcome, count


def decisions(
    session: Session, *, wanted: Wanted, limit: int, offset: int = 0
) -> tuple[DecisionLine, ...]:
    """List decisions, newest first."""
    rows = session.execute(chosen(wanted).limit(limit).offset(offset))
    return tuple(_line(row.id, json.loads(row.answer), row.decided_at) for row in rows)


def chosen(wanted: Wanted) -> Select[str, str, datetime]:
    """Choose decisions, newest first, so that an index leads to each page."""
    record = DecisionRecord
    asked = {name: getattr(wanted, name) for name in ("subject", "outcome", "product")}
    exact = {name: value for name, value in asked.items() if value}
    return (
        select(record.id, record.answer, record.decided_at)
        .where(
            record.decided_on.between(wanted.since, wanted.until),
            record.decided_at >= start_of_day(wanted.since),
            record.decided_at < start_of_day(wanted.until + timedelta(days=1)),
        )
        .filter_by(**exact)
        .order_by(record.decided_at.desc(), record.id.desc())
    )


def record_of(session: Session, decision_id: str) -> DecisionRecord:
    """Find the record of a decision.

    Raises:
        DecisionNotFound: There is none of that number.
    """
    try:
        on = day_of(decision_id)
    except ValueError:
        raise DecisionNotFound("no decision has such a number") from None
    record = session.get(DecisionRecord, (on, decision_id))
    if record is None:
        raise DecisionNotFound("no decision has that number")
    return record


def _line(decision_id: str, answer: dict[str, object], decided_at: datetime) -> DecisionLine:
    reasons = answer["reasons"]
    strategy = answer["strategy"]
    assert isinstance(reasons, list)  # noqa: S101 -- our own record
    assert isinstance(strategy, dict)  # noqa: S101
    return DecisionLine(
        id=decision_id,
        subject=str(answer["subject"]),
        product=str(answer["product"]),
        outcome=str(answer["outcome"]),
        decided_at=decided_at,
        strategy=strategy["id"],
        version=strategy["version"],
        reasons=tuple(dict.fromkeys(reason["customer"] for reason in reasons)),
    )
