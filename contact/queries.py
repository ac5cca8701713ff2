"""Who is behind an address."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from contact.model import AddressKind, address_context
from contact.tables import Address
from kernel.crypto import FieldCipher


def customer_of(
    session: Session, cipher: FieldCipher, *, kind: AddressKind, address: str
) -> int | None:
    """Return the customer for whom an address is in force, or None."""
    index = cipher.blind_index(address, context=address_context(kind))
    return session.scalar(
        select(Address.customer_id).where(
            Address.kind == kind, Address.address_index == index, Address.retired_at.is_(None)
        )
    )
