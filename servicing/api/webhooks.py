"""Webhooks: where a partner has news delivered, what became of it, and the news itself to read."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from apiflask import APIBlueprint
from pydantic import Field

from servicing.api.documented import Documented, get, post
from servicing.api.door import Call, serve
from servicing.api.paging import CursorUnknown, cursor_of, cut, place_of
from servicing.api.scopes import Scope
from servicing.api.shapes import CustomerNo, PageQuery, Shape, such
from servicing.webhooks import operations, queries
from servicing.webhooks.clients import Poster
from servicing.webhooks.model import FIRST_SECRET, AddressRefused, key_id
from servicing.webhooks.news import KINDS
from servicing.webhooks.operations import TooManyEndpoints
from servicing.webhooks.queries import EndpointNotFound

blueprint = APIBlueprint("api_webhooks", __name__, tag="Webhooks")

_ONE: Final = "/webhooks/<int:endpoint_id>"
_MOST_ID: Final = 2**53

Kind = Literal[KINDS]  # type: ignore[valid-type] # the table of news is the list of kinds


class NewEndpoint(Shape):
    """Where news goes, and which; none named means all. https only, outside development."""

    url: Annotated[str, Field(max_length=500, examples=["https://shop.example/fenqi"])]
    kinds: tuple[Kind, ...] = ()


class EndpointAnswer(Shape):
    """An endpoint; `waiting` counts what is still to be delivered, `key_id` names what signs it."""

    webhook_id: int
    url: str
    kinds: tuple[str, ...]
    state: Annotated[str, such("active")]
    created_at: datetime
    disabled_at: datetime | None
    disabled_why: str | None
    waiting: int
    key_id: str


class MadeEndpoint(Shape):
    """An endpoint, and the secret that signs from now on; it is shown this once.

    `key_id` is what the header Fenqi-Key says of what it signed.
    """

    webhook_id: int
    key_id: str
    secret: str


class RotatedSecret(MadeEndpoint):
    """A new secret; what is sent until `both_until` carries a signature by the old one, too."""

    both_until: datetime


EXAMPLES: Final = {
    "repayments": {
        "summary": "What was repaid, and nothing else",
        "value": {"url": "https://shop.example/fenqi", "kinds": ["loan.repaid"]},
    }
}


class EndpointsAnswer(Shape):
    """All endpoints of the partner."""

    webhooks: tuple[EndpointAnswer, ...]


class AttemptAnswer(Shape):
    """One try: the receiver's status, or why there was none (timeout, connection, tls …)."""

    position: int
    at: datetime
    status: int | None
    fault: str | None
    took_ms: int


class AttemptPage(Shape):
    """Some tries, the last one first."""

    attempts: tuple[AttemptAnswer, ...]
    next_cursor: str | None


class Replayed(Shape):
    """From where on news is delivered again."""

    after_position: Annotated[int, Field(ge=0, le=2**53, strict=True)]


REPLAYS: Final = {
    "all": {"summary": "All news from the first one on", "value": {"after_position": 0}}
}


class WaitingAnswer(Shape):
    """How many pieces of news wait for the endpoint now."""

    waiting: int


class NewsAnswer(Shape):
    """A piece of news; positions grow and never repeat."""

    position: int
    kind: Annotated[str, such("loan.repaid")]
    customer_id: CustomerNo
    happened_at: datetime
    content: dict[str, Any]


class NewsQuery(Shape):
    """Where to go on reading."""

    after_position: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class NewsPage(Shape):
    """Some news, the oldest first; go on after `last_position`, now or tomorrow."""

    news: tuple[NewsAnswer, ...]
    last_position: int


def _without_key(path: str, answers: type[Shape] | None, **given: Any) -> Documented:
    """These are safe to repeat, and answer a secret that is kept nowhere in clear."""
    return post(path, Scope.WEBHOOKS, answers, is_once=False, **given)


@serve(
    blueprint,
    _without_key(
        "/webhooks",
        MadeEndpoint,
        body=NewEndpoint,
        examples=EXAMPLES,
        refuses=(AddressRefused, TooManyEndpoints),
    ),
)
def add_webhook(call: Call, body: NewEndpoint) -> MadeEndpoint:
    """Have news delivered somewhere from now on."""
    Poster(is_development=call.runtime.settings.is_development).check(body.url)
    number, secret = operations.add_endpoint(
        call.session,
        call.runtime.cipher,
        partner=call.caller.partner,
        sees_whole_book=call.sight.is_whole_book,
        url=body.url,
        kinds=body.kinds,
        now=call.now,
    )
    return MadeEndpoint(webhook_id=number, key_id=key_id(number, FIRST_SECRET), secret=secret)


