"""An application entered for a customer who stands at the counter, with what it would cost.

The decision is made by a job; the applications panel shows how it went.
"""

from decimal import Decimal
from functools import partial
from typing import Any, Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import act_in_dialog, current_staff, staff_page
from kernel.errors import FenqiError
from kernel.money import fen_from_yuan
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import rights
from servicing.admin.application_facts import INCOME
from servicing.admin.forms import choice, dialog, do_once, draw, page_of, written
from servicing.engine.plan import plan
from servicing.operations.applications.inhand import ENTERED_BY
from servicing.products import Product
from servicing.queries.products import STANDARD_CODE

TAB: Final = "applications"

_LONGEST_LABEL: Final = 120
_CHANNEL: Final = "counter"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/applications"
    add(f"{at}/new", "application_form", application_form)
    add(at, "submit_application", submit, methods=["POST"])
    add(f"{at}/cost", "application_cost", cost, methods=["POST"])


@staff_page(rights.SUBMIT_APPLICATION)
def application_form(customer_id: int) -> ResponseReturnValue:
    """Ask what is bought, where, for how much and over how many months."""
    return _form(customer_id)


@staff_page(rights.SUBMIT_APPLICATION)
def submit(customer_id: int) -> ResponseReturnValue:
    """Enter the application."""
    return act_in_dialog(
        form=partial(_form, customer_id),
        act=partial(_submit, customer_id),
        said=gettext("申请已提交，正在审批"),
        then=page_of(customer_id, TAB),
    )


@staff_page(rights.SUBMIT_APPLICATION)
def cost(customer_id: int) -> ResponseReturnValue:  # noqa: ARG001 -- the same for every customer
    """Show what the purchase would cost, for information; nothing is kept."""
    try:
        product = _product()
        amount_fen, terms = _amount_and_terms(product)
        product.check(amount_fen=amount_fen, terms=terms)
    except FenqiError as error:
        return draw("cost.html", refusal=gettext(error.message_zh))
    offer: dict[str, Any] = {
        "principal_fen": amount_fen,
        "rate_annual": product.rate_annual,
        "terms": terms,
    }
    planned = plan(product.agree(**offer, start_on=today()))
    table = operations.cost_table(**offer, disbursed_on=today(), product=product)
    percent = Decimal(table["annual_cost_nominal"]) * 100
    return draw("cost.html", plan=planned, annual_percent=f"{percent:.2f}")


def _submit(customer_id: int) -> bool:
    product = _product()
    amount_fen, terms = _amount_and_terms(product)
    wanted: dict[str, Any] = {
        "merchandise": written("merchandise", most=_LONGEST_LABEL),
        "merchant_name": written("merchant_name", most=_LONGEST_LABEL),
        "amount_fen": amount_fen,
        "terms": terms,
    }

    def do(session: Session) -> dict[str, Any]:
        application_id = operations.submit_application(
            session,
            customer_id=customer_id,
            channel=_CHANNEL,
            attributes={ENTERED_BY: current_staff().login, **_income()},
            key=f"{_CHANNEL}/{current_staff().login}/{request.form['key']}",
            now=now(),
            product=product,
            **wanted,
        )
        return {"application": application_id, **wanted}

    return do_once("application.entered", customer_id=customer_id, payload=wanted, do=do)


def _product() -> Product:
    with runtime().database.read() as session:
        return queries.product_in_force(session, code=STANDARD_CODE, on=today())


def _amount_and_terms(product: Product) -> tuple[int, int]:
    terms = choice("terms", [str(terms) for terms in product.terms])
    return fen_from_yuan(request.form.get("amount", "").replace(",", "")), int(terms)


def _income() -> dict[str, int]:
    """Read what the customer says to earn; nothing where nothing was said."""
    said = request.form.get("income", "").replace(",", "").strip()
    return {INCOME: fen_from_yuan(said)} if said else {}


def _form(customer_id: int, error: str = "") -> str:
    given, product = runtime(), _product()
    with given.database.read() as session:
        queries.customer_view(session, given.cipher, customer_id=customer_id)
        lines = queries.lines_of(session, customer_id=customer_id)
    return dialog(
        "application_form.html",
        to=url_for("servicing_admin.submit_application", customer_id=customer_id),
        error=error,
        customer_id=customer_id,
        product=product,
        terms=[(terms, gettext("%(count)s 期", count=terms)) for terms in product.terms],
        available_fen=sum(line.available_fen for line in lines) if lines else None,
    )
