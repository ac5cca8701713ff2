"""The borrower's page for an amount of their own: typed in, shown where it goes, then paid.

What is shown is in the page's address, so that just that is paid. How much it may be and where it
goes is servicing's; nothing is computed here.
"""

from collections.abc import Mapping
from typing import Any, Final

from flask import redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from kernel.ids import new_token
from kernel.money import MoneyNotReadable, fen_from_yuan, yuan
from kernel.web import runtime, today
from servicing.operations import AmountRefused, Most, OwnAmount, look_at_amount, most_payable
from servicing.payments.ports import Purpose
from servicing.queries import LoanView

FIELD: Final = "yuan"

_MOST_SIGNS: Final = 16


def asked_fen() -> int:
    """Return what the page's address asks for, fen.

    Raises:
        MoneyNotReadable: It is no amount with two decimals at most.
    """
    return read_fen(request.args)


def read_fen(form: Mapping[str, str]) -> int:
    """Read the field of an amount, fen.

    Raises:
        MoneyNotReadable: It is no amount with two decimals at most.
    """
    written = form.get(FIELD, "").strip().removeprefix("¥").replace(",", "")
    if len(written) > _MOST_SIGNS:
        raise MoneyNotReadable("nobody owes so much")
    return fen_from_yuan(written)


def page(loan: LoanView) -> str | BaseResponse | tuple[str, int]:
    """Show the form; with an amount that can be paid, where it goes and the button."""
    with runtime().database.read() as session:
        most = most_payable(session, loan=loan, on=today())
        if not request.args[FIELD].strip():
            return _page(loan, most)
        try:
            fen = asked_fen()
            if most.is_settlement and fen == most.fen:
                return redirect(f"{url_for('h5.repay', loan_id=loan.id)}?for={Purpose.SETTLE}")
            return _page(loan, most, look_at_amount(session, loan=loan, amount_fen=fen, on=today()))
        except MoneyNotReadable:
            problem = _("请输入数字，最多两位小数，例如 500.50")
        except AmountRefused:
            problem = _too_little_or_much(most, fen)
        return _page(loan, most, problem=problem), AmountRefused.status


def _too_little_or_much(most: Most, fen: int) -> str:
    said: str = _("今天最多可还 ¥%(sum)s", sum=yuan(most.fen))
    if fen <= 0:
        said = _("金额须大于 0")
    elif not most.fen:
        said = _("目前没有需要还的款项")
    elif most.is_settlement:
        said = _("今天 ¥%(sum)s 就能全部还清，不必再多付", sum=yuan(most.fen))
    return said


def _page(loan: LoanView, most: Most, seen: OwnAmount | None = None, problem: str = "") -> str:
    given: dict[str, Any] = {"loan": loan, "most": most, "seen": seen, "problem": problem}
    written = request.args[FIELD].strip()
    return render_template("bot/amount.html", **given, written=written, key=new_token())
