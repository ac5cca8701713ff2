"""Runs Alembic on the connection that it is given; the schema is the areas' tables."""

from typing import Literal

from alembic import context
from sqlalchemy import JSON

from kernel.database import Base, Instant
from migrations.schema import is_no_partition  # makes every table known, too


def _render(kind: str, thing: object, _context: object) -> str | Literal[False]:
    """Write our own column types by their names, which the template imports."""
    if kind == "type" and isinstance(thing, Instant):
        return "Instant()"
    return "Json" if kind == "type" and isinstance(thing, JSON) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    include_name=is_no_partition,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
