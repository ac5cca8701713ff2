"""HTTP as both providers need it: time-outs everywhere, and a clear word on what is certain.

It stands on http.client, because a call through requests costs five times the CPU and the sender
makes thousands. It repeats nothing by itself, follows no redirect and uses no proxy.
"""

import json
import queue
import select
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import certifi

from contact.ports import OutcomeUnknown, ProviderNotReached

_CONNECT_S: Final = 3.0
_ANSWER_S: Final = 8.0
_KEPT: Final = 32
_SERVER_ERROR: Final = 500
_LONGEST_ANSWER: Final = 4 * 1024 * 1024


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
        except (ValueError, RecursionError) as error:
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
        self.host: Final = address.netloc
        self.path: Final = address.path
        self._origin = origin
        is_secure = address.scheme == "https"
        self._tls = ssl.create_default_context(cafile=certifi.where()) if is_secure else None
        self._idle: queue.LifoQueue[HTTPConnection] = queue.LifoQueue(_KEPT)

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
            path = f"{path}{'&' if '?' in path else '?'}{urlencode(params)}"
        given = headers or ({"Content-Type": "application/json"} if data else {})
        connection = self._connection()
        try:
            connection.request(method.upper(), path, body=data, headers=dict(given))
            response = connection.getresponse()
            content = response.read(_LONGEST_ANSWER)
        except (OSError, HTTPException) as error:
            connection.close()
            raise OutcomeUnknown(type(error).__name__) from error
        if response.isclosed():  # read to its end
            self._keep(connection)
        else:
            connection.close()
        return Reply(response.status, content)

    def _connection(self) -> HTTPConnection:
        while not self._idle.empty():
            try:
                kept = self._idle.get_nowait()
            except queue.Empty:
                break
            if _is_open(kept):
                return kept
            kept.close()
        return self._connect()

    def _connect(self) -> HTTPConnection:
        if self._tls is None:
            made = HTTPConnection(self.host, timeout=_CONNECT_S)
        else:
            made = HTTPSConnection(self.host, timeout=_CONNECT_S, context=self._tls)
        try:
            made.connect()
        except (OSError, HTTPException) as error:
            made.close()
            raise ProviderNotReached(type(error).__name__) from error
        made.sock.settimeout(_ANSWER_S)
        return made

    def _keep(self, connection: HTTPConnection) -> None:
        if connection.sock is None:  # the other side closes after its answer
            return
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()


def _is_open(connection: HTTPConnection) -> bool:
    """Say whether nothing has come in while it lay idle: all that could come is its end."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)
