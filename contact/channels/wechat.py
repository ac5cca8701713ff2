"""The official account's API: a thin client over wechatpy, whose types do not leave this file.

wechatpy's own token handling is not used: it races, and a lasting 40001 sends it into hundreds of
calls. Which message to send, and whether, is not decided here.
"""

import json as jsons
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from redis import Redis
from wechatpy.client import WeChatClient as Library
from wechatpy.exceptions import WeChatClientException

from contact.channels.tokens import TokenKeeper
from contact.channels.transport import Transport
from contact.ports import OutcomeUnknown, ProviderNotReached, WeChatError
from kernel.settings import Settings

_ORIGIN: Final = "https://api.weixin.qq.com"
_TOKEN_REFUSED: Final = frozenset({40001, 40014, 42001})
_BUSY: Final = -1
_BUSY_TRIES: Final = 3
_BUSY_PAUSE_S: Final = 0.2
_TEXT_BYTES: Final = 2048


class WeChatClient:
    """Calls the official account's platform; safe to share between threads.

    Args:
        settings: App id, secret and base address.
        redis: Keeps the access token for all processes.
    """

    def __init__(self, *, settings: Settings, redis: "Redis") -> None:
        self._settings = settings
        self._tokens = TokenKeeper(redis, settings.wechat_app_id, self._fetch_token)
        self._library = Library(
            settings.wechat_app_id, settings.wechat_app_secret, auto_retry=False
        )
        self._transport = Transport(settings.wechat_api_base, origin=_ORIGIN)
        self._library._http = self._transport  # noqa: SLF001 -- the library offers no other way

    def send_template(
        self, openid: str, template_id: str, data: Mapping[str, str], url: str, client_msg_id: str
    ) -> str:
        """Send a template message and return its msgid; deduplicated for 10 minutes."""
        body = {
            "touser": openid,
            "template_id": template_id,
            "url": url,
            "client_msg_id": client_msg_id,
            "data": {name: {"value": value} for name, value in data.items()},
        }
        return str(self.call("POST", "/cgi-bin/message/template/send", body).get("msgid", ""))

    def send_text(self, openid: str, text: str) -> None:
        """Send a customer-service text, cut to the platform's 2,048 bytes."""
        content = text.encode()[:_TEXT_BYTES].decode(errors="ignore")
        body = {"touser": openid, "msgtype": "text", "text": {"content": content}}
        self.call("POST", "/cgi-bin/message/custom/send", body)

    def send_menu_message(
        self, openid: str, head: str, items: Sequence[tuple[str, str]], tail: str
    ) -> None:
        """Send a customer-service message with choices, each an (id, text)."""
        choices = [{"id": item_id, "content": text} for item_id, text in items]
        content = {"head_content": head, "list": choices, "tail_content": tail}
        body = {"touser": openid, "msgtype": "msgmenu", "msgmenu": content}
        self.call("POST", "/cgi-bin/message/custom/send", body)

    def create_menu(self, menu: Mapping[str, Any]) -> None:
        """Replace the account's menu."""
        self.call("POST", "/cgi-bin/menu/create", menu)

    def get_user(self, openid: str) -> dict[str, Any]:
        """Return what the platform tells of a follower."""
        return self._patiently(
            lambda token: self._library.get(
                "user/info", params={"access_token": token, "openid": openid, "lang": "zh_CN"}
            )
        )

    def call(self, method: str, path: str, json: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make any call of the platform that takes an access token.

        Args:
            method: GET or POST.
            path: Such as `/cgi-bin/customservice/kfsession/create`; may have a query.
            json: The body, or None.

        Raises:
            WeChatError: The platform answered with an error code.
            ProviderNotReached: Nothing left the house.
            OutcomeUnknown: It did, and no usable answer came.
        """
        data = {} if json is None else {"data": dict(json)}
        return self._patiently(
            lambda token: self._library._request(  # noqa: SLF001 -- get and post are no more
                method, f"{_ORIGIN}{path}", params={"access_token": token}, **data
            )
        )

    def _patiently(self, ask: Callable[[str], object]) -> dict[str, Any]:
        """Ask, again if the platform is busy, with a pause that grows and jitters."""
        for tried in range(1, _BUSY_TRIES):
            try:
                return self._with_token(ask)
            except WeChatError as error:
                if error.errcode != _BUSY:
                    raise
            time.sleep(_BUSY_PAUSE_S * 2**tried * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter
        return self._with_token(ask)

    def _with_token(self, ask: Callable[[str], object]) -> dict[str, Any]:
        """Ask, and once more with a fresh token if the first was refused."""
        token = self._tokens.token()
        try:
            return _answer(ask, token)
        except WeChatError as error:
            if error.errcode not in _TOKEN_REFUSED:
                raise
        self._tokens.drop(token)
        return _answer(ask, self._tokens.token())

    def _fetch_token(self) -> tuple[str, int]:
        body = {
            "grant_type": "client_credential",
            "appid": self._settings.wechat_app_id,
            "secret": self._settings.wechat_app_secret,
            "force_refresh": False,
        }
        try:
            answer = self._transport.request(
                "POST", f"{_ORIGIN}/cgi-bin/stable_token", data=jsons.dumps(body).encode()
            ).json()
        except (ProviderNotReached, OutcomeUnknown) as error:
            # Whatever the caller wanted to send has not left the house.
            raise ProviderNotReached(f"no token: {type(error).__name__}") from error
        if not isinstance(answer, dict) or "access_token" not in answer:
            errcode = answer.get("errcode", 0) if isinstance(answer, dict) else 0
            raise WeChatError(int(errcode), "no access token")
        return str(answer["access_token"]), int(answer.get("expires_in", 0))


def _answer(ask: Callable[[str], object], token: str) -> dict[str, Any]:
    try:
        answer = ask(token)
    except WeChatClientException as error:
        raise WeChatError(int(error.errcode), _without_id(error.errmsg)) from error
    if not isinstance(answer, dict):
        raise OutcomeUnknown("the answer is not JSON")
    return answer


def _without_id(message: object) -> str:
    return str(message).split(" rid:", maxsplit=1)[0]
