"""Who looks at a page inside WeChat: OAuth2 (snsapi_base), and a signed cookie of these pages.

The state of a sign-in is signed and bound to the browser that began it, so that nobody can put
another person's sign-in into it. It knows openids, not customers.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import requests
from flask import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from kernel.errors import Unauthorized, Unavailable
from kernel.ids import new_token
from kernel.settings import Settings

SESSION_S: Final = 2 * 3600

_SESSION_COOKIE: Final = "fenqi_h5"
_BROWSER_COOKIE: Final = "fenqi_h5_browser"
_STATE_S: Final = 600
_TIMEOUT_S: Final = (3.05, 5.0)
_PATH: Final = "/h5"
_BROWSER_SIGNS: Final = 12
# WeChat takes 128 bytes of state; signature, time and browser need 70 of them.
_LONGEST_NEXT: Final = 36


class LoginRefused(Unauthorized):
    """The sign-in did not come back as it left, or its code is not good."""

    code = "wechat-login-refused"
    message_zh = "登录已失效，请返回公众号重新打开页面"


class LoginUnavailable(Unavailable):
    """WeChat did not answer the sign-in."""

    code = "wechat-login-unavailable"
    message_zh = "暂时无法连接微信，请稍后再试"


def known_openid(settings: Settings, request: Request) -> str | None:
    """Return who looks, or None if they have not signed in within two hours."""
    value = _read(settings, "session", request.cookies.get(_SESSION_COOKIE, ""), SESSION_S)
    return value if isinstance(value, str) else None


def authorise_url(
    settings: Settings, request: Request, response: Response, *, back: str, wanted: str
) -> str:
    """Return WeChat's address for a silent sign-in, and mark the browser that begins it.

    Args:
        settings: App id and addresses.
        request: Its cookie names the browser, if it was here before.
        response: Gets that cookie.
        back: Path to which WeChat sends the person.
        wanted: Path where they want to be then; one of ours.
    """
    browser = request.cookies.get(_BROWSER_COOKIE) or new_token()
    _set_cookie(settings, response, _BROWSER_COOKIE, browser, _STATE_S)
    state = _signer(settings, "state").dumps([_fingerprint(browser), wanted[:_LONGEST_NEXT]])
    query = {
        "appid": settings.wechat_app_id,
        "redirect_uri": settings.public_base_url + back,
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
    }
    address = f"{settings.wechat_oauth_base}/connect/oauth2/authorize"
    return f"{address}?{urlencode(query)}#wechat_redirect"


def wanted_path(settings: Settings, request: Request) -> str:
    """Return where a person who comes back from WeChat wanted to be.

    Raises:
        LoginRefused: The state is not ours, too old, or another browser's.
    """
    state = _read(settings, "state", request.args.get("state", ""), _STATE_S)
    if not isinstance(state, list):
        raise LoginRefused("the state is not ours or too old")
    fingerprint, wanted = state
    browser = request.cookies.get(_BROWSER_COOKIE, "")
    if not browser or not hmac.compare_digest(str(fingerprint), _fingerprint(browser)):
        raise LoginRefused("the state is another browser's")
    return str(wanted)


def sign_in(settings: Settings, response: Response, openid: str) -> None:
    """Remember who looks for two hours."""
    value = str(_signer(settings, "session").dumps(openid))
    _set_cookie(settings, response, _SESSION_COOKIE, value, SESSION_S)


def exchange_code(settings: Settings, code: str) -> str:
    """Ask WeChat whose code this is; a code is good once.

    Raises:
        LoginRefused: The code is bad, used or too old.
        LoginUnavailable: WeChat does not answer.
    """
    query = {"code": code, "grant_type": "authorization_code"}
    answer = ask_sns(settings, "/sns/oauth2/access_token", query)
    openid = answer.get("openid")
    if not isinstance(openid, str) or not openid:
        raise LoginRefused("the answer names nobody")
    return openid


def ask_sns(settings: Settings, path: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Ask one of WeChat's sign-in addresses; its answers are JSON that call themselves text.

    Raises:
        LoginRefused: The answer is an error code.
        LoginUnavailable: There is no answer that could be read.
    """
    given = {"appid": settings.wechat_app_id, "secret": settings.wechat_app_secret} | dict(query)
    base = settings.wechat_api_base.rstrip("/")
    with requests.Session() as session:
        # A plain base is a stand-in on this machine, which no proxy of the host can reach.
        session.trust_env = base.startswith("https://")
        try:
            response = session.get(f"{base}{path}", params=given, timeout=_TIMEOUT_S)
            answer = json.loads(response.content)
        except (requests.RequestException, ValueError) as error:
            raise LoginUnavailable(f"{path}: {type(error).__name__}") from error
    if not isinstance(answer, dict):
        raise LoginUnavailable(f"{path}: not an object")
    if answer.get("errcode"):
        raise LoginRefused(f"{path}: errcode {answer['errcode']}", errcode=answer["errcode"])
    return answer


def _fingerprint(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()[:_BROWSER_SIGNS]


def _signer(settings: Settings, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key, salt=f"bot.h5.{purpose}")


def _read(settings: Settings, purpose: str, value: str, max_age_s: int) -> object:
    try:
        return _signer(settings, purpose).loads(value, max_age=max_age_s)
    except BadSignature:
        return None


def _set_cookie(
    settings: Settings, response: Response, name: str, value: str, max_age_s: int
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=_PATH,
        httponly=True,
        samesite="Lax",
        secure=not settings.is_development,
    )
