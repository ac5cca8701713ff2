"""What paying ahead would come to, for a borrower who asks: all of it, or a part; nothing happens.

A quote holds for its day. Posting just that is the act that books money, or the borrower's own
payment.
"""

from datetime import timedelta
from typing import Any, Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import staff_page
from kernel.errors import FenqiError, Invalid
from kernel.money import yuan
from kernel.web import runtime, today
from servicing import operations, queries
from servicing.admin import rights, words
from servicing.admin.forms import amount, choice, day, dialog
from servicing.admin.previewed import effects
from servicing.engine.events import Prepayment
from servicing.engine.profile import Excess
from servicing.queries.quotes import SettlementQuote

_AHEAD: Final = timedelta(days=31)


class QuoteDayOff(Invalid):
    """All of a loan is quoted for one of the days to come, a part of it for today."""

    code = "quote-day-off"
    message_zh = "结清可试算今天起 31 天内的任一天，部分提前还款只能按今天试算"


def add_to(blueprint: Blueprint) -> None:
    """Put this page on the blueprint."""
    at = "/admin/customers/<int:customer_id>/loans/<int:loan_id>/quote"
    blueprint.add_url_rule(at, "quote_form", quote_form)
    blueprint.add_url_rule(at, "quote", quote, methods=["POST"])


@staff_page(rights.VIEW)
def quote_form(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Ask how much would be paid, and when."""
    return _form(customer_id, loan_id)


@staff_page(rights.VIEW)
def quote(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Say what it comes to."""
    try:
        with runtime().database.read() as session:
            queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
            said = _said(session, customer_id, loan_id)
    except FenqiError as error:
        return _form(customer_id, loan_id, error=gettext(error.message_zh)), error.status
    return _form(customer_id, loan_id, **said)


def _said(session: Session, customer_id: int, loan_id: int) -> dict[str, Any]:
    """Return the lines of the quote, its day, and the plan that it would leave."""
    on = day("on") or today()
    is_part = bool(request.form.get("amount", "").strip())
    if not today() <= on <= today() + _AHEAD or (is_part and on != today()):
        raise QuoteDayOff(f"no quote for {on}")
    if not is_part:
        asked = queries.settlement_quote(session, loan_id=loan_id, customer_id=customer_id, on=on)
        return {"on": on, "lines": _lines(asked)}
    event = Prepayment(
        id="",
        on=on,
        amount_fen=amount("amount"),
        effect=Excess(choice("effect", words.PREPAYMENT_EFFECTS)),
    )
    shown = operations.preview_event(session, loan_id=loan_id, event=event).shown()
    return {"on": on, "lines": effects(shown), "shown": shown}


def _lines(asked: SettlementQuote) -> list[tuple[str, str]]:
    """Say what ends a loan, part by part; what is nothing is left out."""
    parts = (
        (gettext("应还未还（元）"), asked.due_fen),
        (gettext("未到期本金（元）"), asked.later_principal_fen),
        (gettext("本期 %(days)s 天利息和费用（元）", days=asked.cost_days), asked.cost_fen),
        (gettext("提前结清手续费（元）"), asked.fee_fen),
        (gettext("超出成本上限，已扣除（元）"), -asked.credit_fen),
        (gettext("减免（元）"), -asked.waived_fen),
        (gettext("结清需还（元）"), asked.amount_fen),
        (gettext("比按计划还少付（元）"), asked.saved_fen),
        (gettext("超出成本上限，结清后退还客户（元）"), asked.back_fen),
    )
    return [(label, yuan(fen)) for label, fen in parts if fen]


def _form(customer_id: int, loan_id: int, error: str = "", **said: Any) -> str:
    with runtime().database.read() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
    return dialog(
        "quote_form.html",
        to=url_for("servicing_admin.quote", customer_id=customer_id, loan_id=loan_id),
        error=error,
        loan=loan,
        today=today(),
        last_on=today() + _AHEAD,
        **said,
    )
