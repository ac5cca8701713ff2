"""The way in of every platform endpoint: counts the call and plays failures of the transport.

What an endpoint answers is none of its business.
"""

import socket
import time
from collections.abc import Callable

from flask import Response, request

from sandbox.world import World

_HTML = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway"
    "</h1></center><hr><center>nginx</center></body>\r\n</html>\r\n"
)


def through(world: World, feature: str, answer: Callable[[], Response]) -> Response:
    """Count a call, play its transport failures, and answer it.

    Args:
        world: The state.
        feature: Key of the knob catalogue.
        answer: Does the work and makes the answer.
    """
    world.journal.count(feature)
    knobs = world.knobs
    if (seconds := knobs.take(feature, "slow")) is not None:
        time.sleep(float(seconds))
    if (seconds := knobs.take(feature, "hang")) is not None:
        time.sleep(float(seconds))
        return _cut()
    if knobs.take(feature, "cut") is not None:
        return _cut()
    if knobs.take(feature, "http_500") is not None:
        return Response("Internal Server Error", 500, mimetype="text/plain")
    if knobs.take(feature, "html") is not None:
        return Response(_HTML, 200, mimetype="text/html")
    response = answer()
    return response if knobs.take(feature, "lost_answer") is None else _cut()


def _cut() -> Response:
    """Close the caller's connection under the answer."""
    given = request.environ.get("werkzeug.socket") or request.environ.get("gunicorn.socket")
    if isinstance(given, socket.socket):
        try:
            given.shutdown(socket.SHUT_RDWR)
        except OSError:  # the caller was faster
            return Response(status=444)
    return Response(status=444)
