"""Giving back what a loan owes its borrower, and what a person has to send by bank, in place.

Where the money would go is shown first. Within one's authority it starts at once, beyond it a
second person decides; a transfer by bank always takes two. What happens to the books is
servicing.payments'.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import propose
from desk.ports import (
    Approvable,
    Change,
    Site,
    act_in_dialog,
    current_site,
    current_staff,
    staff_page,
)
from desk.queries import waiting_approval
from kernel.money import plain_yuan, yuan
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import approval_facts, results, rights, words
from servicing.admin.forms import amount, dialog, do_once, page_of, written
from servicing.admin.previewed import (
    Ahead,
    Foreseen,
    ShownChanged,
    do_or_propose,
    foreseen_first,
    is_within,
    previewed,
)
from servicing.payments import overpaid, transfers
from servicing.payments.queries import RefundView, refunds_of

GIVE_BACK: Final = "servicing.loan.refund"
TRANSFER: Final = "servicing.refund.transfer"

_DECIDE_WITHIN: Final = timedelta(days=3)
_LONGEST_REASON: Final = 120
_LONGEST_REFERENCE: Final = 64
_TAB: Final = "payments"


class AlreadyProposed(transfers.TransferRefused):
    """A transfer of this refund waits for a decision already."""

    code = "refund-transfer-waits"
    message_zh = "这笔转账已提交，正在等待审批"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>"
    loan = f"{at}/loans/<int:loan_id>/refund"
    add(loan, "refund_form", refund_form)
    add(loan, "give_back", give_back, methods=["POST"])
    sent = f"{at}/refunds/<number>/transfer"
    add(sent, "transfer_form", transfer_form)
    add(sent, "propose_transfer", propose_transfer, methods=["POST"])


def plug_in(site: Site) -> None:
    """Plug in the two acts that may need a second person."""
    site.approvables.add(
        Approvable(
            action=GIVE_BACK,
            label="退还客户多付款",
            permission_propose=rights.ACT_ON_LOAN,
            permission_decide=rights.DECIDE_ON_LOAN,
            describe=_describe_back,
            execute=_carry_out,
            told=results.told,
            show=approval_facts.show,
            is_within=is_within(overpaid.ACT),
        )
    )
    site.approvables.add(
        Approvable(
            action=TRANSFER,
            label="人工转账退款",
            permission_propose=rights.TRANSFER,
            permission_decide=rights.DECIDE_TRANSFER,
            describe=_describe_transfer,
            execute=_do_transfer,
            told=results.told,
        )
    )


# -- giving back -----------------------------------------------------------------------------------


@staff_page(rights.ACT_ON_LOAN)
def refund_form(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Ask how much goes back, and why."""
    return _form(customer_id, loan_id)


