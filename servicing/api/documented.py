"""What the OpenAPI document says of a view, said once beside the view itself.

Every answer that can come is named, with the shape of problem details for refusals.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from apiflask import APIBlueprint

from servicing.api.scopes import Scope
from servicing.api.shapes import Shape

_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ALWAYS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_IF_CHANGED: Final = (HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
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
        "faults": {
            "type": "array",
            "description": "Of request-malformed: each member that is wrong, and why.",
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
        refusals: Further answers that can come.
        media: Media types of a good answer that is no JSON object.
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
    refusals: tuple[int, ...] = ()
    media: tuple[str, ...] = ()


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
        extensions={"x-scope": said.scope.value, "x-is-once": said.is_once},
    )
    if said.answers is not None:
        yield blueprint.output(said.answers, status_code=said.status)
    if said.body is not None:
        yield blueprint.input(said.body, location="json", arg_name="body")
    if said.query is not None:
        yield blueprint.input(said.query, location="query", arg_name="query")


def _responses(said: Documented) -> Iterator[tuple[int, dict[str, Any]]]:
    if said.answers is None:
        content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in said.media}
        yield said.status, {"description": "Done", "content": content}
    refusals = {*_ALWAYS, *said.refusals}
    refusals |= set(_IF_CHANGED) if said.body or said.changes else set()
    refusals |= {HTTPStatus.NOT_FOUND} if "<" in said.path else set()
    yield from problems(*sorted(refusals)).items()


def problems(*statuses: int) -> Any:
    """Say that an operation may be refused with these."""
    return {
        int(status): {"description": HTTPStatus(status).phrase, "content": _PROBLEM}
        for status in statuses
    }


def finish(document: Any) -> dict[str, Any]:
    """Add what all operations share, and the header that those need which count once."""
    document["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    for path in document["paths"].values():
        for operation in path.values():
            if operation.pop("x-is-once", False):
                operation["parameters"].append(_KEY_PARAMETER)
    return cast("dict[str, Any]", document)
