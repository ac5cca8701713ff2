"""Test cases of a strategy: applicants with what must come of them, run on the draft each time.

A case comes from the try page, without the personal texts of a stored decision. A draft whose
cases all pass can be marked as tested, and only a tested one can be proposed.

    StrategyUnreadable  422  the draft has mistakes
"""

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import append_audit
from desk.ports import current_staff, staff_page
from kernel.errors import FenqiError, Invalid
from kernel.web import now, runtime, today
from risk.admin import edits, rights
from risk.admin.editing import Opened, catalogue, draw, opened
from risk.admin.values import kept
from risk.admin.walked import part_title
from risk.lifecycle.cases import CaseReport
from risk.lifecycle.publishing import (
    mark_version_tested,
    save_cases,
    stored_cases,
    tried_version,
)
from risk.strategy.language import Strategy
from risk.strategy.parts import TAKEN

_LONGEST_TITLE: Final = 60


class StrategyUnreadable(Invalid):
    """The draft has mistakes, so nothing can be run on it."""

    code = "risk-draft-unreadable"
    message_zh = "草稿还有问题，改好后才能使用测试用例"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>/cases"
    add(at, "cases", cases)
    add(at, "keep_case", keep_case, methods=["POST"])
    add(f"{at}/<case_id>/remove", "remove_case", remove_case, methods=["POST"])
    add("/admin/risk/strategies/<key>/tested", "mark_tested", mark_tested, methods=["POST"])


@staff_page(rights.VIEW)
def cases(key: str) -> ResponseReturnValue:
    """Show how every case comes out on the draft, and what no case reaches."""
    with runtime().database.read() as session:
        given = opened(session, key)
        stored = stored_cases(session, key=key)
        report, error = _report(session, given)
    titles = {stage["id"]: stage.get("title") or stage["id"] for stage in given.body["stages"]}
    unreached = [
        each for each in (report.coverage if report else ()) if each.kind in TAKEN and not each.hits
    ]
    return draw(
        "cases.html",
        given,
        stored=stored,
        report=report,
        error=error,
        titles=titles,
        unreached=unreached,
        part_title=part_title,
        expected={each["id"]: each["expected"] for each in stored.body["cases"]},
    )


@staff_page(rights.EDIT)
def keep_case(key: str) -> ResponseReturnValue:
    """Keep what was typed on the try page as a case, with the outcome that must come of it."""
    with runtime().database.write() as session:
        given = opened(session, key)
        strategy = _strategy(given)
        body = stored_cases(session, key=key).body
        case = _case(given, strategy, [each["id"] for each in body["cases"]])
        _save(session, key, [*body["cases"], case], strategy, case["title"])
    flash(gettext("已保存为测试用例"), "success")
    return redirect(url_for("risk_admin.cases", key=key))


@staff_page(rights.EDIT)
def remove_case(key: str, case_id: str) -> ResponseReturnValue:
    """Take a case out; the versions of all cases stay readable."""
    with runtime().database.write() as session:
        strategy = _strategy(opened(session, key))
        left = [
            each for each in stored_cases(session, key=key).body["cases"] if each["id"] != case_id
        ]
        _save(session, key, left, strategy, case_id)
    flash(gettext("测试用例已删除"), "success")
    return redirect(url_for("risk_admin.cases", key=key))


@staff_page(rights.EDIT)
def mark_tested(key: str) -> ResponseReturnValue:
    """Mark the draft as tested, if all its cases pass."""
    with runtime().database.write() as session:
        version = opened(session, key).working.shown.version
        mark_version_tested(
            session,
            key=key,
            version=version,
            catalogue=catalogue(),
            by=current_staff().login,
            now=now(),
        )
    flash(gettext("草稿 v%(version)s 已测试，可以提交发布", version=version), "success")
    return redirect(url_for("risk_admin.changes", key=key))


def _report(session: Session, given: Opened) -> tuple[CaseReport | None, str]:
    version = given.working.shown.version
    if given.checked.strategy is None:
        return None, str(gettext(StrategyUnreadable.message_zh))
    try:
        report = tried_version(
            session, key=given.working.key, version=version, catalogue=catalogue(), on=today()
        )
    except FenqiError as refused:
        return None, str(gettext(refused.message_zh))
    return report, ""


def _strategy(given: Opened) -> Strategy:
    if given.checked.strategy is None:
        raise StrategyUnreadable("the draft has mistakes")
    return given.checked.strategy


def _case(given: Opened, strategy: Strategy, taken: list[str]) -> dict[str, Any]:
    """Read a case from the form of the try page: only what was typed, nothing that is hidden."""
    form = request.form
    typed = {
        name.removeprefix("value."): text
        for name, text in form.items()
        if name.startswith("value.") and text.strip()
    }
    names = given.names
    reasons = [code for code in form.getlist("reason") if code]
    return {
        "id": edits.free_id("case", taken),
        "title": form.get("title", "").strip()[:_LONGEST_TITLE],
        "product": form.get("product") or next(iter(strategy.products)),
        "on": today().isoformat(),
        "application": {name: kept(text, names.field(name)) for name, text in typed.items()},
        "expected": {"outcome": form.get("expected", "")}
        | ({"reasons": reasons} if reasons else {}),
    }


def _save(
    session: Session, key: str, listed: list[Mapping[str, Any]], strategy: Strategy, what: str
) -> None:
    by = current_staff().login
    version = save_cases(
        session, key=key, cases={"cases": listed}, strategy=strategy, by=by, now=now(), note=what
    )
    append_audit(
        session,
        actor=by,
        action="risk.strategy.cases_changed",
        subject=f"strategy:{key}",
        details={"cases": len(listed), "version": version},
        now=now(),
    )
