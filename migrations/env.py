"""Runs Alembic migrations on the database that it is given; the schema is the areas' tables."""

from alembic import context

from kernel.database import Base
from migrations.schema import import_tables

import_tables()

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
