from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from kernel.database import Base, Database
from migrations.schema import upgrade


def test_migrations_make_exactly_what_the_tables_say(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    upgrade(database)
    with database.engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision()
