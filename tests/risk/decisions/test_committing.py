"""Groups go to disk together; a full queue and a broken database are told, never guessed."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from threading import Thread

import psycopg
import pytest
from counted import Growth
from deciding import VECTOR, Caller, asked, store_vector
from sqlalchemy import func, select

from cli.risk import publish_house_strategy
from kernel.database import Database
from kernel.runtime import Runtime
from risk.decisions.committing import DecisionNotConfirmed, DecisionsBusy, GroupCommit
from risk.decisions.writing import Entry, Row
from risk.tables import DecisionRecord


def entry(number: int, *, key: str = "") -> Entry:
    at = datetime(2026, 3, 10, 2, tzinfo=UTC)
    row = Row(
        date(2026, 3, 10), f"D20260310{number:016d}", 1, "s", "p", "review", "h", "{}",
        f'{{"n":{number}}}', at,
    )  # fmt: skip
    return Entry(caller_id=1, key=key or f"k{number}", payload_hash="x", asked=(), rows=(row,))


def committing(database: Database, **given: int) -> GroupCommit:
    """Commit what is decided already."""
    return GroupCommit(database, lambda _: None, **given)


def settled(commits: GroupCommit, number: int) -> str:
    """Store an entry; returns its answer."""
    one = entry(number)
    commits.settle([one])
    return one.answer()


def stored(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(DecisionRecord)) or 0


def test_a_full_queue_turns_away_with_retry_after(
    runtime: Runtime, open_door: Callable[..., Caller]
) -> None:
    publish_house_strategy(runtime)
    store_vector(runtime, "customer:17", VECTOR)
    full, grown = open_door(waiting_at_most=0), Growth()
    answer = full.post(asked())
    assert grown['fenqi_decisions_refused_total{code="decisions-busy"}'] == 1
    assert (answer.status_code, answer.get_json()["code"]) == (503, "decisions-busy")
    assert answer.headers["Retry-After"] == "1"
    assert stored(runtime.database) == 0


def test_many_threads_share_commits_and_lose_nothing(database: Database) -> None:
    commits = committing(database)
    answers: dict[int, str] = {}

    def store(first: int) -> None:
        for number in range(first, first + 25):
            answers[number] = settled(commits, number)

    threads = [Thread(target=store, args=(100 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    commits.close()
    assert stored(database) == len(answers) == 200
    assert all(found == f'{{"n":{number}}}' for number, found in answers.items())


def test_the_size_of_groups_is_counted(database: Database) -> None:
    commits, grown = committing(database), Growth()
    commits.settle([entry(n) for n in range(5)])
    commits.close()
    assert grown["fenqi_decision_group_size_sum"] == 5
    assert grown["fenqi_decisions_waiting"] == 0


def test_a_broken_database_is_told_and_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = committing(database)
    settled(commits, 1)
    module = "risk.decisions.writing"
    with monkeypatch.context() as broken:
        for kind in ("PostgresqlWriter", "SqliteWriter"):
            broken.setattr(f"{module}.{kind}.store", _broken)
        with pytest.raises(DecisionNotConfirmed):
            settled(commits, 2)
    assert settled(commits, 2) == '{"n":2}'
    commits.close()
    assert stored(database) == 2


def test_a_lost_connection_is_replaced_unnoticed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = committing(database)
    for kind in ("PostgresqlWriter", "SqliteWriter"):
        monkeypatch.setattr(f"risk.decisions.writing.{kind}.store", _lost_once(kind))
    # The first try reached the disk and its answer was lost; the second finds its own decision.
    assert settled(commits, 1) == '{"n":1}'
    commits.close()
    assert stored(database) == 1


def test_a_look_up_that_fails_is_told_and_stores_nothing(database: Database) -> None:
    lost = [True]

    def decide(_group: Sequence[Entry]) -> None:
        if lost and lost.pop():
            raise psycopg.OperationalError

    commits = GroupCommit(database, decide)
    with pytest.raises(DecisionNotConfirmed):
        settled(commits, 1)
    assert stored(database) == 0
    assert settled(commits, 1) == '{"n":1}'
    commits.close()


def test_what_cannot_be_decided_is_not_stored(database: Database) -> None:
    def decide(group: Sequence[Entry]) -> None:
        for one in group:
            if one.key == "k2":
                one.failure = ZeroDivisionError()

    commits = GroupCommit(database, decide)
    entries = [entry(number) for number in (1, 2, 3)]
    commits.settle(entries)
    with pytest.raises(ZeroDivisionError):
        entries[1].answer()
    assert [entries[n].answer() for n in (0, 2)] == ['{"n":1}', '{"n":3}']
    assert stored(database) == 2
    commits.close()


def test_nothing_waits_for_a_closed_queue(database: Database) -> None:
    commits = committing(database)
    settled(commits, 1)
    commits.close()
    assert settled(commits, 2) == '{"n":2}'
    commits.close()
    with pytest.raises(DecisionsBusy):
        settled(committing(database, waiting_at_most=0), 3)


def _broken(_writer: object, _group: object) -> set[str]:
    message = "the disk is full"
    raise RuntimeError(message)


def _lost_once(kind: str) -> Callable[..., set[str]]:
    import risk.decisions.writing as module  # noqa: PLC0415 -- its store is replaced

    real, lost = getattr(module, kind).store, []

    def store(writer: object, group: object) -> set[str]:
        found: set[str] = real(writer, group)
        if not lost:
            lost.append(True)
            raise psycopg.OperationalError
        return found

    return store
