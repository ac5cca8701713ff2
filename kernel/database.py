"""Sessions, column types and the declarative base, on SQLite (WAL) and PostgreSQL alike.

There are two doors: `read` for looking and `write` for changing. On SQLite a writer takes the
write lock at once, so that it can never fail half way through upgrading one; on PostgreSQL both
are ordinary transactions. `peek` is a cheaper `read` for a few small questions. This module knows
no table but through the base.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

_NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_LOCK_TIMEOUT_MS = 10_000
_CONNECT: Final[Mapping[str, Any]] = {
    "options": f"-c lock_timeout={_LOCK_TIMEOUT_MS} -c timezone=UTC"
}
_TRUSTED_S = 1.0
_RETURNED_AT = "fenqi.returned_at"


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant; naive values are refused on their way in."""

    impl = DateTime
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a naive datetime reached the database"
            raise ValueError(message)
        instant = value.astimezone(UTC)
        return instant if dialect.name == "postgresql" else instant.replace(tzinfo=None)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")
FenColumn = BigInteger
Json = JSON().with_variant(postgresql.JSONB(), "postgresql")


class Base(DeclarativeBase):
    """Base of every table of every area."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {datetime: Instant, dict[str, Any]: Json, list[Any]: Json}  # noqa: RUF012 -- SQLAlchemy reads it as a plain class attribute


class PeekOnly(RuntimeError):
    """A session that only looks was told to change something: a mistake in the code."""


class Database:
    """One engine and its two doors.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://…`; plain `postgresql://` is understood.
        pool_size: Connections kept open (PostgreSQL only).
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        parsed = _with_driver(make_url(url))
        self.url: Final = parsed
        self.dialect: Final = parsed.get_backend_name()
        self.engine: Final = _make_engine(parsed, pool_size)
        self._peeking: Final = _peeking(self.engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for looking; what it changes is dropped, what it read stays readable."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def peek(self) -> Iterator[Session]:
        """Open a session for looking without a transaction around it; a change is refused.

        Each statement sees what is committed by then, as it does in `read` on PostgreSQL too, but
        beginning and ending a transaction would cost the server as much as a small query does.
        """
        with Session(self._peeking, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session for changing; commits at the end, rolls back on any error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.connection(execution_options={"writes": True})
            yield session

    def own_connection(self) -> "psycopg.Connection[Any]":
        """Open a connection outside of the pool on which each statement stands by itself.

        For PostgreSQL only, for the few paths where a session would cost more than the work.
        """
        named: dict[str, Any] = dict(self.engine.dialect.create_connect_args(self.url)[1])
        return psycopg.connect(autocommit=True, **_CONNECT, **named)

    def dispose(self, *, close: bool = True) -> None:
        """Drop pooled connections; `close=False` in a forked child, which only forgets them."""
        self.engine.dispose(close=close)


class KeptConnections:
    """PostgreSQL connections that threads keep for one small question each time.

    A connection that broke is replaced, and the question asked once more.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own = threading.local()
        self._all: list[psycopg.Connection[Any]] = []

    def rows(self, question: Any, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Ask a SELECT on this thread's connection; it is prepared at its first use."""
        connection: psycopg.Connection[Any] | None = getattr(self._own, "connection", None)
        if connection is not None:
            try:
                return connection.execute(question, given, prepare=True, binary=True).fetchall()
            except psycopg.OperationalError:
                connection.close()
        connection = self._own.connection = self._database.own_connection()
        self._all = [each for each in self._all if not each.closed] + [connection]
        return connection.execute(question, given, prepare=True, binary=True).fetchall()

    def close(self) -> None:
        """Close them all; a thread that asks again gets a new one."""
        for connection in self._all:
            connection.close()


def _with_driver(url: URL) -> URL:
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _make_engine(url: URL, pool_size: int) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _LOCK_TIMEOUT_MS / 1000})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args=_CONNECT,
    )
    event.listen(engine, "checkin", _note_return)
    event.listen(engine, "checkout", _ping_if_idle)
    return engine


def _note_return(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_RETURNED_AT] = time.monotonic()


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Have the pool replace a connection that died while it lay idle; a busy one is not asked."""
    idle_s = time.monotonic() - record.info.get(_RETURNED_AT, float("inf"))
    if idle_s < _TRUSTED_S:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error


def _peeking(engine: Engine) -> Engine:
    """Make the view of an engine that sends single statements and lets no change through."""
    if engine.dialect.name == "sqlite":  # its snapshots need a transaction, and it has no server
        peeking = engine.execution_options()
    else:
        peeking = engine.execution_options(isolation_level="AUTOCOMMIT")
    event.listen(peeking, "before_cursor_execute", _refuse_change)
    return peeking


def _refuse_change(
    _connection: object,
    _cursor: object,
    _statement: str,
    _given: object,
    context: Any,
    _many: bool,  # noqa: FBT001 -- SQLAlchemy calls it by position
) -> None:
    if context is not None and (context.isinsert or context.isupdate or context.isdelete):
        raise PeekOnly


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, below
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def bulk_insert(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert very many rows by the database's own quickest way.

    Defaults of columns are not applied: what a row does not name must have one in the database.

    Args:
        session: An open write session.
        model: The table's class.
        rows: Column values; every row names the same columns.
    """
    if not rows:
        return
    connection = session.connection()
    dialect, table = connection.dialect, model.__table__
    names = list(rows[0])
    into = f"{table.name} ({', '.join(map(dialect.identifier_preparer.quote, names))})"  # type: ignore[attr-defined]
    processors = [
        table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names
    ]
    converted = [(at, process) for at, process in enumerate(processors) if process is not None]
    values = _lines(rows, names, converted)
    if dialect.name == "postgresql":
        cursor = connection.connection.cursor()
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for line in values:
                copy.write_row(line)
        return
    marks = ", ".join("?" * len(names))
    insert = f"INSERT INTO {into} VALUES ({marks})"  # noqa: S608 -- our own names
    connection.exec_driver_sql(insert, [tuple(line) for line in values])


def refresh_statistics(session: Session) -> None:
    """Let the planner know what the tables hold, after rows came in bulk.

    PostgreSQL looks by itself, but up to a minute later; until then it plans as for empty tables,
    which halved what the assistant answered in a second.
    """
    session.execute(text("ANALYZE"))


def _lines(
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    converted: Sequence[tuple[int, Callable[[Any], Any]]],
) -> Iterator[list[Any]]:
    """List the values of rows in the order of their names; most go as they are."""
    for row in rows:
        line = [row[name] for name in names]
        for at, process in converted:
            line[at] = process(line[at])
        yield line


def insert_ignore(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    *,
    conflict: Sequence[str],
) -> int:
    """Insert rows, leaving those whose key is already there.

    Args:
        session: An open write session.
        model: The table's class.
        rows: Column values; every row names the same columns.
        conflict: Columns of the unique key.

    Returns:
        How many rows were new.
    """
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 -- narrows FromClause for mypy
    if not rows:
        return 0
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).on_conflict_do_nothing(index_elements=conflict)
    # Drivers count such rows differently, so the database names the new ones itself. The rows are
    # parameters, not part of the statement, so that it is compiled once in a process.
    new = session.execute(statement.returning(*(table.c[name] for name in conflict)), rows)
    return len(new.all())
