"""Drafts against the past and beside the present: backtests, shadows, challengers.

Reports are kept for good and read here with pictures; a shadow decides beside what is in force and
nobody hears it.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.ports import current_staff, staff_page
from kernel.clock import start_of_day
from kernel.web import now, runtime, today
from risk.admin import rights, words
from risk.admin.editing import catalogue, draw, opened
from risk.admin.names import Names
from risk.lifecycle.queries import (
    backtest_report,
    backtests,
    challenges,
    shadow_differences,
    shadows,
)
from risk.lifecycle.runs import open_runs
from risk.lifecycle.shadowing import start_shadow, stop_shadow

OUTCOMES: Final = ("approve", "review", "decline")

_USUAL: Final = timedelta(days=30)
_SHADOW_DAYS: Final = 14
_MOST_RULES: Final = 15


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>"
    add(f"{at}/trials", "trials", trials)
    add(f"{at}/backtests/<int:backtest_id>", "backtest", backtest)
    add(f"{at}/shadows", "start_shadow", begin_shadow, methods=["POST"])
    add(f"{at}/shadows/<int:shadow_id>/stop", "stop_shadow", end_shadow, methods=["POST"])
    add(f"{at}/shadows/<int:shadow_id>", "shadow", shadow)


@staff_page(rights.VIEW)
def trials(key: str) -> ResponseReturnValue:
    """List backtests, shadows and challengers of a strategy."""
    with runtime().database.read() as session:
        given = opened(session, key)
        found = {
            "runs": open_runs(session, strategy=key),
            "backtests": backtests(session, strategy=key),
            "shadows": shadows(session, strategy=key),
            "challenges": challenges(session, strategy=key),
        }
    products = [each["product"] for each in given.body["products"]]
    return draw(
        "trials.html",
        given,
        **found,
        products=products,
        since=today() - _USUAL,
        until=today(),
        shadow_days=_SHADOW_DAYS,
    )


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


@staff_page(rights.TRY)
def begin_shadow(key: str) -> ResponseReturnValue:
    """Let the draft decide beside what is in force, for two weeks."""
    with runtime().database.write() as session:
        start_shadow(
            session,
            key=key,
            version=opened(session, key).working.shown.version,
            catalogue=catalogue(),
            by=current_staff().login,
            ends_at=start_of_day(today() + timedelta(days=_SHADOW_DAYS + 1)),
            now=now(),
        )
    flash(gettext("影子运行已开始，不影响任何申请"), "success")
    return redirect(url_for("risk_admin.trials", key=key))


@staff_page(rights.TRY)
def end_shadow(key: str, shadow_id: int) -> ResponseReturnValue:
    """End a shadow; what it said stays."""
    with runtime().database.write() as session:
        stop_shadow(session, shadow_id=shadow_id, by=current_staff().login, now=now())
    flash(gettext("影子运行已停止"), "success")
    return redirect(url_for("risk_admin.trials", key=key))


@staff_page(rights.VIEW)
def shadow(key: str, shadow_id: int) -> ResponseReturnValue:
    """Show where a shadow says otherwise."""
    asked = request.args.get("outcome", "")
    with runtime().database.read() as session:
        given = opened(session, key)
        found = next((s for s in shadows(session, strategy=key) if s.id == shadow_id), None)
        differing = shadow_differences(
            session, shadow_id=shadow_id, outcome=asked if asked in OUTCOMES else None
        )
    return draw(
        "shadow.html", given, shadow=found, outcomes=OUTCOMES, differing=differing, asked=asked
    )


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
