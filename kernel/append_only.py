"""Tables that only grow: triggers on both databases refuse to change or delete their rows.

They come with `metadata.create_all`, and a migration runs the same statements. Which tables these
are, and why, is said by the area that owns them.
"""

from collections.abc import Sequence

from sqlalchemy import DDL, event

from kernel.database import Base


def append_only_statements(
    dialect: str, table: str, *, fixed: Sequence[str] = (), may_lapse: bool = False
) -> tuple[str, ...]:
    """Return the DDL by which a table refuses changes.

    Args:
        dialect: `sqlite` or `postgresql`.
        table: Its name.
        fixed: Columns that may not change; none named means all of them.
        may_lapse: Whole rows may be deleted, which is for a retention job alone.
    """
    message = f"{table} is append-only"
    columns = f" OF {', '.join(fixed)}" if fixed else ""
    acts = {"update": f"UPDATE{columns}"} | ({} if may_lapse else {"delete": "DELETE"})
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


def keep_append_only(
    model: type[Base], *, fixed: Sequence[str] = (), may_lapse: bool = False
) -> None:
    """Give a table its triggers whenever it is created from the metadata."""
    name = model.__tablename__
    for dialect in ("sqlite", "postgresql"):
        for statement in append_only_statements(dialect, name, fixed=fixed, may_lapse=may_lapse):
            ddl = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(model.__table__, "after_create", ddl.execute_if(dialect=dialect))
