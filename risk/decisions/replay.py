"""Plays a stored decision again, to the same bytes, and says what would have changed it.

Everything comes from the record: the strategy and the models by their hashes, the vector by its
digest, the counters, the answers of lists, the clock. What is in force today has no say.

    DecisionNotReplayable  409  something that the decision was made of is no longer kept
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import Conflict
from risk.decisions.asking import Asked
from risk.decisions.engine import Case, Served, circumstances, decide, row_of, serve
from risk.decisions.service import DecisionNotFound
from risk.decisions.strategies import published_as_then
from risk.decisions.vectors import Known, LinkCount, Vector, vector_as_known
from risk.decisions.writing import day_of
from risk.features.catalogue import Catalogue
from risk.strategy.changes import Called, Change, WhyNot, why_not
from risk.strategy.lists import RecordedLists
from risk.tables import DecisionRecord


class DecisionNotReplayable(Conflict):
    """Something that the decision was made of is no longer kept, or was changed."""

    code = "decision-not-replayable"
    message_zh = "该决策所用的数据已不再保存，无法重放"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A decision, played again.

    Attributes:
        is_same: Whether answer and snapshot came out the same to the byte.
        answer: What came out now.
        why_not: Single changes that would have led to a better outcome, the best first.
    """

    is_same: bool
    answer: str
    why_not: WhyNot

    @property
    def changes(self) -> tuple[Change, ...]:
        """Single values that would have led to a better outcome."""
        return self.why_not.fields


def replay(session: Session, *, decision_id: str, catalogue: Catalogue) -> Replayed:
    """Play a decision again from its record.

    Raises:
        DecisionNotFound: No such decision.
        DecisionNotReplayable: See there.
    """
    record = _record(session, decision_id)
    seen = json.loads(record.snapshot)
    served = _served(session, seen, catalogue)
    case = case_of(session, decision_id, seen)
    verdict = decide(served, case)
    row = row_of(served, case)
    around = circumstances(served, row, case.lists, on=case.now, snoozed=case.snoozed)
    return Replayed(
        is_same=(verdict.snapshot, verdict.answer) == (record.snapshot, record.answer),
        answer=verdict.answer,
        why_not=why_not(served.compiled, row, around, calls=calls_of(served)),
    )


def calls_of(served: Served) -> dict[str, Called]:
    """Name the models that a strategy calls, with their functions."""
    models = served.published.models
    return {
        name: Called(model=models[name], scorer=scorer)
        for name, (_, scorer) in served.scorers.items()
    }


def _record(session: Session, decision_id: str) -> DecisionRecord:
    try:
        on = day_of(decision_id)
    except ValueError:
        raise DecisionNotFound("no decision has such a number") from None
    record = session.scalar(
        select(DecisionRecord).where(
            DecisionRecord.decided_on == on, DecisionRecord.id == decision_id
        )
    )
    if record is None:
        raise DecisionNotFound("no decision has that number")
    return record


def _served(session: Session, seen: dict[str, Any], catalogue: Catalogue) -> Served:
    strategy = seen["strategy"]
    published = published_as_then(
        session,
        key=strategy["id"],
        version=strategy["version"],
        models=seen["models"],
        catalogue=catalogue,
    )
    if published.hash != strategy["hash"]:
        raise DecisionNotReplayable("the strategy of that version has another hash")
    return serve(published, catalogue, product=seen["product"])


def case_of(session: Session, decision_id: str, seen: Mapping[str, Any]) -> Case:
    """Put together again what was decided on, out of a stored snapshot.

    Raises:
        DecisionNotReplayable: The vector is no longer kept.
    """
    answers = {(name, match, value): found for name, match, value, found in seen["lists"]}
    return Case(
        id=decision_id,
        asked=Asked(
            subject=seen["subject"],
            product=seen["product"],
            application=seen["application"],
            links=dict.fromkeys(seen["links"], ""),
        ),
        known=Known(
            vector=_vector(session, seen),
            links=tuple(LinkCount(*count) for count in seen["link_counts"]),
        ),
        lists=RecordedLists(answers),
        now=datetime.fromisoformat(seen["at"]),
        snoozed=frozenset(seen.get("snoozed", ())),
        shared=seen.get("shared", {}),
    )


def _vector(session: Session, seen: Mapping[str, Any]) -> Vector | None:
    if seen["vector"] is None:
        return None
    known_at = datetime.fromisoformat(seen["vector"]["known_at"])
    vector = vector_as_known(session, subject=seen["subject"], known_at=known_at)
    if vector is None or vector.digest != seen["vector"]["digest"]:
        raise DecisionNotReplayable("the vector is no longer kept as it was")
    return vector


def as_then(session: Session, *, decision_id: str, catalogue: Catalogue) -> tuple[Served, Case]:
    """Lay a decision out as it was made: what decided, and on what.

    Raises:
        DecisionNotFound: No such decision.
        DecisionNotReplayable: See there.
    """
    seen = json.loads(_record(session, decision_id).snapshot)
    return _served(session, seen, catalogue), case_of(session, decision_id, seen)
