"""Delivers news to one endpoint at a time, in order for each customer, under a lease.

A lease is a token with an end: what a worker that lost it writes down is not taken. Nothing is
posted inside a transaction.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from kernel.api_keys import partners_let_in
from kernel.logs import log
from kernel.runtime import Runtime
from servicing.operations import raise_alert
from servicing.webhooks.clients import Outcome, Post
from servicing.webhooks.model import (
    EVENT,
    KEY,
    SIGNATURE,
    TIMESTAMP,
    EndpointState,
    is_delivered,
    is_gone,
    is_hopeless,
    key_id,
    next_try_at,
    signature,
)
from servicing.webhooks.operations import ALL_SCOPE, NEWS_SCOPE, SECRET
from servicing.webhooks.tables import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

_LEASE: Final = timedelta(seconds=60)
_IN_A_ROW: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """What is posted next; secrets by the name that receivers know, the present one first."""

    event_id: int
    url: str
    secrets: Mapping[str, str]
    body: bytes


def due_endpoints(session: Session, *, now: datetime) -> tuple[int, ...]:
    """List the endpoints that have something due and no worker.

    A partner whose keys were all revoked, or no longer see the whole book, gets nothing more.
    """
    let_in = {
        sees_all: partners_let_in(session, scopes=[NEWS_SCOPE, *([ALL_SCOPE] if sees_all else [])])
        for sees_all in (False, True)
    }
    due = select(WebhookDelivery.endpoint_id).where(
        WebhookDelivery.delivered_at.is_(None), WebhookDelivery.next_try_at <= now
    )
    rows = session.scalars(
        select(WebhookEndpoint)
        .where(_is_free(now), WebhookEndpoint.id.in_(due))
        .order_by(WebhookEndpoint.id)
    )
    return tuple(row.id for row in rows if row.partner in let_in[row.sees_whole_book])


def deliver_to(
    runtime: Runtime, post: Post, *, endpoint_id: int, is_over: Callable[[], bool]
) -> int:
    """Deliver what is due to an endpoint, until nothing is, nobody answers, or time is over.

    Returns:
        How many pieces of news were taken.
    """
    token = secrets.token_hex(16)
    if not _take_lease(runtime, endpoint_id, token):
        return 0
    taken = 0
    for letter in _letters(runtime, endpoint_id, token):
        outcome = _posted(runtime, post, letter)
        taken += is_delivered(outcome.status)
        goes_on = _note(runtime, endpoint_id, token, letter, outcome)
        if not goes_on or outcome.status is None or is_over():
            break
    _give_back(runtime, endpoint_id, token)
    return taken


def _is_free(now: datetime) -> ColumnElement[bool]:
    def is_past(column: ColumnElement[datetime | None]) -> ColumnElement[bool]:
        return or_(column.is_(None), column <= now)

    return (
        (WebhookEndpoint.state == EndpointState.ACTIVE)
        & is_past(WebhookEndpoint.leased_until.expression)
        & is_past(WebhookEndpoint.paused_until.expression)
    )


def _take_lease(runtime: Runtime, endpoint_id: int, token: str) -> bool:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        endpoint = session.scalar(
            select(WebhookEndpoint)
            .where(WebhookEndpoint.id == endpoint_id, _is_free(now))
            .with_for_update(skip_locked=True)
        )
        if endpoint is None:
            return False
        endpoint.lease_token, endpoint.leased_until = token, now + _LEASE
    return True


def _give_back(runtime: Runtime, endpoint_id: int, token: str) -> None:
    with runtime.database.write() as session:
        endpoint = _held(session, endpoint_id, token)
        if endpoint is not None:
            endpoint.lease_token = endpoint.leased_until = None


def _held(session: Session, endpoint_id: int, token: str) -> WebhookEndpoint | None:
    """Lock an endpoint if the lease on it is still ours."""
    return session.scalar(
        select(WebhookEndpoint)
        .where(
            WebhookEndpoint.id == endpoint_id,
            WebhookEndpoint.lease_token == token,
            WebhookEndpoint.state == EndpointState.ACTIVE,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _letters(runtime: Runtime, endpoint_id: int, token: str) -> Iterator[_Letter]:
    """Yield what is due and not held back, the oldest first, some of it at a time."""
    while some := _next_letters(runtime, endpoint_id, token):
        yield from some


def _next_letters(runtime: Runtime, endpoint_id: int, token: str) -> list[_Letter]:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        endpoint = _held(session, endpoint_id, token)
        if endpoint is None:
            return []
        signing = _signing(runtime, endpoint, now)
        return [
            _Letter(event_id=event.id, url=endpoint.url, secrets=signing, body=written(event))
            for event in session.scalars(_heads_select(endpoint_id, now))
        ]


def _signing(runtime: Runtime, endpoint: WebhookEndpoint, now: datetime) -> Mapping[str, str]:
    """Return the secret that signs, and the one before it while both do."""
    kept = {endpoint.secret_no: endpoint.secret_enc}
    if endpoint.old_secret_enc and endpoint.old_until and now < endpoint.old_until:
        kept[endpoint.secret_no - 1] = endpoint.old_secret_enc
    return {
        key_id(endpoint.id, number): runtime.cipher.decrypt(secret, context=SECRET)
        for number, secret in kept.items()
    }


def _heads_select(endpoint_id: int, now: datetime) -> Select[WebhookEvent]:
    is_waiting = (WebhookDelivery.endpoint_id == endpoint_id) & (
        WebhookDelivery.delivered_at.is_(None)
    )
    # Of each customer the first that waits; what came later is held back by it.
    heads = (
        select(func.min(WebhookDelivery.event_id))
        .where(is_waiting)
        .group_by(WebhookDelivery.customer_id)
    )
    return (
        select(WebhookEvent)
        .join(WebhookDelivery, WebhookDelivery.event_id == WebhookEvent.id)
        .where(is_waiting, WebhookDelivery.next_try_at <= now, WebhookEvent.id.in_(heads))
        .order_by(WebhookEvent.id)
        .limit(_IN_A_ROW)
    )


def written(event: WebhookEvent) -> bytes:
    """Return the body of a piece of news; the same at every try."""
    body = {
        "position": event.id,
        "kind": event.kind,
        "customer_id": event.customer_id,
        "happened_at": event.happened_at.isoformat(),
        "content": event.content,
    }
    return json.dumps(body, ensure_ascii=False).encode()


def _posted(runtime: Runtime, post: Post, letter: _Letter) -> Outcome:
    now = runtime.clock.now()
    return post(
        letter.url,
        letter.body,
        {
            "Content-Type": "application/json",
            "User-Agent": "Fenqi",
            EVENT: str(letter.event_id),
            TIMESTAMP: str(int(now.timestamp())),
            KEY: ",".join(letter.secrets),
            SIGNATURE: ",".join(
                signature(secret, at=now, body=letter.body) for secret in letter.secrets.values()
            ),
        },
    )


def _note(
    runtime: Runtime, endpoint_id: int, token: str, letter: _Letter, outcome: Outcome
) -> bool:
    """Write down what became of a try, and renew the lease; returns whether there may be more."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        session.add(
            WebhookAttempt(
                endpoint_id=endpoint_id,
                event_id=letter.event_id,
                at=now,
                status=outcome.status,
                fault=outcome.fault,
                took_ms=outcome.took_ms,
            )
        )
        endpoint = _held(session, endpoint_id, token)
        if endpoint is None:
            return False
        endpoint.leased_until = now + _LEASE
        delivery = session.get_one(WebhookDelivery, (endpoint_id, letter.event_id))
        if is_delivered(outcome.status):
            delivery.delivered_at, endpoint.silences = now, 0
            return True
        _put_off(session, endpoint, delivery, outcome, now)
        return endpoint.state == EndpointState.ACTIVE


