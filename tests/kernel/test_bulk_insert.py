from datetime import UTC, datetime

from sqlalchemy import select

from kernel.database import Database, bulk_insert
from kernel.idempotency import IdempotencyKey

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)


class TestBulkInsert:
    def test_writes_values_of_every_kind_as_a_session_would(self, database: Database) -> None:
        answers = [None, {}, {"text": "中文\t\n\\N'\"", "n": 1, "list": [None, True]}]
        rows = [
            {
                "action": "bulk\\",
                "key": str(n),
                "payload_hash": "x",
                "answer": answer,
                "recorded_at": NOW,
            }
            for n, answer in enumerate(answers)
        ]
        with database.write() as session:
            bulk_insert(session, IdempotencyKey, rows)
            bulk_insert(session, IdempotencyKey, [])
        with database.read() as session:
            kept = session.scalars(select(IdempotencyKey).order_by(IdempotencyKey.key)).all()
        assert [row.answer or {} for row in kept] == [{}, *answers[1:]]
        assert {(row.action, row.recorded_at) for row in kept} == {("bulk\\", NOW)}
