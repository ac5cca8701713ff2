"""What the OpenAPI document says of a view, said once beside the view itself.

Every answer that can come is named, with the shape of problem details for refusals.
"""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from apiflask import APIBlueprint

from kernel.api_keys import ApiKeyLacksScope, ApiKeyRefused
from kernel.errors import FenqiError, NotFound
from kernel.idempotency import IdempotencyKeyMissing, KeyInProgress, KeyReused
from kernel.web import http_problem, problem_of
from servicing.api.deliveries import deliveries
from servicing.api.refusals import CrossedOther, RequestMalformed, TooOften
from servicing.api.scopes import Scope
from servicing.api.shapes import Shape

Refusals = Sequence[type[FenqiError]]

_ALWAYS: Final[Refusals] = (ApiKeyRefused, ApiKeyLacksScope, RequestMalformed, TooOften)
_IF_CHANGED: Final[Refusals] = (CrossedOther,)
_IF_ONCE: Final[Refusals] = (IdempotencyKeyMissing, KeyReused, KeyInProgress)
_IF_NAMED: Final[Refusals] = (NotFound,)
# What HTTP itself refuses, before any view: addresses and headers that are too long, a body that
# cannot be read or is too large, and one that says it is no JSON.
TOO_LONG: Final[tuple[HTTPStatus, ...]] = (
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
)
UNREADABLE: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
_NO_JSON: Final = (HTTPStatus.UNSUPPORTED_MEDIA_TYPE,)
_EXTRAS: Final[Mapping[type[FenqiError], dict[str, object]]] = {RequestMalformed: {"faults": []}}
_KEY_PARAMETER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Yours, one for each intention; a repeat gets the first answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
}

