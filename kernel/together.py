"""What an app offers that answers some requests together: the words between it and a server.

kernel.web_worker is the server that makes use of it; any other calls the app as usual.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Answer(NamedTuple):
    """What goes back; the headers tell the length of the body."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class AnswersTogether(Protocol):
    """What an app puts at its attribute `together`.

    Attributes:
        request_lines: How the requests begin that it answers together, as `POST /path `.
    """

    request_lines: tuple[bytes, ...]

    def answers(self, environs: "Sequence[WSGIEnvironment]") -> Sequence[Answer]:
        """Answer each request, in order; raises nothing, and takes seconds at the very most."""
