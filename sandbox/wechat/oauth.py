"""Web authorisation: who looks at a page inside WeChat. The chat window's cookie is the person."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from sandbox.wechat.errors import Refused
from sandbox.wechat.state import OAuthCode, WebToken
from sandbox.world import World

_CODE_LASTS = timedelta(minutes=5)
_TOKEN_LASTS = timedelta(seconds=7200)
_REFRESH_LASTS = timedelta(days=30)
_STATE_BYTES = 128
_SCOPES = ("snsapi_base", "snsapi_userinfo")
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class NotAuthorised(Exception):
    """The authorisation page shows an error to the person; the text is what it says."""


def authorise(world: World, query: Mapping[str, str], openid: str) -> str:
    """Return the address to which the person is sent back, with code and state.

    Raises:
        NotAuthorised: The link is not one that WeChat would follow.
    """
    if query.get("appid") != world.settings.wechat_app_id:
        message = "AppID 参数错误"
        raise NotAuthorised(message)
    scope, state = query.get("scope", ""), query.get("state", "")
    if query.get("response_type") != "code" or scope not in _SCOPES:
        message = "Scope 参数错误或没有 Scope 权限"
        raise NotAuthorised(message)
    back = urlsplit(query.get("redirect_uri", ""))
    allowed = _LOOPBACK | {urlsplit(world.settings.public_base_url).hostname or ""}
    if back.scheme not in ("http", "https") or back.hostname not in allowed:
        message = "redirect_uri 域名与后台配置不一致，错误码:10003"
        raise NotAuthorised(message)
    if len(state.encode()) > _STATE_BYTES:
        message = "state 参数过长"
        raise NotAuthorised(message)
    code = secrets.token_urlsafe(24)
    world.account.codes[code] = OAuthCode(
        openid=openid, scope=scope, expires_at=world.now() + _CODE_LASTS
    )
    added = urlencode({"code": code, "state": state})
    return urlunsplit(back._replace(query=f"{back.query}&{added}" if back.query else added))


def exchange(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /sns/oauth2/access_token; a code is good once and for five minutes."""
    if query.get("appid") != world.settings.wechat_app_id:
        raise Refused(40013)
    if query.get("secret") != world.settings.wechat_app_secret:
        raise Refused(40125)
    if query.get("grant_type") != "authorization_code":
        raise Refused(40002)
    code = world.account.codes.get(query.get("code", ""))
    if code is None:
        raise Refused(40029)
    if code.is_used or world.knobs.take("oauth.token", "code_reused") is not None:
        raise Refused(40163)
    if code.expires_at <= world.now():
        raise Refused(40029)
    code.is_used = True
    return _issue(world, code.openid, code.scope)


def refresh(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /sns/oauth2/refresh_token."""
    held = world.account.refresh_tokens.get(query.get("refresh_token", ""))
    if held is None or held.expires_at <= world.now():
        raise Refused(40030)
    return _issue(world, held.openid, held.scope)


def person_info(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /sns/userinfo; only for scope snsapi_userinfo."""
    held = _held(world, query)
    if held.scope != "snsapi_userinfo":
        raise Refused(48001)
    return {
        "openid": held.openid,
        "nickname": world.book.person(held.openid)["name"] or "微信用户",
        "sex": 0,
        "province": "",
        "city": "",
        "country": "",
        "headimgurl": "",
        "privilege": [],
    }


def check(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /sns/auth."""
    _held(world, query)
    return {"errcode": 0, "errmsg": "ok"}


def _held(world: World, query: Mapping[str, str]) -> WebToken:
    held = world.account.web_tokens.get(query.get("access_token", ""))
    if held is None:
        raise Refused(40001)
    if held.expires_at <= world.now():
        raise Refused(42001)
    if query.get("openid") != held.openid:
        raise Refused(40003)
    return held


def _issue(world: World, openid: str, scope: str) -> dict[str, Any]:
    token, refresh_token = secrets.token_urlsafe(64), secrets.token_urlsafe(64)
    now, account = world.now(), world.account
    account.web_tokens[token] = WebToken(openid=openid, scope=scope, expires_at=now + _TOKEN_LASTS)
    account.refresh_tokens[refresh_token] = WebToken(
        openid=openid, scope=scope, expires_at=now + _REFRESH_LASTS
    )
    return {
        "access_token": token,
        "expires_in": int(_TOKEN_LASTS.total_seconds()),
        "refresh_token": refresh_token,
        "openid": openid,
        "scope": scope,
    }
