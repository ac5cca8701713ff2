"""日终批处理: the days that were closed, how far a running one is, and the loans that failed.

The close itself runs in the background; here people only see it and ask for another try.
"""

from datetime import date, timedelta
from typing import Final

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.operations import append_audit
from desk.ports import NavItem, Site, current_staff, staff_page
from kernel.errors import Invalid
from kernel.listing import page_of
from kernel.web import now, runtime
from servicing import operations, queries
from servicing.admin.machinery import CLOSING
from servicing.admin.shown import span

RETRY: Final = "servicing.closing.retry"


class DayNotKnown(Invalid):
    """The address names no date."""

    code = "closing-day-not-known"
    message_zh = "日期格式不正确"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    blueprint.add_url_rule("/admin/days", "days", days)
    blueprint.add_url_rule("/admin/days/<on>/retry", "retry_day", retry, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the list and the right to try again on a site; who may see it, machinery says."""
    site.permissions.declare(RETRY, "重试日终失败借款", roles=("finance", "operator"))
    site.navigation.add(
        NavItem(
            label="日终批处理",
            endpoint="servicing_admin.days",
            permission=CLOSING,
            group="业务",
            order=600,
            icon="history",
        )
    )


@staff_page(CLOSING)
def days() -> ResponseReturnValue:
    """List the days, the latest first, each with what failed on it."""
    with runtime().database.read() as session:
        page = page_of(queries.count_day_runs(session))
        runs = queries.day_runs(session, offset=page.offset, limit=page.rows)
    return render_template("servicing/admin/days.html", runs=runs, page=page, took=_took)


@staff_page(RETRY)
def retry(on: str) -> ResponseReturnValue:
    """Try the failed loans of a day again, and note who asked.

    Raises:
        DayNotKnown: The address names no date.
    """
    day = _day(on)
    with runtime().database.write() as session:
        done = operations.retry_failures(session, on=day, now=now())
        append_audit(
            session,
            actor=current_staff().login,
            action="servicing.day.retried",
            subject=f"day:{day}",
            details={"done": done},
            now=now(),
        )
    if done:
        flash(gettext("已重试，%(count)s 笔补记完成", count=done), "success")
    else:
        flash(gettext("已重试，仍未成功，请查看失败原因"), "warning")
    return redirect(url_for("servicing_admin.days"))


def _took(run: queries.DayRun) -> str:
    if run.finished_at is None:
        return "—"
    took = run.finished_at - run.started_at
    if took < timedelta(minutes=1):
        return str(gettext("%(count)s 秒", count=int(took.total_seconds())))
    return span(took)


def _day(on: str) -> date:
    try:
        return date.fromisoformat(on)
    except ValueError as error:
        raise DayNotKnown(f"{on!r} is no date") from error