PROBLEM: Final = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457); docs/errors.md lists the codes.",
    "required": ["type", "title", "status", "code", "detail", "message_zh"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "In English, for developers."},
        "message_zh": {"type": "string", "description": "In Chinese, for a borrower."},
        "error": {
            "type": "string",
            "description": "Of a refused token: OAuth's own word (RFC 6749 5.2).",
            "enum": [
                "invalid_request",
                "invalid_client",
                "unsupported_grant_type",
                "invalid_scope",
            ],
        },
        "faults": {
            "type": "array",
            "description": "Each member of what was sent that is wrong, and why.",
            "items": {
                "type": "object",
                "required": ["member", "fault"],
                "properties": {"member": {"type": "string"}, "fault": {"type": "string"}},
            },
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """One operation of the API.

    Attributes:
        answers: The shape of a good answer; None for an empty one or another media type.
        body: The shape of the body, if there is one.
        query: The shape of the query; without one, no parameter is taken at all.
        changes: Whether it gets a write session.
        is_once: Whether it needs an Idempotency-Key.
        refuses: Why it may be refused, beside what any operation may be refused for.
        examples: Bodies to send, by name, each with `summary` and `value`.
        media: Media types of a good answer that is no JSON object.
        headers: What such an answer carries beside them.
        rate: A limit of its own, such as 60/minute, counted over all keys of a partner.
    """

    method: str
    path: str
    scope: Scope
    answers: type[Shape] | None
    status: int = 200
    body: type[Any] | None = None
    query: type[Shape] | None = None
    changes: bool = False
    is_once: bool = False
    refuses: tuple[type[FenqiError], ...] = ()
    examples: Mapping[str, Any] | None = None
    media: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    rate: str | None = None


def get(path: str, scope: Scope, answers: type[Shape] | None, **given: Any) -> Documented:
    """Say what a reading operation is."""
    return Documented(method="GET", path=path, scope=scope, answers=answers, **given)


def post(path: str, scope: Scope, answers: type[Shape] | None, **given: Any) -> Documented:
    """Say what an operation is that changes the book, once for each Idempotency-Key."""
    whole = {"changes": True, "is_once": True, "status": 201} | given
    return Documented(method="POST", path=path, scope=scope, answers=answers, **whole)


def describe(
    blueprint: APIBlueprint, said: Documented
) -> Iterator[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """Yield the decorators that read what is sent and document the operation, innermost first."""
    yield blueprint.doc(
        responses=cast("Any", dict(_responses(said))),
        security=[{"key": []}, {"oauth2": [said.scope.value]}],
        tags=[str(blueprint.tag)],
        extensions={"x-scope": said.scope.value, "x-is-once": said.is_once},
    )
    if said.answers is not None:
        yield blueprint.output(said.answers, status_code=said.status)
    if said.body is not None:
        examples = None if said.examples is None else dict(said.examples)
        yield blueprint.input(said.body, location="json", arg_name="body", examples=examples)
    if said.query is not None:
        yield blueprint.input(said.query, location="query", arg_name="query")


def _responses(said: Documented) -> Iterator[tuple[int, dict[str, Any]]]:
    if said.answers is None:
        content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in said.media}
        headers = {name: {"schema": {"type": "string"}} for name in said.headers}
        yield said.status, {"description": "Done", "content": content, "headers": headers}
    refuses = [*_ALWAYS, *said.refuses]
    refuses += _IF_CHANGED if said.changes else ()
    refuses += _IF_ONCE if said.is_once else ()
    refuses += _IF_NAMED if "<" in said.path else ()
    plain = TOO_LONG
    plain += UNREADABLE if said.body or said.changes else ()
    plain += _NO_JSON if said.body else ()
    yield from problems(refuses, plain=plain).items()


def problems(
    refuses: Refusals,
    *,
    plain: Iterable[HTTPStatus] = (),
    extras: Mapping[type[FenqiError], dict[str, object]] = _EXTRAS,
) -> Any:
    """Say that an operation may be refused so; each answer lists its codes, with an example each.

    Args:
        refuses: The errors of ours.
        plain: What HTTP itself refuses.
        extras: Further members of a refusal's example.
    """
    examples: dict[int, dict[str, Any]] = defaultdict(dict)
    for error in refuses:
        told = (inspect.getdoc(error) or "").split("\n", 1)[0]
        more = extras.get(error, {})
        value = problem_of(error.status, error.code, told, error.message_zh, more)
        examples[error.status][error.code] = {"summary": told, "value": value}
    for status in plain:
        value = http_problem(status, status.description)
        examples[status][value["code"]] = {"summary": status.description, "value": value}
    return {status: _problem(status, examples[status]) for status in sorted(examples)}


def _problem(status: int, examples: Mapping[str, Any]) -> dict[str, Any]:
    listed = {"properties": {"code": {"enum": sorted(examples)}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, listed]}
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(sorted(examples))}",
        "content": {"application/problem+json": {"schema": schema, "examples": dict(examples)}},
    }


def finish(document: Any) -> dict[str, Any]:
    """Add what all operations share, the header of those that count once, and a reader's order."""
    document["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    document["webhooks"] = deliveries()
    order = [tag["name"] for tag in document["tags"]]
    paths = sorted(
        document["paths"].items(), key=lambda path: (order.index(_tag(path[1])), path[0])
    )
    document["paths"] = dict(paths)
    for path in document["paths"].values():
        for operation in path.values():
            if operation.pop("x-is-once", False):
                operation["parameters"].append(_KEY_PARAMETER)
    return cast("dict[str, Any]", document)


def meanings(document: Mapping[str, Any]) -> dict[str, Any]:
    """Say what each code of a document means, as an example of it with its summary."""
    operations = (each for path in document["paths"].values() for each in path.values())
    answers = (each for operation in operations for each in operation["responses"].values())
    media = (each.get("content", {}).get("application/problem+json", {}) for each in answers)
    return {
        code: example["value"] | {"detail": example["summary"]}
        for found in media
        for code, example in found.get("examples", {}).items()
    }


def _tag(path: Mapping[str, Any]) -> str:
    return str(next(iter(path.values()))["tags"][0])
