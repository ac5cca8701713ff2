"""An app that says how many requests it answered together, for tests of kernel.web_worker."""

from collections.abc import Iterable, Sequence
from typing import Any

from kernel.together import Answer

_OK = "200 OK"


class Together:
    """Answers alone as any WSGI app; together where the worker finds requests that wait."""

    request_lines = (b"POST /together ",)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        body = f"alone {_said(environ)}".encode()
        start_response(_OK, [("Content-Length", str(len(body)))])
        return (body,)

    def answers(self, environs: Sequence[Any]) -> list[Answer]:
        """Answer when the named pipe that a request names has been written to, if it names one."""
        said = [_said(environ) for environ in environs]
        for gate in (text for text in said if text.startswith("/")):
            with open(gate, encoding="utf-8") as waited_for:  # noqa: PTH123 -- a pipe
                waited_for.read()
        bodies = [f"{len(environs)} together {text}".encode() for text in said]
        return [Answer(_OK, [("Content-Length", str(len(body)))], body) for body in bodies]


def _said(environ: Any) -> str:
    text: str = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0)).decode()
    return text if len(text) < 100 else f"{len(text)} bytes"


app = Together()
app.together = app  # type: ignore[attr-defined]
