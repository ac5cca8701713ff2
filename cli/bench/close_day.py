"""`fenqi bench close-day`: how many loans a second reach the end of a business date.

A demo book is closed four days on, three times over, so that more than every tenth loan has an
instalment that falls due; then the next end of a month is closed by itself, when every loan earns
something. One worker does it all. The yardstick is one bare UPDATE of the same loans. Grading,
which the night does too, is not part of it. CPU time is told beside wall time, because that is what
a busy machine does not change.
"""

import calendar
import contextlib
import os
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select, text, update

from cli.bench.figures import ROUNDS, Asked, Figure, NotMeasured, WrongAnswer, middle, surroundings
from cli.bench.stage import seed_book, stage
from kernel.clock import business_date
from kernel.runtime import Runtime
from servicing import operations
from servicing.tables import Instalment, Loan

BUDGET: Final = {"seconds_per_100000_loans": 60, "share_with_event": 0.10}

_BORROWERS: Final = 6_000
_STEP: Final = timedelta(days=4)
_DAY: Final = timedelta(days=1)
_MANY: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Rates of one round, loans a second, and the share of loans with an event.

    Attributes:
        on: The business date that was closed.
        cpu_s: Processor time for a loan, ours and that of PostgreSQL together.
    """

    on: date
    closed: float
    updated: float
    eventful: float
    cpu_s: float


def measure(asked: Asked) -> Figure:
    """Measure three closes, each beside its yardstick."""
    with stage(asked.database) as on:
        runtime = on.runtime
        loans = seed_book(runtime, asked.scale or _BORROWERS)
        today = business_date(runtime.clock.now())
        rounds = [
            _round(runtime, today + _STEP * number, days=_STEP) for number in range(1, ROUNDS + 1)
        ]
        month_end = _month_end(runtime, rounds[-1].on)
        _prove(runtime)
        return _figure(rounds, month_end, loans)


def _month_end(runtime: Runtime, after: date) -> Round:
    """Close the next end of a month as one day; the days before it are closed untimed."""
    tomorrow = after + _DAY
    on = tomorrow.replace(day=calendar.monthrange(tomorrow.year, tomorrow.month)[1])
    operations.close_day(runtime, on=on - _DAY)
    return _round(runtime, on, days=_DAY)


def _round(runtime: Runtime, on: date, *, days: timedelta) -> Round:
    active, eventful = _count(runtime, on, days)
    if not active:
        raise NotMeasured("the book has no active loan; try a larger --scale")
    started, cpu_before = time.perf_counter(), _cpu_s(runtime)
    counts = operations.close_day(runtime, on=on)
    closed_s, cpu_s = time.perf_counter() - started, _cpu_s(runtime) - cpu_before
    if counts["aged"] != active or operations.close_day(runtime, on=on)["aged"]:
        raise WrongAnswer(f"{counts['aged']} of {active} loans were closed, or some twice")
    updated_s = _update(runtime, on)
    return Round(
        on=on,
        closed=active / closed_s,
        updated=active / updated_s,
        eventful=eventful / active,
        cpu_s=cpu_s / active,
    )


def _cpu_s(runtime: Runtime) -> float:
    """Sum the processor time of this process and of the server's, where that runs beside us."""
    with runtime.database.read() as session:
        pids = session.scalars(text("SELECT pid FROM pg_stat_activity")).all()
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            told = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            ticks += int(told[11]) + int(told[12])  # utime and stime, by proc(5)
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _count(runtime: Runtime, on: date, days: timedelta) -> tuple[int, int]:
    """Count active loans, and those of them with an instalment that falls due by then."""
    is_active = Loan.state == "active"
    due = select(Instalment.loan_id).where(
        Instalment.loan_id == Loan.id, Instalment.due_on > on - days, Instalment.due_on <= on
    )
    with runtime.database.write() as session:
        session.execute(text("ANALYZE"))
        active = session.scalar(select(func.count(Loan.id)).where(is_active))
        eventful = session.scalar(select(func.count(Loan.id)).where(is_active, due.exists()))
    return active or 0, eventful or 0


def _update(runtime: Runtime, on: date) -> float:
    """Set the date that is set already on all active loans at once; returns the seconds."""
    started = time.perf_counter()
    with runtime.database.write() as session:
        session.execute(update(Loan).where(Loan.state == "active").values(closed_to=on))
    return time.perf_counter() - started


def _prove(runtime: Runtime) -> None:
    with runtime.database.read() as session:
        differences = operations.prove_books(session)
    if differences:
        raise WrongAnswer(f"the books differ: {differences[0]}")


def _figure(rounds: list[Round], month_end: Round, loans: int) -> Figure:
    closed, updated = (
        middle([one.closed for one in rounds]),
        middle([one.updated for one in rounds]),
    )
    eventful = middle([one.eventful for one in rounds])
    cpu_s = middle([one.cpu_s * _MANY for one in rounds])
    seconds = round(_MANY / closed, 1)
    is_within = (
        seconds < BUDGET["seconds_per_100000_loans"] and eventful >= BUDGET["share_with_event"]
    )
    details: dict[str, Any] = {
        "seconds_per_100000_loans": seconds,
        "cpu_seconds_per_100000_loans": cpu_s,
        "updated_per_s": updated,
        "share_with_event": eventful,
        "rounds": [
            [round(one.closed), round(one.updated), round(one.cpu_s * _MANY, 1)] for one in rounds
        ],
        "month_end": {
            "on": month_end.on.isoformat(),
            "seconds_per_100000_loans": round(_MANY / month_end.closed, 1),
            "cpu_seconds_per_100000_loans": round(month_end.cpu_s * _MANY, 1),
        },
        "loans": loans,
        "budget": BUDGET,
        "is_within_budget": is_within,
    }
    return Figure(
        name="close-day",
        figure=closed,
        unit="active loans closed/s",
        yardstick="one bare UPDATE of the same loans",
        ratio=round(closed / updated, 4),
        p99_ms=None,
        details=details | surroundings(),
    )
