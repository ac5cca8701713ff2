"""Reads what a caller asks: whose decision, for which product, on what data. Pure.

What is no value of its kind is left to the strategy, where it counts as missing; what has no
place in a request at all is refused here.

    DecisionMalformed     422  no JSON object, or a member of another shape
    DecisionMemberUnknown 422  a member that means nothing here
    DecisionFieldUnknown  422  a field that no application can give
    DecisionFieldNotYours 422  a field that only the house knows, of a key that may not state it
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.errors import Invalid
from kernel.json_once import KeyTwice, told_once
from risk.features.catalogue import Catalogue, Store
from risk.strategy.lists import plain

MAX_LINKS: Final = 8
MAX_BATCH: Final = 100
LINK_FIELDS: Final = ("bad_links_now", "link_degree_max_now")
STATED_BY_ANYONE: Final = frozenset({"application", "device"})
"""Sources of which any caller knows; the rest (own, identity, links, face …) takes a scope."""

_NEEDED: Final = frozenset({"subject", "product", "application"})
_MEMBERS: Final = _NEEDED | {"links"}
_SUBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LINK_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,23}")
_LONGEST: Final = 500
_PLAIN: Final = frozenset({int, float, bool, str, type(None)})
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


class DecisionMalformed(Invalid):
    """The request is no JSON object, or a member of it has another shape."""

    code = "decision-malformed"
    message_zh = "请求格式有误，请对照接口文档检查"


class DecisionMemberUnknown(Invalid):
    """The request holds a member that means nothing here; `names` lists them."""

    code = "decision-member-unknown"
    message_zh = "请求中有不认识的成员"


class DecisionFieldUnknown(Invalid):
    """A field of the application is not in the catalogue, or not for callers to give."""

    code = "decision-field-unknown"
    message_zh = "申请数据中有不认识或不能由调用方提供的字段"


class DecisionFieldNotYours(Invalid):
    """The key may not state a field of such a source; `names` lists them."""

    code = "decision-field-not-yours"
    message_zh = "该密钥不能提供这些字段，它们只能来自本系统"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One decision that is asked for.

    Attributes:
        application: Raw values by name; what is no finite number is None already.
        links: Normalised values that others may share, by kind.
    """

    subject: str
    product: str
    application: Mapping[str, Any]
    links: Mapping[str, str]


def parsed(body: bytes) -> tuple[Mapping[str, Any], str]:
    """Read a body; returns the object and the sha256 of what it says, whatever its spacing.

    Raises:
        DecisionMalformed: It is no JSON object in UTF-8, or says a key twice.
    """
    try:
        document = json.loads(body, object_pairs_hook=told_once)
        said = hashlib.sha256(_ENCODE(document).encode()).hexdigest()
    except KeyTwice as error:
        raise DecisionMalformed(f"the key {error.key[:64]} stands twice") from error
    except (ValueError, RecursionError) as error:
        raise DecisionMalformed("the body is no JSON in UTF-8") from error
    if type(document) is not dict:
        raise DecisionMalformed("the body is no JSON object")
    return document, said


def batch_of(document: Mapping[str, Any]) -> list[Any]:
    """Return the parts of a batch.

    Raises:
        DecisionMalformed: There are none, or more than 100.
        DecisionMemberUnknown: See `names`.
    """
    _refuse_strangers(document, {"decisions"})
    parts = document.get("decisions")
    if type(parts) is not list or not 0 < len(parts) <= MAX_BATCH:
        raise DecisionMalformed(f"decisions must be a list of 1 to {MAX_BATCH}")
    return parts


class Reader:
    """Reads requests against a catalogue.

    Args:
        catalogue: Callers give what travels fresh, and what an application states.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._fields = frozenset(
            each.name
            for each in catalogue.dimensions
            if (each.store is Store.FRESH or each.source == "application")
            and each.name not in LINK_FIELDS
        )
        self._of_the_house = frozenset(
            each.name for each in catalogue.dimensions if each.source not in STATED_BY_ANYONE
        )

    def read(self, document: object, *, may_state_all: bool = False) -> Asked:
        """Read one request.

        Args:
            document: What was sent.
            may_state_all: What only the house knows may be stated too.

        Raises:
            DecisionMalformed: A member is missing or has another shape.
            DecisionMemberUnknown: See `names`.
            DecisionFieldUnknown: See `names`; likewise DecisionFieldNotYours.
        """
        if not isinstance(document, dict):
            raise DecisionMalformed("a decision is no JSON object")
        _refuse_strangers(document, _MEMBERS)
        return Asked(
            subject=_matching(document, "subject", _SUBJECT),
            product=_matching(document, "product", _NAME),
            application=self._application(document.get("application"), may_state_all),
            links=_links(document.get("links")),
        )

    def _application(self, given: object, may_state_all: bool) -> dict[str, Any]:  # noqa: FBT001
        if not isinstance(given, dict):
            raise DecisionMalformed("application must be an object")
        strangers = given.keys() - self._fields
        if strangers:
            raise DecisionFieldUnknown("not for callers to give", names=_shown(strangers))
        foreign = set() if may_state_all else given.keys() & self._of_the_house
        if foreign:
            raise DecisionFieldNotYours("known to the house alone", names=_shown(foreign))
        return {name: _value(name, raw) for name, raw in given.items()}


def _refuse_strangers(document: Mapping[str, Any], known: frozenset[str] | set[str]) -> None:
    strangers = document.keys() - known
    if strangers:
        raise DecisionMemberUnknown("members that mean nothing here", names=_shown(strangers))


def _shown(names: set[str]) -> list[str]:
    return sorted(name[:64] for name in names)[:20]


def _matching(document: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    found = document.get(name)
    if type(found) is not str or not form.fullmatch(found):
        raise DecisionMalformed(f"{name} is missing or has another form")
    return found


def _value(name: str, raw: Any) -> Any:
    """Keep a plain value; NaN and infinities become None, which is missing."""
    if type(raw) not in _PLAIN:
        raise DecisionMalformed(f"{name} must be a number, a text, true, false or null")
    if type(raw) is float and not math.isfinite(raw):
        return None
    if type(raw) is str and len(raw) > _LONGEST:
        raise DecisionMalformed(f"{name} is longer than {_LONGEST} signs")
    return raw


def _links(given: object) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > MAX_LINKS:
        raise DecisionMalformed(f"links must be an object of at most {MAX_LINKS} texts")
    found = {}
    for kind, raw in given.items():
        if not _LINK_KIND.fullmatch(kind) or type(raw) is not str or len(raw) > _LONGEST:
            raise DecisionMalformed("links must be texts by kind")
        value = plain(raw)
        if value:
            found[kind] = value
    return found
