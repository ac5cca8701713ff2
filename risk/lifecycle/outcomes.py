"""What came of decisions, the newest of each: who watches strategies counts by it.

Facts keep every judgement with its instant, and backtests read those; this is only the last.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session

from risk.decisions.writing import day_of
from risk.lifecycle.tables import DecisionOutcome
from risk.tables import DecisionRecord


def keep_outcomes(session: Session, judged: Mapping[str, tuple[bool | None, datetime]]) -> None:
    """Keep what came of decisions by number, and since when it is known; None is not known.

    A decision whose record is no longer kept is passed over.
    """
    known = {
        row.decision_id: row
        for row in session.scalars(
            select(DecisionOutcome).where(DecisionOutcome.decision_id.in_(judged))
        )
    }
    record = DecisionRecord
    rows = session.execute(
        select(record.id, record.strategy_hash, record.decided_at).where(
            record.decided_on.in_({day_of(number) for number in judged}), record.id.in_(judged)
        )
    )
    for number, strategy_hash, decided_at in rows:
        is_bad, known_at = judged[number]
        row = known.get(number)
        if row is None:
            row = DecisionOutcome(
                decision_id=number, strategy_hash=strategy_hash, decided_at=decided_at
            )
            session.add(row)
        row.is_bad, row.known_at = is_bad, known_at


def outcomes_by_strategy(
    session: Session, *, hashes: Iterable[str], since: datetime
) -> dict[str, tuple[int, int]]:
    """Count the known outcomes of decisions made since an instant, and the bad ones, by hash."""
    outcome = DecisionOutcome
    rows = session.execute(
        select(outcome.strategy_hash, func.count(), func.sum(cast(outcome.is_bad, Integer)))
        .where(
            outcome.strategy_hash.in_(hashes),
            outcome.decided_at >= since,
            outcome.is_bad.is_not(None),
        )
        .group_by(outcome.strategy_hash)
    )
    return {strategy_hash: (known, int(bad)) for strategy_hash, known, bad in rows}
