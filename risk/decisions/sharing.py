"""Values that subjects share, such as a device or a phone: who was seen with them, and when.

Facts are the truth. Three tables are kept from them as they are told: edges between values and
subjects, the counters of each value that decisions read, and the events that strategies count over
a window. Whoever tells of a value locks its counters first, so that two at once add up, and counts
its edges anew, so that nothing is counted twice. Values come hashed; none is kept in clear.

Nothing stays for ever: who was not seen with a value for a year is not linked by it any more, and
what was bad is forgotten after two years.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from kernel.clock import start_of_day
from kernel.crypto import FieldCipher
from kernel.database import insert_ignore
from risk.lifecycle.tables import RiskFact
from risk.strategy.lists import plain
from risk.tables import CountedEvent, LinkEdge, LinkValue

OUTCOME: Final = "outcome"
"""The kind of fact that says whether what was granted went bad."""

SHARED: Final = "shared"
"""The attribute of a fact that holds the hashes of values, by kind."""

SEEN_FOR: Final = timedelta(days=365)
BAD_FOR: Final = timedelta(days=730)
COUNTED_FOR: Final = timedelta(days=90)
"""How long events are kept, and so the longest window of a counter."""

PLACES: Final = frozenset({"wifi", "ip", "address", "employer"})
"""Kinds that many share without knowing each other."""

_CROWD: Final = 8  # a place of more is a shop, a dormitory or a town, and links nobody
_MOST_EDGES: Final = 100  # a value of more is a hub: enough is known of it
_LAPSING_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A subject that something happened to with a value.

    Attributes:
        event: The kind of the fact.
    """

    fact_key: str
    value_hash: str
    kind: str
    subject: str
    event: str
    happened_at: datetime


def value_hash(cipher: FieldCipher, *, kind: str, value: str) -> str:
    """Hash a value as counters know it: by its kind, without width, case, spaces, punctuation."""
    return cipher.blind_index(plain(value), context=f"link.{kind}")


def shared_values(cipher: FieldCipher, values: Mapping[str, str]) -> dict[str, str]:
    """Hash values by kind; one that says nothing is left out."""
    return {
        kind: value_hash(cipher, kind=kind, value=value)
        for kind, value in values.items()
        if plain(value)
    }


def keep_seen(session: Session, seen: Sequence[Seen]) -> None:
    """Add what was seen to edges, counters and events; safe to repeat."""
    if not seen:
        return
    counters = locked_counters(session, {each.value_hash: each.kind for each in seen})
    events = [
        {
            "fact_key": each.fact_key,
            "value_hash": each.value_hash,
            "event": each.event,
            "happened_at": each.happened_at,
        }
        for each in seen
    ]
    insert_ignore(session, CountedEvent, events, conflict=["fact_key", "value_hash"])
    _keep_edges(session, seen, counters)
    recount(session, counters)


def judge_subjects(session: Session, subjects: Iterable[str]) -> None:
    """Mark the edges of subjects by what is known of them, after outcomes were told."""
    edges = session.scalars(select(LinkEdge).where(LinkEdge.subject.in_(set(subjects)))).all()
    if not edges:
        return
    counters = locked_counters(session, {edge.value_hash: edge.kind for edge in edges})
    bad = bad_since(session, {edge.subject for edge in edges})
    for edge in edges:
        edge.bad_at = bad.get(edge.subject)
    recount(session, counters)


def lapse_shared(session: Session, *, on: date, at_once: int = _LAPSING_AT_ONCE) -> int:
    """Let some of what is over its time go; returns how many edges and events, 0 once all has."""
    midnight = start_of_day(on)
    old = or_(LinkEdge.seen_at < midnight - SEEN_FOR, LinkEdge.bad_at < midnight - BAD_FOR)
    edges = session.scalars(
        select(LinkEdge).where(old).order_by(LinkEdge.value_hash, LinkEdge.subject).limit(at_once)
    ).all()
    counters = locked_counters(session, {edge.value_hash: edge.kind for edge in edges})
    for edge in edges:
        if edge.seen_at < midnight - SEEN_FOR:
            session.delete(edge)
        else:
            edge.bad_at = None
    recount(session, counters)
    over = (
        select(CountedEvent.fact_key, CountedEvent.value_hash)
        .where(CountedEvent.happened_at < midnight - COUNTED_FOR)
        .limit(at_once)
    )
    keys = session.execute(over).all()
    if keys:
        which = tuple_(CountedEvent.fact_key, CountedEvent.value_hash)
        session.execute(delete(CountedEvent).where(which.in_([tuple(key) for key in keys])))
    return len(edges) + len(keys)


