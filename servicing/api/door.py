"""Lets a caller in: whose key, what it may, how often; and serves the view behind, once.

`serve` puts a view on a blueprint together with all that the OpenAPI document says of it. A view
gets a `Call` and what was sent, and returns a shape; it opens no session and knows no HTTP.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import wraps
from typing import Any, Final, cast

from apiflask import APIBlueprint
from flask import Response, current_app, g, request
from limits import parse
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.wrappers import Response as WrapperResponse

from kernel import idempotency
from kernel.api_keys import ApiKeys, Caller, require_scope
from kernel.clock import SystemClock, business_date
from kernel.runtime import Runtime
from kernel.web import now, runtime
from servicing.api.documented import Documented, describe
from servicing.api.refusals import CrossedOther, RequestMalformed, TooOften
from servicing.api.scopes import Scope
from servicing.api.shapes import Shape
from servicing.queries.partners import Sight

KEYS: Final = "api_keys"

_ACTION: Final = "partner-api"
_REPLAYED: Final = "Idempotency-Replayed"
_KEY_SIGNS: Final = 40
_UTF_8: Final = ("utf-8", "utf8", "us-ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that was let in.

    Attributes:
        session: A write session for a POST, else one for looking.
        key: What stands for the caller's intention in operations; empty for reads.
    """

    caller: Caller
    runtime: Runtime
    session: Session
    now: datetime
    key: str = ""

    @property
    def on(self) -> date:
        """The business date of the request."""
        return business_date(self.now)

    @property
    def sight(self) -> Sight:
        """What the caller may see."""
        return Sight(
            partner=self.caller.partner, is_whole_book=Scope.WHOLE_BOOK in self.caller.scopes
        )

    def require(self, scope: Scope) -> None:
        """Refuse what the key may not do.

        Raises:
            ApiKeyLacksScope: It may not.
        """
        require_scope(self.caller, scope=scope)


View = Callable[..., Shape | Response | None]


def keys() -> ApiKeys:
    """Return the keys of the current app."""
    return cast("ApiKeys", current_app.extensions[KEYS])


def serve(blueprint: APIBlueprint, said: Documented) -> Callable[[View], View]:
    """Put a view on a blueprint, behind the door, and into the document."""

    def put(view: View) -> View:
        @wraps(view)
        def answer(**given: Any) -> Response:
            if said.changes:
                return _changed(view, said, given)
            with runtime().database.read() as session:
                return _response(view(_call(session), **given), said.status)

        behind: View = answer
        for option in describe(blueprint, said):
            behind = option(behind)

        @wraps(behind)
        def let_in(**given: Any) -> Response:
            g.caller = _caller(said)
            if said.body is not None:
                require_media("application/json")
            if said.query is None and request.args:
                raise RequestMalformed("no parameter means anything here", faults=_strangers())
            return cast("Response", behind(**given))

        blueprint.route(said.path, methods=[said.method])(let_in)
        return view

    return put


def require_media(media: str) -> None:
    """Refuse a body of another media type, or in another encoding than UTF-8.

    Raises:
        UnsupportedMediaType: It is.
    """
    is_sent = request.content_length or request.mimetype
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if is_sent and (request.mimetype != media or charset not in _UTF_8):
        raise UnsupportedMediaType(f"{media} in UTF-8 is expected")


def limit(rate: str, *who: str) -> None:
    """Count a request.

    Raises:
        TooOften: There were too many.
    """
    limiter: Any = current_app.extensions["rate_limiter"].limiter
    item = parse(rate)
    is_served = limiter.hit(item, "api", *who)
    window = limiter.get_window_stats(item, "api", *who)
    reset_s = max(1, int(window.reset_time - SystemClock().now().timestamp()) + 1)
    told = (item.amount, window.remaining, reset_s)
    # Of a key's own limit and one that is shared, the one that is used up first.
    g.rate = min(g.get("rate", told), told, key=lambda rate: rate[1])
    if not is_served:
        raise TooOften(f"more often than {rate}", retry_after_s=reset_s)


def tell_rate(response: WrapperResponse) -> WrapperResponse:
    """Say on every answer how much of the limit is left, and when it is whole again."""
    if "rate" in g:
        names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
        response.headers.update(dict(zip(names, map(str, g.rate), strict=True)))
    return response


def _caller(said: Documented) -> Caller:
    caller = keys().caller(request.headers.get("Authorization", ""), scope=said.scope)
    limit(f"{caller.rate_per_minute}/minute", str(caller.id))
    if said.rate is not None:
        limit(said.rate, said.scope, caller.partner)
    return caller


def _strangers() -> list[dict[str, str]]:
    return [{"member": name[:64], "fault": "unknown"} for name in request.args]


def _call(session: Session, key: str = "") -> Call:
    return Call(caller=g.caller, runtime=runtime(), session=session, now=now(), key=key)


def _changed(view: View, said: Documented, given: Mapping[str, Any]) -> Response:
    """Serve what changes the book; with a key, once."""
    try:
        if said.is_once:
            return _once(view, said, given)
        with runtime().database.write() as session:
            return _response(view(_call(session), **given), said.status)
    except IntegrityError as error:
        raise CrossedOther("another request entered the same at this moment") from error


def _once(view: View, said: Documented, given: Mapping[str, Any]) -> Response:
    sent = idempotency.checked_key(request.headers.get("Idempotency-Key", ""))
    name = hashlib.sha256(f"{g.caller.partner}\0{sent}".encode()).hexdigest()
    payload = {"path": request.path, "body": request.get_json(force=True, silent=True)}
    with idempotency.alone(runtime().redis, name), runtime().database.write() as session:
        claimed = idempotency.claim(session, action=_ACTION, key=name, payload=payload, now=now())
        if claimed.answer is not None:
            response = _written(claimed.answer["body"], claimed.answer["status"])
            response.headers[_REPLAYED] = "true"
            return response
        made = view(_call(session, f"api/{name[:_KEY_SIGNS]}"), **given)
        response = _response(made, said.status)
        claimed.keep({"status": said.status, "body": json.loads(response.get_data() or b"null")})
        return response


def _response(made: Shape | Response | None, status: int) -> Response:
    if isinstance(made, Response):
        return made
    if made is None:
        return Response(status=status)
    return _written(made.model_dump(mode="json"), status)


def _written(body: Any, status: int) -> Response:
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status=status, mimetype="application/json")
