"""How sub-systems are spoken to: JSON over HTTP, signed both ways, with a time-out.

A request is signed over method, path, time, nonce and body, an answer over the nonce that it
answers and its body, so that no answer of another question or of somebody else counts. It repeats
nothing by itself.
"""

import hashlib
import hmac
import json
import secrets
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

import certifi

from kernel.clock import Clock
from risk.ports import SubsystemFailed

_LONGEST_ANSWER: Final = 256 * 1024
_OK: Final = 200


def signature(secret: str, *parts: str) -> str:
    """Return the hex HMAC-SHA256 over lines."""
    return hmac.new(secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()


class SignedCalls:
    """Makes signed calls to one base address; a connection each, safe between threads.

    Args:
        base: Where the sub-systems listen; may have a path.
        key_id: Who we are.
        secret: Shared with them.
        clock: Dates the requests.
    """

    def __init__(self, base: str, *, key_id: str, secret: str, clock: Clock) -> None:
        self._address = urlsplit(base)
        self._key_id = key_id
        self._secret = secret
        self._clock = clock

    def __call__(self, path: str, asked: Mapping[str, Any], *, timeout_s: int) -> Mapping[str, Any]:
        """Ask, and return the answer's `data`.

        Raises:
            SubsystemFailed: Not reached in time, refused, or an answer that is not theirs.
        """
        whole = self._address.path.rstrip("/") + path
        body = json.dumps(asked, ensure_ascii=False).encode()
        nonce = secrets.token_hex(16)
        status, content, signed = self._exchange(whole, body, nonce, timeout_s)
        expected = signature(self._secret, nonce, hashlib.sha256(content).hexdigest())
        if not hmac.compare_digest(signed, expected):
            raise SubsystemFailed(f"HTTP {status}, and the answer is not signed by them")
        return _data(status, content)

    def _exchange(
        self, path: str, body: bytes, nonce: str, timeout_s: int
    ) -> tuple[int, bytes, str]:
        at = str(int(self._clock.now().timestamp()))
        signed = signature(self._secret, "POST", path, at, nonce, hashlib.sha256(body).hexdigest())
        headers = {
            "Content-Type": "application/json",
            "X-Key": self._key_id,
            "X-Time": at,
            "X-Nonce": nonce,
            "X-Signature": signed,
        }
        connection = self._connection(timeout_s)
        try:
            connection.request("POST", path, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read(_LONGEST_ANSWER)
        except (OSError, HTTPException) as error:
            raise SubsystemFailed(type(error).__name__) from error
        finally:
            connection.close()
        return response.status, content, response.headers.get("X-Signature", "")

    def _connection(self, timeout_s: int) -> HTTPConnection:
        host = self._address.netloc
        if self._address.scheme != "https":
            return HTTPConnection(host, timeout=timeout_s)
        tls = ssl.create_default_context(cafile=certifi.where())
        return HTTPSConnection(host, timeout=timeout_s, context=tls)


def _data(status: int, content: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SubsystemFailed(f"HTTP {status}, no JSON") from error
    code = answer.get("code") if isinstance(answer, dict) else None
    if status != _OK or code != "OK" or not isinstance(answer.get("data"), dict):
        raise SubsystemFailed(f"HTTP {status}, code {str(code)[:40]}")
    data: Mapping[str, Any] = answer["data"]
    return data
