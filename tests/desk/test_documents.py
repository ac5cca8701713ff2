import threading
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from desk import operations, queries
from desk.model import DocumentStepRefused
from desk.operations import AuthorApproves, EffectiveInThePast, NothingToRestore
from desk.queries import DocumentNotFound, DocumentTampered
from kernel.clock import FixedClock, business_date
from kernel.database import Database


class Shelf:
    """One document with every default legal."""

    of = {"kind": "strategy", "key": "admission"}  # noqa: RUF012 -- a test's constant

    def __init__(self, database: Database, clock: FixedClock) -> None:
        self.database, self.clock = database, clock

    @property
    def today(self) -> date:
        return business_date(self.clock.now())

    def do(self, operation: Callable[..., Any], **given: Any) -> Any:
        with self.database.write() as session:
            return operation(session, now=self.clock.now(), **self.of, **given)

    def draft(self, limit: float) -> int:
        body = {"rules": [{"field": "score", "limit": limit}], "name": "准入"}
        version: int = self.do(operations.save_draft, body=body, author="analyst")
        return version

    def tested(self, limit: float) -> int:
        version = self.draft(limit)
        self.do(operations.mark_tested, version=version, report={"bad": 0.02}, by="analyst")
        return version

    def approve(self, version: int, *, by: str = "manager", days: int = 0) -> None:
        effective_on = self.today + timedelta(days=days)
        self.do(operations.approve, version=version, by=by, effective_on=effective_on)

    def publish(self, limit: float, *, days: int = 0) -> int:
        version = self.tested(limit)
        self.approve(version, days=days)
        return version

    def limit(self, days: int = 0) -> Any:
        with self.database.read() as session:
            on = self.today + timedelta(days=days)
            return queries.document(session, **self.of, on=on)["rules"][0]["limit"]

    def states(self) -> list[str]:
        with self.database.read() as session:
            return [
                version.state for version in reversed(queries.document_versions(session, **self.of))
            ]


@pytest.fixture
def shelf(database: Database, clock: FixedClock) -> Shelf:
    return Shelf(database, clock)


class TestLife:
    def test_draft_tested_approved_in_force(self, shelf: Shelf) -> None:
        version = shelf.draft(0.7)
        with pytest.raises(DocumentNotFound):
            shelf.limit()
        with pytest.raises(DocumentStepRefused):
            shelf.approve(version)
        shelf.do(operations.mark_tested, version=version, report={}, by="analyst")
        with pytest.raises(AuthorApproves):
            shelf.approve(version, by="analyst")
        shelf.approve(version)
        assert shelf.limit() == 0.7
        assert shelf.states() == ["in_force"]

    def test_comes_into_force_on_its_date_and_retires_the_one_before(self, shelf: Shelf) -> None:
        shelf.publish(0.7)
        shelf.publish(0.8, days=3)
        assert [shelf.limit(0), shelf.limit(2), shelf.limit(3)] == [0.7, 0.7, 0.8]
        assert shelf.states() == ["in_force", "approved"]
        shelf.clock.advance(timedelta(days=3))
        assert shelf.limit() == 0.8
        with shelf.database.write() as session:
            given = {"on": shelf.today, "now": shelf.clock.now()}
            assert operations.activate_due(session, **given) == 1
            assert operations.activate_due(session, **given) == 0
        assert shelf.states() == ["retired", "in_force"]
        assert shelf.limit(-1) == 0.7

    def test_history_cannot_be_rewritten(self, shelf: Shelf) -> None:
        version = shelf.tested(0.7)
        with pytest.raises(EffectiveInThePast):
            shelf.approve(version, days=-1)
        shelf.approve(version)
        with pytest.raises(DocumentStepRefused):
            shelf.do(operations.discard, version=version, by="manager")
        assert shelf.limit() == 0.7

    def test_a_planned_version_can_be_discarded_until_its_date(self, shelf: Shelf) -> None:
        shelf.publish(0.7)
        planned = shelf.publish(0.8, days=1)
        late = shelf.publish(0.9, days=2)
        shelf.do(operations.discard, version=late, by="manager")
        shelf.clock.advance(timedelta(days=1))
        with pytest.raises(DocumentStepRefused):
            shelf.do(operations.discard, version=planned, by="manager")
        assert shelf.limit(5) == 0.8

    def test_the_same_draft_again_is_the_same_version(self, shelf: Shelf) -> None:
        assert [shelf.draft(0.7), shelf.draft(0.7), shelf.draft(0.8), shelf.draft(0.7)] == [
            1,
            1,
            2,
            3,
        ]

    def test_each_step_is_in_the_audit_chain(self, shelf: Shelf) -> None:
        shelf.publish(0.7)
        with shelf.database.read() as session:
            wanted = queries.AuditFilter(subject="strategy:admission:1")
            acts = [entry.action for entry in queries.each_audit_entry(session, wanted=wanted)]
        steps = ("drafted", "tested", "approved", "in_force")
        assert acts == [f"desk.document.{step}" for step in steps]


