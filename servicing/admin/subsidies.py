"""商户贴息: what merchants owe in their borrowers' place, down to the loans, and what they pay.

A payment is shared out over the merchant's loans, the oldest first. What it means for them is
servicing.operations.subsidies'.
"""

from datetime import date
from functools import partial
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import act_once
from desk.ports import Change, NavItem, Site, act_in_dialog, current_staff, staff_page
from kernel.money import yuan
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin.forms import amount, choice, dialog, moved_on
from servicing.admin.previewed import Foreseen, foreseen_first

VIEW: Final = "servicing.subsidy.view"
COLLECT: Final = "servicing.subsidy.collect"

# Which way the money moved, as the form says it.
_WAYS: Final = ("in", "back")


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/subsidies"
    add(at, "subsidies", merchants)
    add(f"{at}/merchant", "merchant_subsidy", merchant)
    add(f"{at}/payment", "subsidy_payment_form", payment_form)
    add(f"{at}/payment", "enter_subsidy_payment", enter, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the list and its rights on a site."""
    site.permissions.declare(VIEW, "查看商户贴息", roles=("finance", "risk_manager", "auditor"))
    site.permissions.declare(COLLECT, "登记商户贴息收付款", roles=("finance",))
    site.navigation.add(
        NavItem(
            label="商户贴息",
            endpoint="servicing_admin.subsidies",
            permission=VIEW,
            group="账务",
            order=630,
            icon="cash",
        )
    )


@staff_page(VIEW)
def merchants() -> ResponseReturnValue:
    """List the merchants that pay in their borrowers' place, those that owe most first."""
    with runtime().database.read() as session:
        found = queries.merchant_subsidies(session)
    return render_template("servicing/admin/subsidies.html", merchants=found)


@staff_page(VIEW)
def merchant() -> ResponseReturnValue:
    """List a merchant's loans that have something open."""
    name = request.args.get("name", "")
    with runtime().database.read() as session:
        loans = queries.subsidies_of(session, name)
    return render_template("servicing/admin/merchant_subsidy.html", name=name, loans=loans)


@staff_page(COLLECT)
def payment_form() -> ResponseReturnValue:
    """Ask what the merchant paid, or got back, and when."""
    return _form(request.args.get("name", ""))


@staff_page(COLLECT)
def enter() -> ResponseReturnValue:
    """Show how the payment would be shared out over the merchant's loans, then do it."""
    name = request.form.get("name", "")
    return foreseen_first(
        form=partial(_form, name),
        foresee=partial(_foresee, name),
        go=partial(
            act_in_dialog,
            form=partial(_form, name),
            act=partial(_enter, name),
            said=gettext("已登记，并按放款先后分配到各笔分期"),
            then=url_for("servicing_admin.merchant_subsidy", name=name),
        ),
    )


def _foresee(name: str, session: Session) -> list[Change]:
    """Say what each loan's merchant owes for it, before and after."""
    fen, _on = _moved()
    shares = operations.share_subsidy(session, merchant_name=name, amount_fen=fen)
    return [
        Change(
            label=gettext("分期 %(number)s 商户应付（元）", number=view.loan_no),
            before=yuan(view.open_fen),
            after=yuan(view.open_fen - part),
        )
        for view, part in shares
    ]


def _moved() -> tuple[int, date]:
    """Read how much moved, below 0 if it went back to the merchant, and when."""
    is_back = choice("way", _WAYS) == "back"
    return amount("amount") * (-1 if is_back else 1), moved_on("on")


def _form(name: str, error: str = "", foreseen: Foreseen | None = None) -> str:
    with runtime().database.read() as session:
        loans = queries.subsidies_of(session, name)
    return dialog(
        "subsidy_payment_form.html",
        to=url_for("servicing_admin.enter_subsidy_payment"),
        error=error,
        name=name,
        today=today(),
        owed_fen=sum(max(0, loan.open_fen) for loan in loans),
        back_fen=sum(max(0, -loan.open_fen) for loan in loans),
        foreseen=foreseen,
    )


def _enter(name: str) -> bool:
    fen, on = _moved()
    with runtime().database.write() as session:
        return act_once(
            session,
            actor=current_staff().login,
            action="servicing.subsidy.paid",
            subject="merchant-subsidy",
            key=request.form.get("key", ""),
            payload={"merchant": name, "amount_fen": fen, "on": on.isoformat()},
            do=lambda: _collect(session, name, fen, on),
            now=now(),
        )


def _collect(session: Session, name: str, fen: int, on: date) -> dict[str, Any]:
    loans = operations.collect_subsidy(
        session,
        merchant_name=name,
        amount_fen=fen,
        on=on,
        key=f"subsidy/{request.form['key']}",
        actor=current_staff().login,
        now=now(),
    )
    return {"merchant": name, "amount_fen": fen, "loans": list(loans)}
