"""Contact's staff pages: a day in numbers, what was stopped and why, what waits, what is unclear.

Who a customer is and what is owed is known above; here a customer is a number that links to their
page. Nothing is sent from here.
"""

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup

from contact import operations, queries, words
from contact.model import TransitionRefused
from contact.operations import ContactNotFound
from contact.queries import ContactBoard, ContactView
from desk.operations import ReasonNeeded, append_audit
from desk.ports import NavItem, Site, Tile, current_staff, staff_page
from kernel.errors import FenqiError
from kernel.listing import Page, page_of
from kernel.web import now, runtime, today

VIEW: Final = "contact.view"
SETTLE: Final = "contact.settle"

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
    site.permissions.declare(SETTLE, "确认触达结果", roles=("clerk", "collector", "risk_manager"))
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
        words=words,
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
        words=words,
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
            "data": [str(words.REASONS.get(code, code)) or "—" for code, _ in found],
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
