"""Backtests that somebody asked for: they wait, run on a worker of their own, and can be stopped.

A run is taken by one worker at a time and says now and then how far it is. One that is not heard of
any more is taken by the next; only the last that took it may end it. Whoever asks again gets the
same report, because what was known then counts. What a report holds is not decided here.

    BacktestRunNotFound  404  no such run
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from desk.operations.audit import append_audit
from kernel.database import Database
from kernel.errors import Conflict, FenqiError, NotFound
from risk.decisions.strategies import STRATEGY
from risk.features.catalogue import Catalogue
from risk.lifecycle.tables import BacktestRun

if TYPE_CHECKING:
    from kernel.clock import Clock
    from risk.lifecycle.backtesting import Question

MOST_ATTEMPTS: Final = 3
SILENT_AFTER: Final = timedelta(minutes=2)
DIED: Final = "backtest-worker-died"
BROKEN: Final = "backtest-broken"
OPEN: Final = ("waiting", "running")

_BEAT_EACH_S: Final = 0.5


class BacktestRunNotFound(NotFound):
    """There is no run of that number."""

    code = "backtest-run-not-found"
    message_zh = "没有找到该回测任务"


class BacktestStopped(Conflict):
    """The run was cancelled, or another worker took it: nothing of it is kept."""

    code = "backtest-stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run.

    Attributes:
        rows_total: None until they are counted.
        failure: The stable code of why it failed.
        backtest_id: Its report, once done.
    """

    id: int
    strategy: str
    version: int
    question: Mapping[str, Any]
    state: str
    rows_done: int
    rows_total: int | None
    asked_by: str
    asked_at: datetime
    failure: str | None
    backtest_id: int | None

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in OPEN