@serve(blueprint, get("/webhooks", Scope.WEBHOOKS, EndpointsAnswer))
def list_webhooks(call: Call) -> EndpointsAnswer:
    """List where news goes."""
    found = queries.endpoints(call.session, partner=call.caller.partner)
    return EndpointsAnswer(webhooks=tuple(_endpoint(endpoint) for endpoint in found))


@serve(
    blueprint,
    Documented(
        method="DELETE",
        path=_ONE,
        scope=Scope.WEBHOOKS,
        answers=None,
        status=204,
        changes=True,
        refuses=(EndpointNotFound,),
    ),
)
def remove_webhook(call: Call, endpoint_id: int) -> None:
    """Have nothing more delivered there."""
    operations.remove_endpoint(
        call.session, endpoint_id=_known(endpoint_id), partner=call.caller.partner
    )


@serve(
    blueprint,
    _without_key(f"{_ONE}/secret", RotatedSecret, refuses=(EndpointNotFound,)),
)
def rotate_secret(call: Call, endpoint_id: int) -> RotatedSecret:
    """Have another secret sign; for a day the old one signs, too, then it is forgotten."""
    made = operations.rotate_secret(
        call.session,
        call.runtime.cipher,
        endpoint_id=_known(endpoint_id),
        partner=call.caller.partner,
        now=call.now,
    )
    return RotatedSecret(
        webhook_id=endpoint_id,
        key_id=key_id(endpoint_id, made.number),
        secret=made.secret,
        both_until=made.both_until,
    )


@serve(
    blueprint,
    _without_key(f"{_ONE}/enable", WaitingAnswer, status=200, refuses=(EndpointNotFound,)),
)
def enable_webhook(call: Call, endpoint_id: int) -> WaitingAnswer:
    """Go on where a disabled endpoint stopped."""
    operations.enable_endpoint(
        call.session,
        endpoint_id=_known(endpoint_id),
        partner=call.caller.partner,
        now=call.now,
    )
    return WaitingAnswer(waiting=queries.waiting(call.session, endpoint_id=endpoint_id))


@serve(
    blueprint,
    _without_key(
        f"{_ONE}/replay",
        WaitingAnswer,
        body=Replayed,
        examples=REPLAYS,
        status=200,
        refuses=(EndpointNotFound,),
    ),
)
def replay_webhook(call: Call, endpoint_id: int, body: Replayed) -> WaitingAnswer:
    """Deliver again what came after a position, in order, from before the endpoint was made too."""
    waiting = operations.replay(
        call.session,
        endpoint_id=_known(endpoint_id),
        partner=call.caller.partner,
        after=body.after_position,
        now=call.now,
    )
    return WaitingAnswer(waiting=waiting)


@serve(
    blueprint,
    get(
        f"{_ONE}/attempts",
        Scope.WEBHOOKS,
        AttemptPage,
        query=PageQuery,
        refuses=(EndpointNotFound, CursorUnknown),
    ),
)
def list_attempts(call: Call, endpoint_id: int, query: PageQuery) -> AttemptPage:
    """List the tries to deliver there, the last one first."""
    (before,) = place_of(query.cursor)
    queries.require_endpoint(
        call.session, endpoint_id=_known(endpoint_id), partner=call.caller.partner
    )
    found = queries.attempts(
        call.session, endpoint_id=endpoint_id, before=before or None, limit=query.limit + 1
    )
    page, last = cut(found, query.limit)
    return AttemptPage(
        attempts=tuple(
            AttemptAnswer(
                position=each.position,
                at=each.at,
                status=each.status,
                fault=each.fault,
                took_ms=each.took_ms,
            )
            for each in page
        ),
        next_cursor=cursor_of(last.id) if last else None,
    )


@serve(blueprint, get("/news", Scope.WEBHOOKS, NewsPage, query=NewsQuery))
def read_news(call: Call, query: NewsQuery) -> NewsPage:
    """Read the news instead of having it delivered, from any position on."""
    found = queries.news(
        call.session,
        partner=call.caller.partner,
        sees_whole_book=call.sight.is_whole_book,
        after=query.after_position,
        limit=query.limit,
    )
    return NewsPage(
        news=tuple(NewsAnswer.model_validate(each) for each in found),
        last_position=found[-1].position if found else query.after_position,
    )


def _endpoint(view: queries.EndpointView) -> EndpointAnswer:
    told = asdict(view)
    return EndpointAnswer(webhook_id=told.pop("id"), **told)


def _known(endpoint_id: int) -> int:
    """Keep numbers away from the database that no row can have."""
    if endpoint_id >= _MOST_ID:
        raise queries.EndpointNotFound("no such endpoint")
    return endpoint_id
