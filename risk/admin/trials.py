"""Drafts against the past: backtests. Reports are kept for good and read here with pictures."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.ports import current_staff, staff_page
from kernel.errors import Invalid
from kernel.web import now, runtime, today
from risk.admin import rights, words
from risk.admin.editing import catalogue, draw, opened
from risk.admin.names import Names
from risk.lifecycle.queries import backtest_report, backtests

OUTCOMES: Final = ("approve", "review", "decline")

_USUAL: Final = timedelta(days=30)
_LONGEST: Final = timedelta(days=92)
_MOST_RULES: Final = 15


class PeriodOdd(Invalid):
    """The period is no period, or longer than 92 days."""

    code = "risk-backtest-period-odd"
    message_zh = "请选择起止日期，最长92天"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>"
    add(f"{at}/trials", "trials", trials)
    add(f"{at}/backtests", "start_backtest", start_backtest, methods=["POST"])
    add(f"{at}/backtests/<int:backtest_id>", "backtest", backtest)


@staff_page(rights.VIEW)
def trials(key: str) -> ResponseReturnValue:
    """List backtests of a strategy."""
    with runtime().database.read() as session:
        given = opened(session, key)
        found = backtests(session, strategy=key)
    products = [each["product"] for each in given.body["products"]]
    return draw(
        "trials.html",
        given,
        backtests=found,
        products=products,
        since=today() - _USUAL,
        until=today(),
    )


@staff_page(rights.TRY)
def start_backtest(key: str) -> ResponseReturnValue:
    """Try the draft on stored decisions, and show the report."""
    from risk.lifecycle.backtesting import (  # noqa: PLC0415 -- NumPy, for whoever backtests
        Question,
        backtest_version,
    )

    since, last = _day("since"), _day("until")
    if not timedelta() <= last - since <= _LONGEST:
        raise PeriodOdd(f"{since} to {last}")
    question = Question(
        product=request.form.get("product", ""), since=since, until=last + timedelta(days=1)
    )
    with runtime().database.write() as session:
        backtest_id = backtest_version(
            session,
            key=key,
            version=opened(session, key).working.shown.version,
            question=question,
            catalogue=catalogue(),
            by=current_staff().login,
            now=now(),
        )
    return redirect(url_for("risk_admin.backtest", key=key, backtest_id=backtest_id))


@staff_page(rights.VIEW)
def backtest(key: str, backtest_id: int) -> ResponseReturnValue:
    """Show one backtest."""
    with runtime().database.read() as session:
        given = opened(session, key)
        found = backtest_report(session, backtest_id=backtest_id)
    report = found.report
    rules = sorted(report["rules"], key=lambda rule: -(rule["marginal"] or 0))
    return draw(
        "backtest.html",
        given,
        found=found,
        report=report,
        outcomes=OUTCOMES,
        shares=_shares_picture(report),
        swaps={(cell["against"], cell["draft"]): cell for cell in report["swap_set"] or ()},
        rules=rules,
        rules_picture=_rules_picture(rules[:_MOST_RULES], given.names),
    )


def _day(name: str) -> date:
    try:
        return date.fromisoformat(request.form.get(name, ""))
    except ValueError:
        raise PeriodOdd(f"{name} is no date") from None


def _shares_picture(report: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the shares of outcomes of both strategies as two bars."""
    sides = [(gettext("草稿"), report["draft"])]
    if report["against"]:
        sides.append((gettext("生效版本"), report["against"]))
    colours = {"approve": "#2fb344", "review": "#f59f00", "decline": "#d63939"}
    return {
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "max": 100, "axisLabel": {"formatter": "{value}%"}},
        "yAxis": {"type": "category", "data": [name for name, _ in sides]},
        "series": [
            {
                "name": str(words.OUTCOMES[outcome][0]),
                "type": "bar",
                "stack": "all",
                "color": colours[outcome],
                "data": [round((side[f"{outcome}_share"] or 0) * 100, 1) for _, side in sides],
            }
            for outcome in OUTCOMES
        ],
    }


def _rules_picture(rules: list[Mapping[str, Any]], names: Names) -> dict[str, Any]:
    """Draw hits and marginal hits of the weightiest rules."""
    shown = [rule for rule in rules if rule["count"]][::-1]
    labels = [names.field(rule["title"] or rule["id"]).label for rule in shown]
    return {
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value"},
        "yAxis": {"type": "category", "data": labels},
        "series": [
            {"name": gettext("命中"), "type": "bar", "data": [rule["count"] for rule in shown]},
            {
                "name": gettext("独自起作用"),
                "type": "bar",
                "data": [rule["marginal"] or 0 for rule in shown],
            },
        ],
    }
