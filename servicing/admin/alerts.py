"""Alerts: what the house noticed by itself, said in a sentence, and closed with a note.

Who raises an alert is the business of the operation that noticed; nothing here acts on a loan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup

from desk.operations import ReasonNeeded, append_audit
from desk.ports import NavItem, Site, Tile, current_staff, staff_page
from kernel.listing import page_of
from kernel.money import yuan
from kernel.web import now, runtime
from servicing import operations, queries
from servicing.admin import words
from servicing.admin.shown import masked_names
from servicing.operations import AlertNotFound
from servicing.queries import AlertView

VIEW: Final = "servicing.alerts.view"
CLOSE: Final = "servicing.alerts.close"

KINDS: Final[Mapping[str, str]] = {
    "books-differ": "账务差异",
    "day-failures": "日终失败",
    "line-frozen": "额度冻结",
    "refund-failed": "退款未成功",
}
SEVERITIES: Final[Mapping[str, tuple[str, str]]] = {
    "high": ("高", "red"),
    "medium": ("中", "orange"),
    "low": ("低", "secondary"),
}
"""Word and colour of each severity."""

_MAX_NOTE: Final = 120
_REFUND_WHY: Final[Mapping[str, str]] = {
    "stuck": "多次提交仍无结果",
    "closed": "退款已被关闭",
    "abnormal": "收款账户异常",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What an alert tells: one sentence, and what it rests on."""

    sentence: str
    grounds: tuple[str, ...] = ()


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/alerts", "alerts", alerts)
    add("/admin/alerts/<int:alert_id>/close", "alert_form", alert_form)
    add("/admin/alerts/<int:alert_id>/close", "close_alert", close_alert, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the alerts, the right to close them, and their tile on a site."""
    site.permissions.declare(
        VIEW, "查看风险预警", roles=("risk_analyst", "risk_manager", "finance", "auditor")
    )
    site.permissions.declare(
        CLOSE, "处理风险预警", roles=("risk_analyst", "risk_manager", "finance")
    )
    site.navigation.add(
        NavItem(
            label="风险预警",
            endpoint="servicing_admin.alerts",
            permission=VIEW,
            group="业务",
            order=200,
            icon="bell",
        )
    )
    site.tiles.add(Tile(key="servicing.alerts", permission=VIEW, order=20, render=_tile))


@staff_page(VIEW)
def alerts() -> ResponseReturnValue:
    """List open alerts, the gravest first, or closed ones; of one kind or all."""
    state = "closed" if request.args.get("state") == "closed" else "open"
    kind = request.args.get("kind", "")
    with runtime().database.read() as session:
        counts = queries.count_alerts(session, state=state)
        page = page_of(counts.get(kind, 0) if kind else sum(counts.values()))
        found = queries.alerts(session, state=state, kind=kind, offset=page.offset, limit=page.rows)
        names = masked_names(session, [alert.customer_id for alert in found])
    return render_template(
        "servicing/admin/alerts.html",
        alerts=[(alert, happened(alert)) for alert in found],
        names=names,
        state=state,
        kind=kind,
        counts=counts,
        kinds=KINDS,
        severities=SEVERITIES,
        page=page,
    )


@staff_page(CLOSE)
def alert_form(alert_id: int) -> ResponseReturnValue:
    """Ask for the note with which an alert is closed."""
    alert = _alert(alert_id)
    return render_template(
        "servicing/admin/alert_form.html",
        alert=alert,
        happened=happened(alert),
        kinds=KINDS,
        max_note=_MAX_NOTE,
    )


@staff_page(CLOSE)
def close_alert(alert_id: int) -> ResponseReturnValue:
    """Close an alert; the second time nothing happens.

    Raises:
        AlertNotFound: There is none.
        ReasonNeeded: The note is empty.
    """
    note, login = request.form.get("note", "").strip()[:_MAX_NOTE], current_staff().login
    if not note:
        raise ReasonNeeded("an alert is closed with a note")
    with runtime().database.write() as session:
        was_open = operations.close_alert(
            session, alert_id=alert_id, closed_by=login, note=note, now=now()
        )
        if was_open:
            append_audit(
                session,
                actor=login,
                action="servicing.alert.closed",
                subject=f"alert:{alert_id}",
                details={"note": note},
                now=now(),
            )
    flash(gettext("预警已处理") if was_open else gettext("该预警此前已处理"), "success")
    return redirect(url_for("servicing_admin.alerts"))


def happened(alert: AlertView) -> Happened:
    """Say in a sentence what an alert is about; an unknown kind shows what it was raised with."""
    details = alert.details
    if alert.kind == "line-frozen":
        sentence = gettext("评级为 %(grade)s，额度已自动冻结", grade=details.get("grade", "—"))
        return Happened(sentence=sentence, grounds=tuple(words.reasons(details.get("reasons", ()))))
    if alert.kind == "refund-failed":
        return _refund_failed(details)
    if alert.kind == "books-differ":
        found = details.get("differences", ())
        sentence = gettext("夜间对账发现 %(count)s 处差异", count=len(found))
        return Happened(sentence=sentence, grounds=tuple(found))
    if alert.kind == "day-failures":
        sentence = gettext(
            "%(on)s 日终有 %(count)s 笔借款处理失败",
            on=details.get("on", "—"),
            count=details.get("loans", 0),
        )
        return Happened(sentence=sentence)
    grounds = tuple(f"{name} {value}" for name, value in details.items())
    return Happened(sentence=gettext("系统发出预警，请查看明细"), grounds=grounds)


def _refund_failed(details: Mapping[str, Any]) -> Happened:
    why = str(details.get("why", ""))
    sentence = gettext(
        "退款 ¥%(amount)s 未成功：%(why)s",
        amount=yuan(int(details.get("amount_fen", 0))),
        why=gettext(_REFUND_WHY.get(why, why or "—")),
    )
    numbers = (details.get("out_refund_no"), details.get("last_code"))
    return Happened(sentence=sentence, grounds=tuple(str(number) for number in numbers if number))


def _alert(alert_id: int) -> AlertView:
    with runtime().database.read() as session:
        alert = queries.alert_of(session, alert_id=alert_id)
    if alert is None:
        raise AlertNotFound(f"no alert {alert_id}")
    return alert


def _tile() -> Markup:
    with runtime().database.read() as session:
        counts = queries.count_alerts(session)
    words = [gettext(KINDS.get(kind, kind)) + f" {count}" for kind, count in counts.items()]
    return Markup(  # noqa: S704 -- our own template
        render_template(
            "servicing/admin/alerts_tile.html", total=sum(counts.values()), kinds=" · ".join(words)
        )
    )
