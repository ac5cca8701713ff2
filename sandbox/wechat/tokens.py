"""Access tokens and the page ticket: two kinds of token with the lifetimes the platform documents.

It hands out and checks; it does not know who calls with which of them.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.wechat.errors import Refused
from sandbox.wechat.state import Token
from sandbox.world import World

LIFETIME_S = 7200
_OVERLAP = timedelta(minutes=5)
_RENEWED_BEFORE = timedelta(minutes=5)
_PLAIN_PER_DAY = 2_000
_FORCED_PER_DAY = 20
_FORCED_APART = timedelta(seconds=30)
_DAY = timedelta(days=1)


def grant_plain(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /cgi-bin/token: always a new one; the previous lives five minutes more."""
    _check_secret(world, query)
    account, now = world.account, world.now()
    account.plain_grants_at = [at for at in account.plain_grants_at if now - at < _DAY] + [now]
    if len(account.plain_grants_at) > _PLAIN_PER_DAY:
        raise Refused(45009)
    _retire(account.plain, now, world.knobs.peek("token.plain", "strict"))
    account.plain = _issue(world, now, is_stable=False)
    return {"access_token": account.plain.value, "expires_in": LIFETIME_S}


def grant_stable(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer POST /cgi-bin/stable_token: the same one until five minutes before its end."""
    _check_secret(world, body)
    account, now = world.account, world.now()
    if body.get("force_refresh"):
        _count_forced(world, now)
        _retire(account.stable, now, is_strict=True)
        account.stable = None
    held = account.stable
    if held is None or held.expires_at - now <= _RENEWED_BEFORE:
        _retire(held, now, world.knobs.peek("token.stable", "strict"))
        held = account.stable = _issue(world, now, is_stable=True)
    seconds = int((held.expires_at - now).total_seconds())
    return {"access_token": held.value, "expires_in": seconds}


def check_token(world: World, value: str | None) -> None:
    """Let a call with a good access token pass.

    Raises:
        Refused: 41001 without one, 42001 if it is too old, 40001 if it is none of ours.
    """
    if not value:
        raise Refused(41001)
    token = world.account.tokens.get(value)
    if token is None:
        raise Refused(40001)
    if token.expires_at <= world.now():
        replaced = value not in _newest(world)
        raise Refused(40001 if replaced else 42001)


def page_ticket(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /cgi-bin/ticket/getticket."""
    if query.get("type") not in ("jsapi", "wx_card"):
        raise Refused(40008)
    now, held = world.now(), world.account.ticket
    if held is None or held.expires_at - now <= _RENEWED_BEFORE:
        expires_at = now + timedelta(seconds=LIFETIME_S)
        held = Token(value=secrets.token_urlsafe(64), expires_at=expires_at, is_stable=False)
        world.account.ticket = held
    seconds = int((held.expires_at - now).total_seconds())
    return {"errcode": 0, "errmsg": "ok", "ticket": held.value, "expires_in": seconds}


def _check_secret(world: World, given: Mapping[str, Any]) -> None:
    if given.get("grant_type") != "client_credential":
        raise Refused(40002)
    if not given.get("appid"):
        raise Refused(41002)
    if given["appid"] != world.settings.wechat_app_id:
        raise Refused(40013)
    if given.get("secret") != world.settings.wechat_app_secret:
        raise Refused(40125)


def _count_forced(world: World, now: datetime) -> None:
    account = world.account
    account.forced_at = [at for at in account.forced_at if now - at < _DAY]
    if account.forced_at and now - account.forced_at[-1] < _FORCED_APART:
        raise Refused(45011)
    if len(account.forced_at) >= _FORCED_PER_DAY:
        raise Refused(45009)
    account.forced_at.append(now)


def _issue(world: World, now: datetime, *, is_stable: bool) -> Token:
    token = Token(
        value="8_" + secrets.token_urlsafe(100),
        expires_at=now + timedelta(seconds=LIFETIME_S),
        is_stable=is_stable,
    )
    world.account.tokens[token.value] = token
    return token


def _retire(token: Token | None, now: datetime, is_strict: bool) -> None:  # noqa: FBT001 -- private
    if token is not None:
        token.expires_at = min(token.expires_at, now if is_strict else now + _OVERLAP)


def _newest(world: World) -> set[str]:
    held = (world.account.plain, world.account.stable)
    return {token.value for token in held if token is not None}
