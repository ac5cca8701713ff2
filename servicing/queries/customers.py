"""Customers in clear, and how they are found: by blind index, never by name."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import Session

from kernel.crypto import FieldCipher
from kernel.errors import NotFound
from kernel.identity import id_number_index, phone_index
from servicing.tables import Customer, Loan

_PHONE = re.compile(r"1\d{10}")
_ID_DIGITS = 9
_ID_NUMBER = re.compile(r"\d{17}[\dXx]")
_CUSTOMER = select(Customer).where(Customer.id == bindparam("customer_id"))


class CustomerNotFound(NotFound):
    """No such customer."""

    code = "customer-not-found"
    message_zh = "没有找到该客户"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerView:
    """A customer in clear."""

    id: int
    name: str
    phone: str
    id_number: str
    is_student: bool
    employer: str | None

    @property
    def id_number_last4(self) -> str:
        """The last four signs of the id number."""
        return self.id_number[-4:]


def customer_view(session: Session, cipher: FieldCipher, *, customer_id: int) -> CustomerView:
    """Return a customer in clear.

    Raises:
        CustomerNotFound: There is none.
    """
    row = session.scalar(_CUSTOMER, {"customer_id": customer_id})
    if row is None:
        raise CustomerNotFound(f"no customer {customer_id}")
    return _view(cipher, row)


def customer_views(
    session: Session, cipher: FieldCipher, *, customer_ids: Iterable[int]
) -> dict[int, CustomerView]:
    """Return several customers in clear; who is unknown is left out."""
    rows = session.scalars(select(Customer).where(Customer.id.in_(set(customer_ids))))
    return {row.id: _view(cipher, row) for row in rows}


def customer_names(
    session: Session, cipher: FieldCipher, *, customer_ids: Iterable[int]
) -> dict[int, str]:
    """Return the names of several customers, in clear; who is unknown is left out."""
    rows = session.execute(
        select(Customer.id, Customer.name_enc).where(Customer.id.in_(set(customer_ids)))
    )
    return {row.id: cipher.decrypt(row.name_enc, context="customer.name") for row in rows}


def match_identity(
    session: Session, cipher: FieldCipher, *, phone: str, id_last4: str
) -> int | None:
    """Find the customer with this phone whose id number ends so, or None."""
    index = cipher.blind_index(f"{phone}/{id_last4.upper()}", context="customer.identity")
    return session.scalar(select(Customer.id).where(Customer.identity_index == index))


def find_customers(
    session: Session, cipher: FieldCipher, *, text: str, limit: int
) -> tuple[CustomerView, ...]:
    """Find customers by phone, id number, loan number or customer number, in full.

    A name cannot be searched: it is encrypted and has no index.
    """
    condition = _condition(cipher, text.strip())
    if condition is None:
        return ()
    rows = session.scalars(select(Customer).where(condition).order_by(Customer.id).limit(limit))
    return tuple(_view(cipher, row) for row in rows)


def _condition(cipher: FieldCipher, text: str) -> ColumnElement[bool] | None:
    if _PHONE.fullmatch(text):
        return Customer.phone_index == phone_index(cipher, text)
    if _ID_NUMBER.fullmatch(text):
        return Customer.id_number_index == id_number_index(cipher, text)
    if text.upper().startswith("FQ"):
        return Customer.id.in_(select(Loan.customer_id).where(Loan.loan_no == text.upper()))
    if text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS:
        return Customer.id == int(text)
    return None


def _view(cipher: FieldCipher, row: Customer) -> CustomerView:
    return CustomerView(
        id=row.id,
        name=cipher.decrypt(row.name_enc, context="customer.name"),
        phone=cipher.decrypt(row.phone_enc, context="customer.phone"),
        id_number=cipher.decrypt(row.id_number_enc, context="customer.id_number"),
        is_student=row.is_student,
        employer=row.employer,
    )


def loan_id_of(session: Session, *, loan_no: str) -> int | None:
    """Return the loan of a number, or None."""
    return session.scalar(select(Loan.id).where(Loan.loan_no == loan_no.strip().upper()))
