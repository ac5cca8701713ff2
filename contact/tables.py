"""Tables of contact: addresses, contacts and their events, quotas, rules, templates.

Customers are numbers here; who they are is known above.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    condition = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)


class ContactAddress(Base):
    """A way to reach a customer; kept for ever, retired when it is wrong or replaced.

    Rows without a customer are addresses that we answered to (a code to a phone) and no more.
    """

    __tablename__ = "contact_address"
    __table_args__ = (
        _partial(
            "uq_contact_address_wechat",
            "address_index",
            where="channel_kind = 'wechat' AND retired_at IS NULL AND customer_id IS NOT NULL",
            unique=True,
        ),
        _partial(
            "uq_contact_address_customer",
            "customer_id",
            "channel_kind",
            where="retired_at IS NULL AND customer_id IS NOT NULL",
            unique=True,
        ),
        Index("ix_contact_address_index", "address_index", "channel_kind"),
        CheckConstraint("channel_kind IN ('wechat', 'phone')", name="channel_kind"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    channel_kind: Mapped[str] = mapped_column(String(10))
    address_enc: Mapped[str] = mapped_column(Text)
    address_index: Mapped[str] = mapped_column(String(64))
    address_hint: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(40))
    recorded_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    retired_reason: Mapped[str | None] = mapped_column(String(40))


class Contact(Base):
    """One intended message to one person; `key` makes it the only one of its kind."""

    __tablename__ = "contact"
    __table_args__ = (
        _partial("ix_contact_ready", "priority", "not_before", "id", where="state = 'ready'"),
        _partial("ix_contact_leased", "lease_until", where="state IN ('claimed', 'sending')"),
        _partial("ix_contact_unknown", "id", where="state = 'unknown'"),
        Index("ix_contact_customer_id", "customer_id", "id"),
        Index("ix_contact_day", "day"),
        _partial("ix_contact_provider_id", "provider_id", where="provider_id IS NOT NULL"),
        CheckConstraint("recipient = 'debtor'", name="recipient"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    address_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("contact_address.id"))
    recipient: Mapped[str] = mapped_column(String(10), default="debtor")
    purpose: Mapped[str] = mapped_column(String(20))
    day: Mapped[date]
    channel: Mapped[str] = mapped_column(String(20))
    template_code: Mapped[str] = mapped_column(String(40))
    template_version: Mapped[int]
    facts: Mapped[dict[str, Any]]
    key: Mapped[str] = mapped_column(String(160), unique=True)
    created_at: Mapped[datetime]
    not_before: Mapped[datetime]
    expires_at: Mapped[datetime]
    priority: Mapped[int]
    state: Mapped[str] = mapped_column(String(10))
    lease_owner: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    reserved_on: Mapped[date | None]
    reserved: Mapped[str | None] = mapped_column(String(120))
    sending_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    provider_id: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str | None] = mapped_column(String(120))
    text: Mapped[str | None] = mapped_column(Text)
    delivery: Mapped[str | None] = mapped_column(String(20))
    delivered_at: Mapped[datetime | None]


class ContactEvent(Base):
    """One step of a contact; rows are only ever added."""

    __tablename__ = "contact_event"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("contact.id"), index=True)
    at: Mapped[datetime]
    step: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(10))
    detail: Mapped[str] = mapped_column(String(120), default="")
    actor: Mapped[str] = mapped_column(String(60), default="system")


class ContactQuota(Base):
    """How many contacts of a counter a customer got on a day; the gate's lock as well."""

    __tablename__ = "contact_quota"
    __table_args__ = (CheckConstraint("n >= 0", name="n"),)

    customer_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(primary_key=True)
    counter: Mapped[str] = mapped_column(String(40), primary_key=True)
    n: Mapped[int] = mapped_column(default=0)


class ContactRule(Base):
    """One dated rule with where it comes from; a change is a new row with a later date."""

    __tablename__ = "contact_rule"

    code: Mapped[str] = mapped_column(String(60), primary_key=True)
    effective_from: Mapped[date] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    value: Mapped[dict[str, Any]]
    citation: Mapped[str] = mapped_column(Text)
    how_read: Mapped[str] = mapped_column(String(10))
    owner: Mapped[str] = mapped_column(String(40))
    loaded_at: Mapped[datetime]


class ContactTemplate(Base):
    """One version of a text; never changed once a contact is bound to it."""

    __tablename__ = "contact_template"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    channel: Mapped[str] = mapped_column(String(20), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    provider_template_id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    link: Mapped[str] = mapped_column(String(120))
    valid_s: Mapped[int]
    fields: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(String(10))
    loaded_at: Mapped[datetime]


keep_append_only(ContactEvent)
