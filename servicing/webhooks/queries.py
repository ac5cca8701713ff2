"""What may be read about news: the news itself, endpoints, and what became of deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from kernel.errors import NotFound
from servicing.tables import PartnerCustomer
from servicing.webhooks.model import EndpointState, key_id
from servicing.webhooks.tables import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)


class EndpointNotFound(NotFound):
    """No such webhook endpoint, or another partner's."""

    code = "webhook-not-found"
    message_zh = "没有找到该回调地址"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsView:
    """A piece of news; `position` grows with time and never repeats."""

    position: int
    kind: str
    customer_id: int
    content: dict[str, Any]
    happened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """An endpoint; its secret is shown to nobody again.

    `waiting` counts deliveries to come; `key_id` names the secret that signs.
    """

    id: int
    url: str
    kinds: tuple[str, ...]
    state: str
    created_at: datetime
    disabled_at: datetime | None
    disabled_why: str | None
    waiting: int
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckView:
    """A piece of news that was tried and not taken: how often, since when, and how it went last."""

    position: int
    kind: str
    customer_id: int
    content: dict[str, Any]
    tries: int
    first_tried_at: datetime
    next_try_at: datetime
    last_status: int | None
    last_fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One try: the receiver's status, or why there is none."""

    id: int
    position: int
    at: datetime
    status: int | None
    fault: str | None
    took_ms: int


def news_select(*, partner: str, sees_whole_book: bool) -> Select[WebhookEvent]:
    """Select the news that a partner may see, in order.

    Of a loan or application, what came through the partner; of a customer as such, of those whom
    the partner brought.
    """
    news = select(WebhookEvent).order_by(WebhookEvent.id)
    if sees_whole_book:
        return news
    brought = select(PartnerCustomer.customer_id).where(PartnerCustomer.partner == partner)
    return news.where(
        or_(
            WebhookEvent.partner == partner,
            and_(WebhookEvent.is_of_customer, WebhookEvent.customer_id.in_(brought)),
        )
    )


def news(
    session: Session, *, partner: str, sees_whole_book: bool, after: int, limit: int
) -> tuple[NewsView, ...]:
    """List the news after a position, the oldest first."""
    wanted = news_select(partner=partner, sees_whole_book=sees_whole_book)
    rows = session.scalars(wanted.where(WebhookEvent.id > after).limit(limit))
    return tuple(
        NewsView(
            position=row.id,
            kind=row.kind,
            customer_id=row.customer_id,
            content=dict(row.content),
            happened_at=row.happened_at,
        )
        for row in rows
    )


def endpoints(session: Session, *, partner: str) -> tuple[EndpointView, ...]:
    """List a partner's endpoints."""
    rows = session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.partner == partner, WebhookEndpoint.state != EndpointState.REMOVED)
        .order_by(WebhookEndpoint.id)
    ).all()
    return tuple(
        EndpointView(
            id=row.id,
            url=row.url,
            kinds=tuple(row.kinds),
            state=row.state,
            created_at=row.created_at,
            disabled_at=row.disabled_at,
            disabled_why=row.disabled_why,
            waiting=waiting(session, endpoint_id=row.id),
            key_id=key_id(row.id, row.secret_no),
        )
        for row in rows
    )


def stuck(session: Session, *, endpoint_id: int, limit: int) -> tuple[StuckView, ...]:
    """List what an endpoint did not take so far, the oldest first.

    What waits behind it, of the same customer, was not tried and is not listed.
    """
    last = (
        select(func.max(WebhookAttempt.id))
        .where(WebhookAttempt.endpoint_id == endpoint_id)
        .group_by(WebhookAttempt.event_id)
    )
    rows = session.execute(
        select(WebhookDelivery, WebhookEvent, WebhookAttempt)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .outerjoin(
            WebhookAttempt,
            (WebhookAttempt.event_id == WebhookDelivery.event_id)
            & (WebhookAttempt.endpoint_id == endpoint_id)
            & WebhookAttempt.id.in_(last),
        )
        .where(
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.delivered_at.is_(None),
            WebhookDelivery.first_tried_at.is_not(None),
        )
        .order_by(WebhookDelivery.event_id)
        .limit(limit)
    )
    return tuple(_stuck(*row) for row in rows)


def _stuck(
    delivery: WebhookDelivery, event: WebhookEvent, last: WebhookAttempt | None
) -> StuckView:
    return StuckView(
        position=event.id,
        kind=event.kind,
        customer_id=event.customer_id,
        content=dict(event.content),
        tries=delivery.tries,
        first_tried_at=delivery.first_tried_at or delivery.next_try_at,
        next_try_at=delivery.next_try_at,
        last_status=last.status if last else None,
        last_fault=last.fault if last else None,
    )


def require_endpoint(session: Session, *, endpoint_id: int, partner: str) -> None:
    """Refuse to know an endpoint that is not the partner's.

    Raises:
        EndpointNotFound: There is none, or it is another's, or it was removed.
    """
    if endpoint_id not in {each.id for each in endpoints(session, partner=partner)}:
        raise EndpointNotFound("no such endpoint")


def waiting(session: Session, *, endpoint_id: int) -> int:
    """Count the deliveries that an endpoint is still to get."""
    return (
        session.scalar(
            select(func.count())
            .select_from(WebhookDelivery)
            .where(
                WebhookDelivery.endpoint_id == endpoint_id,
                WebhookDelivery.delivered_at.is_(None),
            )
        )
        or 0
    )


def attempts(
    session: Session, *, endpoint_id: int, before: int | None, limit: int
) -> Sequence[AttemptView]:
    """List the tries for an endpoint, the last one first."""
    query = select(WebhookAttempt).where(WebhookAttempt.endpoint_id == endpoint_id)
    if before is not None:
        query = query.where(WebhookAttempt.id < before)
    rows = session.scalars(query.order_by(WebhookAttempt.id.desc()).limit(limit))
    return tuple(
        AttemptView(
            id=row.id,
            position=row.event_id,
            at=row.at,
            status=row.status,
            fault=row.fault,
            took_ms=row.took_ms,
        )
        for row in rows
    )
