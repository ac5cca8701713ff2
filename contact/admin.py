"""Contact's staff pages: a day in numbers, what was stopped and why, what waits, what is unclear.

Who a customer is and what is owed is known above; here a customer is a number that links to their
page. Nothing is sent from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup

from contact import operations, queries
from contact.gate import Reason
from contact.model import Channel, Purpose, State, Step, TransitionRefused
from contact.operations import ContactNotFound
from contact.queries import ContactBoard, ContactView
from desk.operations import ReasonNeeded, append_audit
from desk.ports import NavItem, Site, Tile, current_staff, staff_page
from kernel.errors import FenqiError
from kernel.listing import Page, page_of
from kernel.web import now, runtime, today

VIEW: Final = "contact.view"
SETTLE: Final = "contact.settle"

PURPOSES: Final[Mapping[str, str]] = {
    Purpose.ANSWER: "应答",
    Purpose.STATUTORY_NOTICE: "法定告知",
    Purpose.SERVICE_REMINDER: "账单提醒",
    Purpose.COLLECTION: "逾期催收",
    Purpose.MARKETING: "营销",
}
CHANNELS: Final[Mapping[str, str]] = {
    Channel.WECHAT_TEMPLATE: "微信模板消息",
    Channel.WECHAT_MESSAGE: "微信客服消息",
    Channel.SMS: "短信",
}
STATES: Final[Mapping[str, tuple[str, str]]] = {
    State.READY: ("等待发送", "azure"),
    State.CLAIMED: ("等待发送", "azure"),
    State.SENDING: ("发送中", "azure"),
    State.SENT: ("已发出", "green"),
    State.FAILED: ("未送出", "red"),
    State.UNKNOWN: ("结果未知", "orange"),
    State.BLOCKED: ("已拦截", "secondary"),
    State.WITHDRAWN: ("已撤回", "secondary"),
    State.EXPIRED: ("已过期", "secondary"),
}
"""Word and colour of each state."""
REASONS: Final[Mapping[str, str]] = {
    Reason.NO_RULE: "没有适用规则",
    Reason.EXPIRED: "超过有效期",
    Reason.PAID: "已还清或无欠款",
    Reason.HOLD: "客户停催中",
    Reason.ADDRESS_RETIRED: "号码或微信已失效",
    Reason.NO_CONSENT: "未同意接收",
    Reason.BARRED: "不适合营销",
    Reason.SILENT_HOURS: "静默时段",
    Reason.QUOTA: "达到频次上限",
    Reason.TEMPLATE: "模板未生效",
    "staff": "人工确认",
}
STEPS: Final[Mapping[str, str]] = {
    Step.CLAIM: "领取",
    Step.RELEASE: "退回等待",
    Step.ALLOW: "通过关口，开始发送",
    Step.BLOCK: "被关口拦截",
    Step.EXPIRE: "过期",
    Step.WITHDRAW: "撤回",
    Step.ACCEPT: "服务商已接收",
    Step.REFUSE: "服务商拒绝",
    Step.RETRY: "稍后重试",
    Step.LOSE: "结果未知",
    "delivered": "已送达",
    "failed": "未送达",
}
SETTLE_REASONS: Final = ("服务商后台可查到", "客户确认收到", "客户确认未收到", "服务商后台查不到")
"""Why a member of staff knows what became of a message."""

_LISTS: Final = ("unknown", "waiting", "blocked")
_MAX_NOTE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One page of the list that is open."""

    page: Page
    contacts: tuple[ContactView, ...]


