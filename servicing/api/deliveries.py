"""The section `webhooks` of the OpenAPI document: each kind of news as it is posted to a partner.

It is read off the events themselves, so that what is told and what is written never part. How news
is signed and sent is servicing.webhooks'.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

from kernel.outbox import Event
from servicing.archive import KINDS as EVENT_KINDS
from servicing.webhooks.model import EVENT, KEY, SIGNATURE, TIMESTAMP
from servicing.webhooks.news import NEWS, Told

_TYPES: Final[Mapping[type, Mapping[str, Any]]] = {
    int: {"type": "integer"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    date: {"type": "string", "format": "date"},
}
# Under which number news is about something, by the event's own field.
_SUBJECTS: Final = (("loan_id", "loan_no"), ("application_id", "application_no"))
_HEADERS: Final = (
    (EVENT, "^[0-9]+$", "The position of the news; the same at every try."),
    (TIMESTAMP, "^[0-9]+$", "When this try was signed, in seconds since 1970."),
    (KEY, r"^[0-9]+\.[0-9]+(,[0-9]+\.[0-9]+)?$", "Which secrets signed, in their order."),
    (
        SIGNATURE,
        "^v1=[0-9a-f]{64}(,v1=[0-9a-f]{64})?$",
        "HMAC-SHA256 over the timestamp, a dot and the body, by each of those secrets, in hex.",
    ),
)


def deliveries() -> dict[str, Any]:
    """Describe what is posted to an endpoint, by the kind of the news."""
    return {kind: {"post": _posted(kind, event, told)} for kind, event, told in _kinds()}


def _kinds() -> Iterator[tuple[str, type[Event], Told]]:
    for event, told in NEWS.items():
        for kind in dict.fromkeys((told.kind, *sorted(told.by_kind.values()))):
            yield kind, event, told


def _posted(kind: str, event: type[Event], told: Told) -> dict[str, Any]:
    said = (inspect.getdoc(event) or "").split("\n", 1)[0]
    return {
        "operationId": f"news.{kind}",
        "tags": ["Webhooks"],
        "summary": said,
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": meaning,
                "schema": {"type": "string", "pattern": pattern},
            }
            for name, pattern, meaning in _HEADERS
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _body(kind, event, told)}},
        },
        "responses": {
            "2XX": {"description": "Taken; anything else is tried again."},
            "410": {"description": "Nothing more is wanted, ever: the endpoint is disabled."},
        },
    }


def _body(kind: str, event: type[Event], told: Told) -> dict[str, Any]:
    return _object(
        {
            "position": {"type": "integer"},
            "kind": {"const": kind},
            "customer_id": {"type": "integer"},
            "happened_at": {"type": "string", "format": "date-time"},
            "content": _content(kind, event, told),
        }
    )


def _content(kind: str, event: type[Event], told: Told) -> dict[str, Any]:
    hints = get_type_hints(event)
    known = {field.name for field in fields(event)}
    number = [name for field, name in _SUBJECTS if field in known][:1]
    content = {name: dict(_TYPES[str]) for name in number}
    content |= {name: _type(hints[name]) for name in told.members}
    if told.by_kind:
        content["kind"] = {
            "enum": [each for each in EVENT_KINDS if told.kind_of({"kind": each}) == kind]
        }
    return _object(content)


def _type(hint: Any) -> dict[str, Any]:
    """Write a type of a field down, None among its values or not."""
    options = get_args(hint) or (hint,)
    (plain,) = (each for each in options if each is not NoneType)
    written = dict(_TYPES[plain])
    return written | {"type": [written["type"], "null"]} if NoneType in options else written


def _object(members: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(members),
        "required": list(members),
        "additionalProperties": False,
    }