def seen_in(fact: Any) -> list[Seen]:
    """Read the shared values out of a fact."""
    return [
        Seen(
            fact_key=fact.key,
            value_hash=hashed,
            kind=kind,
            subject=fact.subject,
            event=fact.kind,
            happened_at=fact.happened_at,
        )
        for kind, hashed in fact.attributes.get(SHARED, {}).items()
    ]


def locked_counters(session: Session, kinds: Mapping[str, str]) -> dict[str, LinkValue]:
    """Lock the counters of values, always in one order; those that are new are made."""
    fresh = [
        {
            "value_hash": hashed,
            "kind": kinds[hashed],
            "degree": 0,
            "bad": 0,
            "last_bad_at": None,
            "exempt": False,
        }
        for hashed in sorted(kinds)
    ]
    insert_ignore(session, LinkValue, fresh, conflict=["value_hash"])
    rows = session.scalars(
        select(LinkValue)
        .where(LinkValue.value_hash.in_(kinds))
        .order_by(LinkValue.value_hash)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.value_hash: row for row in rows}


def _keep_edges(session: Session, seen: Sequence[Seen], counters: Mapping[str, LinkValue]) -> None:
    keys = {(each.value_hash, each.subject) for each in seen}
    known = {
        (edge.value_hash, edge.subject): edge
        for edge in session.scalars(
            select(LinkEdge)
            .where(tuple_(LinkEdge.value_hash, LinkEdge.subject).in_(keys))
            .execution_options(populate_existing=True)
        )
    }
    bad = bad_since(session, {each.subject for each in seen})
    degrees = {hashed: row.degree for hashed, row in counters.items()}
    for each in seen:
        key = (each.value_hash, each.subject)
        if key in known:
            known[key].seen_at = max(known[key].seen_at, each.happened_at)
        elif degrees[each.value_hash] < _MOST_EDGES:
            degrees[each.value_hash] += 1
            known[key] = LinkEdge(
                value_hash=each.value_hash,
                subject=each.subject,
                kind=each.kind,
                seen_at=each.happened_at,
                bad_at=bad.get(each.subject),
            )
            session.add(known[key])


def recount(session: Session, counters: Mapping[str, LinkValue]) -> None:
    """Set locked counters to what their edges come to."""
    session.flush()
    rows = session.execute(
        select(
            LinkEdge.value_hash,
            func.count(),
            func.count(LinkEdge.bad_at),
            func.max(LinkEdge.bad_at),
        )
        .where(LinkEdge.value_hash.in_(counters))
        .group_by(LinkEdge.value_hash)
    )
    counted = {hashed: (degree, bad, last) for hashed, degree, bad, last in rows}
    for hashed, row in counters.items():
        row.degree, row.bad, row.last_bad_at = counted.get(hashed, (0, 0, None))
        row.exempt = row.kind in PLACES and row.degree > _CROWD
    session.flush()


def bad_since(session: Session, subjects: Iterable[str]) -> dict[str, datetime]:
    """Say since when subjects are bad by the last word on each thing that was granted to them."""
    last: dict[str, dict[str, RiskFact]] = defaultdict(dict)
    facts = session.scalars(
        select(RiskFact)
        .where(RiskFact.kind == OUTCOME, RiskFact.subject.in_(set(subjects)))
        .order_by(RiskFact.known_at, RiskFact.id)
    )
    for fact in facts:
        of = fact.attributes.get("of") or fact.attributes.get("decision_id") or fact.key
        last[fact.subject][of] = fact
    found = {}
    for subject, words in last.items():
        bad = [fact.happened_at for fact in words.values() if fact.attributes["is_bad"]]
        if bad:
            found[subject] = max(bad)
    return found
