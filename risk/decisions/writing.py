"""Writes a group of decisions in one transaction, on PostgreSQL and on SQLite.

On PostgreSQL keys and decisions are one statement, so that a group costs one round trip and one
fsync; arrays carry the rows. It waits for nobody and wakes nobody.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import psycopg
from sqlalchemy import Connection, insert, select, tuple_
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from kernel.database import Database, bulk_insert
from risk.decisions.asking import Asked
from risk.tables import DecisionKey, DecisionRecord

# API keys are numbered from 1, so no partner's key can meet one of ours.
HOUSE: Final = 0

Key: TypeAlias = tuple[int, str]


class Row(NamedTuple):
    """One decision as it is stored; see risk.tables.DecisionRecord."""

    decided_on: date
    id: str
    caller_id: int
    subject: str
    product: str
    outcome: str
    strategy_hash: str
    snapshot: str
    answer: str
    decided_at: datetime


@dataclass(slots=True, kw_only=True)
class Entry:
    """What one request wants decided and stored under one key, and what came of it.

    Attributes:
        is_batch: Whether the caller gets a list.
        rows: What was decided, in the order of `asked`.
        answers: Those of the first use of the key, once `done` is free.
        failure: Why there are none.
    """

    caller_id: int
    key: str
    payload_hash: str
    asked: tuple[Asked, ...]
    is_batch: bool = False
    rows: tuple[Row, ...] = ()
    answers: tuple[str, ...] = ()
    failure: Exception | None = None
    done: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.done.acquire()

    @property
    def ids(self) -> str:
        """The ids of its decisions as its key keeps them."""
        return " ".join(row.id for row in self.rows)

    def answer(self) -> str:
        """Return as JSON what the caller is told, once `done` is free.

        Raises:
            Exception: Whatever kept it from being decided or stored.
        """
        if self.failure is not None:
            raise self.failure
        return f'{{"decisions":[{",".join(self.answers)}]}}' if self.is_batch else self.answers[0]


class Writer(Protocol):
    """Stores groups; used by one thread."""

    def store(self, group: Sequence[Entry]) -> set[str]:
        """Store what has a new key; returns the ids of those entries, on disk."""

    def known(self, keys: Sequence[Key]) -> Mapping[Key, tuple[str, tuple[str, ...]]]:
        """Return payload hash and answers of keys that were used."""

    def close(self) -> None:
        """Drop the connection; the next call opens another."""


def writer_for(database: Database) -> Writer:
    """Make the writer of a database's kind."""
    return SqliteWriter(database) if database.dialect == "sqlite" else PostgresqlWriter(database)


class PostgresqlWriter:
    """Keeps one connection on which every statement commits by itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection[Any] | None = None

    def store(self, group: Sequence[Entry]) -> set[str]:
        """Store what has a new key; returns the ids of those entries, on disk."""
        if self._connection is None:
            self._connection = self._database.own_connection()
        keys = [(each.caller_id, each.key, each.payload_hash, each.ids) for each in group]
        used_at = [each.rows[0].decided_at for each in group]
        rows = [(each.key, *row) for each in group for row in each.rows]
        given = [*map(list, zip(*keys, strict=True)), used_at, *map(list, zip(*rows, strict=True))]
        return {ids for (ids,) in self._connection.execute(_STORE, given, prepare=True)}

    def known(self, keys: Sequence[Key]) -> Mapping[Key, tuple[str, tuple[str, ...]]]:
        """Return payload hash and answers of keys that were used."""
        with self._database.engine.connect() as connection:
            return _known(connection, keys)

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SqliteWriter:
    """Keeps one connection that waits for the disk at every commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    def store(self, group: Sequence[Entry]) -> set[str]:
        """Store what has a new key; returns the ids of those entries, on disk."""
        if self._connection is None:
            connection = self._database.engine.connect()
            self._connection = connection.execution_options(writes=True)
            with self._connection.begin():  # a PRAGMA inside a transaction counts from the next
                pass
            driver = self._connection.connection.dbapi_connection
            driver.execute("PRAGMA synchronous=FULL")  # type: ignore[union-attr]
        connection, stored = self._connection, set()
        with connection.begin():
            for entry in group:
                if connection.execute(_CLAIM, _claim_of(entry)).first() is not None:
                    stored.add(entry.ids)
            rows = [row._asdict() for entry in group if entry.ids in stored for row in entry.rows]
            if rows:
                connection.execute(insert(DecisionRecord), rows)
        return stored

    def known(self, keys: Sequence[Key]) -> Mapping[Key, tuple[str, tuple[str, ...]]]:
        """Return payload hash and answers of keys that were used."""
        with self._database.engine.connect() as connection:
            return _known(connection, keys)

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.detach()
            self._connection.close()
            self._connection = None


