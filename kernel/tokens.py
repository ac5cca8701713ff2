"""Tokens that stand for an API key for some minutes: signed by us, kept nowhere.

A token names the key, what it may do and when it ends. Whether the key still counts is asked of
the database by kernel.api_keys, so that revoking a key ends its tokens too.
"""

import base64
import hmac
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

PREFIX: Final = "fqt_"

_CONTEXT: Final = b"api-token\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a good token says."""

    key_id: int
    scopes: frozenset[str]


class Tokens:
    """Signs and reads tokens.

    Args:
        secret: The house's own; with another one, no token is good any more.
    """

    def __init__(self, secret: str) -> None:
        self._secret = _CONTEXT + secret.encode()

    def issue(self, key_id: int, scopes: Collection[str], until: datetime) -> str:
        """Return a token that is good before `until`."""
        claims = {"key": key_id, "scopes": sorted(scopes), "until": int(until.timestamp())}
        body = base64.urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode())
        return f"{PREFIX}{body.decode()}.{self._signature(body)}"

    def read(self, token: str, now: datetime) -> Claims | None:
        """Return what a token says, or None if it is not ours or over."""
        body, _, signature = token.removeprefix(PREFIX).encode().partition(b".")
        if not hmac.compare_digest(signature, self._signature(body).encode()):
            return None
        claims = json.loads(base64.urlsafe_b64decode(body))
        if claims["until"] <= now.timestamp():
            return None
        return Claims(key_id=claims["key"], scopes=frozenset(claims["scopes"]))

    def _signature(self, body: bytes) -> str:
        return hmac.digest(self._secret, body, "sha256").hex()
