"""What changes about news: it is published, endpoints come and go, and news is asked for again.

Delivering is servicing.webhooks.delivering's business.

    TooManyEndpoints  409  a partner has ten at most
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from kernel.crypto import FieldCipher
from kernel.database import insert_ignore
from kernel.errors import Conflict
from kernel.outbox import OutboxRow
from servicing.model import PARTNER
from servicing.tables import Application, Loan
from servicing.webhooks import queries
from servicing.webhooks.model import BOTH_SIGN, FIRST_SECRET, EndpointState
from servicing.webhooks.news import told
from servicing.webhooks.queries import EndpointNotFound
from servicing.webhooks.tables import WebhookDelivery, WebhookEndpoint, WebhookEvent

SECRET: Final = "webhook.secret"  # noqa: S105 -- the context of the cipher, no secret itself

# What a key of the partner must be good for.
NEWS_SCOPE: Final = "webhooks"
ALL_SCOPE: Final = "whole-book"

_MOST: Final = 10
_AT_ONCE: Final = 1_000
_OF_APPLICATION: Final = "application_id"
_OF_LOAN: Final = "loan_id"


class TooManyEndpoints(Conflict):
    """The partner has as many endpoints as it may."""

    code = "webhooks-too-many"
    message_zh = "回调地址数量已达上限"


# -- publishing -----------------------------------------------------------------------------------


def publish(session: Session, rows: Sequence[OutboxRow]) -> None:
    """Write the news among some events, and a delivery of each for every endpoint that wants it.

    A listener of the relay: called once for each event, in their order, in its transaction.
    """
    found = [(row, news) for row in rows if (news := told(row.event, row.payload)) is not None]
    origins = _origins(session, [row.payload for row, _ in found])
    events = [
        _event(row, kind, content, origins.get(_subject(row.payload)))
        for row, (kind, content) in found
    ]
    if not events:
        return
    session.add_all(events)
    session.flush()
    _deliver(session, events)


def _event(
    row: OutboxRow, kind: str, content: Mapping[str, Any], origin: tuple[str, str, int] | None
) -> WebhookEvent:
    number, channel, customer_id = origin or ("", "", row.payload.get("customer_id"))
    name = {_OF_LOAN: "loan_no", _OF_APPLICATION: "application_no"}.get(_subject(row.payload)[0])
    return WebhookEvent(
        kind=kind,
        customer_id=customer_id,
        is_of_customer=origin is None,
        partner=channel.removeprefix(PARTNER) if channel.startswith(PARTNER) else None,
        content=({name: number} if name else {}) | dict(content),
        happened_at=row.recorded_at,
    )


def _subject(payload: Mapping[str, Any]) -> tuple[str, int]:
    for name in (_OF_LOAN, _OF_APPLICATION):
        if payload.get(name) is not None:
            return name, int(payload[name])
    return "", 0


def _origins(
    session: Session, payloads: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, int], tuple[str, str, int]]:
    """Return number, channel and customer of each loan and application that news is about."""
    subjects = {_subject(payload) for payload in payloads}
    loans = [number for name, number in subjects if name == _OF_LOAN]
    applications = [number for name, number in subjects if name == _OF_APPLICATION]
    found: dict[tuple[str, int], tuple[str, str, int]] = {}
    for row_id, number, channel, customer_id in session.execute(
        select(Loan.id, Loan.loan_no, Application.channel, Loan.customer_id)
        .outerjoin(Application, Application.id == Loan.application_id)
        .where(Loan.id.in_(loans))
    ):
        found[_OF_LOAN, row_id] = (number, channel or "", customer_id)
    for row_id, number, channel, customer_id in session.execute(
        select(
            Application.id,
            Application.application_no,
            Application.channel,
            Application.customer_id,
        ).where(Application.id.in_(applications))
    ):
        found[_OF_APPLICATION, row_id] = (number, channel, customer_id)
    return found


def _deliver(session: Session, events: Sequence[WebhookEvent]) -> None:
    for endpoint in session.scalars(
        select(WebhookEndpoint).where(WebhookEndpoint.state != EndpointState.REMOVED)
    ).all():
        first, last = events[0].id, events[-1].id
        wanted = queries.news_select(
            partner=endpoint.partner, sees_whole_book=endpoint.sees_whole_book
        ).where(WebhookEvent.id.between(first, last))
        _queue(session, endpoint, session.scalars(wanted).all())


def _queue(session: Session, endpoint: WebhookEndpoint, events: Sequence[WebhookEvent]) -> int:
    rows = [
        {
            "endpoint_id": endpoint.id,
            "event_id": event.id,
            "customer_id": event.customer_id,
            "tries": 0,
            "next_try_at": event.happened_at,
        }
        for event in events
        if not endpoint.kinds or event.kind in endpoint.kinds
    ]
    return insert_ignore(session, WebhookDelivery, rows, conflict=["endpoint_id", "event_id"])


# -- endpoints ------------------------------------------------------------------------------------


def add_endpoint(
    session: Session,
    cipher: FieldCipher,
    *,
    partner: str,
    sees_whole_book: bool,
    url: str,
    kinds: Sequence[str],
    now: datetime,
) -> tuple[int, str]:
    """Let a partner have news at an address from now on.

    Args:
        session: A write session.
        cipher: Keeps the secret.
        partner: Whose endpoint it is, and whose customers' news it gets.
        sees_whole_book: Whether it gets all other news, too.
        url: An address that was checked.
        kinds: Which news; none named means all.
        now: The instant.

    Returns:
        Its number, and the secret that signs, which is shown this once.

    Raises:
        TooManyEndpoints: The partner has ten.
    """
    count = session.scalar(
        select(func.count())
        .select_from(WebhookEndpoint)
        .where(WebhookEndpoint.partner == partner, WebhookEndpoint.state != EndpointState.REMOVED)
    )
    if count is not None and count >= _MOST:
        raise TooManyEndpoints(f"{partner} has {_MOST} endpoints")
    secret = _new_secret()
    endpoint = WebhookEndpoint(
        partner=partner,
        sees_whole_book=sees_whole_book,
        url=url,
        secret_enc=cipher.encrypt(secret, context=SECRET),
        secret_no=FIRST_SECRET,
        kinds=sorted(set(kinds)),
        state=EndpointState.ACTIVE,
        created_at=now,
    )
    session.add(endpoint)
    session.flush()
    return endpoint.id, secret


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret that signs from now on; it is shown this once."""

    number: int
    secret: str
    both_until: datetime


