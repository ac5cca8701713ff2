"""Customers and what they agreed to. How they are reached is contact's business."""

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel import outbox
from kernel.crypto import FieldCipher
from kernel.errors import Conflict
from kernel.identity import id_number_index, phone_index
from servicing.events import CustomerCreated
from servicing.tables import Consent, Customer

_LAST_SIGNS = 4


class CustomerKnown(Conflict):
    """The phone or id number belongs to a customer already."""

    code = "customer-known"
    message_zh = "该手机号或证件号已登记"


def customer_row(
    cipher: FieldCipher,
    *,
    name: str,
    phone: str,
    id_number: str,
    is_student: bool,
    now: datetime,
    employer: str | None = None,
) -> dict[str, Any]:
    """Return the column values of a customer, personal fields encrypted and indexed."""
    identity = f"{phone}/{id_number[-_LAST_SIGNS:].upper()}"
    return {
        "name_enc": cipher.encrypt(name, context="customer.name"),
        "phone_enc": cipher.encrypt(phone, context="customer.phone"),
        "phone_index": phone_index(cipher, phone),
        "id_number_enc": cipher.encrypt(id_number, context="customer.id_number"),
        "id_number_index": id_number_index(cipher, id_number),
        "identity_index": cipher.blind_index(identity, context="customer.identity"),
        "is_student": is_student,
        "employer": employer,
        "created_at": now,
    }


def lock_customer(session: Session, *, customer_id: int) -> None:
    """Let nobody else who locks this customer go on before this transaction ends.

    Rows that merely refer to the customer may still be added meanwhile.
    """
    session.execute(
        select(Customer.id).where(Customer.id == customer_id).with_for_update(key_share=True)
    )


def create_customer(
    session: Session,
    cipher: FieldCipher,
    *,
    name: str,
    phone: str,
    id_number: str,
    now: datetime,
    is_student: bool = False,
    employer: str | None = None,
) -> int:
    """Enter a customer and return their id.

    Raises:
        CustomerKnown: Phone or id number is in the book already.
    """
    values = customer_row(
        cipher,
        name=name,
        phone=phone,
        id_number=id_number,
        is_student=is_student,
        employer=employer,
        now=now,
    )
    known = session.scalar(
        select(func.count())
        .select_from(Customer)
        .where(
            (Customer.phone_index == values["phone_index"])
            | (Customer.id_number_index == values["id_number_index"])
        )
    )
    if known:
        raise CustomerKnown("phone or id number is known")
    customer = Customer(**values)
    session.add(customer)
    session.flush()
    outbox.record(session, CustomerCreated(customer_id=customer.id), now=now)
    return customer.id


def record_consent(
    session: Session, *, customer_id: int, purpose: str, text: str, channel: str, now: datetime
) -> int:
    """Record that a customer agreed to a text, kept by its hash."""
    text_hash = hashlib.sha256(text.encode()).hexdigest()
    return _append(
        session,
        customer_id=customer_id,
        purpose=purpose,
        text_hash=text_hash,
        channel=channel,
        now=now,
        is_withdrawal=False,
    )


def withdraw_consent(
    session: Session, *, customer_id: int, purpose: str, channel: str, now: datetime
) -> int | None:
    """Record that a consent is withdrawn; None if none of that purpose is in force."""
    last = session.scalar(
        select(Consent)
        .where(Consent.customer_id == customer_id, Consent.purpose == purpose)
        .order_by(Consent.id.desc())
        .limit(1)
    )
    if last is None or last.is_withdrawal:
        return None
    return _append(
        session,
        customer_id=customer_id,
        purpose=purpose,
        text_hash=last.text_hash,
        channel=channel,
        now=now,
        is_withdrawal=True,
    )


def _append(
    session: Session,
    *,
    customer_id: int,
    purpose: str,
    text_hash: str,
    channel: str,
    now: datetime,
    is_withdrawal: bool,
) -> int:
    consent = Consent(
        customer_id=customer_id,
        purpose=purpose,
        text_hash=text_hash,
        channel=channel,
        is_withdrawal=is_withdrawal,
        at=now,
    )
    session.add(consent)
    session.flush()
    return consent.id
