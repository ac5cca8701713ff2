"""Exchanges a key for a token: OAuth 2.0, grant type client_credentials (RFC 6749 4.4).

A refusal has OAuth's own member `error` beside those of problem details (RFC 6749 5.2).
"""

from http import HTTPStatus
from typing import Final, Literal

from apiflask import APIBlueprint
from flask import Response, request
from flask_limiter.util import get_remote_address
from pydantic import ConfigDict, Field

from kernel.api_keys import TOKEN_LIFETIME, ApiKeyRefused, TokenRefused
from servicing.api.documented import TOO_LONG, UNREADABLE, problems
from servicing.api.door import keys, limit
from servicing.api.refusals import TooOften
from servicing.api.shapes import Shape

blueprint = APIBlueprint("api_tokens", __name__, tag="Tokens")

_TRIES: Final = "30/minute"
_REFUSED: Final = problems(
    (ApiKeyRefused, TokenRefused, TooOften),
    plain=(*TOO_LONG, *UNREADABLE),
    extras={
        ApiKeyRefused: {"error": "invalid_client"},
        TokenRefused: {"error": "unsupported_grant_type"},
    },
)


class TokenForm(Shape):
    """What is asked for; number and key may come by HTTP Basic instead."""

    model_config = ConfigDict(extra="ignore")  # as OAuth wants it

    grant_type: Literal["client_credentials"]
    scope: str = Field(default="", max_length=500, description="Separated by spaces; none is all.")
    client_id: str = Field(default="", max_length=40, description="The key's number.")
    client_secret: str = Field(default="", max_length=200, description="The key itself.")


class TokenAnswer(Shape):
    """A token and how long it is good for."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


@blueprint.post("/token")
@blueprint.input(TokenForm, location="form", arg_name="form")
@blueprint.output(TokenAnswer)
@blueprint.doc(responses=_REFUSED, security=[{"client": []}], tags=["Tokens"])
def token(form: TokenForm) -> TokenAnswer:
    """Exchange a key for a token of fifteen minutes, which may be good for less."""
    limit(_TRIES, get_remote_address())
    basic = request.authorization
    is_basic = basic is not None and basic.type == "basic"
    number = (basic.username if basic and is_basic else form.client_id) or ""
    key = (basic.password if basic and is_basic else form.client_secret) or ""
    given, caller = keys().exchange(number=number, key=key, scopes=form.scope.split())
    return TokenAnswer(
        access_token=given,
        token_type="Bearer",  # noqa: S106 -- a word of the protocol
        expires_in=int(TOKEN_LIFETIME.total_seconds()),
        scope=" ".join(sorted(caller.scopes)),
    )


def refused(faults: list[dict[str, str]]) -> TokenRefused:
    """Say in OAuth's words what is wrong with a form."""
    is_other_grant = bool(request.form.get("grant_type")) and any(
        fault["member"] == "grant_type" for fault in faults
    )
    error = "unsupported_grant_type" if is_other_grant else "invalid_request"
    return TokenRefused("what was sent asks for no token", error=error, faults=faults)


@blueprint.after_request
def challenge(response: Response) -> Response:
    """Name the scheme by which a client tried to prove who it is."""
    if response.status_code == HTTPStatus.UNAUTHORIZED and request.authorization:
        response.headers["WWW-Authenticate"] = 'Basic realm="fenqi"'
    return response
