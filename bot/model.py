"""The pure part of the official account's protocol: signatures, ciphers, messages and replies.

Bytes and texts in, bytes and texts out. It keeps no nonces and asks no clock; bot.views does.
"""

import base64
import binascii
import hashlib
import hmac
import struct
import xml.parsers.expat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import xmltodict
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kernel.errors import Invalid, Unauthorized

_BLOCK = 32
_RANDOM = 16
_LENGTH = 4
_TEXT_BYTES = 2048
_MESSAGE_IDENTITY: Final = ("MsgId", "CreateTime", "FromUserName")
_EVENT_IDENTITY: Final = ("CreateTime", "FromUserName", "Event", "EventKey")


class SignatureWrong(Unauthorized):
    """A push does not come from WeChat, or not from our account."""

    code = "wechat-signature-wrong"


class MessageNotReadable(Invalid):
    """A push is signed but is no message that we can read."""

    code = "wechat-message-not-readable"


def signature(token: str, *parts: str) -> str:
    """Return WeChat's sha1 over the sorted parts."""
    return hashlib.sha1("".join(sorted((token, *parts))).encode()).hexdigest()  # noqa: S324 -- WeChat's protocol


def signature_matches(given: str, token: str, *parts: str) -> bool:
    """Compare a signature in constant time; an empty token matches nothing."""
    if not token:
        return False
    return hmac.compare_digest(given.encode(), signature(token, *parts).encode())


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
        """Seal a reply; `random16` is 16 fresh bytes."""
        body = text.encode()
        plain = random16 + struct.pack(">I", len(body)) + body + self.receiver.encode()
        pad = _BLOCK - len(plain) % _BLOCK
        encryptor = self._cipher().encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad)).decode()

    def decrypt(self, sealed: str) -> str:
        """Open a message.

        Raises:
            SignatureWrong: It was not sealed with this key for this receiver.
        """
        try:
            raw = base64.b64decode(sealed, validate=True)
            decryptor = self._cipher().decryptor()
            plain = decryptor.update(raw) + decryptor.finalize()
            pad = plain[-1]
            if not 1 <= pad <= _BLOCK:
                raise SignatureWrong("bad padding")
            content = plain[_RANDOM:-pad]
            (length,) = struct.unpack(">I", content[:_LENGTH])
            body, receiver = content[_LENGTH : _LENGTH + length], content[_LENGTH + length :]
            if len(body) != length or receiver.decode() != self.receiver:
                raise SignatureWrong("sealed for another receiver")
            return body.decode()
        except (ValueError, binascii.Error, struct.error, IndexError) as error:
            raise SignatureWrong("the message cannot be opened") from error

    def _cipher(self) -> Cipher[modes.CBC]:
        key = base64.b64decode(self.aes_key + "=")
        return Cipher(algorithms.AES(key), modes.CBC(key[:16]))


def parse_fields(body: str | bytes) -> dict[str, str]:
    """Read the flat fields of `<xml>…</xml>`; nested values are dropped, absent ones are "".

    Raises:
        MessageNotReadable: It is not such a document.
    """
    try:
        document = xmltodict.parse(body)
    except (xml.parsers.expat.ExpatError, ValueError, RecursionError, LookupError) as error:
        raise MessageNotReadable("not well-formed XML") from error
    root = document.get("xml")
    if not isinstance(root, Mapping):
        raise MessageNotReadable("no <xml> with fields")
    return {name: _flat(value) for name, value in root.items() if not isinstance(value, Mapping)}


def _flat(value: object) -> str:
    if isinstance(value, list):
        return _flat(value[0])
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message or event from a borrower.

    Attributes:
        fields: All fields as they came.
    """

    fields: Mapping[str, str]

    @property
    def openid(self) -> str:
        """Who sent it."""
        return self.fields.get("FromUserName", "")

    @property
    def account(self) -> str:
        """To which official account."""
        return self.fields.get("ToUserName", "")

    @property
    def kind(self) -> str:
        """Return MsgType in lower case: text, image, event …."""
        return self.fields.get("MsgType", "").lower()

    @property
    def event(self) -> str:
        """Return Event in lower case, "" for a message."""
        return self.fields.get("Event", "").lower()

    @property
    def identity(self) -> str:
        """Return what is equal exactly for repeats of the same push."""
        names = _MESSAGE_IDENTITY if self.fields.get("MsgId") else _EVENT_IDENTITY
        return "|".join(self.fields.get(name, "") for name in names)


def read_message(body: str | bytes) -> Message:
    """Read a message.

    Raises:
        MessageNotReadable: Not XML, or without sender or type.
    """
    message = Message(fields=parse_fields(body))
    if not message.openid or not message.kind:
        raise MessageNotReadable("sender or type is missing")
    return message


def cdata(text: str) -> str:
    """Wrap a text so that nothing in it can end the section."""
    clean = "".join(sign for sign in text if sign in "\t\n\r" or ord(sign) >= 0x20)  # noqa: PLR2004 -- XML 1.0 allows no other control signs
    return "<![CDATA[" + clean.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def text_reply(message: Message, text: str, *, created: int) -> str:
    """Render a text reply, cut at WeChat's 2048 bytes on a sign boundary."""
    cut = text.encode()[:_TEXT_BYTES].decode(errors="ignore")
    return (
        f"<xml><ToUserName>{cdata(message.openid)}</ToUserName>"
        f"<FromUserName>{cdata(message.account)}</FromUserName>"
        f"<CreateTime>{created}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content>{cdata(cut)}</Content></xml>"
    )


def hand_over_reply(message: Message, *, created: int) -> str:
    """Render the reply that hands the talk to a person."""
    return (
        f"<xml><ToUserName>{cdata(message.openid)}</ToUserName>"
        f"<FromUserName>{cdata(message.account)}</FromUserName>"
        f"<CreateTime>{created}</CreateTime>"
        "<MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"
    )


def sealed_reply(sealed: str, *, token: str, timestamp: str, nonce: str) -> str:
    """Render the envelope of an encrypted reply."""
    signed = signature(token, timestamp, nonce, sealed)
    return (
        f"<xml><Encrypt>{cdata(sealed)}</Encrypt><MsgSignature>{cdata(signed)}</MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce>{cdata(nonce)}</Nonce></xml>"
    )