def ask_backtest(
    session: Session, *, key: str, version: int, question: "Question", by: str, now: datetime
) -> int:
    """Have a version tried on stored decisions; the caller queues the job after the commit.

    Returns:
        The number of the run.

    Raises:
        DocumentNotFound: No such version.
        BacktestProductUnknown: The version does not decide the product.
        NothingToBacktest: No decision of the product was stored in the period.
        BacktestTooLarge: More than two million were.
    """
    from risk.lifecycle.backtesting import assert_askable  # noqa: PLC0415 -- NumPy

    assert_askable(session, key=key, version=version, question=question)
    said = asdict(question) | {
        "since": question.since.isoformat(),
        "until": question.until.isoformat(),
    }
    row = BacktestRun(
        strategy=key,
        version=version,
        question=said,
        state="waiting",
        rows_done=0,
        rows_total=None,
        attempts=0,
        asked_by=by,
        asked_at=now,
        beat_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def cancel_backtest(session: Session, *, run_id: int, by: str, now: datetime) -> bool:
    """Stop a run; returns whether there was something to stop.

    Raises:
        BacktestRunNotFound: See there.
    """
    row = session.get(BacktestRun, run_id, with_for_update=True)
    if row is None:
        raise BacktestRunNotFound(f"no run {run_id}")
    if row.state not in OPEN:
        return False
    row.state, row.ended_at = "cancelled", now
    append_audit(
        session,
        actor=by,
        action="risk.strategy.backtest_cancelled",
        subject=f"{STRATEGY}:{row.strategy}:{row.version}",
        details={"run": run_id},
        now=now,
    )
    return True


def run_backtest(
    database: Database, *, run_id: int, catalogue: Catalogue, clock: "Clock"
) -> int | None:
    """Carry a run out; returns the number of its report, None if it is not ours to end.

    Safe to repeat: a run that somebody else has in hand, or that has ended, is left alone.
    """
    with database.write() as session:
        mine = _taken(session, run_id, clock.now())
    if mine is None:
        return None
    try:
        return _carried_out(database, mine, catalogue, clock)
    except BacktestStopped:
        return None
    except FenqiError as refused:
        _fail(database, mine, refused.code, clock.now())
        return None
    except Exception:
        _fail(database, mine, BROKEN, clock.now())
        raise


def find_silent(session: Session, *, now: datetime) -> tuple[int, ...]:
    """Name the runs that nobody is heard of and that are to be queued again; end hopeless ones."""
    rows = session.scalars(
        select(BacktestRun)
        .where(BacktestRun.state.in_(OPEN), BacktestRun.beat_at <= now - SILENT_AFTER)
        .order_by(BacktestRun.id)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        if row.attempts >= MOST_ATTEMPTS:
            row.state, row.failure, row.ended_at = "failed", DIED, now
        elif row.state == "waiting":
            row.beat_at = now  # it may only be behind others in the queue
    return tuple(row.id for row in rows if row.state in OPEN)


def backtest_run(session: Session, *, run_id: int) -> RunView:
    """Return one run.

    Raises:
        BacktestRunNotFound: See there.
    """
    row = session.get(BacktestRun, run_id)
    if row is None:
        raise BacktestRunNotFound(f"no run {run_id}")
    return _view(row)


def open_runs(session: Session, *, strategy: str) -> tuple[RunView, ...]:
    """List the runs of a strategy that wait or run, the oldest first."""
    rows = session.scalars(
        select(BacktestRun)
        .where(BacktestRun.strategy == strategy, BacktestRun.state.in_(OPEN))
        .order_by(BacktestRun.id)
    )
    return tuple(map(_view, rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mine:
    """A run that this worker has in hand: its number and how often it was taken."""

    id: int
    attempt: int
    row: RunView

    def still(self) -> ColumnElement[bool]:
        """Say in SQL that nobody stopped or took it meanwhile."""
        return and_(
            BacktestRun.id == self.id,
            BacktestRun.attempts == self.attempt,
            BacktestRun.state == "running",
        )


class _Beat:
    """Says how far a run is, and stops it if it was cancelled."""

    def __init__(self, database: Database, mine: _Mine, clock: "Clock") -> None:
        self._database, self._mine, self._clock = database, mine, clock
        self._said_at = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        """Note the rows that are done, about twice a second.

        Raises:
            BacktestStopped: See there.
        """
        if done < total and time.monotonic() - self._said_at < _BEAT_EACH_S:
            return
        self._said_at = time.monotonic()
        values = {"rows_done": done, "rows_total": total, "beat_at": self._clock.now()}
        with self._database.write() as session:
            _note(session, self._mine, values)


def _taken(session: Session, run_id: int, now: datetime) -> _Mine | None:
    is_silent = BacktestRun.beat_at <= now - SILENT_AFTER
    row = session.scalar(
        select(BacktestRun)
        .where(
            BacktestRun.id == run_id,
            or_(BacktestRun.state == "waiting", and_(BacktestRun.state == "running", is_silent)),
        )
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return None
    row.state, row.attempts, row.beat_at, row.rows_done = "running", row.attempts + 1, now, 0
    session.flush()
    return _Mine(id=run_id, attempt=row.attempts, row=_view(row))


def _carried_out(database: Database, mine: _Mine, catalogue: Catalogue, clock: "Clock") -> int:
    from risk.lifecycle.backtesting import keep_made, made_backtest  # noqa: PLC0415 -- NumPy

    row = mine.row
    with database.read() as session:
        made = made_backtest(
            session,
            key=row.strategy,
            version=row.version,
            question=_question(row.question),
            catalogue=catalogue,
            now=row.asked_at,
            progress=_Beat(database, mine, clock),
        )
    with database.write() as session:
        now = clock.now()
        _note(session, mine, {"state": "done", "ended_at": now})
        number = keep_made(session, made, by=row.asked_by, now=now)
        session.get_one(BacktestRun, mine.id).backtest_id = number
        return number


def _question(said: Mapping[str, Any]) -> "Question":
    from risk.lifecycle.backtest import Assumptions  # noqa: PLC0415 -- NumPy
    from risk.lifecycle.backtesting import Question  # noqa: PLC0415 -- NumPy

    return Question(
        product=said["product"],
        since=date.fromisoformat(said["since"]),
        until=date.fromisoformat(said["until"]),
        segments=tuple(said["segments"]),
        assumptions=Assumptions(**said["assumptions"]),
        with_snoozes=said["with_snoozes"],
    )


def _fail(database: Database, mine: _Mine, code: str, now: datetime) -> None:
    with database.write() as session:
        session.execute(
            update(BacktestRun)
            .where(mine.still())
            .values(state="failed", failure=code, ended_at=now)
        )


def _note(session: Session, mine: _Mine, values: Mapping[str, Any]) -> None:
    done = session.execute(update(BacktestRun).where(mine.still()).values(values))
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise BacktestStopped(f"run {mine.id} was cancelled or taken over")


def _view(row: BacktestRun) -> RunView:
    return RunView(**{name: getattr(row, name) for name in RunView.__dataclass_fields__})
