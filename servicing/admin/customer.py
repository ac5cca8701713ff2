"""Finding a customer, and the upper half of their page: who they are and what they owe.

Everything personal is masked; seeing it in clear asks for a reason (desk's unmaskers).
"""

from collections.abc import Callable
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup

from contact.queries import AddressView, addresses_of
from desk.ports import (
    Panel,
    Search,
    SearchHit,
    Site,
    Unmasker,
    mask_name,
    mask_phone,
    staff_page,
)
from kernel.web import now, runtime, today
from servicing import queries
from servicing.admin import product_words, rights
from servicing.admin.forms import draw, page_of
from servicing.lateness import worst
from servicing.queries import CustomerNotFound, CustomerView
from servicing.queries.history import find_loan, terms_of

_MOST_HITS: Final = 20
_LONGEST_ID: Final = 18


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    blueprint.add_url_rule(
        "/admin/customers/<int:customer_id>/loans/<int:loan_id>/plan", "plan", plan
    )


def plug_in(site: Site) -> None:
    """Plug in the search, the unmaskers and the two upper panels."""
    site.searches.add(Search(label="客户", permission=rights.VIEW, find=find))
    site.unmaskers.add(
        _unmasker("customer.name", rights.UNMASK_NAME, "姓名", lambda seen: seen.name),
        _unmasker("customer.phone", rights.UNMASK_PHONE, "手机号", lambda seen: seen.phone),
        _unmasker(
            "customer.id_number", rights.UNMASK_ID_NUMBER, "证件号", lambda seen: seen.id_number
        ),
    )
    site.customer_panels.add(
        Panel(key="head", title="", permission=rights.VIEW, order=10, render=head),
        Panel(key="loans", title="", permission=rights.VIEW, order=20, render=loans, width=8),
    )


def find(text: str) -> tuple[SearchHit, ...]:
    """Find customers by customer number, loan number, phone or id number, each in full."""
    given = runtime()
    with given.database.read() as session:
        found = queries.find_customers(
            session, given.cipher, text="".join(text.split()).removeprefix("#"), limit=_MOST_HITS
        )
        owed = [queries.loans_of(session, customer_id=hit.id, on=today()) for hit in found]
    return tuple(_hit(hit, theirs) for hit, theirs in zip(found, owed, strict=True))


def head(customer_id: int) -> Markup:
    """Draw who the customer is, what stands out, and the figures that matter first."""
    given = runtime()
    with given.database.read() as session:
        customer = queries.customer_view(session, given.cipher, customer_id=customer_id)
        owed = queries.loans_of(session, customer_id=customer_id, on=today())
        lines = queries.lines_of(session, customer_id=customer_id)
        holds = queries.holds_of(session, customer_id=customer_id, at=now())
        complaints = queries.complaints_of(session, given.cipher, customer_id=customer_id)
        addresses = addresses_of(session, customer_id=customer_id)
    return draw(
        "head.html",
        customer=customer,
        loans=owed,
        lines=lines,
        holds=sum(hold.is_in_force for hold in holds),
        complaints=sum(complaint.state != "closed" for complaint in complaints),
        is_unreachable=_is_unreachable(addresses),
        is_bound=any(_is_active(address, "wechat") for address in addresses),
        late=max(owed, key=lambda loan: loan.days_past_due, default=None),
        five_class=worst(loan.five_class for loan in owed),
    )


def loans(customer_id: int) -> Markup:
    """Draw the customer's loans, each folded over its plan."""
    with runtime().database.read() as session:
        owed = queries.loans_of(session, customer_id=customer_id, on=today())
    return draw("loans.html", customer_id=customer_id, loans=owed)


@staff_page(rights.VIEW)
def plan(customer_id: int, loan_id: int) -> ResponseReturnValue:
    """Draw a loan's plan with the reason for each fen."""
    with runtime().database.read() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=today())
        holds = queries.holds_of(session, customer_id=customer_id, at=now())
        marks = queries.class_marks(session, loan_id=loan_id)
        subsidy = queries.subsidy_of(session, loan_id=loan_id)
        settling = queries.settlement_if_any(session, loan=loan, on=today())
        method = terms_of(find_loan(session, loan_id=loan_id)).method
    return draw(
        "plan.html",
        loan=loan,
        names=product_words,
        method=method,
        subsidy=subsidy,
        settling=settling,
        marks=[mark for mark in marks if mark.counts(today())],
        why={row.n: queries.explain(row) for row in loan.plan},
        holds=[hold for hold in holds if hold.loan_id == loan_id and hold.is_in_force],
    )


def _hit(customer: CustomerView, owed: tuple[queries.LoanView, ...]) -> SearchHit:
    late = max((loan.days_past_due for loan in owed), default=0)
    facts = [
        gettext("客户 #%(id)s", id=customer.id),
        mask_phone(customer.phone),
        gettext("%(count)s 笔分期", count=len(owed)),
        gettext("逾期 %(days)s 天", days=late) if late else "",
    ]
    return SearchHit(
        title=mask_name(customer.name),
        detail=" · ".join(fact for fact in facts if fact),
        url=page_of(customer.id),
    )


def _unmasker(
    key: str, permission: str, label: str, field: Callable[[CustomerView], str]
) -> Unmasker:
    def reveal(subject: str) -> str:
        if not (subject.isascii() and subject.isdigit() and len(subject) <= _LONGEST_ID):
            raise CustomerNotFound("no customer's number")
        given = runtime()
        with given.database.read() as session:
            return field(queries.customer_view(session, given.cipher, customer_id=int(subject)))

    return Unmasker(key=key, permission=permission, reveal=reveal, label=label)


def _is_active(address: AddressView, kind: str) -> bool:
    return address.channel_kind == kind and address.retired_at is None


def _is_unreachable(addresses: tuple[AddressView, ...]) -> bool:
    """Say whether every phone that we knew was given up."""
    phones = [address for address in addresses if address.channel_kind == "phone"]
    return bool(phones) and not any(_is_active(phone, "phone") for phone in phones)
