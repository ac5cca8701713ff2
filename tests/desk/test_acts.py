from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from desk import queries
from desk.operations import FormKeyMissing, act_once
from kernel.clock import FixedClock
from kernel.database import Database
from kernel.idempotency import KeyReused

KEY = "k" * 22


class Work:
    """Something that a member of staff does, counted."""

    def __init__(self, database: Database, clock: FixedClock) -> None:
        self.database, self.clock = database, clock
        self.done = 0
        self.answer: Mapping[str, Any] | None = {"hold": 7}

    def act(self, **changes: Any) -> bool:
        given: dict[str, Any] = {
            "actor": "wang",
            "action": "demo.hold.placed",
            "subject": "customer:17",
            "key": KEY,
            "payload": {"reason": "hardship"},
            "do": self._do,
            "now": self.clock.now(),
        }
        with self.database.write() as session:
            return act_once(session, **given | changes)

    def _do(self) -> Mapping[str, Any] | None:
        self.done += 1
        return self.answer

    def trace(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        with self.database.read() as session:
            assert queries.verify_audit_chain(session) is None
            found = queries.audit_entries(session, wanted=queries.AuditFilter(), limit=9)
        return [(entry.actor, entry.subject, entry.details) for entry in found]


@pytest.fixture
def work(database: Database, clock: FixedClock) -> Work:
    return Work(database, clock)


class TestActOnce:
    def test_does_it_and_leaves_a_trace(self, work: Work) -> None:
        assert work.act()
        assert work.trace() == [("wang", "customer:17", {"hold": 7})]

    def test_the_same_form_does_it_once(self, work: Work) -> None:
        assert work.act()
        assert not work.act()
        assert (work.done, len(work.trace())) == (1, 1)

    def test_the_same_form_sent_twice_at_once_does_it_once(self, work: Work) -> None:
        with ThreadPoolExecutor(max_workers=4) as pool:
            answers = list(pool.map(lambda _: work.act(), range(4)))
        assert sorted(answers) == [False, False, False, True]
        assert (work.done, len(work.trace())) == (1, 1)

    def test_another_person_or_act_has_keys_of_its_own(self, work: Work) -> None:
        assert work.act()
        assert work.act(actor="li")
        assert work.act(action="demo.hold.lifted")
        assert work.done == 3

    def test_one_form_does_not_say_two_things(self, work: Work) -> None:
        work.act()
        with pytest.raises(KeyReused):
            work.act(payload={"reason": "illness"})

    def test_what_was_done_already_leaves_no_trace(self, work: Work) -> None:
        work.answer = None
        assert not work.act()
        assert work.trace() == []

    @pytest.mark.parametrize("key", ["", "short", "k" * 65, "k" * 20 + "/"])
    def test_a_form_without_its_key_is_refused(self, work: Work, key: str) -> None:
        with pytest.raises(FormKeyMissing):
            work.act(key=key)
        assert work.done == 0

    def test_a_failure_leaves_nothing_behind(self, work: Work) -> None:
        def fail() -> None:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            work.act(do=fail)
        assert work.act()
