"""The whole schema: importing it makes every area's tables known; `upgrade` brings it about."""

import re
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config

from contact import tables as contact_tables
from desk import tables as desk_tables
from kernel import api_keys, clock, idempotency, jobs, outbox
from kernel.database import Database
from risk import tables as risk_tables
from risk.lifecycle import tables as lifecycle_tables
from servicing import tables as servicing_tables
from servicing.payments import tables as payment_tables
from servicing.webhooks import tables as webhook_tables

# Naming the modules that declare tables is what makes Base.metadata whole.
TABLE_MODULES = (
    api_keys,
    clock,
    idempotency,
    jobs,
    outbox,
    contact_tables,
    desk_tables,
    risk_tables,
    lifecycle_tables,
    servicing_tables,
    payment_tables,
    webhook_tables,
)
_PARTITION: Final = re.compile(r"decision_record_(rest|\d{8})$")


def alembic_config() -> Config:
    """Return Alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    return config


def is_no_partition(name: str | None, kind: str, _parents: object) -> bool:
    """Say whether Alembic looks at a thing: partitions come and go by housekeeping."""
    return kind != "table" or _PARTITION.match(name or "") is None


def upgrade(database: Database) -> None:
    """Bring a database to the newest revision, the file with its folder first; safe to repeat."""
    name = database.url.database
    if database.dialect == "sqlite" and name:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
    config = alembic_config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
