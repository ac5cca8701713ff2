"""Days of a month whose WeChat Pay bill never came: brought as a file, or given up by two people.

The list stands on the page of the month. What either does to the books is servicing.payments'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session

from desk.operations import append_audit
from desk.ports import Approvable, Change, Site, act_in_dialog, current_staff, staff_page
from desk.queries import ApprovalView, waiting_approval
from kernel.errors import Invalid
from kernel.money import yuan
from kernel.web import now, today
from servicing.admin import results
from servicing.admin.forms import DayNotReadable, choice, dialog, do_on
from servicing.admin.previewed import Wanted, proposed
from servicing.admin.shown import span
from servicing.payments import bill_days, month_end
from servicing.payments.bill_days import GIVEN_UP_AFTER
from servicing.payments.bills import BillKind
from servicing.payments.difference_queries import DifferenceView, missing_bills

BRING: Final = "servicing.bill.bring"
PROPOSE: Final = "servicing.bill.give_up.propose"
DECIDE: Final = "servicing.bill.give_up.decide"
GIVE_UP: Final = "servicing.bill.give_up"

KINDS: Final = {BillKind.TRADES: _("交易账单（全部）"), BillKind.FUNDS: _("资金账单（基本账户）")}
_MOST_BYTES: Final = 20_000_000


class FileMissing(Invalid):
    """No file was sent, or one that is too large or no text."""

    code = "bill-file-missing"
    message_zh = "请选择账单的 CSV 文件（UTF-8，20 MB 以内）"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingDay:
    """A day without a matched bill.

    Attributes:
        may_give_up: Whether it is late enough for that.
    """

    on: date
    may_give_up: bool
    waiting: ApprovalView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUpDay:
    """A day that was given up, with the money that it left open, and how long ago."""

    difference: DifferenceView
    age: str


def add_to(blueprint: Blueprint) -> None:
    """Put these dialogs on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/trial-balance/bills/<day>"
    add(f"{at}/bring", "bring_bill_form", bring_form)
    add(f"{at}/bring", "bring_bill", bring, methods=["POST"])
    add(f"{at}/give-up", "give_bill_up_form", give_up_form)
    add(f"{at}/give-up", "give_bill_up", give_up, methods=["POST"])


def plug_in(site: Site) -> None:
    """Plug in the rights, and giving a bill up, which needs a second person."""
    site.permissions.declare(BRING, "上传微信支付账单", roles=("finance",))
    site.permissions.declare(PROPOSE, "申请按账单缺失处理", roles=("finance",))
    site.permissions.declare(DECIDE, "审批按账单缺失处理", roles=("finance", "risk_manager"))
    site.approvables.add(
        Approvable(
            action=GIVE_UP,
            label="按账单缺失处理",
            permission_propose=PROPOSE,
            permission_decide=DECIDE,
            describe=_describe,
            execute=_execute,
            told=results.told,
        )
    )


def missing_days(session: Session, *, first: date, last: date) -> tuple[MissingDay, ...]:
    """List the days of a month, up to yesterday, whose bill was neither matched nor given up."""
    ended = min(last, today() - timedelta(days=1))
    days = month_end.days_not_matched(session, first=first, last=ended) if first <= ended else ()
    return tuple(
        MissingDay(
            on=on,
            may_give_up=today() - on >= GIVEN_UP_AFTER,
            waiting=waiting_approval(session, action=GIVE_UP, subject=_subject(on), now=now()),
        )
        for on in days
    )


def days_given_up(session: Session, *, first: date, last: date) -> tuple[GivenUpDay, ...]:
    """List the days of a month that were given up, with what they left open."""
    return tuple(
        GivenUpDay(difference=row, age=span((row.resolved_at or now()) - row.opened_at))
        for row in missing_bills(session, first=first, last=last)
    )


@staff_page(BRING)
def bring_form(day: str, error: str = "") -> str:
    """Ask for the file of a day's bill."""
    to = url_for("servicing_admin.bring_bill", day=day)
    kinds = [(kind.value, name) for kind, name in KINDS.items()]
    return dialog("bill_bring_form.html", to=to, error=error, on=_day(day), kinds=kinds)


@staff_page(BRING)
def bring(day: str) -> ResponseReturnValue:
    """Keep the file like a fetched one; the next reconciliation compares it with our book."""
    on = _day(day)

    def act() -> bool:
        kind, name, text = BillKind(choice("kind", set(BillKind))), *_file()
        told = {"on": on.isoformat(), "kind": kind.value, "file": name}

        def do(session: Session) -> dict[str, Any]:
            by = current_staff().login
            bill_days.bring_bill(session, kind=kind, on=on, text=text, by=by, now=now())
            return told

        return do_on(_subject(on), "bill.brought", payload=told, do=do)

    return act_in_dialog(
        form=partial(bring_form, day),
        act=act,
        said=gettext("账单已保存，两份都有后在下一次对账时核对"),
        then=_url(_subject(on)),
    )


@staff_page(PROPOSE)
def give_up_form(day: str, error: str = "") -> str:
    """Ask why a day's bill is given up."""
    to = url_for("servicing_admin.give_bill_up", day=day)
    return dialog("bill_give_up_form.html", to=to, error=error, on=_day(day))


@staff_page(PROPOSE)
def give_up(day: str) -> ResponseReturnValue:
    """Ask a second person to let the month close without the bill."""
    on = _day(day)

    def look(session: Session) -> Wanted:
        fen = bill_days.assert_missing(session, on=on, now=now())
        payload = {
            "on": on.isoformat(),
            "fen": fen,
            "by": current_staff().login,
            "reason": request.form["reason"].strip(),
        }
        return Wanted(action=GIVE_UP, payload=payload)

    return proposed(
        form=partial(give_up_form, day),
        look=look,
        subject=_subject(on),
        noted="bill.give_up_proposed",
        told={"on": on.isoformat()},
        said=gettext("已提交，待另一位同事审批"),
        then=_url(_subject(on)),
    )


def _file() -> tuple[str, str]:
    """Read the uploaded file: its name, and its text.

    Raises:
        FileMissing: Said above.
    """
    sent = request.files.get("file")
    raw = sent.stream.read(_MOST_BYTES + 1) if sent else b""
    if sent is None or not 0 < len(raw) <= _MOST_BYTES:
        raise FileMissing("no file, or too large a one")
    try:
        return (sent.filename or "")[:80], raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileMissing("the file is no UTF-8") from error


def _day(day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError as error:
        raise DayNotReadable(f"{day} is no date") from error


# --- what the second person sees and starts ---


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    return (
        Change(label=gettext("账单日"), before=gettext("待核对"), after=payload["on"]),
        Change(label=gettext("我方当日净额（元）"), before="", after=yuan(payload["fen"])),
        Change(
            label=gettext("去向"),
            before=gettext("微信支付待清算"),
            after=gettext("暂收挂账，账单补到后自动转回"),
        ),
    )


def _execute(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    on = date.fromisoformat(payload["on"])
    why, by = payload["reason"], payload["by"]
    number = bill_days.give_bill_up(session, on=on, why=why, by=by, now=at)
    append_audit(
        session,
        actor="machine:approval",
        action="servicing.bill.given_up",
        subject=_subject(on),
        details={"difference": number, "fen": payload["fen"], "reason": why},
        now=at,
    )
    return {"on": payload["on"], "difference": number}


def _subject(on: date) -> str:
    return f"bill:{on}"


def _url(subject: str) -> str:
    return url_for("servicing_admin.trial_balance", month=subject.removeprefix("bill:")[:7])
