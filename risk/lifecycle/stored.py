"""Stored decisions as a history: what was seen then, and what is known by now of what came of it.

Everything is read as it was known when the decision was made: the application as it is kept, the
vector by its instant, the link counters and the answers of lists from the snapshot. What the
deciding strategy did not read of an application was not kept, and is missing here.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

import numpy as np
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from kernel.clock import business_date
from risk.decisions.engine import link_values
from risk.decisions.listed import lists_on
from risk.decisions.snoozes import SnoozeThen, snoozes_between
from risk.decisions.vectors import LinkCount
from risk.features.blob import BlobCodec
from risk.features.catalogue import Catalogue, Kind
from risk.features.values import CLEAN
from risk.lifecycle.history import History, Silences
from risk.lifecycle.tables import RiskFact
from risk.operations import OUTCOME
from risk.strategy.batch import Column
from risk.strategy.lists import AnsweredLists
from risk.tables import DecisionRecord, FeatureVector

Progress: TypeAlias = Callable[[int, int], None]
"""Hears how many of how many rows are done; what it raises stops the reading."""

AMOUNT: Final = "requested_fen"
_CHUNK: Final = 1_000
_DECLINED: Final = "decline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which decisions are read, and what of them.

    Attributes:
        since: First instant.
        until: First instant no longer.
        as_of: Outcomes that were known later do not count.
        names: What the strategies read.
        strategy: Whose snoozes count.
        segments: Names to cut the report by.
        with_snoozes: Whether rules that were silenced then are silent again.
    """

    product: str
    strategy: str
    since: datetime
    until: datetime
    as_of: datetime
    names: tuple[str, ...]
    segments: tuple[str, ...] = ()
    with_snoozes: bool = True


@dataclass(slots=True)
class _Gathered:
    """What has been read so far.

    Attributes:
        snoozes: Of the strategy in the period.
        silenced: By rule, in which rows it was silenced.
    """

    snoozes: tuple[SnoozeThen, ...]

    parts: dict[str, list[Column]] = field(default_factory=lambda: defaultdict(list))
    on: list[float] = field(default_factory=list)
    is_bad: list[float] = field(default_factory=list)
    answers: dict[tuple[str, str, str], bool | None] = field(default_factory=dict)
    silenced: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    digest: Any = field(default_factory=hashlib.sha256)


def unheard(_done: int, _total: int) -> None:
    """Listen to no progress."""


def count_stored(
    session: Session, *, product: str, since: datetime, until: datetime, at_most: int
) -> int:
    """Count the decisions of a product from an instant on until another, no further than so far."""
    found = _within(product, since, until).limit(at_most).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def stored_history(
    session: Session, wanted: Wanted, catalogue: Catalogue, progress: Progress = unheard
) -> tuple[History, str]:
    """Read decisions of a product, oldest first.

    Returns:
        The history, and a sha256 over the decisions and outcomes that it was made of.
    """
    names = tuple(dict.fromkeys((*wanted.names, *wanted.segments, AMOUNT)))
    kinds = {each.name: each.kind for each in catalogue.dimensions if each.name in names}
    kinds |= {name: Kind.NUMBER for name in wanted.names if name not in kinds}  # counters
    found = _Gathered(
        snoozes=snoozes_between(
            session,
            strategy=wanted.strategy,
            since=business_date(wanted.since),
            until=business_date(wanted.until),
        )
    )
    decisions = _within(wanted.product, wanted.since, wanted.until).subquery()
    total = session.scalar(select(func.count()).select_from(decisions)) or 0
    progress(0, total)
    for records in _records(session, wanted):
        _gather(session, records, wanted, kinds, catalogue, found)
        progress(len(found.on), total)
    columns = {name: np.concatenate(parts) for name, parts in found.parts.items()}
    rows = len(found.on)
    if not rows:
        columns = {name: np.empty(0, dtype=_dtype(kind)) for name, kind in kinds.items()}
    lists = AnsweredLists(found.answers, lists_on(session, on=business_date(wanted.as_of)))
    history = History(
        rows=rows,
        columns=columns,
        on=np.array(found.on),
        lists=lists,
        is_bad=np.array(found.is_bad),
        amount_fen=columns.get(AMOUNT, np.full(rows, np.nan)),
        segments={name: columns[name] for name in wanted.segments if name in columns},
        not_kept=tuple(name for name in wanted.names if _is_empty(columns.get(name))),
        silences=_silences(found, wanted),
    )
    return history, found.digest.hexdigest()


def _within(product: str, since: datetime, until: datetime) -> Select[str]:
    record = DecisionRecord
    return select(record.id).where(
        record.decided_on.between(business_date(since), business_date(until)),
        record.decided_at >= since,
        record.decided_at < until,
        record.product == product,
    )


def _records(session: Session, wanted: Wanted) -> Iterator[Sequence[Any]]:
    """Walk through the decisions of a product in pieces, oldest first."""
    record = DecisionRecord
    at, number = wanted.since, ""
    while True:
        rows = session.execute(
            select(record.id, record.subject, record.outcome, record.snapshot, record.decided_at)
            .where(
                tuple_(record.decided_at, record.id) > (at, number),
                record.decided_on.between(business_date(at), business_date(wanted.until)),
                record.decided_at < wanted.until,
                record.product == wanted.product,
            )
            .order_by(record.decided_at, record.id)
            .limit(_CHUNK)
        ).all()
        if rows:
            yield rows
            at, number = rows[-1].decided_at, rows[-1].id
        if len(rows) < _CHUNK:
            return


