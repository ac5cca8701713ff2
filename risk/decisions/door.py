"""`/api/v1/decisions` in front of Flask: plain WSGI, and many requests at once where they come so.

Flask alone would cost more than a decision does, and so would a thread for each request; see
kernel.web_worker. Keys, problem details, headers and metrics are the same as everywhere else.

    POST /api/v1/decisions         decide one      (Idempotency-Key)
    POST /api/v1/decisions:batch   decide up to a hundred
    GET  /api/v1/decisions/{id}    what was answered
"""

import json
import time
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from kernel.api_keys import ApiKeys
from kernel.errors import FenqiError, Invalid, NotFound, Unavailable
from kernel.idempotency import checked_key
from kernel.logs import log
from kernel.metrics import HTTP_SECONDS
from kernel.together import Answer
from kernel.web import problem_of
from risk.decisions.service import DecisionService
from risk.decisions.writing import Entry

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH: Final = "/api/v1/decisions"
SCOPE: Final = "decisions"
ALL_SOURCES: Final = "decisions:all-sources"
"""May also state what else only the house knows: for a lender who uses the engine alone."""

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

    Attributes:
        request_lines: How requests begin that are best answered together; a batch takes too long
            to stand before the others.
    """

    request_lines: Final = (f"POST {PATH} ".encode(),)

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
        if not environ["PATH_INFO"].startswith(PATH):
            return self._inner(environ, start_response)
        (answer,) = self.answers([environ])
        start_response(answer.status, answer.headers)
        return (answer.body,)

    def answers(self, environs: "Sequence[WSGIEnvironment]") -> list[Answer]:
        """Answer requests of our paths; what they want decided is decided and stored together."""
        started = time.perf_counter()
        begun = list(map(self._tried, environs))
        self._service.settle([each for each in begun if isinstance(each, Entry)])
        answers = list(map(_answer, begun))
        seconds = time.perf_counter() - started
        for answer in answers:
            if answer.status is _OK:
                self._seconds.observe(seconds)
            else:
                HTTP_SECONDS.labels("decisions", int(answer.status[:3])).observe(seconds)
        return answers

    def _tried(self, environ: "WSGIEnvironment") -> Entry | str | Exception:
        try:
            return self._begun(environ)
        except Exception as error:  # noqa: BLE001 -- each caller is told of its own
            return error

    def _begun(self, environ: "WSGIEnvironment") -> Entry | str:
        """Read a request: what it wants decided, or its answer if that can be told at once."""
        caller = self._keys.caller(environ.get("HTTP_AUTHORIZATION", ""), scope=SCOPE)
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if method == "GET" and path.startswith(_ONE):
            decision_id = path.removeprefix(_ONE)
            return self._service.answer_of(caller_id=caller.id, decision_id=decision_id)
        if method != "POST" or path not in {PATH, _BATCH}:
            raise DecisionMethodWrong("no such method here")
        key = checked_key(environ.get("HTTP_IDEMPOTENCY_KEY", ""))
        return self._service.asked(
            caller_id=caller.id,
            key=key,
            body=_body(environ),
            is_batch=path == _BATCH,
            may_state_all=ALL_SOURCES in caller.scopes,
        )


def _answer(said: Entry | str | Exception) -> Answer:
    try:
        if isinstance(said, Exception):
            raise said
        body = (said if isinstance(said, str) else said.answer()).encode()
    except FenqiError as error:
        return _refused(error)
    except Exception as error:  # noqa: BLE001 -- a caller gets problem details, whatever broke
        log.error("decision failed", exc_info=error)
        return _refused(FenqiError())
    return Answer(_OK, _with_length(_JSON, body), body)


def _body(environ: "WSGIEnvironment") -> bytes:
    stated = environ.get("CONTENT_LENGTH") or ""
    length = int(stated) if stated.isdigit() else _MAX_BODY + 1
    if stated.isdigit() and length > _MAX_BODY:
        raise DecisionTooLarge("the body is larger than 256 kB")
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) > _MAX_BODY:
        raise DecisionTooLarge("the body is larger than 256 kB")
    return body


def _refused(error: FenqiError) -> Answer:
    problem = problem_of(error.status, error.code, error.detail, error.message_zh, error.extras)
    body = json.dumps(problem, ensure_ascii=False).encode()
    headers = _with_length(_PROBLEM, body)
    if isinstance(error, Unavailable):
        headers.append(_RETRY_AFTER)
    return Answer(f"{error.status} {HTTPStatus(error.status).phrase}", headers, body)


def _with_length(kind: tuple[str, str], body: bytes) -> list[tuple[str, str]]:
    return [kind, ("Content-Length", str(len(body))), *_HEADERS]
