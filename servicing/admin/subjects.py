"""What our proposals are about, in words and with a link: a loan by its number and whose it is.

How a subject is written is decided beside each act; here it is only read.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from flask import url_for
from flask_babel import gettext

from desk.ports import Site, Subject, SubjectKind, mask_name
from kernel.web import runtime, today
from servicing import queries
from servicing.admin import words
from servicing.admin.forms import page_of
from servicing.admin.partners import ACTS

_PAYMENTS_TAB: Final = "payments"


def plug_in(site: Site) -> None:
    """Name all kinds of subjects that we have."""
    site.subjects.add(
        SubjectKind(key="customer", name=_of_customers),
        SubjectKind(key="application", name=_each(_application)),
        SubjectKind(key="bill", name=_each(_bill)),
        SubjectKind(key="difference", name=_each(_difference)),
        SubjectKind(key="partner", name=_each(_partner)),
        SubjectKind(key="payee", name=_each(_payee)),
        SubjectKind(key="period", name=_each(_period)),
    )


def _of_customers(subjects: Collection[str]) -> dict[str, Subject]:
    """Name what belongs to a customer: `customer:1`, and a loan, line or refund of theirs."""
    parts = {subject: (subject.split(":") + [""] * 3)[1:4] for subject in subjects}
    ids = {int(customer_id) for customer_id, _, _ in parts.values()}
    given = runtime()
    with given.database.read() as session:
        names = queries.customer_names(session, given.cipher, customer_ids=ids)
        loans = {
            loan.id: loan
            for customer_id in ids
            for loan in queries.loans_of(session, customer_id=customer_id, on=today())
        }
    return {
        subject: _theirs(int(customer_id), names[int(customer_id)], noun, key, loans)
        for subject, (customer_id, noun, key) in parts.items()
        if int(customer_id) in names
    }


def _theirs(
    customer_id: int, name: str, noun: str, key: str, loans: Mapping[int, queries.LoanView]
) -> Subject:
    who = f"{mask_name(name)} · {gettext('客户 #%(id)s', id=customer_id)}"
    url = page_of(customer_id)
    if noun == "loan" and int(key) in loans:
        loan = loans[int(key)]
        return Subject(title=loan.loan_no, detail=f"{loan.merchandise} · {who}", url=url)
    if noun == "line":
        return Subject(title=gettext("授信额度"), detail=who, url=url)
    if noun == "refund":
        title = gettext("退款 %(number)s", number=key)
        return Subject(title=title, detail=who, url=page_of(customer_id, _PAYMENTS_TAB))
    return Subject(title=who, url=url)


def _each(name: Callable[[str], Subject]) -> Callable[[Collection[str]], dict[str, Subject]]:
    """Name subjects one by one, given what follows the first word."""
    return lambda subjects: {one: name(one.partition(":")[2]) for one in subjects}


def _application(key: str) -> Subject:
    url = url_for("servicing_admin.application", application_id=int(key))
    return Subject(title=gettext("申请 #%(id)s", id=key), url=url)


def _bill(day: str) -> Subject:
    url = url_for("servicing_admin.trial_balance", month=day[:7])
    return Subject(title=gettext("%(day)s 的微信支付账单", day=day), url=url)


def _difference(key: str) -> Subject:
    url = url_for("servicing_admin.difference", difference_id=int(key))
    return Subject(title=gettext("对账差错 #%(id)s", id=key), url=url)


def _partner(key: str) -> Subject:
    partner, _, act = key.partition(":")
    url = url_for("servicing_admin.partner", partner=partner)
    return Subject(
        title=gettext("合作方 %(name)s", name=partner), detail=str(ACTS.get(act, act)), url=url
    )


def _payee(key: str) -> Subject:
    creditor, _, name = key.partition(":")
    url = url_for("servicing_admin.payee", creditor=creditor, name=name)
    return Subject(title=name, detail=str(words.said(words.CREDITORS, creditor)), url=url)


def _period(month: str) -> Subject:
    url = url_for("servicing_admin.trial_balance", month=month)
    return Subject(title=gettext("%(month)s 会计期间", month=month), url=url)