def _gather(
    session: Session,
    records: Sequence[Any],
    wanted: Wanted,
    kinds: Mapping[str, Kind],
    catalogue: Catalogue,
    found: _Gathered,
) -> None:
    seen = [json.loads(record.snapshot) for record in records]
    stored = _vectors(session, seen, kinds, catalogue)
    given = [_given(each) for each in seen]
    for name, kind in kinds.items():
        column = stored.get(name)
        if column is None:
            column = np.full(len(seen), _nothing(kind), dtype=_dtype(kind))
        for n, values in enumerate(given):
            if name in values:
                column[n] = CLEAN[kind](values[name])
        found.parts[name].append(column)
    outcomes = _outcomes(session, records, wanted.as_of)
    for record, each in zip(records, seen, strict=True):
        is_bad = outcomes.get(record.id, np.nan)
        for rule in _silenced(wanted, found.snoozes, each, record.decided_at):
            found.silenced[rule].append(len(found.on))
        found.on.append(float(business_date(record.decided_at).toordinal()))
        found.is_bad.append(is_bad)
        found.answers.update({(a, b, c): answer for a, b, c, answer in each["lists"]})
        found.digest.update(f"{record.id}:{is_bad}\n".encode())


def _silenced(
    wanted: Wanted, snoozes: Iterable[SnoozeThen], seen: Mapping[str, Any], at: datetime
) -> Iterable[str]:
    """Name the rules that were silenced for a subject when it was decided.

    A decision by the same strategy keeps them; for another's they are found by key and period.
    """
    if seen["strategy"]["id"] == wanted.strategy:
        found: list[str] = seen.get("snoozed", [])
        return found
    keys = {seen["subject"]}
    if merchant := seen["application"].get("merchant_name"):
        keys.add(f"merchant:{merchant}")
    return {each.snooze.rule for each in snoozes if each.silences(keys, at=at)}


def _silences(found: _Gathered, wanted: Wanted) -> Silences:
    by_rule = {}
    for rule, places in found.silenced.items() if wanted.with_snoozes else ():
        by_rule[rule] = np.zeros(len(found.on), dtype=np.bool_)
        by_rule[rule][places] = True
    return Silences(
        are_used=wanted.with_snoozes,
        by_rule=by_rule,
        in_force=tuple(each.snooze for each in found.snoozes),
    )


def _given(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the application stated, and what its links came to."""
    counts = tuple(LinkCount(*count) for count in seen["link_counts"])
    return {**seen["application"], **(link_values(counts) if seen["links"] else {})}


def _vectors(
    session: Session,
    seen: Sequence[Mapping[str, Any]],
    kinds: Mapping[str, Kind],
    catalogue: Catalogue,
) -> dict[str, Column]:
    """Read the vectors as they were known; those that are gone or of other catalogues miss."""
    codec = BlobCodec(catalogue)
    names = [name for name in codec.names if name in kinds]
    keys = {
        n: (each["subject"], datetime.fromisoformat(each["vector"]["known_at"]))
        for n, each in enumerate(seen)
        if each["vector"] is not None
    }
    vector = FeatureVector
    rows = session.execute(
        select(vector.subject, vector.known_at, vector.blob).where(
            tuple_(vector.subject, vector.known_at).in_(set(keys.values()))
        )
    )
    blobs = {(row.subject, row.known_at): row.blob for row in rows}
    places = [n for n, key in keys.items() if codec.owns(blobs.get(key, b""))]
    columns = {name: np.full(len(seen), np.nan) for name in names}
    read = codec.columns([blobs[keys[n]] for n in places], names) if places else {}
    for name, values in read.items():
        columns[name][places] = values
    return columns


def _outcomes(session: Session, records: Iterable[Any], as_of: datetime) -> dict[str, float]:
    """Find what came of decisions: 1 or 0 by id, of those where it is known.

    What is told of a decision by its number goes before what is told of the subject alone, which
    counts for every earlier decision that did not decline; the last that became known stands.
    """
    by_subject: dict[str, list[RiskFact]] = defaultdict(list)
    subjects = {record.subject for record in records}
    for fact in session.scalars(
        select(RiskFact)
        .where(RiskFact.kind == OUTCOME, RiskFact.subject.in_(subjects), RiskFact.known_at <= as_of)
        .order_by(RiskFact.known_at, RiskFact.id)
    ):
        by_subject[fact.subject].append(fact)
    found: dict[str, float] = {}
    for record in records:
        facts = by_subject[record.subject]
        own = [each for each in facts if each.attributes.get("decision_id") == record.id]
        loose = [
            each
            for each in facts
            if "decision_id" not in each.attributes
            and each.happened_at >= record.decided_at
            and record.outcome != _DECLINED
        ]
        for fact in (own or loose)[-1:]:
            is_bad = fact.attributes["is_bad"]
            found[record.id] = np.nan if is_bad is None else float(is_bad)
    return found


def _nothing(kind: Kind) -> Any:
    return None if kind is Kind.TEXT else np.nan


def _dtype(kind: Kind) -> Any:
    return object if kind is Kind.TEXT else np.float64


def _is_empty(column: Column | None) -> bool:
    if column is None:
        return True
    if column.dtype == object:
        return all(value is None for value in column)
    return bool(np.isnan(column).all())
