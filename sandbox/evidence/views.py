"""The sub-systems over HTTP, under /sandbox/evidence/: JSON, signed both ways.

Each takes its usual time to answer; knobs make it slower, wrong or silent.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request

from sandbox.door import through
from sandbox.evidence import files
from sandbox.world import World, this_world

blueprint = Blueprint("evidence", __name__, url_prefix="/sandbox/evidence")

_WINDOW_S = 300
_ASKED = ("reference", "name", "id_number", "phone")
Answer = Callable[[World, Mapping[str, str]], dict[str, Any]]
SUBSYSTEMS: dict[str, tuple[Answer, float]] = {
    "identity": (files.identity, 0.15),
    "bureau": (files.bureau, 0.4),
    "lists": (files.lists, 0.05),
}
"""What each answers, and the seconds that it usually takes."""


class Refused(Exception):
    """The request cannot be answered; `code` says why."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code, self.status = code, status


@blueprint.post("/<name>")
def ask(name: str) -> Response:
    """Answer an inquiry."""
    world = this_world()
    if name not in SUBSYSTEMS:
        return _signed(world, {"code": "NO_SUCH_SERVICE"}, 404)
    return through(world, f"evidence.{name}", lambda: _answer(world, name))


def _answer(world: World, name: str) -> Response:
    answer, takes_s = SUBSYSTEMS[name]
    feature = f"evidence.{name}"
    try:
        asked = _checked(world)
        if (code := world.knobs.take(feature, "error")) is not None:
            raise Refused(str(code), 503)
    except Refused as refused:
        return _signed(world, {"code": refused.code}, refused.status)
    time.sleep(takes_s)
    data = answer(world, asked)
    if (changed := world.knobs.take(feature, "answer")) is not None:
        data = changed
    body = {"code": "OK", "reference": asked["reference"], "data": data}
    response = _signed(world, body, 200)
    if world.knobs.take(feature, "unsigned") is not None:
        response.headers["X-Signature"] = "0" * 64
    return response


def _checked(world: World) -> Mapping[str, str]:
    """Read an inquiry that was signed by our customer lately.

    Raises:
        Refused: It was not, or something is missing.
    """
    head, body = request.headers, request.get_data()
    if head.get("X-Key") != world.settings.evidence_key_id:
        raise Refused("UNKNOWN_KEY", 401)
    at, nonce = head.get("X-Time", ""), head.get("X-Nonce", "")
    if not at.isdigit() or not world.is_recent(int(at), window_s=_WINDOW_S):
        raise Refused("TIME_OUT_OF_RANGE", 401)
    lines = (request.method, request.path, at, nonce, hashlib.sha256(body).hexdigest())
    if not hmac.compare_digest(_sign(world, *lines), head.get("X-Signature", "")):
        raise Refused("BAD_SIGNATURE", 401)
    if not world.first_use(nonce):
        raise Refused("NONCE_USED", 401)
    asked = json.loads(body)
    if not isinstance(asked, dict) or not all(isinstance(asked.get(one), str) for one in _ASKED):
        raise Refused("INCOMPLETE", 422)
    return asked


def _signed(world: World, answer: Mapping[str, Any], status: int) -> Response:
    body = json.dumps(answer, ensure_ascii=False).encode()
    nonce = request.headers.get("X-Nonce", "")
    response = Response(body, status, content_type="application/json")
    response.headers["X-Signature"] = _sign(world, nonce, hashlib.sha256(body).hexdigest())
    return response


def _sign(world: World, *lines: str) -> str:
    secret = world.settings.evidence_secret.encode()
    return hmac.new(secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
