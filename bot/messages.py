"""What WeChat pushes, read without trust: flat or nested fields out of XML or JSON.

Document types and entities are refused, depth and size are bounded, and whatever is odd ends in
one error. What a message means is not decided here.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from kernel.errors import Invalid

Fields = dict[str, object]

# Signs that XML 1.0 has no place for, though people paste them; a space takes theirs, because
# leaving them out could join the two halves of a `]]>`.
_NO_XML: Final = bytes(range(0x09)) + b"\x0b\x0c" + bytes(range(0x0E, 0x20))
_AS_SPACES: Final = bytes.maketrans(_NO_XML, b" " * len(_NO_XML))
_DEEPEST: Final = 16
_MOST_ELEMENTS: Final = 2000
_ADDRESS: Final = re.compile(r"[!-~]{1,128}")
_MESSAGE_IDENTITY: Final = ("MsgId", "CreateTime", "FromUserName")
_EVENT_IDENTITY: Final = (
    "CreateTime",
    "FromUserName",
    "Event",
    "EventKey",
    "MsgID",
    "UserCardCode",
)


class MessageNotReadable(Invalid):
    """A push is signed but is no message that we can read."""

    code = "wechat-message-not-readable"


class _Reader:
    """Builds nested fields from expat's events; a repeated element becomes a list."""

    def __init__(self) -> None:
        self._open: list[tuple[str, Fields]] = []
        self._text: list[str] = []
        self._elements = 0
        self.root: tuple[str, object] = ("", "")

    def read(self, body: bytes) -> tuple[str, object]:
        # The encoding is fixed, so that a declaration cannot choose another one.
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.Parse(body, True)  # noqa: FBT003 -- expat takes it by position
        return self.root

    def _refuse(self, *_given: object) -> None:
        raise MessageNotReadable("a document type or entity is not allowed")

    def _start(self, name: str, _attributes: object) -> None:
        self._elements += 1
        if len(self._open) >= _DEEPEST or self._elements > _MOST_ELEMENTS:
            raise MessageNotReadable("too deep or too many elements")
        self._open.append((name, {}))
        self._text.clear()

    def _end(self, _name: str) -> None:
        name, fields = self._open.pop()
        value: object = fields or "".join(self._text)
        self._text.clear()
        if not self._open:
            self.root = (name, value)
            return
        outer = self._open[-1][1]
        if name not in outer:
            outer[name] = value
            return
        known = outer[name]
        outer[name] = [*known, value] if isinstance(known, list) else [known, value]


def parse_xml(body: bytes) -> Fields:
    """Read the fields of `<xml>…</xml>`; elements with children become nested fields.

    Raises:
        MessageNotReadable: It is not such a document.
    """
    try:
        name, value = _Reader().read(body.translate(_AS_SPACES).strip())
    except expat.ExpatError as error:
        raise MessageNotReadable("not well-formed XML") from error
    if name != "xml" or not isinstance(value, dict):
        raise MessageNotReadable("no <xml> with fields")
    return value


def parse_json(body: bytes) -> Fields:
    """Read the fields of a JSON object, as accounts set to the JSON format push them.

    Raises:
        MessageNotReadable: It is not an object.
    """
    try:
        value = json.loads(body.removeprefix(BOM_UTF8), parse_int=str, parse_float=str)
        json.dumps(value, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
    except (ValueError, RecursionError) as error:
        raise MessageNotReadable("not JSON") from error
    if not isinstance(value, dict):
        raise MessageNotReadable("not a JSON object")
    return value


def is_json(body: bytes) -> bool:
    """Whether a body looks like JSON rather than XML."""
    return body.removeprefix(BOM_UTF8).lstrip()[:1] == b"{"


def parse_fields(body: bytes) -> Fields:
    """Read either format.

    Raises:
        MessageNotReadable: It is neither.
    """
    return parse_json(body) if is_json(body) else parse_xml(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message or event from a borrower.

    Attributes:
        fields: All fields as they came.
        is_json: Whether the account pushes JSON, so that replies are JSON too.
    """

    fields: Mapping[str, object]
    is_json: bool = False

    def text(self, name: str) -> str:
        """Return a field's text, "" if it is absent or not text."""
        value = self.fields.get(name)
        return value.strip() if isinstance(value, str) else ""

    @property
    def openid(self) -> str:
        """Who sent it."""
        return self.text("FromUserName")

    @property
    def account(self) -> str:
        """To which official account."""
        return self.text("ToUserName")

    @property
    def kind(self) -> str:
        """Return MsgType in lower case: text, image, event …."""
        return self.text("MsgType").lower()

    @property
    def event(self) -> str:
        """Return Event in lower case, "" for a message."""
        return self.text("Event").lower()

    @property
    def identity(self) -> str:
        """Return what is equal exactly for repeats of the same push.

        MsgId alone is not unique between senders, and events have none; template results of the
        same second differ by their MsgID.
        """
        names = _MESSAGE_IDENTITY if self.text("MsgId") else _EVENT_IDENTITY
        return "|".join(self.text(name) for name in names)


def read_message(body: bytes) -> Message:
    """Read a message.

    Raises:
        MessageNotReadable: Neither XML nor JSON, or without sender, account or type.
    """
    message = Message(fields=parse_fields(body), is_json=is_json(body))
    if not (_ADDRESS.fullmatch(message.openid) and _ADDRESS.fullmatch(message.account)):
        raise MessageNotReadable("sender or account is missing or odd")
    if not message.kind:
        raise MessageNotReadable("the type is missing")
    return message
