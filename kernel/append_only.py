"""Tables that only grow: triggers on both databases refuse to change or delete their rows.

They come with `metadata.create_all`, and a migration runs the same statements. Which tables these
are, and why, is said by the area that owns them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import DDL, event, text
from sqlalchemy.orm import Session

from kernel.database import Base


def append_only_statements(
    dialect: str, table: str, *, fixed: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the DDL by which a table refuses changes.

    Args:
        dialect: `sqlite` or `postgresql`.
        table: Its name.
        fixed: Columns that may not change; none named means all of them.
    """
    message = f"{table} is append-only"
    columns = f" OF {', '.join(fixed)}" if fixed else ""
    acts = {"update": f"UPDATE{columns}", "delete": "DELETE"}
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER {table}_no_{name} BEFORE {act} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for name, act in acts.items()
        )
    function = f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    return (
        function + f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$",
        *(
            f"CREATE TRIGGER {table}_no_{name} BEFORE {act} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_refuse()"
            for name, act in acts.items()
        ),
    )


def keep_append_only(model: type[Base], *, fixed: Sequence[str] = ()) -> None:
    """Give a table its triggers whenever it is created from the metadata."""
    name = model.__tablename__
    for dialect in ("sqlite", "postgresql"):
        for statement in append_only_statements(dialect, name, fixed=fixed):
            ddl = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(model.__table__, "after_create", ddl.execute_if(dialect=dialect))


@contextmanager
def letting_go(session: Session, table: str, *, part: str = "") -> Iterator[None]:
    """Let rows of such a table be deleted meanwhile, for retention alone; changes stay refused.

    The guard is back with the transaction's end, whichever way it ends.

    Args:
        session: A write session.
        table: Its name.
        part: On PostgreSQL, the one partition to delete from; writers of the others never wait.
    """
    if session.get_bind().dialect.name == "postgresql":
        at = part or table
        session.execute(text(f"ALTER TABLE {at} DISABLE TRIGGER {table}_no_delete"))
        yield
        session.execute(text(f"ALTER TABLE {at} ENABLE TRIGGER {table}_no_delete"))
        return
    guard = next(s for s in append_only_statements("sqlite", table) if f"{table}_no_delete" in s)
    session.execute(text(f"DROP TRIGGER {table}_no_delete"))
    yield
    session.execute(text(guard))
