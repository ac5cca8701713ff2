"""HTTP as both providers need it: time-outs everywhere, and a clear word on what is certain.

It stands on urllib3 itself, because a call through requests costs twice the CPU and the sender
makes thousands. It repeats nothing by itself and follows no redirect.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import certifi
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from contact.ports import OutcomeUnknown, ProviderNotReached

_TIMEOUT: Final = urllib3.Timeout(connect=3.05, read=8.0)
_CONNECTIONS: Final = 32
_SERVER_ERROR: Final = 500


class Reply:
    """An answer, in the shape that wechatpy expects of one."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status_code = status
        self.content = content
        self.request = None

    def raise_for_status(self) -> None:
        """Refuse an answer that says nothing of what was done.

        Raises:
            OutcomeUnknown: HTTP 5xx.
        """
        if self.status_code >= _SERVER_ERROR:
            raise OutcomeUnknown(f"HTTP {self.status_code}")

    def json(self) -> Any:
        """Decode the answer.

        Raises:
            OutcomeUnknown: It is not JSON.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise OutcomeUnknown(f"HTTP {self.status_code}, not JSON") from error


class Transport:
    """Kept connections to one base address, shared by threads.

    Args:
        base: Where requests go; may have a path.
        origin: Addresses that begin with this are sent to the base instead; wechatpy writes
            api.weixin.qq.com into some of its calls.
    """

    def __init__(self, base: str, *, origin: str = "") -> None:
        address = urlsplit(base)
        secure = {"ca_certs": certifi.where()} if address.scheme == "https" else {}
        self.host: Final = address.netloc
        self.path: Final = address.path
        self._origin = origin
        self._pool = urllib3.connection_from_url(
            f"{address.scheme}://{address.netloc}", maxsize=_CONNECTIONS, **secure
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_ignored: object,
    ) -> Reply:
        """Make one request; time-outs are ours, whatever the caller asks for.

        Raises:
            ProviderNotReached: No connection came about.
            OutcomeUnknown: The connection broke or stayed silent later.
        """
        path = self.path.rstrip("/") + url.removeprefix(self._origin) if self._origin else url
        if params:
            path = f"{path}?{urlencode(params)}"
        given = headers or ({"Content-Type": "application/json"} if data else {})
        try:
            answer = self._pool.urlopen(
                method.upper(), path, body=data, headers=given, retries=False, timeout=_TIMEOUT
            )
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise ProviderNotReached(type(error).__name__) from error
        except HTTPError as error:
            raise OutcomeUnknown(type(error).__name__) from error
        return Reply(answer.status, answer.data)
