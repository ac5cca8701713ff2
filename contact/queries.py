"""What other areas ask of contact: who is behind an address, and what was said to a customer.

Views hold hints of addresses, never addresses; a clear one is given to those who say so by name.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.orm import Session

from contact.addresses import context_of, index_of
from contact.book import rules_of_day, templates_in_force
from contact.model import AddressKind, Channel, State
from contact.tables import Contact, ContactAddress, ContactEvent, ContactTemplate
from kernel.clock import start_of_day
from kernel.crypto import FieldCipher

_BOARD_REASONS: Final = 20
_WAITING: Final = (State.READY, State.CLAIMED, State.SENDING)
# Every chat message asks this, and a statement costs more to build than to run: it is built once.
_CUSTOMER_OF: Final = (
    select(ContactAddress.customer_id)
    .where(
        ContactAddress.channel_kind == bindparam("kind"),
        ContactAddress.address_index == bindparam("index"),
        ContactAddress.retired_at.is_(None),
        ContactAddress.customer_id.is_not(None),
    )
    .order_by(ContactAddress.id.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactView:
    """One contact as staff see it.

    Attributes:
        title: The template's title.
        text: What was said, amounts as of sending, secrets hidden; None if nothing went out.
        reason: Why it was blocked, failed or withdrawn, or waits.
        delivery: `delivered` or `failed` as the provider reported later, or None.
        address_hint: Where it went, masked.
    """

    id: int
    customer_id: int | None
    purpose: str
    channel: str
    template_code: str
    template_version: int
    title: str
    day: date
    state: str
    reason: str | None
    text: str | None
    address_hint: str
    created_at: datetime
    not_before: datetime
    expires_at: datetime
    sending_at: datetime | None
    sent_at: datetime | None
    delivery: str | None
    delivered_at: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One step of a contact."""

    at: datetime
    step: str
    state: str
    detail: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressView:
    """One address of a customer, masked."""

    id: int
    channel_kind: str
    address_hint: str
    source: str
    recorded_at: datetime
    retired_at: datetime | None
    retired_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactBoard:
    """A day of contacting in numbers.

    Attributes:
        sent: Contacts that the providers took on the day.
        failed: Of the day's contacts, those that the providers refused.
        blocked: Of the day's contacts, how many the gate stopped, by reason, most first.
        ready: Waiting at the moment, whatever the day.
        waiting: Those, and what senders are at work on.
        unknown: Whose outcome nobody knows at the moment, whatever the day.
    """

    on: date
    sent: int
    failed: int
    blocked: tuple[tuple[str, int], ...]
    ready: int
    waiting: int
    unknown: int


def customer_of(
    session: Session, *, channel_kind: str, address: str, cipher: FieldCipher
) -> int | None:
    """Return the customer whose active address this is, or None.

    A phone may be shared; then the one who recorded it last is meant.
    """
    index = index_of(cipher, AddressKind(channel_kind), address)
    return session.scalar(_CUSTOMER_OF, {"kind": channel_kind, "index": index})


