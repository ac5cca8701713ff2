import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kernel.append_only import append_only_statements
from kernel.database import Database

GROWING = ("audit_entry", "consent", "contact_event", "ledger_entry", "ledger_posting")


@pytest.mark.parametrize("table", GROWING)
def test_migrated_tables_that_only_grow_have_both_triggers(database: Database, table: str) -> None:
    sqlite = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name"
    postgresql = "SELECT count(*) FROM pg_trigger WHERE tgrelid = CAST(:name AS regclass)"
    postgresql += " AND NOT tgisinternal"
    query = sqlite if database.dialect == "sqlite" else postgresql
    with database.read() as session:
        assert session.scalar(text(query), {"name": table}) == 2


def test_only_fixed_columns_are_kept_from_changing(database: Database) -> None:
    with database.write() as session:
        session.execute(text("CREATE TEMPORARY TABLE note (body TEXT, state TEXT)"))
        statements = append_only_statements(database.dialect, "note", fixed=("body",))
        # A temporary table wants temporary triggers on SQLite.
        for statement in statements:
            session.execute(text(statement.replace("CREATE TRIGGER", _create(database))))
        session.execute(text("INSERT INTO note VALUES ('a', 'draft')"))
        session.execute(text("UPDATE note SET state = 'approved'"))
        with pytest.raises(DBAPIError, match="note is append-only"), session.begin_nested():
            session.execute(text("UPDATE note SET body = 'b'"))
        with pytest.raises(DBAPIError, match="note is append-only"), session.begin_nested():
            session.execute(text("DELETE FROM note"))
        assert session.execute(text("SELECT body, state FROM note")).one() == ("a", "approved")
        session.rollback()


def _create(database: Database) -> str:
    return "CREATE TEMP TRIGGER" if database.dialect == "sqlite" else "CREATE TRIGGER"
