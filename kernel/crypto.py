"""Personal fields at rest: AES-256-GCM with a key id, and a keyed blind index for equality search.

The context (such as "customer.phone") is bound into both, so that a value cannot be moved to
another column, nor two columns be joined by their index. This module keeps no keys.
"""

import base64
import hmac
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.errors import FenqiError

_NONCE_BYTES = 12
_INDEX_SIGNS = 40


class FieldNotReadable(FenqiError):
    """A stored field cannot be decrypted: unknown key, other context, or a changed value."""

    code = "field-not-readable"


class FieldCipher:
    """Encrypts personal fields and indexes them.

    Args:
        keys: Key id → 32 bytes. Old keys stay to read old rows.
        current: Id of the key that writes.
        index_key: Key of the blind index; never rotated without re-indexing.
    """

    def __init__(self, keys: Mapping[str, bytes], *, current: str, index_key: bytes) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current
        self._index_key = index_key
        if current not in self._ciphers:
            message = f"no field key is named {current!r}"
            raise ValueError(message)

    def encrypt(self, text: str, *, context: str) -> str:
        """Return `v1:key id:base64(nonce + ciphertext)`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, text.encode(), context.encode())
        return f"v1:{self._current}:{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, token: str, *, context: str) -> str:
        """Return the clear text.

        Raises:
            FieldNotReadable: The token is not ours, or not of this context.
        """
        try:
            _version, key_id, body = token.split(":")
            raw = base64.b64decode(body, validate=True)
            nonce, sealed = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return self._ciphers[key_id].decrypt(nonce, sealed, context.encode()).decode()
        except (ValueError, KeyError, InvalidTag) as error:
            raise FieldNotReadable(f"a field of {context} cannot be read") from error

    def blind_index(self, text: str, *, context: str) -> str:
        """Return 160 bits of HMAC-SHA256 in hex: equal texts, equal index, nothing else."""
        message = f"{context}\x00{text}".encode()
        return hmac.digest(self._index_key, message, "sha256").hex()[:_INDEX_SIGNS]