def address_of(
    session: Session, *, customer_id: int, channel_kind: str, cipher: FieldCipher
) -> tuple[int, str] | None:
    """Return a customer's active address of a kind as (id, clear text), or None."""
    row = session.execute(
        select(ContactAddress.id, ContactAddress.address_enc).where(
            ContactAddress.customer_id == customer_id,
            ContactAddress.channel_kind == channel_kind,
            ContactAddress.retired_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    return row.id, cipher.decrypt(row.address_enc, context=context_of(AddressKind(channel_kind)))


def active_addresses() -> Select[int, int | None, str]:
    """Select address_id, customer_id and channel_kind of active addresses, for planning."""
    return select(
        ContactAddress.id.label("address_id"),
        ContactAddress.customer_id,
        ContactAddress.channel_kind,
    ).where(ContactAddress.retired_at.is_(None), ContactAddress.customer_id.is_not(None))


def addresses_of(session: Session, *, customer_id: int) -> tuple[AddressView, ...]:
    """Return all addresses that a customer has or had, newest first."""
    rows = session.scalars(
        select(ContactAddress)
        .where(ContactAddress.customer_id == customer_id)
        .order_by(ContactAddress.id.desc())
    )
    names = AddressView.__dataclass_fields__
    return tuple(AddressView(**{name: getattr(row, name) for name in names}) for row in rows)


def template_versions(session: Session) -> dict[tuple[str, str, str], int]:
    """Return the versions to bind at planning: code, channel and purpose → newest in force."""
    known = sorted(templates_in_force(session).values(), key=lambda template: template.version)
    return {(one.code, one.channel, one.purpose): one.version for one in known}


def planned_select(*, day: date, purposes: Collection[str]) -> Select[int | None]:
    """Select customer_id of those for whom something was planned for a day, whatever became of it.

    Args:
        day: The business date that was planned.
        purposes: What the contacts are for.
    """
    return select(Contact.customer_id).where(
        Contact.day == day, Contact.purpose.in_([str(purpose) for purpose in purposes])
    )


def provider_templates(session: Session) -> tuple[dict[str, Any], ...]:
    """Return what a provider's console knows of our templates, to tell the stand-ins.

    Each has template_id and title; those for WeChat the labels of their fields, those for SMS the
    content with `${names}`.
    """
    known: dict[str, dict[str, Any]] = {}
    for template in templates_in_force(session).values():
        entry: dict[str, Any] = {
            "template_id": template.provider_template_id,
            "title": template.title,
            "labels": {field.name: field.label for field in template.fields},
        }
        if template.channel is Channel.SMS:
            entry["content"] = re.sub(r"\{(\w+)\}", r"${\1}", template.body)
        if template.provider_template_id:
            known[template.provider_template_id] = entry
    return tuple(known.values())


def contacts_of(session: Session, *, customer_id: int, limit: int) -> tuple[ContactView, ...]:
    """Return a customer's contacts, newest first."""
    return _views(session, _contacts().where(Contact.customer_id == customer_id).limit(limit))


def kept_by_hold(
    session: Session, *, customer_id: int, on: date, limit: int
) -> tuple[ContactView, ...]:
    """Return what waits to be sent to a customer and a hold would stop on a day, newest first."""
    rules = rules_of_day(session, on=on)
    let_through = [purpose for purpose, own in rules.items() if not own.is_stopped_by_hold]
    waits = (Contact.customer_id == customer_id, Contact.state == State.READY)
    query = _contacts().where(*waits, Contact.purpose.not_in(let_through)).limit(limit)
    return _views(session, query)


def contact_view(session: Session, *, contact_id: int) -> ContactView | None:
    """Return one contact, or None."""
    found = _views(session, _contacts().where(Contact.id == contact_id))
    return found[0] if found else None


def unknown_contacts(session: Session, *, limit: int, offset: int = 0) -> tuple[ContactView, ...]:
    """Return contacts whose outcome nobody knows, newest first."""
    query = _contacts().where(Contact.state == State.UNKNOWN)
    return _views(session, query.offset(offset).limit(limit))


def waiting_contacts(session: Session, *, limit: int, offset: int = 0) -> tuple[ContactView, ...]:
    """Return contacts that wait or are being sent, in the order in which they were planned."""
    query = _contacts().where(Contact.state.in_(_WAITING)).order_by(None)
    query = query.order_by(Contact.priority, Contact.not_before, Contact.id)
    return _views(session, query.offset(offset).limit(limit))


def blocked_contacts(
    session: Session, *, on: date, limit: int, offset: int = 0, reason: str = ""
) -> tuple[ContactView, ...]:
    """Return the contacts of a day that the gate stopped, newest first; for one reason, or any."""
    wanted = _contacts().where(*_blocked_on(on))
    if reason:
        wanted = wanted.where(Contact.reason == reason)
    return _views(session, wanted.offset(offset).limit(limit))


def events_of(session: Session, *, contact_id: int) -> tuple[EventView, ...]:
    """Return the steps of a contact, oldest first."""
    rows = session.scalars(
        select(ContactEvent).where(ContactEvent.contact_id == contact_id).order_by(ContactEvent.id)
    )
    names = EventView.__dataclass_fields__
    return tuple(EventView(**{name: getattr(row, name) for name in names}) for row in rows)


def contact_board(session: Session, *, on: date) -> ContactBoard:
    """Count a day's contacts for a tile."""
    since, until = start_of_day(on), start_of_day(date.fromordinal(on.toordinal() + 1))
    blocked = session.execute(
        select(Contact.reason, func.count().label("n"))
        .where(*_blocked_on(on))
        .group_by(Contact.reason)
        .order_by(func.count().desc())
        .limit(_BOARD_REASONS)
    ).all()
    return ContactBoard(
        on=on,
        sent=_count(
            session,
            select(Contact.id).where(
                Contact.state == State.SENT, Contact.sent_at >= since, Contact.sent_at < until
            ),
        ),
        failed=_count(
            session, select(Contact.id).where(Contact.day == on, Contact.state == State.FAILED)
        ),
        blocked=tuple((row.reason or "", row.n) for row in blocked),
        ready=_count(session, select(Contact.id).where(Contact.state == State.READY)),
        waiting=_count(session, select(Contact.id).where(Contact.state.in_(_WAITING))),
        unknown=_count(session, select(Contact.id).where(Contact.state == State.UNKNOWN)),
    )


def _blocked_on(on: date) -> tuple[ColumnElement[bool], ...]:
    return Contact.day == on, Contact.state == State.BLOCKED


def _count(session: Session, query: Select[int]) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _contacts() -> Select[Contact, str, str]:
    return (
        select(Contact, ContactAddress.address_hint, ContactTemplate.title)
        .join(ContactAddress, ContactAddress.id == Contact.address_id)
        .outerjoin(
            ContactTemplate,
            (ContactTemplate.code == Contact.template_code)
            & (ContactTemplate.version == Contact.template_version)
            & (ContactTemplate.channel == Contact.channel),
        )
        .order_by(Contact.id.desc())
    )


def _views(session: Session, query: Select[Contact, str, str]) -> tuple[ContactView, ...]:
    names: Sequence[str] = [
        name for name in ContactView.__dataclass_fields__ if name not in ("address_hint", "title")
    ]
    return tuple(
        ContactView(
            **{name: getattr(contact, name) for name in names},
            address_hint=hint,
            title=title or contact.template_code,
        )
        for contact, hint, title in session.execute(query)
    )
