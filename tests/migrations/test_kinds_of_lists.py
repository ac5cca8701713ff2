"""Lists from before they had kinds: those of the statutory rules hold identities, others texts."""

from pathlib import Path

from alembic import command
from sqlalchemy import text

from kernel.database import Database
from migrations.schema import alembic_config, upgrade

_BEFORE = "6fa1d83e02c9"
_AT = "2026-03-10 02:00:00"


def test_old_lists_get_their_kinds(tmp_path: Path) -> None:
    database, config = Database(f"sqlite:///{tmp_path}/old.db"), alembic_config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, _BEFORE)
        for name in ("own-blocked", "prevention", "shops"):
            made = text("INSERT INTO risk_list (name, created_at) VALUES (:name, :at)")
            connection.execute(made, {"name": name, "at": _AT})
        connection.commit()
    upgrade(database)
    with database.engine.connect() as connection:
        wanted = 'SELECT name, title, kind, "match", needs_second FROM risk_list ORDER BY name'
        found = [tuple(row) for row in connection.execute(text(wanted))]
    database.dispose()
    assert found == [
        ("own-blocked", "本公司名单", "identity", "exact", 0),
        ("prevention", "反洗钱特别预防措施名单", "identity", "exact", 1),
        ("shops", "shops", "text", "exact", 0),
    ]
