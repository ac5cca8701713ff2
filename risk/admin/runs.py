"""Backtests that run on a worker: asked for, watched while they run, stopped.

A report is shown by risk.admin.trials; this knows only the way there.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.ports import current_staff, staff_page
from kernel.errors import FenqiError, Invalid
from kernel.jobs import enqueue
from kernel.web import now, runtime, today
from risk.admin import rights
from risk.admin.editing import draw, opened
from risk.decisions.strategies import ModelNotPublished, prices_of
from risk.jobs import run_backtest
from risk.lifecycle.runs import (
    DIED,
    BacktestRunNotFound,
    RunView,
    ask_backtest,
    backtest_run,
    cancel_backtest,
)
from risk.strategy.problems import StrategyInvalid

_LONGEST: Final = timedelta(days=731)


class PeriodOdd(Invalid):
    """The period is no period, or longer than two years."""

    code = "risk-backtest-period-odd"
    message_zh = "请选择起止日期，最长两年"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>/backtests"
    add(at, "start_backtest", start, methods=["POST"])
    add(f"{at}/runs/<int:run_id>", "backtest_run", watch)
    add(f"{at}/runs/<int:run_id>/progress", "backtest_progress", progress)
    add(f"{at}/runs/<int:run_id>/cancel", "cancel_backtest", cancel, methods=["POST"])


@staff_page(rights.TRY)
def start(key: str) -> ResponseReturnValue:
    """Have the draft tried on stored decisions, and watch."""
    # NumPy is for the workers: what a question looks like is read without it.
    from risk.lifecycle.backtesting import Question, assumed  # noqa: PLC0415

    since, last = _day("since"), _day("until")
    if not timedelta() <= last - since <= _LONGEST:
        raise PeriodOdd(f"{since} to {last}")
    product, prices = request.form.get("product", ""), prices_of(runtime())
    with runtime().database.write() as session:
        question = Question(
            product=product,
            since=since,
            until=last + timedelta(days=1),
            assumptions=assumed(session, product=product, prices=prices, on=today()),
            with_snoozes=request.form.get("with_snoozes") == "y",
        )
        run_id = ask_backtest(
            session,
            key=key,
            version=opened(session, key).working.shown.version,
            question=question,
            by=current_staff().login,
            now=now(),
        )
    enqueue(runtime(), run_backtest, run_id=run_id)
    return redirect(url_for("risk_admin.backtest_run", key=key, run_id=run_id))


@staff_page(rights.VIEW)
def watch(key: str, run_id: int) -> ResponseReturnValue:
    """Show how far a run is, or the report that came of it."""
    with runtime().database.read() as session:
        given, run = opened(session, key), _run(key, backtest_run(session, run_id=run_id))
    if run.backtest_id is not None:
        return redirect(url_for("risk_admin.backtest", key=key, backtest_id=run.backtest_id))
    return draw("backtest_run.html", given, run=run, why=_why(run))


@staff_page(rights.VIEW)
def progress(key: str, run_id: int) -> ResponseReturnValue:
    """Answer the page that asks each second; once there is a report, lead there."""
    with runtime().database.read() as session:
        run = _run(key, backtest_run(session, run_id=run_id))
    if run.backtest_id is not None:
        report = url_for("risk_admin.backtest", key=key, backtest_id=run.backtest_id)
        return "", 200, {"HX-Redirect": report}
    return render_template("risk/admin/backtest_progress.html", run=run, key=key, why=_why(run))


@staff_page(rights.TRY)
def cancel(key: str, run_id: int) -> ResponseReturnValue:
    """Stop a run that waits or runs; a repeat changes nothing."""
    with runtime().database.write() as session:
        _run(key, backtest_run(session, run_id=run_id))
        cancel_backtest(session, run_id=run_id, by=current_staff().login, now=now())
    flash(gettext("回测已取消"), "success")
    return redirect(url_for("risk_admin.trials", key=key))


def _run(key: str, run: RunView) -> RunView:
    if run.strategy != key:
        raise BacktestRunNotFound(f"run {run.id} is of another strategy")
    return run


def _why(run: RunView) -> str:
    if run.failure is None:
        return ""
    if run.failure == DIED:
        return str(gettext("回测进程多次中断，请缩短时间段后重试"))
    return str(gettext(_sentences().get(run.failure, "回测没有完成，请重试或联系技术同事")))


def _sentences() -> Mapping[str, str]:
    from risk.lifecycle.backtesting import (  # noqa: PLC0415 -- NumPy
        BacktestProductUnknown,
        NothingToBacktest,
    )

    told: tuple[type[FenqiError], ...] = (
        BacktestProductUnknown,
        NothingToBacktest,
        ModelNotPublished,
        StrategyInvalid,
    )
    return {error.code: error.message_zh for error in told}


def _day(name: str) -> date:
    try:
        return date.fromisoformat(request.form.get(name, ""))
    except ValueError:
        raise PeriodOdd(f"{name} is no date") from None
