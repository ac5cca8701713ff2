"""What other areas do through contact: keep addresses, answer, plan, withdraw, note deliveries.

Each takes an open write session and is part of the caller's transaction. Sending itself is in
`contact.sending`, and what became of a lost message in `contact.resolving`; both are named here
too, because these are the operations of the area.
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    case,
    cast,
    literal,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contact.addresses import index_of
from contact.among import among
from contact.book import load_rules, load_templates, template_in_force
from contact.events import ContactReady
from contact.journal import note
from contact.messages import Template
from contact.model import (
    ADDRESS_KIND,
    PRIORITY,
    AddressKind,
    Channel,
    Purpose,
    State,
    Step,
    next_state,
    states_before,
)
from contact.recording import (
    AddressTaken,
    NewAddress,
    add_unbound_address,
    record_address,
    record_addresses,
)
from contact.references import contact_of
from contact.resolving import resolve_unknown
from contact.sending import SendCounts, recover_leases, send_batch, send_ready
from contact.tables import Contact, ContactAddress
from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.database import Instant, insert_ignore
from kernel.errors import Forbidden, NotFound
from kernel.idempotency import KeyReused
from kernel.outbox import record

__all__ = [
    "AddressTaken",
    "ContactNotFound",
    "NewAddress",
    "NotAnAnswer",
    "SendCounts",
    "answer",
    "load_rules",
    "load_templates",
    "plan_contacts",
    "record_address",
    "record_addresses",
    "record_delivery",
    "recover_leases",
    "resolve_unknown",
    "retire_address",
    "send_batch",
    "send_ready",
    "settle_unknown",
    "withdraw",
]

_MANY: Final = 1000
_GOOD_NEWS: Final = frozenset({"delivered", "success"})
_PLANNED: Final = (
    "customer_id",
    "address_id",
    "channel",
    "purpose",
    "day",
    "template_code",
    "template_version",
    "not_before",
    "expires_at",
)


class NotAnAnswer(Forbidden):
    """The template is of another purpose; only answers skip hours and quotas."""

    code = "contact-not-an-answer"


class NotANotice(Forbidden):
    """The template is of another purpose; only notices pass holds and quotas."""

    code = "contact-not-a-notice"


class ContactNotFound(NotFound):
    """There is no such contact."""

    code = "contact-not-found"
    message_zh = "没有找到这条联系记录"


def retire_address(
    session: Session,
    *,
    reason: str,
    now: datetime,
    address_id: int | None = None,
    customer_id: int | None = None,
    channel_kind: str | None = None,
) -> int:
    """Give up an address: nothing but answers goes there any more; safe to repeat.

    Args:
        session: An open write session.
        reason: wrong-number, unbound, replaced, cancelled …
        now: The instant of the request.
        address_id: The address; or name the next two instead.
        customer_id: Whose address.
        channel_kind: `wechat` or `phone`.

    Returns:
        How many addresses were active until now.
    """
    if address_id is not None:
        chosen = ContactAddress.id == address_id
    else:
        chosen = and_(
            ContactAddress.customer_id == customer_id, ContactAddress.channel_kind == channel_kind
        )
    done = session.execute(
        update(ContactAddress)
        .where(chosen, ContactAddress.retired_at.is_(None))
        .values(retired_at=now, retired_reason=reason)
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def answer(
    session: Session,
    *,
    key: str,
    channel: str,
    template: str,
    facts: Mapping[str, Any],
    customer_id: int | None,
    address: str,
    cipher: FieldCipher,
    now: datetime,
) -> int:
    """Answer a person's own act, at any hour; a sender wakes at once.

    Args:
        session: An open write session; the answer goes out if it commits.
        key: What is answered, such as `receipt:<payment id>`; at most 140 signs. The same key
            again sends nothing more.
        channel: `wechat_message`, `wechat_template` or `sms`.
        template: Code of a template of purpose answer; its version in force is bound.
        facts: What the template's names need; secret ones are stored encrypted.
        customer_id: Whom it concerns, or None for a person not known yet.
        address: Where the person spoke from: an openid, or a phone number.
        cipher: Encrypts the address and secret facts.
        now: The instant of the request.

    Returns:
        The contact's id.

    Raises:
        TemplateNotInForce: The channel has no such template.
        NotAnAnswer: The template is of another purpose.
        KeyReused: The key stands for another template or other facts.
    """
    bound = template_in_force(session, code=template, channel=Channel(channel))
    if bound.purpose is not Purpose.ANSWER:
        raise NotAnAnswer(f"{template} is of purpose {bound.purpose}")
    return _make_once(
        session, bound, f"answer:{key}", facts, customer_id, address, cipher=cipher, now=now
    )


def notify(
    session: Session,
    *,
    key: str,
    channel: str,
    template: str,
    facts: Mapping[str, Any],
    customer_id: int,
    address: str,
    cipher: FieldCipher,
    now: datetime,
) -> int:
    """Give a customer a notice that we owe them, such as of a change to their contract.

    It waits for the morning by night, and no hold or quota keeps it back. Arguments are those of
    `answer`; the template is of purpose statutory notice.

    Raises:
        TemplateNotInForce: The channel has no such template.
        NotANotice: The template is of another purpose.
        KeyReused: The key stands for another template or other facts.
    """
    bound = template_in_force(session, code=template, channel=Channel(channel))
    if bound.purpose is not Purpose.STATUTORY_NOTICE:
        raise NotANotice(f"{template} is of purpose {bound.purpose}")
    return _make_once(
        session, bound, f"notice:{key}", facts, customer_id, address, cipher=cipher, now=now
    )


def _make_once(
    session: Session,
    bound: Template,
    full_key: str,
    facts: Mapping[str, Any],
    customer_id: int | None,
    address: str,
    *,
    cipher: FieldCipher,
    now: datetime,
) -> int:
    """Make a contact of its own unless its key made one before; returns its id."""
    known = session.execute(
        select(Contact.id, Contact.template_code, Contact.facts).where(Contact.key == full_key)
    ).one_or_none()
    if known is not None:
        open_facts = {name: value for name, value in facts.items() if name not in bound.secrets}
        stored = {name: value for name, value in known.facts.items() if name not in bound.secrets}
        if (known.template_code, stored) != (bound.code, json.loads(json.dumps(open_facts))):
            raise KeyReused(f"{full_key} was used for something else")
        return int(known.id)
    address_id = _address_for_answer(
        session,
        customer_id=customer_id,
        kind=ADDRESS_KIND[bound.channel],
        address=address,
        cipher=cipher,
        now=now,
    )
    row = _contact_row(bound, key=full_key, facts=facts, cipher=cipher, now=now)
    row |= {"customer_id": customer_id, "address_id": address_id}
    is_new = insert_ignore(session, Contact, [row], conflict=["key"])
    contact_id = session.scalars(select(Contact.id).where(Contact.key == full_key)).one()
    if is_new:
        record(session, ContactReady(contact_id=contact_id), now=now)
    return contact_id


def _contact_row(
    bound: Template, *, key: str, facts: Mapping[str, Any], cipher: FieldCipher, now: datetime
) -> dict[str, Any]:
    """Return the columns of a contact but for whose it is; secret facts are encrypted."""
    return {
        "recipient": "debtor",
        "purpose": bound.purpose,
        "day": business_date(now),
        "channel": bound.channel,
        "template_code": bound.code,
        "template_version": bound.version,
        "facts": {
            name: cipher.encrypt(str(value), context=f"contact.facts.{name}")
            if name in bound.secrets
            else value
            for name, value in facts.items()
        },
        "key": key,
        "created_at": now,
        "not_before": now,
        "expires_at": now + timedelta(seconds=bound.valid_s),
        "priority": PRIORITY[bound.purpose],
        "state": State.READY,
        "attempts": 0,
    }


def plan_contacts(session: Session, *, select: Select[Any], now: datetime) -> int:
    """Plan contacts in one statement; safe to repeat, one per customer, purpose, day, channel.

    Args:
        session: An open write session.
        select: Gives the columns customer_id, address_id, channel, purpose, day, template_code,
            template_version, not_before, expires_at and facts (JSON text).
        now: The instant of planning.

    Returns:
        How many were new.
    """
    wanted = select.subquery("wanted")
    dialect = session.get_bind().dialect.name
    key: ColumnElement[str] = literal("plan:")
    for part in (wanted.c.purpose, wanted.c.customer_id, wanted.c.day, wanted.c.channel):
        key = key + cast(part, String) + literal(":")
    priority = case(
        *((wanted.c.purpose == literal(str(known)), rank) for known, rank in PRIORITY.items()),
        else_=max(PRIORITY.values()),
    )
    facts = cast(wanted.c.facts, postgresql.JSONB) if dialect == "postgresql" else wanted.c.facts
    rows = sqlalchemy.select(
        *(wanted.c[name] for name in _PLANNED),
        facts,
        key,
        priority,
        literal("debtor"),
        literal(str(State.READY)),
        literal(0),
        literal(now, Instant),
    ).where(true())  # SQLite cannot tell the ON of a join from ON CONFLICT without a WHERE
    dialect_insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = dialect_insert(Contact).from_select(
        [*_PLANNED, "facts", "key", "priority", "recipient", "state", "attempts", "created_at"],
        rows,
        include_defaults=False,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["key"])
    # Without the option psycopg's count of an INSERT … SELECT is thrown away.
    done = session.execute(statement, execution_options={"preserve_rowcount": True})
    planned = int(done.rowcount)  # type: ignore[attr-defined]
    if dialect == "postgresql" and planned >= _MANY:
        # Before PostgreSQL learns of a bulk by itself, claims would sort all that is ready.
        session.execute(text("ANALYZE contact"))
    return planned


def withdraw(
    session: Session,
    *,
    customer_id: int,
    purposes: Collection[str],
    reason: str,
    now: datetime,
) -> int:
    """Take back what was planned for a customer and has not gone out.

    Returns:
        How many contacts were withdrawn.
    """
    ids = session.scalars(
        select(Contact.id)
        .where(
            Contact.customer_id == customer_id,
            Contact.purpose.in_([str(purpose) for purpose in purposes]),
            Contact.state.in_(states_before(Step.WITHDRAW)),
        )
        .order_by(Contact.id)
        .with_for_update()
    ).all()
    if ids:
        session.execute(
            update(Contact)
            .where(among(session, Contact.id, ids))
            .values(state=State.WITHDRAWN, reason=reason, lease_owner=None, lease_until=None)
            .execution_options(synchronize_session=False)
        )
        note(session, ids, step=Step.WITHDRAW, at=now, detail=reason)
    return len(ids)


def record_delivery(
    session: Session,
    *,
    provider: str,
    provider_id: str,
    status: str,
    at: datetime,
    cipher: FieldCipher | None = None,
    reference: str = "",
    address: str = "",
) -> int | None:
    """Note what a provider reports of a message; safe to repeat.

    A report also settles a contact whose outcome was unknown.

    Args:
        session: An open write session.
        provider: `sms` or `wechat`.
        provider_id: The provider's id of the message (BizId, MsgID).
        status: The provider's word; `delivered` and `success` are good news, all else is bad.
        at: When, as the provider says.
        cipher: Needed to read `reference` and `address`.
        reference: What we gave along (OutId); a receipt for SMS is believed only with it.
        address: The openid that a TEMPLATESENDJOBFINISH push came from.

    Returns:
        The contact's id, or None if the report is about none of ours.
    """
    if provider == "sms":
        contact_id = contact_of(cipher, reference) if cipher is not None else None
    else:
        contact_id = _wechat_contact(session, cipher, provider_id, address, at)
    delivery = "delivered" if status in _GOOD_NEWS else "failed"
    contact = session.get(Contact, contact_id, with_for_update=True) if contact_id else None
    if contact is None or contact.provider_id not in (None, provider_id):
        return None
    if contact.state in (State.UNKNOWN, State.SENDING):
        _settle(session, contact, step=Step.ACCEPT, at=at, detail="receipt", actor=provider)
        contact.provider_id = provider_id
    if contact.state == State.SENT and contact.delivery != delivery:
        contact.delivery, contact.delivered_at = delivery, at
        session.flush()
        note(
            session, [contact.id], step=delivery, state=State.SENT, at=at, detail=status,
            actor=provider,
        )  # fmt: skip
    return contact.id


def settle_unknown(
    session: Session, *, contact_id: int, was_delivered: bool, actor: str, now: datetime
) -> None:
    """Let a member of staff say what became of a contact that no query could settle.

    It is never sent again. The caller writes the audit entry.

    Raises:
        ContactNotFound: No such contact.
        TransitionRefused: Its outcome is not unknown.
    """
    contact = session.get(Contact, contact_id, with_for_update=True)
    if contact is None:
        raise ContactNotFound(f"contact {contact_id}")
    if contact.state != State.UNKNOWN:
        next_state(State(contact.state), Step.LOSE)
    step = Step.ACCEPT if was_delivered else Step.REFUSE
    _settle(session, contact, step=step, at=now, detail="staff", actor=actor)


def _settle(
    session: Session, contact: Contact, *, step: Step, at: datetime, detail: str, actor: str
) -> None:
    contact.state = next_state(State(contact.state), step)
    contact.lease_until = None
    if step is Step.ACCEPT:
        contact.sent_at = contact.sending_at or at
    contact.reason = None if step is Step.ACCEPT else detail
    session.flush()
    note(session, [contact.id], step=step, at=at, detail=detail, actor=actor)


def _wechat_contact(
    session: Session, cipher: FieldCipher | None, provider_id: str, address: str, at: datetime
) -> int | None:
    known = session.scalar(
        select(Contact.id).where(
            Contact.provider_id == provider_id, Contact.channel == Channel.WECHAT_TEMPLATE
        )
    )
    if known is not None or not address or cipher is None:
        return known
    lost = session.scalars(
        select(Contact.id)
        .join(ContactAddress, ContactAddress.id == Contact.address_id)
        .where(
            ContactAddress.address_index == index_of(cipher, AddressKind.WECHAT, address),
            Contact.channel == Channel.WECHAT_TEMPLATE,
            Contact.state == State.UNKNOWN,
            Contact.provider_id.is_(None),
            Contact.sending_at >= at - timedelta(hours=1),
        )
        .limit(2)
    ).all()
    # With two lost messages to one person nobody can say which of them this is.
    return lost[0] if len(lost) == 1 else None


def _address_for_answer(
    session: Session,
    *,
    customer_id: int | None,
    kind: AddressKind,
    address: str,
    cipher: FieldCipher,
    now: datetime,
) -> int:
    known = session.scalar(
        select(ContactAddress.id)
        .where(
            ContactAddress.channel_kind == kind,
            ContactAddress.address_index == index_of(cipher, kind, address),
            or_(
                ContactAddress.customer_id.is_(None),
                ContactAddress.customer_id == (customer_id or 0),
            ),
        )
        .order_by(
            case((ContactAddress.customer_id.is_(None), 1), else_=0),
            case((ContactAddress.retired_at.is_(None), 0), else_=1),
            ContactAddress.id.desc(),
        )
        .limit(1)
    )
    if known is not None:
        return known
    return add_unbound_address(session, kind=kind, address=address, cipher=cipher, now=now)
