"""Tables of news for partners. The secret of an endpoint is encrypted; what happened never changes.

Rows are written by servicing.webhooks.operations and servicing.webhooks.delivering alone.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base, BigId

_PARTNER: Final = 24
_KIND: Final = 40
_CODE: Final = 64
_URL: Final = 500
_WAITING: Final = text("delivered_at IS NULL")


class WebhookEvent(Base):
    """A piece of news, as partners read it; `id` is its position.

    `partner` is the one through which the loan or application came; None where it came otherwise,
    or where the news is of the customer as such.
    """

    __tablename__ = "webhook_event"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(_KIND))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), type_=BigId, index=True)
    is_of_customer: Mapped[bool]
    partner: Mapped[str | None] = mapped_column(String(_PARTNER), index=True)
    content: Mapped[dict[str, Any]]
    happened_at: Mapped[datetime]


class WebhookEndpoint(Base):
    """Where a partner wants news.

    `paused_until` is set while nobody answers there; lease and token keep two workers apart. The
    secret before the present one signs too until `old_until`, so that receivers change in peace.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'disabled', 'removed')", name="state_is_known"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner: Mapped[str] = mapped_column(String(_PARTNER), index=True)
    sees_whole_book: Mapped[bool]
    url: Mapped[str] = mapped_column(String(_URL))
    secret_enc: Mapped[str] = mapped_column(Text)
    secret_no: Mapped[int] = mapped_column(default=1)
    old_secret_enc: Mapped[str | None] = mapped_column(Text)
    old_until: Mapped[datetime | None]
    kinds: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(String(_CODE))
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    disabled_why: Mapped[str | None] = mapped_column(String(_CODE))
    silences: Mapped[int] = mapped_column(default=0)
    paused_until: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(_CODE))
    leased_until: Mapped[datetime | None]


class WebhookDelivery(Base):
    """One piece of news for one endpoint."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index(
            "ix_webhook_delivery_waiting",
            "endpoint_id",
            "customer_id",
            "event_id",
            postgresql_where=_WAITING,
            sqlite_where=_WAITING,
        ),
    )

    endpoint_id: Mapped[int] = mapped_column(
        ForeignKey("webhook_endpoint.id"), type_=BigId, primary_key=True
    )
    event_id: Mapped[int] = mapped_column(
        ForeignKey("webhook_event.id"), type_=BigId, primary_key=True, index=True
    )
    customer_id: Mapped[int] = mapped_column(BigId)
    tries: Mapped[int] = mapped_column(default=0)
    first_tried_at: Mapped[datetime | None]
    next_try_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One try to deliver: what the receiver said, or why it said nothing."""

    __tablename__ = "webhook_attempt"
    __table_args__ = (Index(None, "endpoint_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("webhook_endpoint.id"), type_=BigId)
    event_id: Mapped[int] = mapped_column(ForeignKey("webhook_event.id"), type_=BigId)
    at: Mapped[datetime]
    status: Mapped[int | None]
    fault: Mapped[str | None] = mapped_column(String(_CODE))
    took_ms: Mapped[int]
