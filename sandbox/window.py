"""The chat window under /sandbox/: a phone in which a newcomer is a borrower.

It only hands out the page and its files; all that happens goes through the control API.
"""

from pathlib import Path

from flask import Blueprint, Response, redirect, send_from_directory
from werkzeug.wrappers import Response as BaseResponse

from sandbox.world import this_world

blueprint = Blueprint("window", __name__, url_prefix="/sandbox")

_ASSETS = Path(__file__).resolve().parent / "assets"
_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-src 'self' http://127.0.0.1:* http://localhost:*; object-src 'none'; base-uri 'none'"
)


@blueprint.get("")
def bare() -> BaseResponse:
    """Go to the page."""
    return redirect("/sandbox/")


@blueprint.get("/")
def page() -> Response:
    """Show the page."""
    text = (_ASSETS / "window.html").read_text("utf-8")
    text = text.replace("{{ public_base_url }}", this_world().settings.public_base_url)
    response = Response(text, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/assets/<name>")
def asset(name: str) -> Response:
    """Hand out a style sheet or script."""
    return send_from_directory(_ASSETS, name, max_age=0)


@blueprint.get("/healthz")
def healthz() -> dict[str, str]:
    """Tell that the process is there."""
    return {"status": "ok"}
