"""Runs Alembic on the connection that it is given; the schema is the areas' tables."""

from typing import Literal

from alembic import context
from sqlalchemy import JSON

import migrations.schema  # noqa: F401 -- makes every table known
from kernel.database import Base, Instant


def _render(kind: str, thing: object, _context: object) -> str | Literal[False]:
    """Write our own column types by their names, which the template imports."""
    if kind == "type" and isinstance(thing, Instant):
        return "Instant()"
    return "Json" if kind == "type" and isinstance(thing, JSON) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
