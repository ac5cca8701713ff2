"""The lower half of the customer page: what is on record, each kind behind a tab.

It shows and changes nothing.
"""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from desk.ports import Panel, Site, staff_page
from kernel.web import now, runtime, today
from servicing import queries
from servicing.admin import rights
from servicing.admin.forms import draw
from servicing.payments.queries import attempts_of, payments_of, refunds_of


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    blueprint.add_url_rule(
        "/admin/customers/<int:customer_id>/loans/<int:loan_id>/entries", "entries", entries
    )


def plug_in(site: Site) -> None:
    """Plug in the tabs."""
    tabs = (
        ("payments", "还款与退款", rights.PAYMENTS, payments),
        ("care", "停催与投诉", rights.CARE, care),
        ("applications", "申请记录", rights.APPLICATIONS, applications),
        ("ledger", "账务分录", rights.LEDGER, ledger),
        ("consents", "授权", rights.CONSENTS, consents),
    )
    for place, (key, title, permission, render) in enumerate(tabs):
        site.customer_panels.add(
            Panel(
                key=key,
                title=title,
                permission=permission,
                order=100 + 10 * place,
                render=render,
                is_tab=True,
            )
        )


def payments(customer_id: int) -> Markup:
    """Draw what was repaid, every attempt to pay, and what went back."""
    with runtime().database.read() as session:
        loans = queries.loans_of(session, customer_id=customer_id, on=today())
        posted = [
            (loan, repayment)
            for loan in loans
            for repayment in queries.repayments_of(session, loan_id=loan.id)
        ]
        paid = payments_of(session, customer_id=customer_id)
        attempts = attempts_of(session, customer_id=customer_id)
        refunds = refunds_of(session, customer_id=customer_id)
    posted.sort(key=lambda pair: (pair[1].value_date, pair[1].recorded_at), reverse=True)
    return draw(
        "payments.html",
        customer_id=customer_id,
        posted=posted,
        payments={payment.id: payment for payment in paid},
        by_key={f"payment/{payment.id}": payment for payment in paid},
        attempts=attempts,
        refunds=refunds,
        loans={loan.id: loan for loan in loans},
    )


def care(customer_id: int) -> Markup:
    """Draw holds and complaints, those in force and those that are over."""
    given = runtime()
    with given.database.read() as session:
        holds = queries.holds_of(session, customer_id=customer_id, at=now())
        complaints = queries.complaints_of(session, given.cipher, customer_id=customer_id)
        loans = queries.loans_of(session, customer_id=customer_id, on=today())
    return draw(
        "care.html",
        customer_id=customer_id,
        holds=holds,
        complaints=complaints,
        loans={loan.id: loan for loan in loans},
        at=now(),
    )


def applications(customer_id: int) -> Markup:
    """Draw the applications with their reasons and who decided."""
    with runtime().database.read() as session:
        found = queries.applications_of(session, customer_id=customer_id)
    return draw("applications.html", customer_id=customer_id, applications=found)


def ledger(customer_id: int) -> Markup:
    """Draw the loans, each folded over its entries."""
    with runtime().database.read() as session:
        loans = queries.loans_of(session, customer_id=customer_id, on=today())
    return draw("ledger.html", customer_id=customer_id, loans=loans)


@staff_page(rights.LEDGER)
def entries(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Draw a loan's ledger entries, debits and credits side by side."""
    with runtime().database.read() as session:
        queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        found = queries.entries_of(session, loan_id=loan_id)
    return draw("entries.html", entries=found)


def consents(customer_id: int) -> Markup:
    """Draw the customer's last word on each purpose."""
    with runtime().database.read() as session:
        found = queries.consents_of(session, customer_id=customer_id)
    return draw("consents.html", consents=found)