@staff_page(rights.ACT_ON_LOAN)
def give_back(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Show where the money would go, then start or propose it."""
    return previewed(
        form=partial(_form, customer_id, loan_id),
        look=partial(_look, customer_id, loan_id),
        act=partial(_start, customer_id, loan_id),
        said=gettext("已发起退款"),
        then=page_of(customer_id, _TAB),
    )


def _look(customer_id: int, loan_id: int) -> Ahead:
    fen, login = amount("amount"), current_staff().login
    written("why", most=_LONGEST_REASON)
    with runtime().database.read() as session:
        queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        shown = _ahead(session, loan_id, fen, now())
        sent = overpaid.given_lately_fen(session, loan_id=loan_id, by=login, now=now())
    payload = {
        "customer_id": customer_id,
        "loan_id": loan_id,
        "fen": fen,
        "amount_fen": fen + sent,
        "shown": shown,
        "by": login,
    }
    return Ahead(act=overpaid.ACT, shown=shown, amount_fen=fen + sent, payload=payload)


def _ahead(session: Session, loan_id: int, fen: int, at: datetime) -> dict[str, Any]:
    """Say what sending an amount back comes to, JSON-able.

    Raises:
        CreditTooSmall: So much is not owed.
    """
    open_fen = overpaid.open_credit_of(session, loan_id=loan_id)
    if fen > open_fen:
        raise overpaid.CreditTooSmall(f"loan {loan_id} owes {open_fen} fen")
    parts = overpaid.plan_back(session, loan_id=loan_id, fen=fen, now=at)
    return {
        "before_fen": open_fen,
        "after_fen": open_fen - fen,
        "source_fen": sum(part.fen for part in parts if part.why is None),
        "payments": sum(part.why is None for part in parts),
        "manual_fen": sum(part.fen for part in parts if part.why is not None),
        "why": next((part.why.value for part in parts if part.why is not None), ""),
    }


def _start(customer_id: int, loan_id: int, ahead: Ahead) -> bool:
    return do_or_propose(
        ahead,
        action=GIVE_BACK,
        done="loan.refunded",
        customer_id=customer_id,
        subject=f"customer:{customer_id}:loan:{loan_id}",
        do=lambda session, payload: _carry_out(session, payload, now()),
    )


def _carry_out(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Start sending back just what was shown.

    Raises:
        ShownChanged: It would go another way by now.
    """
    loan_id, fen = payload["loan_id"], payload["fen"]
    operations.lock_loan(session, loan_id=loan_id)
    if _ahead(session, loan_id, fen, at) != payload["shown"]:
        raise ShownChanged(f"{fen} fen of loan {loan_id} would go another way by now")
    numbers = overpaid.send_back(session, loan_id=loan_id, fen=fen, by=payload["by"], now=at)
    return {"loan": loan_id, "amount_fen": fen, "refunds": list(numbers)}


def _describe_back(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    return (_line(gettext("退还金额（元）"), payload["fen"]), *_effects(payload["shown"]))


def _effects(shown: Mapping[str, Any]) -> tuple[Change, ...]:
    """Say where the money would go, in lines."""
    owed = Change(
        label=gettext("应退客户（元）"),
        before=yuan(shown["before_fen"]),
        after=yuan(shown["after_fen"]),
    )
    lines = [owed]
    if shown["source_fen"]:
        to = gettext("原路退回微信支付（%(count)s 笔付款，元）", count=shown["payments"])
        lines.append(_line(to, shown["source_fen"]))
    if shown["manual_fen"]:
        why = words.said(words.REFUND_WHY, shown["why"])
        lines.append(_line(gettext("需人工转账（%(why)s，元）", why=why), shown["manual_fen"]))
    return tuple(lines)


def _line(label: str, fen: int) -> Change:
    return Change(label=label, before="", after=yuan(fen))


def _form(customer_id: int, loan_id: int, error: str = "", ahead: Ahead | None = None) -> str:
    with runtime().database.read() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        open_fen = overpaid.open_credit_of(session, loan_id=loan_id)
    return dialog(
        "refund_form.html",
        to=url_for("servicing_admin.give_back", customer_id=customer_id, loan_id=loan_id),
        error=error,
        loan=loan,
        open_fen=open_fen,
        open_yuan=plain_yuan(open_fen),
        ahead=ahead,
        effects=_effects(ahead.shown) if ahead else (),
    )


# -- transfers by bank -----------------------------------------------------------------------------


@staff_page(rights.TRANSFER)
def transfer_form(customer_id: int, number: str) -> ResponseReturnValue:
    """Ask for the bank's number of the transfer."""
    return _transfer_form(customer_id, number)


@staff_page(rights.TRANSFER)
def propose_transfer(customer_id: int, number: str) -> ResponseReturnValue:
    """Show what it comes to, then ask a second person to agree that it was sent."""
    form = partial(_transfer_form, customer_id, number)
    return foreseen_first(
        form=form,
        foresee=partial(_foresee_transfer, customer_id, number),
        go=partial(
            act_in_dialog,
            form=form,
            act=partial(_propose_transfer, customer_id, number),
            said=gettext("已提交，待另一位同事审批"),
            then=page_of(customer_id, _TAB),
        ),
    )


def _foresee_transfer(customer_id: int, number: str, session: Session) -> list[Change]:
    """Say what becomes of what is owed to the borrower, and of the refund."""
    reference = written("reference", most=_LONGEST_REFERENCE)
    owed_fen = _refund(session, customer_id, number).amount_fen
    return [
        Change(label=gettext("这笔应退款（元）"), before=yuan(owed_fen), after=yuan(0)),
        Change(label=gettext("银行流水号"), before="", after=reference),
    ]


def _propose_transfer(customer_id: int, number: str) -> bool:
    reference = written("reference", most=_LONGEST_REFERENCE)
    reason = written("why", most=_LONGEST_REASON)

    def do(session: Session) -> dict[str, Any]:
        subject = f"customer:{customer_id}:refund:{number}"
        if waiting_approval(session, action=TRANSFER, subject=subject, now=now()) is not None:
            raise AlreadyProposed(f"refund {number} waits for a decision")
        approval_id = propose(
            session,
            current_site(),
            action=TRANSFER,
            subject=subject,
            payload={
                "number": number,
                "reference": reference,
                "fen": _refund(session, customer_id, number).amount_fen,
                "by": current_staff().login,
            },
            proposed_by=current_staff().login,
            now=now(),
            expires_in=_DECIDE_WITHIN,
            reason=reason,
        )
        return {"refund": number, "approval": approval_id}

    payload = {"refund": number, "reference": reference}
    return do_once("refund.transfer_proposed", customer_id=customer_id, payload=payload, do=do)


def _transfer_form(
    customer_id: int, number: str, error: str = "", foreseen: Foreseen | None = None
) -> str:
    with runtime().database.read() as session:
        refund = _refund(session, customer_id, number)
    to = url_for("servicing_admin.propose_transfer", customer_id=customer_id, number=number)
    return dialog("transfer_form.html", to=to, error=error, refund=refund, foreseen=foreseen)


def _refund(session: Session, customer_id: int, number: str) -> RefundView:
    """Return a refund of a customer that a person has to send.

    Raises:
        TransferRefused: There is none.
    """
    for refund in refunds_of(session, customer_id=customer_id):
        if refund.out_refund_no == number and refund.may_be_transferred:
            return refund
    raise transfers.TransferRefused(f"customer {customer_id} waits for no refund {number}")


def _describe_transfer(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    return (
        _line(gettext("转账金额（元）"), payload["fen"]),
        Change(label=gettext("退款单号"), before="", after=payload["number"]),
        Change(label=gettext("银行流水号"), before="", after=payload["reference"]),
    )


def _do_transfer(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    transfers.transfer(
        session,
        out_refund_no=payload["number"],
        transfer_ref=payload["reference"],
        by=payload["by"],
        now=at,
    )
    return {"refund": payload["number"], "amount_fen": payload["fen"]}
