"""Customers whom partners bring, each under the partner's own reference.

What a partner may see of them is servicing.queries.partners' matter.
"""

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.errors import Conflict, Invalid
from kernel.identity import id_number_index, phone_index, right_id_number
from servicing.operations.customers import CustomerKnown, create_customer
from servicing.queries.questions import age_of
from servicing.tables import Customer, PartnerCustomer


class IdNumberWrong(Invalid):
    """The id number has a wrong check sign, or a birthday that is none or has not come."""

    code = "id-number-wrong"
    message_zh = "身份证号有误，请核对后重新填写"


class ReferenceTaken(Conflict):
    """The partner uses the reference, or another one for the same customer, already."""

    code = "partner-reference-taken"
    message_zh = "该合作方客户编号已被使用"


def bring_customer(
    session: Session,
    cipher: FieldCipher,
    *,
    partner: str,
    reference: str,
    name: str,
    phone: str,
    id_number: str,
    is_student: bool,
    employer: str | None,
    now: datetime,
) -> int:
    """Enter a customer of a partner, or link the one who is known by the same data, in full.

    Args:
        session: A write session.
        cipher: Of personal fields.
        partner: Who brings them.
        reference: How the partner knows them.
        name: As on the identity document.
        phone: Their mobile number.
        id_number: Of the identity document.
        is_student: Whether they study.
        employer: Where they work, if known.
        now: The instant.

    Returns:
        The customer's id.

    Raises:
        IdNumberWrong: See there.
        CustomerKnown: Phone or id number belong to somebody with other data.
        ReferenceTaken: See there.
    """
    number = _right_number(id_number, on=business_date(now))
    given = {"name": name, "phone": phone, "id_number": number}
    customer_id = _same_customer(session, cipher, **given)
    if customer_id is None:
        customer_id = create_customer(
            session, cipher, **given, is_student=is_student, employer=employer, now=now
        )
    taken = select(PartnerCustomer.customer_id).where(
        PartnerCustomer.partner == partner,
        (PartnerCustomer.reference == reference) | (PartnerCustomer.customer_id == customer_id),
    )
    if session.scalar(taken.limit(1)) is not None:
        raise ReferenceTaken("the reference or the customer is linked already")
    session.add(
        PartnerCustomer(
            partner=partner, customer_id=customer_id, reference=reference, linked_at=now
        )
    )
    return customer_id


def _right_number(id_number: str, *, on: date) -> str:
    number = right_id_number(id_number)
    if number is None or age_of(number, on) is None:
        raise IdNumberWrong("the check sign or the birthday of the id number is wrong")
    return number


def _same_customer(
    session: Session, cipher: FieldCipher, *, name: str, phone: str, id_number: str
) -> int | None:
    """Find who has this id number, if phone and name are theirs too; None if nobody has it."""
    index = id_number_index(cipher, id_number)
    known = session.scalar(select(Customer).where(Customer.id_number_index == index))
    if known is None:
        return None
    same_phone = known.phone_index == phone_index(cipher, phone)
    if not same_phone or cipher.decrypt(known.name_enc, context="customer.name") != name:
        raise CustomerKnown("the id number is known with other data")
    return known.id