def store_within(session: Session, group: Sequence[Entry]) -> None:
    """Store very many decisions under new keys in a transaction of the caller's.

    It is for who makes books, not for who answers: nothing is on disk before that commits.
    """
    bulk_insert(session, DecisionKey, [_claim_of(entry) for entry in group])
    rows = [row._asdict() for entry in group for row in entry.rows]
    bulk_insert(session, DecisionRecord, rows)


def _claim_of(entry: Entry) -> dict[str, Any]:
    return {
        "caller_id": entry.caller_id,
        "key": entry.key,
        "payload_hash": entry.payload_hash,
        "decision_ids": entry.ids,
        "recorded_at": entry.rows[0].decided_at,
    }


def _known(connection: Connection, keys: Sequence[Key]) -> dict[Key, tuple[str, tuple[str, ...]]]:
    uses = connection.execute(
        select(
            DecisionKey.caller_id,
            DecisionKey.key,
            DecisionKey.payload_hash,
            DecisionKey.decision_ids,
        ).where(tuple_(DecisionKey.caller_id, DecisionKey.key).in_(keys))
    ).all()
    wanted = [each for use in uses for each in use.decision_ids.split()]
    days = {day_of(each) for each in wanted}
    rows = connection.execute(
        select(DecisionRecord.id, DecisionRecord.answer).where(
            DecisionRecord.decided_on.in_(days), DecisionRecord.id.in_(wanted)
        )
    )
    answers = {row.id: row.answer for row in rows}
    return {
        (use.caller_id, use.key): (
            use.payload_hash,
            tuple(answers[each] for each in use.decision_ids.split()),
        )
        for use in uses
    }


def day_of(decision_id: str) -> date:
    """Read the business date out of a decision's id.

    Raises:
        ValueError: It is no such id.
    """
    return datetime.strptime(decision_id[1:9], "%Y%m%d").replace(tzinfo=UTC).date()


_CLAIM: Final = sqlite.insert(DecisionKey).on_conflict_do_nothing().returning(DecisionKey.key)
_COLUMNS: Final = ", ".join(Row._fields)
_STORE: Final[Any] = f"""
WITH fresh AS (
  INSERT INTO decision_key (caller_id, key, payload_hash, decision_ids, recorded_at)
  SELECT * FROM unnest(
    %b::bigint[], %b::text[], %b::text[], %b::text[], %b::timestamptz[]
  )
  ON CONFLICT (caller_id, key) DO NOTHING
  RETURNING caller_id, key, decision_ids
), stored AS (
  INSERT INTO decision_record ({_COLUMNS})
  SELECT {", ".join(f"asked.{name}" for name in Row._fields)}
  FROM unnest(
    %b::text[], %b::date[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::text[], %b::timestamptz[]
  ) AS asked (key, {_COLUMNS})
  JOIN fresh ON fresh.caller_id = asked.caller_id AND fresh.key = asked.key
    AND position(asked.id in fresh.decision_ids) > 0
)
SELECT decision_ids FROM fresh
"""  # noqa: S608 -- our own names
