"""代收应付: what was collected for others, by payee, month and loan, and how it is paid out.

A payout is proposed by one and decided by another person; then it is sent at the bank and its
number entered here. What each step does to the books is servicing.operations.payees'.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session

from desk.ports import Approvable, Change, NavItem, Site, act_in_dialog, current_staff, staff_page
from desk.queries import waiting_approval
from kernel.errors import NotFound
from kernel.listing import csv_file
from kernel.money import plain_yuan, yuan
from kernel.web import now, runtime, today
from servicing import operations
from servicing.admin import results, words
from servicing.admin.forms import dialog, do_on, moved_on, written
from servicing.admin.previewed import LONGEST_REASON, Wanted, proposed
from servicing.admin.trial_balance import months_of_book
from servicing.operations import payees as acts
from servicing.queries import payees as read
from servicing.queries.payees import Payee, PayeeStatement, PayeeTurnover

VIEW: Final = "servicing.payee.view"
PROPOSE: Final = "servicing.payee.payout.propose"
DECIDE: Final = "servicing.payee.payout.decide"
SEND: Final = "servicing.payee.payout.send"
PAYOUT: Final = "servicing.payee.payout"

_LONGEST_REFERENCE: Final = 64
_STEPS: Final = '"pay", "back", "cancel"'


class PayoutNotFound(NotFound):
    """No payout has that number."""

    code = "payout-not-found"
    message_zh = "没有找到这笔付款"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose fees of which month are looked at."""

    payee: Payee
    month: str
    first: date
    last: date

    @property
    def until_on(self) -> date:
        """The last day of the month that can be paid for."""
        return min(self.last, today())


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/payees"
    add(at, "payees", list_payees)
    add(f"{at}/payee", "payee", show_payee)
    add(f"{at}/payee.csv", "payee_csv", payee_csv)
    add(f"{at}/payout", "payout_form", payout_form)
    add(f"{at}/payout", "propose_payout", propose_payout, methods=["POST"])
    step = f"{at}/payouts/<number>/<any({_STEPS}):what>"
    add(step, "payout_step_form", step_form)
    add(step, "payout_step", take_step, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the list, its rights and the payout that needs a second person on a site."""
    site.permissions.declare(VIEW, "查看代收应付", roles=("finance", "risk_manager", "auditor"))
    site.permissions.declare(PROPOSE, "申请支付代收费用", roles=("finance",))
    site.permissions.declare(DECIDE, "审批支付代收费用", roles=("finance", "risk_manager"))
    site.permissions.declare(SEND, "登记代收费用付款", roles=("finance",))
    site.navigation.add(
        NavItem(
            label="代收应付",
            endpoint="servicing_admin.payees",
            permission=VIEW,
            group="账务",
            order=635,
            icon="cash",
        )
    )
    site.approvables.add(
        Approvable(
            action=PAYOUT,
            label="支付代收费用",
            permission_propose=PROPOSE,
            permission_decide=DECIDE,
            describe=_describe,
            execute=_approve,
            told=results.told,
            undo=_undo,
        )
    )


# --- looking ---


@staff_page(VIEW)
def list_payees() -> ResponseReturnValue:
    """List the payees, those that are due most first."""
    with runtime().database.read() as session:
        found = read.payee_balances(session)
    several = len({one.creditor for one in found}) > 1
    return render_template(
        "servicing/admin/payees.html", payees=found, words=words, several=several
    )


@staff_page(VIEW)
def show_payee() -> ResponseReturnValue:
    """Show a payee's month loan by loan, and the payouts."""
    with runtime().database.read() as session:
        asked = _asked()
        statement = _statement(session, asked)
        payable_fen = read.payable_fen(session, payee=asked.payee, until_on=asked.until_on)
        payouts = read.payouts_of(session, payee=asked.payee)
        months = months_of_book(session)
        waiting = waiting_approval(session, action=PAYOUT, subject=_subject(asked.payee), now=now())
    return render_template(
        "servicing/admin/payee.html",
        asked=asked,
        months=months,
        payable_fen=payable_fen,
        payouts=payouts,
        statement=statement,
        waiting=waiting,
        words=words,
    )


@staff_page(VIEW)
def payee_csv() -> ResponseReturnValue:
    """Send a payee's month, loan by loan, as a file."""
    asked = _asked()
    header = [
        *(gettext("分期编号"), gettext("代收（元）"), gettext("冲回（元）")),
        *(gettext("退还客户（元）"), gettext("已付（元）"), gettext("应付（元）")),
    ]
    with runtime().database.read() as session:
        lines = list(_lines(_statement(session, asked)))
    return csv_file(f"payee-{asked.month}", header, lines)


def _statement(session: Session, asked: Asked) -> PayeeStatement:
    return read.payee_statement(session, payee=asked.payee, first=asked.first, last=asked.last)


def _lines(statement: PayeeStatement) -> Iterator[list[str]]:
    """Write a statement: what was payable before, each loan, what was paid, what is payable."""
    nothing = [""] * 4
    yield [gettext("期初应付"), *nothing, plain_yuan(statement.opening_fen)]
    for line in statement.lines:
        yield [line.loan_no, *_cells(line)]
    yield [gettext("本期合计"), *_cells(statement.turnover)]
    yield [gettext("期末应付"), *nothing, plain_yuan(statement.closing_fen)]


def _cells(of: PayeeTurnover) -> list[str]:
    amounts = (of.collected_fen, of.reversed_fen, of.refunded_fen, of.paid_fen, of.payable_fen)
    return [plain_yuan(fen) for fen in amounts]


# --- acting ---


@staff_page(PROPOSE)
def payout_form(error: str = "") -> str:
    """Ask why a payee is to be paid all that is payable of a month and before."""
    asked = _asked()
    with runtime().database.read() as session:
        payable_fen = read.payable_fen(session, payee=asked.payee, until_on=asked.until_on)
    return dialog(
        "payout_form.html",
        to=url_for("servicing_admin.propose_payout", **_address(asked)),
        error=error,
        asked=asked,
        payable_fen=payable_fen,
    )


@staff_page(PROPOSE)
def propose_payout() -> ResponseReturnValue:
    """Ask a second person to let a payee be paid."""
    asked = _asked()

    def look(session: Session) -> Wanted:
        wanted: dict[str, Any] = {"payee": asked.payee, "until_on": asked.until_on}
        fen = read.payable_fen(session, **wanted)
        acts.assert_payable(session, **wanted, amount_fen=fen)
        payload = {
            "creditor": asked.payee.creditor,
            "name": asked.payee.name,
            "until_on": asked.until_on.isoformat(),
            "fen": fen,
            "by": current_staff().login,
            "reason": request.form["reason"].strip(),
        }
        return Wanted(action=PAYOUT, payload=payload)

    return proposed(
        form=payout_form,
        look=look,
        subject=_subject(asked.payee),
        noted="payee.payout_proposed",
        told={"payee": asked.payee.name, "until_on": asked.until_on.isoformat()},
        said=gettext("已提交付款申请，待另一位同事审批"),
        then=url_for("servicing_admin.payee", **_address(asked)),
    )


@staff_page(SEND)
def step_form(number: str, what: str, error: str = "") -> str:
    """Ask what a step of a payout needs: the bank's number and day, or why it ends."""
    with runtime().database.read() as session:
        payout = _payout(session, number)
    return dialog(
        "payout_step_form.html",
        to=url_for("servicing_admin.payout_step", number=number, what=what),
        error=error,
        payout=payout,
        today=today(),
        what=what,
    )


@staff_page(SEND)
def take_step(number: str, what: str) -> ResponseReturnValue:
    """Enter that a payout was sent or came back, or call it off."""
    step = _STEP[what]
    with runtime().database.read() as session:
        payout = _payout(session, number)
    payee = Payee(creditor=payout.creditor, name=payout.payee)

    def act() -> bool:
        given, by = step.read(), current_staff().login
        said = {name: str(value) for name, value in given.items()}
        told = {"payout": number, "fen": payout.amount_fen, **said}

        def do(session: Session) -> dict[str, Any]:
            step.take(session, number=number, by=by, now=now(), **given)
            return told

        return do_on(_subject(payee), f"payee.payout_{step.noted}", payload=told, do=do)

    return act_in_dialog(
        form=partial(step_form, number, what),
        act=act,
        said=str(step.said),
        then=url_for("servicing_admin.payee", creditor=payee.creditor, name=payee.name),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What a step asks for, does and says."""

    read: Callable[[], dict[str, Any]]
    take: Callable[..., None]
    noted: str
    said: str


def _sent() -> dict[str, Any]:
    return {"bank_ref": written("reference", most=_LONGEST_REFERENCE), "on": moved_on("on")}


def _ended() -> dict[str, Any]:
    return {"why": written("why", most=LONGEST_REASON)}


_STEP: Final[Mapping[str, _Step]] = {
    "pay": _Step(read=_sent, take=acts.pay_out, noted="paid", said=_("已登记付款并入账")),
    "back": _Step(
        read=lambda: {**_ended(), "on": moved_on("on")},
        take=acts.take_back_payout,
        noted="returned",
        said=_("已登记退回，款项恢复为应付"),
    ),
    "cancel": _Step(
        read=_ended, take=acts.cancel_payout, noted="cancelled", said=_("已取消，没有付款")
    ),
}


def _payout(session: Session, number: str) -> read.PayoutView:
    found = read.payout_of(session, number=number)
    if found is None:
        raise PayoutNotFound(f"no payout {number}")
    return found


def _asked() -> Asked:
    """Read whose fees of which month are asked for, else of this one.

    Raises:
        MonthNotReadable: The month is none.
    """
    month = request.values.get("month", f"{today():%Y-%m}")
    last = operations.last_day(month)
    return Asked(
        payee=Payee(
            creditor=request.values.get("creditor", ""), name=request.values.get("name", "")
        ),
        month=month,
        first=last.replace(day=1),
        last=last,
    )


def _address(asked: Asked) -> dict[str, Any]:
    return {
        "creditor": asked.payee.creditor,
        "name": asked.payee.name,
        "month": asked.month,
    }


# --- what the second person sees and starts ---


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    creditor = str(words.said(words.CREDITORS, payload["creditor"]))
    return (
        Change(label=gettext("收取方"), before="", after=payload["name"]),
        Change(label=gettext("债权人"), before="", after=creditor),
        Change(label=gettext("付清至"), before="", after=payload["until_on"]),
        Change(label=gettext("付款金额（元）"), before="", after=yuan(payload["fen"])),
    )


def _approve(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    number = acts.approve_payout(
        session,
        payee=Payee(creditor=payload["creditor"], name=payload["name"]),
        until_on=date.fromisoformat(payload["until_on"]),
        amount_fen=payload["fen"],
        asked_by=payload["by"],
        reason=payload["reason"],
        now=at,
    )
    return {"payout": number, "amount_fen": payload["fen"]}


def _undo(
    session: Session, _payload: Mapping[str, Any], result: Mapping[str, Any], at: datetime
) -> None:
    """Call it off; what the bank has sent comes back by a step of its own."""
    why, by = gettext("审批已撤销"), "machine:approval"
    acts.cancel_payout(session, number=result["payout"], why=why, by=by, now=at)


def _subject(payee: Payee) -> str:
    return f"payee:{payee.creditor}:{payee.name}"
