"""Writes down how customers are reached, one address or a whole book of them by the same rules.

A customer has one active address of a kind; a WeChat account is one customer's at a time. Which
contacts go there is decided elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from contact.addresses import context_of, hint_of, index_of
from contact.among import among
from contact.model import AddressKind
from contact.tables import ContactAddress
from kernel.crypto import FieldCipher
from kernel.errors import Conflict

_MANY: Final = 500
_NONE: Final = (0, "")

_IS_ACTIVE: Final = and_(
    ContactAddress.retired_at.is_(None), ContactAddress.customer_id.is_not(None)
)


class AddressTaken(Conflict):
    """The WeChat account belongs to another customer at the moment."""

    code = "contact-address-taken"
    message_zh = "该微信已绑定其他客户，请先解除绑定"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddress:
    """An address in the clear, and whose it is; `channel_kind` is `wechat` or `phone`."""

    customer_id: int
    channel_kind: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    customer_id: int | None
    kind: AddressKind
    address: str
    index: str


def record_address(
    session: Session,
    *,
    customer_id: int,
    channel_kind: str,
    address: str,
    source: str,
    cipher: FieldCipher,
    now: datetime,
) -> int:
    """Make an address the customer's active one of its kind; safe to repeat.

    Args:
        session: An open write session.
        customer_id: Whose address it is.
        channel_kind: `wechat` (an openid) or `phone`.
        address: In the clear; stored encrypted.
        source: Who says so: application, binding, staff, seed.
        cipher: Encrypts and indexes it.
        now: The instant of the request.

    Returns:
        The address's id. An older active address of the same kind is retired as replaced.

    Raises:
        AddressTaken: A WeChat account that is bound to another customer, or two requests at once.
    """
    one = NewAddress(customer_id=customer_id, channel_kind=channel_kind, address=address)
    (address_id,) = record_addresses(
        session, addresses=[one], source=source, cipher=cipher, now=now
    )
    return address_id


def record_addresses(
    session: Session,
    *,
    addresses: Sequence[NewAddress],
    source: str,
    cipher: FieldCipher,
    now: datetime,
) -> tuple[int, ...]:
    """Record many addresses, each as `record_address` would, in few statements.

    Args:
        session: An open write session.
        addresses: At most one of a kind for a customer.
        source: Who says so.
        cipher: Encrypts and indexes them.
        now: The instant of the request.

    Returns:
        The addresses' ids, in the order given.

    Raises:
        AddressTaken: As `record_address`, for any of them.
    """
    asked = [_asked(cipher, one) for one in addresses]
    ids: list[int] = []
    for start in range(0, len(asked), _MANY):
        ids += _record(session, asked[start : start + _MANY], source, cipher, now)
    return tuple(ids)


def add_unbound_address(
    session: Session, *, kind: AddressKind, address: str, cipher: FieldCipher, now: datetime
) -> int:
    """Keep an address that we answer to and that is nobody's yet; returns its id."""
    asked = _Asked(
        customer_id=None, kind=kind, address=address, index=index_of(cipher, kind, address)
    )
    (address_id,) = _insert(session, [asked], "answer", cipher, now)
    return address_id


def _asked(cipher: FieldCipher, one: NewAddress) -> _Asked:
    kind = AddressKind(one.channel_kind)
    return _Asked(
        customer_id=one.customer_id,
        kind=kind,
        address=one.address,
        index=index_of(cipher, kind, one.address),
    )


def _record(
    session: Session, asked: Sequence[_Asked], source: str, cipher: FieldCipher, now: datetime
) -> list[int]:
    _refuse_taken(session, asked)
    known = _active(session, asked)
    new = [one for one in asked if known.get((one.customer_id, one.kind), _NONE)[1] != one.index]
    replaced = [known[key][0] for one in new if (key := (one.customer_id, one.kind)) in known]
    if replaced:
        session.execute(
            update(ContactAddress)
            .where(among(session, ContactAddress.id, replaced))
            .values(retired_at=now, retired_reason="replaced")
            .execution_options(synchronize_session=False)
        )
    try:
        ids = _insert(session, new, source, cipher, now)
    except IntegrityError as error:
        raise AddressTaken("the address was recorded at the same time") from error
    known |= {(one.customer_id, one.kind): (n, one.index) for n, one in zip(ids, new, strict=True)}
    return [known[one.customer_id, one.kind][0] for one in asked]


def _refuse_taken(session: Session, asked: Sequence[_Asked]) -> None:
    owners = {one.index: one.customer_id for one in asked if one.kind is AddressKind.WECHAT}
    if not owners:
        return
    bound = session.execute(
        select(ContactAddress.address_index, ContactAddress.customer_id).where(
            _IS_ACTIVE,
            ContactAddress.channel_kind == AddressKind.WECHAT,
            ContactAddress.address_index.in_(owners),
        )
    )
    if any(owners[row.address_index] != row.customer_id for row in bound):
        raise AddressTaken("the openid is bound to another customer")


def _active(
    session: Session, asked: Sequence[_Asked]
) -> dict[tuple[int | None, str], tuple[int, str]]:
    """Return id and index of what is in force, by customer and kind."""
    customers = {one.customer_id for one in asked if one.customer_id is not None}
    rows = session.execute(
        select(
            ContactAddress.id,
            ContactAddress.customer_id,
            ContactAddress.channel_kind,
            ContactAddress.address_index,
        ).where(_IS_ACTIVE, among(session, ContactAddress.customer_id, customers))
    )
    return {(row.customer_id, row.channel_kind): (row.id, row.address_index) for row in rows}


def _insert(
    session: Session, asked: Sequence[_Asked], source: str, cipher: FieldCipher, now: datetime
) -> list[int]:
    if not asked:
        return []
    added = insert(ContactAddress).returning(ContactAddress.id, sort_by_parameter_order=True)
    rows = [_row(one, source, cipher, now) for one in asked]
    return list(session.scalars(added, rows))


def _row(one: _Asked, source: str, cipher: FieldCipher, now: datetime) -> dict[str, Any]:
    return {
        "customer_id": one.customer_id,
        "channel_kind": one.kind,
        "address_enc": cipher.encrypt(one.address, context=context_of(one.kind)),
        "address_index": one.index,
        "address_hint": hint_of(one.kind, one.address),
        "source": source,
        "recorded_at": now,
    }
