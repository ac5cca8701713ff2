"""Backtests as jobs: one worker at a time, progress, cancelling, and workers that die."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from life import KEY, Saved, stricter
from sqlalchemy import select

from kernel import jobs as queues
from kernel.runtime import Runtime
from risk import jobs
from risk.features.catalogue import read_catalogue
from risk.lifecycle import backtesting, runs
from risk.lifecycle.backtesting import BacktestTooLarge, NothingToBacktest, Question
from risk.lifecycle.queries import backtests
from risk.lifecycle.runs import (
    BROKEN,
    DIED,
    MOST_ATTEMPTS,
    RunView,
    ask_backtest,
    backtest_run,
    cancel_backtest,
    find_silent,
    open_runs,
    run_backtest,
)
from risk.lifecycle.tables import BacktestRun

TODAY = date(2026, 3, 10)
ASKED = Question(product="instalment", since=TODAY, until=TODAY + timedelta(days=1))

Meddle = Callable[[int, int], None]


class Desk:
    """Analysts who ask, and workers who run."""

    def __init__(self, runtime: Runtime, version: int) -> None:
        self.runtime, self.version = runtime, version

    def ask(self, by: str = "analyst") -> int:
        with self.runtime.database.write() as session:
            return ask_backtest(
                session,
                key=KEY,
                version=self.version,
                question=ASKED,
                by=by,
                now=self.runtime.clock.now(),
            )

    def work(self, run_id: int) -> int | None:
        return run_backtest(
            self.runtime.database,
            run_id=run_id,
            catalogue=read_catalogue(),
            clock=self.runtime.clock,
        )

    def view(self, run_id: int) -> RunView:
        with self.runtime.database.read() as session:
            return backtest_run(session, run_id=run_id)

    def cancel(self, run_id: int) -> bool:
        with self.runtime.database.write() as session:
            return cancel_backtest(
                session, run_id=run_id, by="analyst", now=self.runtime.clock.now()
            )

    def silent(self) -> tuple[int, ...]:
        with self.runtime.database.write() as session:
            return find_silent(session, now=self.runtime.clock.now())

    def pass_time(self) -> None:
        self.runtime.clock.advance(timedelta(minutes=3))  # type: ignore[attr-defined]

    def reports(self) -> int:
        with self.runtime.database.read() as session:
            return len(backtests(session, strategy=KEY))


@pytest.fixture
def desk(in_force: Runtime, decide: Any, saved: Saved) -> Desk:
    for n in range(3):
        decide(f"customer:{n}")
    return Desk(in_force, saved(stricter))


@pytest.fixture
def meddle(monkeypatch: pytest.MonkeyPatch) -> Callable[[Meddle], None]:
    """Let something happen while a run is read."""

    def during(act: Meddle) -> None:
        real = backtesting.stored_history

        def reading(session: Any, wanted: Any, catalogue: Any, progress: Any) -> Any:
            def heard(done: int, total: int) -> None:
                act(done, total)
                progress(done, total)

            return real(session, wanted, catalogue, heard)

        monkeypatch.setattr(backtesting, "stored_history", reading)

    return during


class TestRunning:
    def test_keeps_a_report_and_says_how_far_it_is(self, desk: Desk, meddle: Any) -> None:
        seen: list[tuple[str, int]] = []
        run_id = desk.ask()
        meddle(lambda done, _total: seen.append((desk.view(run_id).state, done)))
        assert desk.view(run_id).state == "waiting"
        number = desk.work(run_id)
        found = desk.view(run_id)
        assert (found.state, found.backtest_id) == ("done", number)
        assert (found.rows_done, found.rows_total) == (3, 3)
        assert seen == [("running", 0), ("running", 3)]
        assert desk.work(run_id) is None
        assert desk.reports() == 1

    def test_several_analysts_ask_at_once(self, desk: Desk) -> None:
        asked = [desk.ask(by) for by in ("lin", "wu", "analyst")]
        with desk.runtime.database.read() as session:
            assert [run.id for run in open_runs(session, strategy=KEY)] == asked
        assert [desk.work(run_id) for run_id in reversed(asked)] == [1, 2, 3]
        with desk.runtime.database.read() as session:
            assert {each.made_by for each in backtests(session, strategy=KEY)} == {
                "lin",
                "wu",
                "analyst",
            }

    def test_nothing_to_read_is_refused_before_anybody_waits(
        self, in_force: Runtime, saved: Saved
    ) -> None:
        with pytest.raises(NothingToBacktest):
            Desk(in_force, saved(stricter)).ask()

    def test_too_much_to_read_is_refused_before_anybody_waits(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.ask()
        monkeypatch.setattr("risk.lifecycle.backtesting.MOST_ROWS", 1)
        with pytest.raises(BacktestTooLarge):
            desk.ask()

    def test_a_mistake_of_ours_ends_it_and_is_told(self, desk: Desk, meddle: Any) -> None:
        def breaks(_done: int, _total: int) -> None:
            raise ZeroDivisionError

        run_id = desk.ask()
        meddle(breaks)
        with pytest.raises(ZeroDivisionError):
            desk.work(run_id)
        assert (desk.view(run_id).state, desk.view(run_id).failure) == ("failed", BROKEN)
        assert desk.work(run_id) is None


class TestCancelling:
    def test_stops_what_waits_and_what_runs(self, desk: Desk, meddle: Any) -> None:
        waiting, running = desk.ask(), desk.ask()
        assert desk.cancel(waiting)
        assert desk.work(waiting) is None
        meddle(lambda done, _total: done or desk.cancel(running))
        assert desk.work(running) is None
        assert {desk.view(each).state for each in (waiting, running)} == {"cancelled"}
        assert not desk.cancel(running)
        assert desk.reports() == 0


class TestDeath:
    def test_a_dead_worker_is_followed_by_another(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = desk.ask()
        killed(desk, run_id, monkeypatch)
        assert desk.silent() == ()
        assert desk.work(run_id) is None
        desk.pass_time()
        assert desk.silent() == (run_id,)
        assert desk.work(run_id) == 1
        assert (desk.view(run_id).state, desk.reports()) == ("done", 1)

    def test_one_that_only_seemed_dead_keeps_nothing(self, desk: Desk, meddle: Any) -> None:
        run_id, made = desk.ask(), list[int | None]()

        def overtaken(done: int, _total: int) -> None:
            if done and not made:
                made.append(None)
                desk.pass_time()
                made.append(desk.work(run_id))

        meddle(overtaken)
        assert desk.work(run_id) is None
        assert made == [None, 1]
        assert desk.reports() == 1

    def test_after_three_deaths_nobody_tries_again(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = desk.ask()
        for _ in range(MOST_ATTEMPTS):
            killed(desk, run_id, monkeypatch)
            desk.pass_time()
        assert desk.silent() == ()
        assert (desk.view(run_id).state, desk.view(run_id).failure) == ("failed", DIED)

    def test_a_lost_job_is_queued_again(self, desk: Desk) -> None:
        run_id = desk.ask()
        desk.pass_time()
        jobs.resume_backtests(desk.runtime)
        jobs.resume_backtests(desk.runtime)
        (waiting,) = queues.queue_of(desk.runtime, queues.ANALYSIS_QUEUE).jobs
        assert waiting.kwargs["arguments"] == {"run_id": run_id}
        jobs.run_backtest(desk.runtime, **waiting.kwargs["arguments"])
        assert desk.view(run_id).state == "done"


class Killed(BaseException):
    """What no handler of ours catches, as a kill is not."""


def killed(desk: Desk, run_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker die while it reads."""

    def dies(*_given: Any, **_named: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(backtesting, "stored_history", dies)
        with pytest.raises(Killed):
            desk.work(run_id)
    with desk.runtime.database.read() as session:
        assert session.scalars(select(BacktestRun.state).filter_by(id=run_id)).one() == "running"
    assert timedelta(minutes=3) > runs.SILENT_AFTER
