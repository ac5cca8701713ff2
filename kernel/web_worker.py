"""A gunicorn worker that lets an app answer together what has arrived together.

A thread for each request is right where handlers differ. Where many requests of one kind share a
look-up and a commit, the threads' waking and waiting for each other costs more than the work
itself. So the thread that watches the connections takes such requests by itself, all that wait at
once. A connection's first request, what has not arrived whole, and what is of any other kind goes
the way of gunicorn's own threads; an app that names no such kind never notices.

HTTP is read and framed by gunicorn alone, but its access log, its hooks for each request and
`max_requests` do not see what is answered here. Nothing waits for a client: its request is there,
and one that does not take its answer is cut off. While the app works on a group, other connections
wait to be handed to their threads, so what it does must be short and bounded in time.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from gunicorn.http import errors, wsgi
from gunicorn.util import write, write_nonblock
from gunicorn.workers.gthread import TConn, ThreadWorker
from typing_extensions import override

from kernel.together import Answer, AnswersTogether

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_READ_AT_MOST: Final = 64 * 1024
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,6})[ \t]*(?:\r\n|$)")
# What of a request gunicorn cannot read; all else it tells by itself.
_UNREAD: Final = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.InvalidRequestLine: HTTPStatus.BAD_REQUEST,
    errors.InvalidRequestMethod: HTTPStatus.BAD_REQUEST,
    errors.InvalidHTTPVersion: HTTPStatus.BAD_REQUEST,
    errors.InvalidHeader: HTTPStatus.BAD_REQUEST,
    errors.InvalidHeaderName: HTTPStatus.BAD_REQUEST,
}
_BY_THREADS: Final = re.compile(rb"(?i)\r\n(?:transfer-encoding|expect|upgrade)[ \t]*:")


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads, and beside them one door for what is answered together."""

    @override
    def run(self) -> None:
        self._arrived: list[TConn] = []
        self._together: AnswersTogether | None = getattr(self.wsgi, "together", None)
        super().run()

    @override
    def on_client_socket_readable(self, conn: TConn, client: object) -> None:
        if self._together is not None and self._has_arrived(conn, self._together.request_lines):
            self._arrived.append(conn)
        else:
            super().on_client_socket_readable(conn, client)

    @override
    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(timeout)
        if self._arrived and self._together is not None:
            arrived, self._arrived = self._arrived, []
            self._answer(arrived, self._together)

    @override
    def handle_error(self, req: object, client: Any, addr: object, exc: Exception) -> None:
        """Refuse a request that cannot be read as programs are refused anything, by a problem."""
        status = _UNREAD.get(type(exc))
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("unreadable request: %s", type(exc).__name__)
        with suppress(OSError):
            write_nonblock(client, _refusal(status))

    def _has_arrived(self, conn: TConn, request_lines: tuple[bytes, ...]) -> bool:
        """Read what is there; say whether it is one whole request that is answered together.

        The parser gets what was read in any case, so a thread can go on from there. Of a caller
        that asked for something else before nothing is read: the thread does that, as ever.
        """
        if self.cfg.is_ssl or conn.is_http2:
            return False
        before = conn.parser.mesg
        if not f"{before.method} {before.uri} ".encode().startswith(request_lines):
            return False
        try:
            read = conn.sock.recv(_READ_AT_MOST)
        except OSError:
            return False
        conn.parser.unreader.unread(read)
        return read.startswith(request_lines) and _is_whole(read)

    def _answer(self, conns: Sequence[TConn], together: AnswersTogether) -> None:
        begun = [found for conn in conns if (found := self._begun(conn))]
        answers = together.answers([environ for _, _, environ in begun])
        for (conn, response, _), answer in zip(begun, answers, strict=True):
            if self._is_sent(conn, response, answer):
                self._keep(conn)
            else:
                self._drop(conn)

    def _begun(self, conn: TConn) -> "tuple[TConn, wsgi.Response, WSGIEnvironment] | None":
        """Have the request parsed; one that is no good is told so and dropped."""
        try:
            request = next(conn.parser)
            response, environ = wsgi.create(request, conn.sock, conn.client, conn.server, self.cfg)
        except StopIteration:
            self._drop(conn)
        except Exception as error:  # noqa: BLE001 -- gunicorn tells its own errors from others
            self.handle_error(None, conn.sock, conn.client, error)
            self._drop(conn)
        else:
            environ["wsgi.multithread"] = True
            return conn, response, environ
        return None

    def _is_sent(self, conn: TConn, response: Any, answer: Answer) -> bool:
        """Send head and body in one piece; says whether the connection can go on."""
        if not self.alive:
            response.force_close()
        try:
            response.start_response(answer.status, answer.headers)
            lines = [f"{name}: {value}\r\n" for name, value in response.headers]
            head = "".join([*response.default_headers(), *lines, "\r\n"])
            write(conn.sock, head.encode("latin-1") + answer.body)
        except OSError:
            return False
        return not response.should_close() and bool(conn.parser.finish_body())

    def _keep(self, conn: TConn) -> None:
        """Let it wait for its next request, behind those that wait longer."""
        self.keepalived_conns.remove(conn)
        conn.set_timeout()
        self.keepalived_conns.append(conn)

    def _drop(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        self.keepalived_conns.remove(conn)
        self.nr_conns -= 1
        self.tpool.submit(conn.close, graceful=True)


def _refusal(status: HTTPStatus) -> bytes:
    from kernel.web import http_problem  # noqa: PLC0415 -- the process that only forks needs no app

    body = json.dumps(http_problem(status, status.description), ensure_ascii=False).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _is_whole(read: bytes) -> bool:
    """Say whether these bytes are one request with all of its body, and nothing else."""
    head, _, body = read.partition(b"\r\n\r\n")
    stated = _LENGTH.search(head)
    return stated is not None and len(body) == int(stated[1]) and not _BY_THREADS.search(head)