def rotate_secret(
    session: Session, cipher: FieldCipher, *, endpoint_id: int, partner: str, now: datetime
) -> NewSecret:
    """Have another secret sign what goes to an endpoint; the old one signs too for a day.

    Repeated within the day, the first of the old ones ends at once.

    Raises:
        EndpointNotFound: There is none, or it is another's.
    """
    endpoint = lock_endpoint(session, endpoint_id=endpoint_id, partner=partner)
    made = NewSecret(
        number=endpoint.secret_no + 1, secret=_new_secret(), both_until=now + BOTH_SIGN
    )
    endpoint.old_secret_enc, endpoint.old_until = endpoint.secret_enc, made.both_until
    endpoint.secret_enc = cipher.encrypt(made.secret, context=SECRET)
    endpoint.secret_no = made.number
    return made


def remove_endpoint(session: Session, *, endpoint_id: int, partner: str) -> None:
    """Send nothing more to an endpoint, ever; safe to repeat until it is gone.

    Raises:
        EndpointNotFound: There is none, or it is another's.
    """
    lock_endpoint(session, endpoint_id=endpoint_id, partner=partner).state = EndpointState.REMOVED


def enable_endpoint(session: Session, *, endpoint_id: int, partner: str, now: datetime) -> None:
    """Go on where a disabled endpoint stopped; safe to repeat.

    Raises:
        EndpointNotFound: There is none, or it is another's.
    """
    endpoint = lock_endpoint(session, endpoint_id=endpoint_id, partner=partner)
    if endpoint.state != EndpointState.ACTIVE:
        _try_anew(session, endpoint, now)


def retry_endpoint(session: Session, *, endpoint_id: int, partner: str, now: datetime) -> int:
    """Try at once what an endpoint did not take, disabled or not, with all its patience anew.

    Returns:
        How many deliveries wait.

    Raises:
        EndpointNotFound: There is none, or it is another's.
    """
    endpoint = lock_endpoint(session, endpoint_id=endpoint_id, partner=partner)
    _try_anew(session, endpoint, now)
    return queries.waiting(session, endpoint_id=endpoint_id)


def _try_anew(session: Session, endpoint: WebhookEndpoint, now: datetime) -> None:
    endpoint.state = EndpointState.ACTIVE
    endpoint.disabled_at = endpoint.disabled_why = endpoint.paused_until = None
    endpoint.silences = 0
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.delivered_at.is_(None))
        .values(tries=0, first_tried_at=None, next_try_at=now)
    )


def replay(session: Session, *, endpoint_id: int, partner: str, after: int, now: datetime) -> int:
    """Deliver again what an endpoint wants of the news after a position, in order.

    News from before the endpoint was made is among it.

    Returns:
        How many deliveries wait now.

    Raises:
        EndpointNotFound: There is none, or it is another's.
    """
    endpoint = lock_endpoint(session, endpoint_id=endpoint_id, partner=partner)
    wanted = queries.news_select(partner=endpoint.partner, sees_whole_book=endpoint.sees_whole_book)
    last = after
    while some := session.scalars(wanted.where(WebhookEvent.id > last).limit(_AT_ONCE)).all():
        _queue(session, endpoint, some)
        last = some[-1].id
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.event_id > after)
        .values(tries=0, first_tried_at=None, delivered_at=None, next_try_at=now)
    )
    return queries.waiting(session, endpoint_id=endpoint_id)


def _new_secret() -> str:
    return "whsec_" + secrets.token_urlsafe(32)


def lock_endpoint(session: Session, *, endpoint_id: int, partner: str) -> WebhookEndpoint:
    """Lock a partner's endpoint for writing.

    Raises:
        EndpointNotFound: There is none, or it is another's, or it was removed.
    """
    endpoint = session.scalar(
        select(WebhookEndpoint)
        .where(
            WebhookEndpoint.id == endpoint_id,
            WebhookEndpoint.partner == partner,
            WebhookEndpoint.state != EndpointState.REMOVED,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if endpoint is None:
        raise EndpointNotFound("no such endpoint")
    return endpoint
