"""`/api/v1/decisions` as a plain WSGI callable in front of Flask.

Flask alone would cost more than a decision does. Keys, problem details, headers and metrics are the
same as everywhere else.

    POST /api/v1/decisions         decide one      (Idempotency-Key)
    POST /api/v1/decisions:batch   decide up to a hundred
    GET  /api/v1/decisions/{id}    what was answered
"""

import json
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from kernel.api_keys import ApiKeys
from kernel.errors import FenqiError, Invalid, NotFound, Unavailable
from kernel.idempotency import checked_key
from kernel.logs import log
from kernel.metrics import HTTP_SECONDS
from kernel.web import problem_of
from risk.decisions.service import DecisionService

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH: Final = "/api/v1/decisions"
SCOPE: Final = "decisions"

_BATCH: Final = f"{PATH}:batch"
_ONE: Final = f"{PATH}/"
_MAX_BODY: Final = 256 * 1024
_JSON: Final = ("Content-Type", "application/json")
_PROBLEM: Final = ("Content-Type", "application/problem+json")
_HEADERS: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
_OK: Final = "200 OK"
_RETRY_AFTER: Final = ("Retry-After", "1")


class DecisionTooLarge(Invalid):
    """The body is larger than 256 kB."""

    code = "decision-too-large"


class DecisionMethodWrong(NotFound):
    """The path knows another method."""

    code = "decision-method-unknown"


class DecisionDoor:
    """Answers its own paths and hands all others to the app behind it.

    Args:
        inner: The app behind.
        keys: Who may call.
    """

    def __init__(
        self, inner: "WSGIApplication", *, keys: ApiKeys, service: DecisionService
    ) -> None:
        self._inner = inner
        self._keys = keys
        self._service = service
        self._seconds = HTTP_SECONDS.labels("decisions", 200)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Serve one request."""
        path = environ["PATH_INFO"]
        if not path.startswith(PATH):
            return self._inner(environ, start_response)
        started = time.perf_counter()
        try:
            answer = self._answer(path, environ)
        except FenqiError as error:
            return _refused(error, start_response, started)
        except Exception as error:  # noqa: BLE001 -- a caller gets problem details, whatever broke
            log.error("decision failed", exc_info=error)
            return _refused(FenqiError(), start_response, started)
        start_response(_OK, _with_length(_JSON, answer))
        self._seconds.observe(time.perf_counter() - started)
        return (answer,)

    def _answer(self, path: str, environ: "WSGIEnvironment") -> bytes:
        caller = self._keys.caller(environ.get("HTTP_AUTHORIZATION", ""), scope=SCOPE)
        method = environ["REQUEST_METHOD"]
        if method == "GET" and path.startswith(_ONE):
            decision_id = path.removeprefix(_ONE)
            return self._service.answer_of(caller_id=caller.id, decision_id=decision_id).encode()
        deciding: dict[str, Callable[..., str]] = {
            PATH: self._service.decide,
            _BATCH: self._service.decide_batch,
        }
        if method != "POST" or path not in deciding:
            raise DecisionMethodWrong("no such method here")
        key = checked_key(environ.get("HTTP_IDEMPOTENCY_KEY", ""))
        return deciding[path](caller_id=caller.id, key=key, body=_body(environ)).encode()


def _body(environ: "WSGIEnvironment") -> bytes:
    stated = environ.get("CONTENT_LENGTH") or ""
    length = int(stated) if stated.isdigit() else _MAX_BODY + 1
    if stated.isdigit() and length > _MAX_BODY:
        raise DecisionTooLarge("the body is larger than 256 kB")
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) > _MAX_BODY:
        raise DecisionTooLarge("the body is larger than 256 kB")
    return body


def _refused(error: FenqiError, start_response: "StartResponse", started: float) -> Iterable[bytes]:
    problem = problem_of(error.status, error.code, error.detail, error.message_zh, error.extras)
    body = json.dumps(problem, ensure_ascii=False).encode()
    headers = _with_length(_PROBLEM, body)
    if isinstance(error, Unavailable):
        headers.append(_RETRY_AFTER)
    start_response(f"{error.status} {HTTPStatus(error.status).phrase}", headers)
    HTTP_SECONDS.labels("decisions", error.status).observe(time.perf_counter() - started)
    return (body,)


def _with_length(kind: tuple[str, str], body: bytes) -> list[tuple[str, str]]:
    return [kind, ("Content-Length", str(len(body))), *_HEADERS]