def create_blueprint() -> Blueprint:
    """Make the blueprint of these pages."""
    blueprint = Blueprint("contact_admin", "contact", template_folder="templates")
    add_to(blueprint)
    return blueprint


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/contacts", "contacts", contacts)
    add("/admin/contacts/<int:contact_id>", "contact", contact)
    add("/admin/contacts/<int:contact_id>/settle", "settle", settle, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the pages, the right to settle, and the tile on a site."""
    everyone = ("clerk", "collector", "risk_manager", "auditor")
    site.permissions.declare(VIEW, "查看触达记录", roles=everyone)
    site.permissions.declare(
        SETTLE, "确认未知触达结果", roles=("clerk", "collector", "risk_manager")
    )
    site.navigation.add(
        NavItem(
            label="触达",
            endpoint="contact_admin.contacts",
            permission=VIEW,
            group="业务",
            order=400,
            icon="message",
        )
    )
    site.tiles.add(Tile(key="contact.today", permission=VIEW, order=40, render=_tile))


@staff_page(VIEW)
def contacts() -> ResponseReturnValue:
    """Show a day in numbers, why contacts were stopped, and one of three lists."""
    asked = request.args.get("list", "")
    chosen = asked if asked in _LISTS else _LISTS[0]
    reason = request.args.get("reason", "")
    with runtime().database.read() as session:
        board = queries.contact_board(session, on=today())
    listed = _listed(board, chosen, reason)
    return render_template(
        "contact/admin/contacts.html",
        board=board,
        blocked=sum(count for _, count in board.blocked),
        listed=listed,
        chosen=chosen,
        reason=reason,
        picture=_picture(board),
        height=_height(board),
        links=[
            url_for(".contacts", list="blocked", reason=code, _anchor="list")
            for code, _ in _upwards(board)
        ],
        **_words(),
    )


@staff_page(VIEW)
def contact(contact_id: int) -> ResponseReturnValue:
    """Show one contact: what was said, to which address, and each step of it."""
    return _page(contact_id)


@staff_page(SETTLE)
def settle(contact_id: int) -> ResponseReturnValue:
    """Keep what a member of staff found out of an unclear contact; it is never sent again.

    Raises:
        ContactNotFound: No such contact.
    """
    outcome, reason = request.form.get("outcome", ""), request.form.get("reason", "")
    try:
        if outcome not in ("delivered", "failed") or reason not in SETTLE_REASONS:
            raise ReasonNeeded("an outcome and its reason are needed")
        _settle(contact_id, was_delivered=outcome == "delivered", reason=reason)
    except (ReasonNeeded, TransitionRefused) as error:
        return _page(contact_id, error=error), error.status
    flash(gettext("已记录结果"), "success")
    return redirect(url_for("contact_admin.contact", contact_id=contact_id))


def _settle(contact_id: int, *, was_delivered: bool, reason: str) -> None:
    login = current_staff().login
    with runtime().database.write() as session:
        operations.settle_unknown(
            session,
            contact_id=contact_id,
            was_delivered=was_delivered,
            actor=login,
            now=now(),
        )
        append_audit(
            session,
            actor=login,
            action="contact.outcome.settled",
            subject=f"contact:{contact_id}",
            details={
                "was_delivered": was_delivered,
                "reason": reason,
                "note": request.form.get("note", "").strip()[:_MAX_NOTE],
            },
            now=now(),
        )


def _page(contact_id: int, *, error: FenqiError | None = None) -> str:
    with runtime().database.read() as session:
        found = queries.contact_view(session, contact_id=contact_id)
        events = queries.events_of(session, contact_id=contact_id)
    if found is None:
        raise ContactNotFound(f"contact {contact_id}")
    return render_template(
        "contact/admin/contact.html",
        contact=found,
        events=events,
        settle_reasons=SETTLE_REASONS,
        max_note=_MAX_NOTE,
        error=gettext(error.message_zh) if error else "",
        **_words(),
    )


def _listed(board: ContactBoard, chosen: str, reason: str) -> Listed:
    blocked = sum(count for code, count in board.blocked if reason in ("", code))
    page = page_of({"unknown": board.unknown, "waiting": board.waiting, "blocked": blocked}[chosen])
    window = {"limit": page.rows, "offset": page.offset}
    with runtime().database.read() as session:
        if chosen == "unknown":
            found = queries.unknown_contacts(session, **window)
        elif chosen == "waiting":
            found = queries.waiting_contacts(session, **window)
        else:
            found = queries.blocked_contacts(session, on=board.on, reason=reason, **window)
    return Listed(page=page, contacts=found)


def _words() -> dict[str, Any]:
    return {
        "purposes": PURPOSES,
        "channels": CHANNELS,
        "states": STATES,
        "reasons": REASONS,
        "steps": STEPS,
    }


def _tile() -> Markup:
    with runtime().database.read() as session:
        board = queries.contact_board(session, on=today())
    blocked = sum(count for _, count in board.blocked)
    return Markup(  # noqa: S704 -- our own template
        render_template("contact/admin/tile.html", board=board, blocked=blocked)
    )


# --- the picture ---


def _upwards(board: ContactBoard) -> list[tuple[str, int]]:
    """Turn the reasons around: such a picture begins at its foot."""
    return list(reversed(board.blocked))


def _height(board: ContactBoard) -> int:
    return 8 + 34 * len(board.blocked)


def _picture(board: ContactBoard) -> dict[str, Any]:
    found = _upwards(board)
    label = {"show": True, "position": "right", "color": "#667382"}
    return {
        "tooltip": {"trigger": "item", "formatter": "{b} {c}"},
        "legend": {"show": False},
        "grid": {"left": 4, "right": 40, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "value", "axisLabel": {"show": False}, "splitLine": {"show": False}},
        "yAxis": {
            "type": "category",
            "data": [gettext(REASONS.get(code, code) or "—") for code, _ in found],
            "axisTick": {"show": False},
            "axisLine": {"show": False},
        },
        "series": [
            {
                "type": "bar",
                "barMaxWidth": 18,
                "cursor": "pointer",
                "itemStyle": {"borderRadius": [0, 3, 3, 0], "color": "#6f94bf"},
                "label": label,
                "data": [count for _, count in found],
            }
        ],
    }
