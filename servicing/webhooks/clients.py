"""Posts one delivery to a receiver: to an address that was checked, with a time-out, no redirects.

The name is resolved once and the connection made to what was found, so that a name that answers
differently the second time leads nowhere.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import SplitResult

import certifi

from servicing.webhooks.model import AddressRefused, checked_url, public_only

_TIMEOUT_S: Final = 10.0
_HTTPS: Final = 443
_HTTP: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a try; without a status, `fault` says why."""

    status: int | None
    fault: str | None
    took_ms: int


class Post(Protocol):
    """Posts a body somewhere."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Post; what goes wrong is in the outcome."""
        ...


class Poster:
    """Posts over HTTP.

    Args:
        is_development: Then plain http and addresses of this machine will do.
    """

    def __init__(self, *, is_development: bool) -> None:
        self._is_development = is_development

    def check(self, url: str) -> None:
        """Look whether an address may be used.

        Raises:
            AddressRefused: It may not, or its name cannot be resolved.
        """
        self._found(checked_url(url, is_development=self._is_development))

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Post; an answer that redirects is an answer."""
        started = time.monotonic()
        status, fault = None, None
        try:
            status = self._post(url, body, headers)
        except AddressRefused:
            fault = AddressRefused.code
        except TimeoutError:
            fault = "timeout"
        except ssl.SSLError:
            fault = "tls"
        except (OSError, http.client.HTTPException):
            fault = "connection"
        return Outcome(
            status=status, fault=fault, took_ms=round((time.monotonic() - started) * 1000)
        )

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        parts = checked_url(url, is_development=self._is_development)
        address = self._found(parts)[0]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = _Pinned(parts, address)
        try:
            connection.request("POST", path, body=body, headers={"Host": parts.netloc, **headers})
            return connection.getresponse().status
        finally:
            connection.close()

    def _found(self, parts: SplitResult) -> Sequence[str]:
        host, port = str(parts.hostname), _port(parts)
        try:
            found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=_STREAM)]
        except (OSError, UnicodeError) as error:
            raise AddressRefused("the host cannot be resolved") from error
        return found if self._is_development else public_only(found)


_STREAM: Final = socket.SOCK_STREAM


class _Pinned(http.client.HTTPConnection):
    """A connection to one address of a host, whatever its name resolves to by now."""

    def __init__(self, parts: SplitResult, address: str) -> None:
        super().__init__(str(parts.hostname), _port(parts), timeout=_TIMEOUT_S)
        self._address = address
        self._is_tls = parts.scheme == "https"

    def connect(self) -> None:
        """Connect to the address, and have the host prove its name there."""
        self.sock = socket.create_connection((self._address, self.port), timeout=_TIMEOUT_S)
        if self._is_tls:
            trusted = ssl.create_default_context(cafile=certifi.where())
            self.sock = trusted.wrap_socket(self.sock, server_hostname=self.host)


def _port(parts: SplitResult) -> int:
    return parts.port or (_HTTPS if parts.scheme == "https" else _HTTP)
