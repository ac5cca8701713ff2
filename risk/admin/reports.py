"""What the test of a strategy's version found, in words, for the page of its versions."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext

from desk.ports import DocumentKind, Site
from risk.decisions.strategies import STRATEGY

_HASH_SIGNS = 16


def plug_in(site: Site) -> None:
    """Say how a strategy's test is told."""
    site.documents.add(DocumentKind(key=STRATEGY, told=told))


def told(report: Mapping[str, Any]) -> dict[str, str]:
    """Write down its cases, or the inputs on which its forms agreed; the cases' page says more."""
    labels = {
        "cases": gettext("测试用例数"),
        "failing": gettext("未通过的用例"),
        "without_case": gettext("没有用例走到的部分"),
        "missing_untested": gettext("没有试过输入缺失的部分"),
        "cases_version": gettext("用例版本"),
        "cases_hash": gettext("用例校验值"),
        "forms_compared": gettext("各执行形式比对的输入组数"),
        "stored_rows": gettext("其中已存的真实输入组数"),
    }
    return {label: _plain(report[name]) for name, label in labels.items() if name in report}


def _plain(found: int | str | Sequence[str]) -> str:
    if isinstance(found, int):
        return str(found)
    return (found[:_HASH_SIGNS] if isinstance(found, str) else "、".join(found)) or "—"
