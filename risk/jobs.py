"""Risk's background work; worker.py decides when it runs."""

from kernel.clock import business_date
from kernel.jobs import ANALYSIS_QUEUE, enqueue, job
from kernel.logs import log
from kernel.retention import forget
from kernel.runtime import Runtime
from risk.decisions import keeping, telling
from risk.decisions.sharing import lapse_shared
from risk.decisions.strategies import tell_workers
from risk.features.catalogue import read_catalogue
from risk.lifecycle import challenging, periods, runs, shadowing
from risk.lifecycle.retention import KEPT


@job(timeout_s=600)
def follow_shadows(runtime: Runtime) -> None:
    """Let running shadows decide what was decided since; each piece is kept as it is done."""
    catalogue = read_catalogue()
    with runtime.database.read() as session:
        running = shadowing.running_shadows(session)
    for shadow_id in running:
        done = 1
        while done:
            with runtime.database.write() as session:
                done = shadowing.follow_shadow(
                    session,
                    shadow_id=shadow_id,
                    catalogue=catalogue,
                    now=runtime.clock.now(),
                )


@job(timeout_s=600)
def tell_decisions(runtime: Runtime) -> None:
    """Count what applicants share whom partners had decided; each decision counts once."""
    told = 1
    while told:
        with runtime.database.write() as session:
            told = telling.tell_decisions(session, now=runtime.clock.now())


@job(queue=ANALYSIS_QUEUE, timeout_s=1800)
def run_backtest(runtime: Runtime, *, run_id: int) -> None:
    """Carry out a backtest that an analyst asked for, and keep its report."""
    number = runs.run_backtest(
        runtime.database, run_id=run_id, catalogue=read_catalogue(), clock=runtime.clock
    )
    log.info("backtest run", run=run_id, report=number)


@job()
def resume_backtests(runtime: Runtime) -> None:
    """Take up backtests whose worker died or whose job was lost."""
    with runtime.database.write() as session:
        silent = runs.find_silent(session, now=runtime.clock.now())
    for run_id in silent:
        enqueue(runtime, run_backtest, run_id=run_id)


@job()
def watch_challenges(runtime: Runtime) -> None:
    """Read the figures of running challenges; one that breaks a guard rail is stopped."""
    with runtime.database.write() as session:
        stopped = challenging.watch_challenges(session, runtime.redis, now=runtime.clock.now())
    if stopped:
        tell_workers(runtime.redis)
        log.error("challenges stopped", challenges=list(stopped))


@job()
def watch_periods(runtime: Runtime) -> None:
    """Tell of strategies that end within a week with nothing behind them."""
    with runtime.database.write() as session:
        found = periods.tell_endings(session, now=runtime.clock.now())
    if found:
        log.warning("strategies end", strategies=[each.strategy for each in found])


@job(timeout_s=1800)
def forget_old(runtime: Runtime) -> None:
    """Delete shadows, backtests and readings that are over their time, and links nobody shares."""
    forget(runtime, KEPT)
    on, lapsed = business_date(runtime.clock.now()), 1
    while lapsed:
        with runtime.database.write() as session:
            lapsed = lapse_shared(session, on=on)


@job(timeout_s=1800)
def keep_decisions(runtime: Runtime) -> None:
    """Lay the coming days' partitions of decisions; drop decisions and keys over the time."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        laid, dropped = keeping.keep_decisions(session, on=business_date(now))
    log.info("decisions kept", partitions_laid=laid, partitions_dropped=dropped)
    forget(runtime, keeping.KEPT, batch=keeping.BATCH, most=keeping.MOST_BATCHES)
