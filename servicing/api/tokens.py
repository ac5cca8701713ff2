"""Exchanges a key for a token: OAuth 2.0, grant type client_credentials (RFC 6749 4.4)."""

from typing import Final, Literal

from apiflask import APIBlueprint
from flask import request
from flask_limiter.util import get_remote_address
from pydantic import Field

from kernel.api_keys import TOKEN_LIFETIME, ApiKeyLacksScope, ApiKeyRefused
from servicing.api.documented import TOO_LONG, UNREADABLE, problems
from servicing.api.door import keys, limit
from servicing.api.refusals import RequestMalformed, TooOften
from servicing.api.shapes import Shape

blueprint = APIBlueprint("api_tokens", __name__, tag="Tokens")

_TRIES: Final = "30/minute"
_REFUSED: Final = problems(
    (ApiKeyRefused, ApiKeyLacksScope, RequestMalformed, TooOften),
    plain=(*TOO_LONG, *UNREADABLE),
)


class TokenForm(Shape):
    """What is asked for; number and key may come by HTTP Basic instead."""

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
