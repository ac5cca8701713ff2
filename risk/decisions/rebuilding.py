"""Links made anew from the facts, piece by piece, while decisions go on.

First goes what no fact says, then what facts say is added: at no moment is less known of somebody
than before the last fact was told. Each piece is one transaction that also notes how far it has
come, so that a run which was broken off goes on there. What facts tell meanwhile is kept as ever.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.database import insert_ignore
from risk.decisions.sharing import (
    SHARED,
    bad_since,
    keep_seen,
    lapse_shared,
    locked_counters,
    recount,
    seen_in,
)
from risk.lifecycle.tables import RiskFact
from risk.tables import CountedEvent, LinkEdge, LinkValue, RiskWalk

_WALK: Final = "rebuild-links"
_AT_ONCE: Final = 500

Place: TypeAlias = Any  # where a step goes on: JSON, None at its beginning
Piece: TypeAlias = tuple[int, Place]  # how many are done, and where to go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """How far a run has come.

    Attributes:
        step: The name of what was worked on: edges, facts, counters, events or lapsed.
        done: How many of it.
        total: How many there were when the step began; 0 where that is not known.
    """

    step: str
    done: int
    total: int


def rebuild_piece(session: Session, *, now: datetime, at_once: int = _AT_ONCE) -> Rebuilt | None:
    """Do the next piece; None once all is done. The next call begins anew."""
    walk = _walk(session, now)
    step, last = walk.place["step"], walk.place["last"]
    if step == len(_STEPS):
        session.delete(walk)
        return None
    name, work, whole = _STEPS[step]
    done, total = walk.place["done"], walk.place["total"]
    if last is None:
        total = 0 if whole is None else _rows(session, whole)
    count, last = work(session, last, now, at_once)
    is_over = count == 0
    walk.place = {
        "step": step + is_over,
        "last": None if is_over else last,
        "done": 0 if is_over else done + count,
        "total": total,
    }
    walk.moved_at = now
    return Rebuilt(step=name, done=done + count, total=total)


def _rows(session: Session, whole: Any) -> int:
    return session.scalar(select(func.count()).select_from(whole)) or 0


def _walk(session: Session, now: datetime) -> RiskWalk:
    beginning = {"step": 0, "last": None, "done": 0, "total": 0}
    row = {"name": _WALK, "place": beginning, "moved_at": now}
    insert_ignore(session, RiskWalk, [row], conflict=["name"])
    return session.get_one(RiskWalk, _WALK, with_for_update=True)


def _edges(session: Session, last: Place, _now: datetime, at_once: int) -> Piece:
    """Take away edges that no fact says, and set right since when the others are."""
    edge = LinkEdge
    some = select(edge.subject).distinct().where(edge.subject > (last or ""))
    subjects = session.scalars(some.order_by(edge.subject).limit(at_once)).all()
    edges = session.scalars(select(edge).where(edge.subject.in_(subjects))).all()
    counters = locked_counters(session, {each.value_hash: each.kind for each in edges})
    # Facts are read behind the lock: what was told meanwhile is among them.
    seen_at, bad = _seen_at(session, subjects), bad_since(session, subjects)
    for each in edges:
        key = (each.value_hash, each.subject)
        if key in seen_at:
            each.seen_at, each.bad_at = seen_at[key], bad.get(each.subject)
        else:
            session.delete(each)
    recount(session, counters)
    return len(subjects), subjects[-1] if subjects else None


def _seen_at(session: Session, subjects: Sequence[str]) -> Mapping[tuple[str, str], datetime]:
    """Say when subjects were last seen with each value."""
    found: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for fact in session.scalars(select(RiskFact).where(RiskFact.subject.in_(subjects))):
        for seen in seen_in(fact):
            found[seen.value_hash, seen.subject].append(seen.happened_at)
    return {key: max(instants) for key, instants in found.items()}


def _facts(session: Session, last: Place, _now: datetime, at_once: int) -> Piece:
    """Add what facts say."""
    some = select(RiskFact).where(RiskFact.id > (last or 0)).order_by(RiskFact.id).limit(at_once)
    facts = session.scalars(some).all()
    keep_seen(session, [each for fact in facts for each in seen_in(fact)])
    return len(facts), facts[-1].id if facts else None


def _counters(session: Session, last: Place, _now: datetime, at_once: int) -> Piece:
    """Count the edges of every value; those that have none any more link nobody."""
    value = LinkValue
    some = select(value.value_hash, value.kind).where(value.value_hash > (last or ""))
    rows = session.execute(some.order_by(value.value_hash).limit(at_once)).all()
    recount(session, locked_counters(session, {row.value_hash: row.kind for row in rows}))
    return len(rows), rows[-1].value_hash if rows else None


def _events(session: Session, last: Place, _now: datetime, at_once: int) -> Piece:
    """Take away events that no fact says."""
    event = CountedEvent
    key = tuple_(event.fact_key, event.value_hash)
    wanted = select(event.fact_key, event.value_hash).order_by(event.fact_key, event.value_hash)
    after = wanted.where(key > tuple(last)) if last else wanted
    rows = [tuple(row) for row in session.execute(after.limit(at_once))]
    facts = session.scalars(select(RiskFact).where(RiskFact.key.in_({row[0] for row in rows})))
    told = {(fact.key, hashed) for fact in facts for hashed in _hashes(fact)}
    if wrong := set(rows) - told:
        session.execute(delete(event).where(key.in_(wrong)))
    return len(rows), list(rows[-1]) if rows else None


def _hashes(fact: RiskFact) -> Iterable[str]:
    found: Mapping[str, str] = fact.attributes.get(SHARED, {})
    return found.values()


def _lapsed(session: Session, _last: Place, now: datetime, at_once: int) -> Piece:
    """Let go what is over its time: facts are kept for longer than links."""
    count = lapse_shared(session, on=business_date(now), at_once=at_once)
    return count, count


_STEPS: Final[tuple[tuple[str, Callable[..., Piece], Any], ...]] = (
    ("edges", _edges, select(LinkEdge.subject).distinct().subquery()),
    ("facts", _facts, RiskFact),
    ("counters", _counters, LinkValue),
    ("events", _events, CountedEvent),
    ("lapsed", _lapsed, None),
)