class TestRollback:
    def test_restores_the_body_before_as_a_new_version(self, shelf: Shelf) -> None:
        shelf.publish(0.7)
        shelf.clock.advance(timedelta(days=1))
        shelf.publish(0.8)
        version = shelf.do(operations.rollback, by="manager", reason="坏账升高")
        assert version == 3
        assert shelf.limit() == 0.7
        assert shelf.states() == ["retired", "retired", "in_force"]
        with shelf.database.read() as session:
            restored = queries.document_version(session, **shelf.of, version=3)
        assert (restored.restores, restored.note) == (1, "坏账升高")

    def test_goes_further_back_each_time_and_ends(self, shelf: Shelf) -> None:
        for limit in (0.6, 0.7, 0.8):
            shelf.publish(limit)
            shelf.clock.advance(timedelta(days=1))
        shelf.do(operations.rollback, by="manager", reason="一")
        assert shelf.limit() == 0.7
        shelf.do(operations.rollback, by="manager", reason="二")
        assert shelf.limit() == 0.6
        with pytest.raises(NothingToRestore):
            shelf.do(operations.rollback, by="manager", reason="三")

    def test_needs_something_in_force(self, shelf: Shelf) -> None:
        with pytest.raises(DocumentNotFound):
            shelf.do(operations.rollback, by="manager", reason="")
        assert shelf.draft(0.7) == 1


class TestIntegrity:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE document_version SET body = '{}'",
            "UPDATE document_version SET author = 'manager'",
            "DELETE FROM document_version",
        ],
    )
    def test_the_database_refuses_to_change_a_version(self, shelf: Shelf, statement: str) -> None:
        shelf.publish(0.7)
        with pytest.raises(DBAPIError, match="append-only"), shelf.database.write() as session:
            session.execute(text(statement))
        assert shelf.limit() == 0.7

    def test_a_body_that_does_not_match_its_hash_is_not_served(self, shelf: Shelf) -> None:
        shelf.publish(0.7)
        is_server = shelf.database.dialect == "postgresql"
        switch = "ALTER TABLE document_version {} TRIGGER USER"
        with shelf.database.write() as session:
            off = (
                switch.format("DISABLE") if is_server else "DROP TRIGGER document_version_no_update"
            )
            session.execute(text(off))
            session.execute(text("UPDATE document_version SET body = '{\"rules\":[]}'"))
            if is_server:
                session.execute(text(switch.format("ENABLE")))
        with pytest.raises(DocumentTampered):
            shelf.limit()

    def test_parallel_drafts_get_numbers_of_their_own(self, shelf: Shelf) -> None:
        shelf.draft(0.5)
        versions: list[int] = []

        def work(number: int) -> None:
            versions.append(shelf.draft(number / 10))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6, 12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(versions) == [2, 3, 4, 5, 6, 7]


class TestDocuments:
    def test_lists_what_is_in_force_and_what_is_new(self, shelf: Shelf) -> None:
        shelf.publish(0.7)
        shelf.draft(0.8)
        with shelf.database.read() as session:
            (line,) = queries.documents(session, on=shelf.today)
            versions = queries.document_versions(session, **shelf.of)
        assert (line.in_force, line.versions, line.newest_state) == (1, 2, "draft")
        (change,) = queries.changes_between(versions[1], versions[0])
        assert (change.label, change.before, change.after) == ("rules.0.limit", "0.7", "0.8")
        assert queries.changes_between(None, versions[1])
