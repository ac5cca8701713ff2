"""Drafts against the past: backtests. Reports are kept for good and read here with pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.ports import staff_page
from kernel.web import runtime, today
from risk.admin import rights, words
from risk.admin.editing import draw, opened
from risk.admin.names import Names
from risk.admin.walked import part_title
from risk.lifecycle.queries import backtest_report, backtests
from risk.lifecycle.runs import open_runs
from risk.strategy.decision import HitKind

OUTCOMES: Final = ("approve", "review", "decline")

# What came of most loans is known a year after they were granted.
_USUAL: Final = timedelta(days=548)
_MOST_RULES: Final = 15


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>"
    add(f"{at}/trials", "trials", trials)
    add(f"{at}/backtests/<int:backtest_id>", "backtest", backtest)


@staff_page(rights.VIEW)
def trials(key: str) -> ResponseReturnValue:
    """List backtests of a strategy."""
    with runtime().database.read() as session:
        given = opened(session, key)
        runs, found = open_runs(session, strategy=key), backtests(session, strategy=key)
    products = [each["product"] for each in given.body["products"]]
    return draw(
        "trials.html",
        given,
        runs=runs,
        backtests=found,
        products=products,
        since=today() - _USUAL,
        until=today(),
    )


@staff_page(rights.VIEW)
def backtest(key: str, backtest_id: int) -> ResponseReturnValue:
    """Show one backtest."""
    with runtime().database.read() as session:
        given = opened(session, key)
        found = backtest_report(session, backtest_id=backtest_id)
    report = found.report
    labels = rule_labels(report["rules"], given.body, given.names)
    labelled = [
        rule | {"label": label} for rule, label in zip(report["rules"], labels, strict=True)
    ]
    rules = sorted(labelled, key=lambda rule: (-(rule["marginal"] or 0), -rule["count"]))
    return draw(
        "backtest.html",
        given,
        found=found,
        report=report,
        shares=_shares_picture(report),
        rules=rules,
        rules_picture=_rules_picture(rules[:_MOST_RULES]),
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


def rule_labels(
    rules: Sequence[Mapping[str, Any]], body: Mapping[str, Any], names: Names
) -> list[str]:
    """Name the parts of a report so that no two are called the same.

    What was only missing says so, a row names its stage, and the id stands behind what is left.
    """
    titles = {stage["id"]: str(stage.get("title") or stage["id"]) for stage in body["stages"]}
    labels = [_rule_label(rule, titles, names) for rule in rules]
    often = Counter(labels)
    return [
        f"{label}（{rule['id']}）" if often[label] > 1 else label
        for rule, label in zip(rules, labels, strict=True)
    ]


def _rule_label(rule: Mapping[str, Any], titles: Mapping[str, str], names: Names) -> str:
    stage = rule["stage"]
    label = names.field(part_title(stage, rule["id"], rule["title"])).label
    if stage in titles and label != rule["title"]:
        label = f"{titles[stage]} · {label}"
    is_missing = rule["kind"] == HitKind.MISSING
    return str(gettext("%(label)s：资料缺失", label=label)) if is_missing else label


def _rules_picture(rules: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Draw hits and marginal hits of the weightiest rules."""
    shown = [rule for rule in rules if rule["count"]][::-1]
    labels = [rule["label"] for rule in shown]
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
