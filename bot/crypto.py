"""Signatures and the AES envelope of the official account's callback, and the page signature.

Pure functions over texts, written from the platform's pages 接入指南, 消息加解密说明 and
JS-SDK 签名算法. They keep no nonces and ask no clock; bot.callback does.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kernel.errors import Unauthorized

_BLOCK = 32
_RANDOM = 16
_LENGTH = 4


class PushRefused(Unauthorized):
    """A push is not from WeChat, not for this account, not fresh, or was used before."""

    code = "wechat-push-refused"
    status = 403


def signature(token: str, *parts: str) -> str:
    """Return WeChat's sha1 over the sorted parts, in hex."""
    joined = "".join(sorted((token, *parts)))
    return hashlib.sha1(joined.encode(errors="replace")).hexdigest()  # noqa: S324 -- WeChat's protocol


def signature_matches(given: str, token: str, *parts: str) -> bool:
    """Compare a signature in constant time; an empty token matches nothing."""
    if not token:
        return False
    return hmac.compare_digest(given.encode(errors="replace"), signature(token, *parts).encode())


def jssdk_signature(*, ticket: str, nonce: str, timestamp: str, url: str) -> str:
    """Sign a page for the JS-SDK.

    Args:
        ticket: The account's jsapi_ticket.
        nonce: Random text, told to the page.
        timestamp: Seconds since the epoch, told to the page.
        url: The page's address as the browser has it; what follows # is left out.
    """
    address = url.partition("#")[0]
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={address}"
    return hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 -- WeChat's protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What an envelope held."""

    random16: bytes
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCipher:
    """AES-256-CBC of the safe mode.

    Attributes:
        aes_key: EncodingAESKey, 43 signs.
        receiver: App id that every message must name.
    """

    aes_key: str
    receiver: str

    def encrypt(self, text: str, *, random16: bytes) -> str:
        """Seal a text; `random16` is 16 fresh bytes."""
        body = text.encode()
        plain = random16 + struct.pack(">I", len(body)) + body + self.receiver.encode()
        pad = _BLOCK - len(plain) % _BLOCK
        encryptor = self._cipher().encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad)).decode()

    def open(self, sealed: str) -> Opened:
        """Open an envelope.

        Raises:
            PushRefused: It was not sealed with this key for this receiver.
        """
        try:
            raw = base64.b64decode(sealed, validate=True)
            decryptor = self._cipher().decryptor()
            plain = decryptor.update(raw) + decryptor.finalize()
            return self._unpacked(plain)
        except (ValueError, binascii.Error, struct.error, IndexError) as error:
            raise PushRefused("the envelope cannot be opened") from error

    def _unpacked(self, plain: bytes) -> Opened:
        pad = plain[-1]
        if not 1 <= pad <= _BLOCK:
            raise PushRefused("the envelope is badly padded")
        content = plain[_RANDOM:-pad]
        (length,) = struct.unpack(">I", content[:_LENGTH])
        body, receiver = content[_LENGTH : _LENGTH + length], content[_LENGTH + length :]
        is_ours = hmac.compare_digest(receiver, self.receiver.encode())
        if len(body) != length or not is_ours:
            raise PushRefused("the envelope is for another receiver")
        return Opened(random16=plain[:_RANDOM], text=body.decode())

    def _cipher(self) -> Cipher[modes.CBC]:
        key = base64.b64decode(self.aes_key + "=")
        return Cipher(algorithms.AES(key), modes.CBC(key[:16]))
