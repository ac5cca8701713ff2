"""What changes addresses."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from contact.model import AddressKind, address_context
from contact.tables import Address
from kernel.crypto import FieldCipher
from kernel.errors import Conflict


class AddressTaken(Conflict):
    """The address belongs to another customer."""

    code = "address-taken"
    message_zh = "该微信已绑定其他客户，请先解绑"


def record_address(
    session: Session,
    cipher: FieldCipher,
    *,
    customer_id: int,
    kind: AddressKind,
    address: str,
    source: str,
    now: datetime,
) -> int:
    """Record that a customer is reached there; safe to repeat. Returns the address's id.

    Raises:
        AddressTaken: It is in force for another customer.
    """
    context = address_context(kind)
    index = cipher.blind_index(address, context=context)
    known = session.scalar(
        select(Address).where(
            Address.kind == kind, Address.address_index == index, Address.retired_at.is_(None)
        )
    )
    if known is not None:
        if known.customer_id != customer_id:
            raise AddressTaken("the address is another customer's")
        return known.id
    row = Address(
        customer_id=customer_id,
        kind=kind,
        address_enc=cipher.encrypt(address, context=context),
        address_index=index,
        source=source,
        recorded_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def retire_addresses(
    session: Session, *, customer_id: int, kind: AddressKind, reason: str, now: datetime
) -> int:
    """Stop using a customer's addresses of a kind; returns how many there were."""
    result = session.execute(
        update(Address)
        .where(
            Address.customer_id == customer_id,
            Address.kind == kind,
            Address.retired_at.is_(None),
        )
        .values(retired_at=now, retired_reason=reason)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