def _put_off(
    session: Session,
    endpoint: WebhookEndpoint,
    delivery: WebhookDelivery,
    outcome: Outcome,
    now: datetime,
) -> None:
    delivery.tries += 1
    delivery.first_tried_at = delivery.first_tried_at or now
    delivery.next_try_at = next_try_at(tries=delivery.tries, now=now)
    if outcome.status is None:
        # Nobody answers there: other news would wait just as long for nothing.
        endpoint.silences += 1
        endpoint.paused_until = next_try_at(tries=endpoint.silences, now=now)
    if is_gone(outcome.status) or is_hopeless(delivery.first_tried_at, now):
        _disable(session, endpoint, "gone" if is_gone(outcome.status) else "failing", now)


def _disable(session: Session, endpoint: WebhookEndpoint, why: str, now: datetime) -> None:
    endpoint.state, endpoint.disabled_at, endpoint.disabled_why = EndpointState.DISABLED, now, why
    log.warning("webhook endpoint disabled", endpoint_id=endpoint.id, why=why)
    raise_alert(
        session,
        key=f"webhook-disabled/{endpoint.id}/{now:%Y%m%d%H%M}",
        kind="webhook-disabled",
        severity="medium",
        customer_id=None,
        details={"endpoint_id": endpoint.id, "partner": endpoint.partner, "why": why},
        now=now,
    )
