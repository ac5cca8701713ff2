"""How WeChat writes a callback: XML, its signature, and the AES envelope of safe mode.

Written from the platform's documents and not from the service's code, so that a mistake there
does not meet the same mistake here.
"""

import base64
import hashlib
import hmac
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 32
_RANDOM = 16


class Malformed(ValueError):
    """An answer that the platform would not accept; the text says why."""


def signature(*parts: str) -> str:
    """Return the SHA-1 over the sorted parts, as every callback signature is made."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 -- their choice


def to_xml(fields: Mapping[str, str | int]) -> str:
    """Write a flat message; numbers go bare, text goes into CDATA."""
    inner = "".join(f"<{name}>{_value(value)}</{name}>" for name, value in fields.items())
    return f"<xml>{inner}</xml>"


def _value(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    return "<![CDATA[" + value.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def from_xml(text: str) -> ET.Element:
    """Read an answer.

    Raises:
        Malformed: It is no XML with root `xml`, declares a DTD, or repeats an element.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        message = "a document type is not allowed"
        raise Malformed(message)
    try:
        root = ET.fromstring(text)  # noqa: S314 -- entities are refused above
    except ET.ParseError as error:
        message = f"not XML: {error}"
        raise Malformed(message) from error
    names = [child.tag for child in root]
    if root.tag != "xml" or len(names) != len(set(names)):
        message = "the root is not <xml>, or an element is repeated"
        raise Malformed(message)
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Safe mode of one account."""

    token: str
    aes_key: str
    app_id: str

    def seal(self, text: str) -> str:
        """Encrypt a message for the other side."""
        body = text.encode()
        data = os.urandom(_RANDOM) + struct.pack(">I", len(body)) + body + self.app_id.encode()
        padding = _BLOCK - len(data) % _BLOCK
        encryptor = self._cipher().encryptor()
        sealed = encryptor.update(data + bytes([padding]) * padding) + encryptor.finalize()
        return base64.b64encode(sealed).decode()

    def open(self, sealed: str) -> str:
        """Decrypt a message.

        Raises:
            Malformed: The padding, the length or the appid is not right.
        """
        try:
            decryptor = self._cipher().decryptor()
            data = decryptor.update(base64.b64decode(sealed, validate=True)) + decryptor.finalize()
            data = data[: -data[-1]]
            length = struct.unpack(">I", data[_RANDOM : _RANDOM + 4])[0]
            body = data[_RANDOM + 4 : _RANDOM + 4 + length]
            app_id = data[_RANDOM + 4 + length :].decode()
            text = body.decode()
        except (ValueError, IndexError, struct.error) as error:
            message = f"cannot be decrypted: {error}"
            raise Malformed(message) from error
        if app_id != self.app_id:
            message = "encrypted for another appid"
            raise Malformed(message)
        return text

    def open_reply(self, root: ET.Element) -> ET.Element:
        """Check and decrypt the envelope of a passive reply.

        Raises:
            Malformed: Signature, cipher text or the XML inside is wrong.
        """
        sealed = root.findtext("Encrypt") or ""
        parts = (self.token, root.findtext("TimeStamp") or "", root.findtext("Nonce") or "", sealed)
        if not hmac.compare_digest(signature(*parts), root.findtext("MsgSignature") or ""):
            message = "MsgSignature of the reply is wrong"
            raise Malformed(message)
        return from_xml(self.open(sealed))

    def _cipher(self) -> Cipher[modes.CBC]:
        key = base64.b64decode(self.aes_key + "=")
        return Cipher(algorithms.AES(key), modes.CBC(key[:16]))
