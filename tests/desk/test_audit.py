import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from desk import queries
from desk.operations import append_audit
from desk.queries import AuditFilter, verify_audit_chain
from kernel.clock import FixedClock, business_date
from kernel.database import Database


def add(database: Database, clock: FixedClock, **given: Any) -> int:
    values: dict[str, Any] = {
        "actor": "wang",
        "action": "demo.changed",
        "subject": "customer:17",
        "details": {"limit_fen": 500_000, "rate": 0.18, "why": "提额"},
        "now": clock.now(),
    }
    with database.write() as session:
        return append_audit(session, **values | given)


def disarm(database: Database) -> None:
    """Do what only an owner of the database can do: take the triggers away."""
    with database.write() as session:
        if database.dialect == "postgresql":
            session.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER USER"))
            return
        for name in ("update", "delete"):
            session.execute(text(f"DROP TRIGGER audit_entry_no_{name}"))


def arm(database: Database) -> None:
    if database.dialect == "postgresql":
        with database.write() as session:
            session.execute(text("ALTER TABLE audit_entry ENABLE TRIGGER USER"))


def verified(database: Database) -> int | None:
    with database.read() as session:
        return verify_audit_chain(session)


class TestAppendAudit:
    def test_numbers_without_gaps_and_verifies(self, database: Database, clock: FixedClock) -> None:
        numbers = [add(database, clock) for _ in range(3)]
        assert numbers == [1, 2, 3]
        assert verified(database) is None

    def test_an_empty_chain_is_whole(self, database: Database) -> None:
        assert verified(database) is None

    def test_leaves_nothing_when_the_act_fails(self, database: Database, clock: FixedClock) -> None:
        add(database, clock)
        with pytest.raises(RuntimeError), database.write() as session:
            append_audit(session, actor="a", action="b", subject="c", details={}, now=clock.now())
            raise RuntimeError
        assert add(database, clock) == 2
        assert verified(database) is None

    def test_parallel_appends_keep_one_chain(self, database: Database, clock: FixedClock) -> None:
        faults: list[Exception] = []

        def work(actor: str) -> None:
            try:
                for _ in range(5):
                    add(database, clock, actor=actor)
            except Exception as error:  # noqa: BLE001 -- shown by the assert below
                faults.append(error)

        threads = [threading.Thread(target=work, args=(f"actor{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert verified(database) is None
        with database.read() as session:
            assert queries.audit_chain_end(session).number == 30

    def test_odd_text_survives(self, database: Database, clock: FixedClock) -> None:
        add(database, clock, details={"text": "a\x00b\ud800", "when": clock.now(), "list": {1}})
        assert verified(database) is None

    @pytest.mark.parametrize(
        "statement",
        ["UPDATE audit_entry SET actor = 'li' WHERE id = 1", "DELETE FROM audit_entry"],
    )
    def test_the_database_refuses_changes(
        self, database: Database, clock: FixedClock, statement: str
    ) -> None:
        add(database, clock)
        with pytest.raises(DBAPIError, match="append-only"), database.write() as session:
            session.execute(text(statement))
        assert verified(database) is None


class TestVerifyAuditChain:
    @pytest.mark.parametrize(
        ("statement", "broken_at"),
        [
            ("UPDATE audit_entry SET actor = 'li' WHERE id = 2", 2),
            ("UPDATE audit_entry SET details = '{}' WHERE id = 3", 3),
            ("UPDATE audit_entry SET previous_hash = hash WHERE id = 4", 4),
            ("DELETE FROM audit_entry WHERE id = 1", 1),
            ("DELETE FROM audit_entry WHERE id = 3", 3),
            ("DELETE FROM audit_entry WHERE id = 5", 5),
            ("UPDATE audit_entry SET at = (SELECT min(at) FROM audit_entry) WHERE id = 4", 4),
        ],
    )
    def test_finds_the_first_tampered_entry(
        self, database: Database, clock: FixedClock, statement: str, broken_at: int
    ) -> None:
        for _ in range(5):
            add(database, clock)
            clock.advance(timedelta(seconds=1))
        disarm(database)
        with database.write() as session:
            session.execute(text(statement))
        arm(database)
        assert verified(database) == broken_at

    def test_reads_long_chains_in_batches(
        self, database: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queries, "_BATCH", 2)
        for _ in range(4):
            add(database, clock)
        assert verified(database) is None
        with database.read() as session:
            each = queries.each_audit_entry(session, wanted=AuditFilter())
            assert [entry.number for entry in each] == [1, 2, 3, 4]


class TestAuditEntries:
    def test_filters_by_actor_action_subject_and_days(
        self, database: Database, clock: FixedClock
    ) -> None:
        today = business_date(clock.now())
        add(database, clock)
        add(database, clock, actor="li", action="demo_other", subject="customer:171")
        clock.advance(timedelta(days=2))
        add(database, clock, actor="li")

        def found(**given: Any) -> list[int]:
            with database.read() as session:
                wanted = AuditFilter(**given)
                entries = queries.audit_entries(session, wanted=wanted, limit=10)
                assert queries.count_audit_entries(session, wanted=wanted) == len(entries)
                each = list(queries.each_audit_entry(session, wanted=wanted))
                assert each == list(reversed(entries))
                return [entry.number for entry in entries]

        assert found() == [3, 2, 1]
        assert found(actor="li") == [3, 2]
        assert found(action="demo") == [3, 1]
        assert found(action="demo.changed") == [3, 1]
        assert found(action="demo_other") == [2]
        assert found(subject="customer:17") == [3, 1]
        assert found(subject="customer") == [3, 2, 1]
        assert found(until=today) == [2, 1]
        assert found(since=today + timedelta(days=1)) == [3]
        assert found(since=today, until=today, actor="li") == [2]

    def test_pages_with_limit_and_offset(self, database: Database, clock: FixedClock) -> None:
        for _ in range(4):
            add(database, clock)
        with database.read() as session:
            entries = queries.audit_entries(session, wanted=AuditFilter(), limit=2, offset=1)
        assert [entry.number for entry in entries] == [3, 2]
        assert entries[0].details == {"limit_fen": 500_000, "rate": 0.18, "why": "提额"}
