"""Builds the stand-in process. Only this module knows all of its parts.

It must never be reachable outside development, so it refuses to be built anywhere else.
"""

import os
import time
from datetime import timedelta

from flask import Flask, Response, jsonify
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException

from kernel.clock import Clock, FixedClock, MovableClock, clock_offset, move_clock
from kernel.database import Database
from kernel.errors import FenqiError
from kernel.logs import configure_logs
from kernel.settings import Settings
from sandbox import control, window
from sandbox.evidence import views as evidence_views
from sandbox.pay import views as pay_views
from sandbox.sms import views as sms_views
from sandbox.wechat import views as wechat_views
from sandbox.world import MoveClock, World

_MAX_BODY = 4 * 1024 * 1024
_OFFSET_SEEN_S = 0.25  # after that every process has read the moved clock


class SandboxRefused(RuntimeError):
    """FENQI_ENV is not development."""


class _Json(DefaultJSONProvider):
    """Keeps the order of members, which is that of a template's fields, and Chinese readable."""

    ensure_ascii = False
    sort_keys = False


def create_app(settings: Settings, clock: Clock, *, move: MoveClock | None = None) -> Flask:
    """Make the WSGI app and start its background thread.

    Args:
        settings: Those of the service under test.
        clock: The development clock.
        move: Moves that clock by an amount; a fixed clock needs none.

    Raises:
        SandboxRefused: Outside development.
    """
    if not settings.is_development:
        message = "the sandbox runs in development only"
        raise SandboxRefused(message)
    if move is None and isinstance(clock, FixedClock):
        move = clock.advance
    app = Flask("sandbox", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.json = _Json(app)
    world = World(settings, clock, move)
    app.extensions["sandbox"] = world
    for views in (wechat_views, pay_views, sms_views, evidence_views, control, window):
        app.register_blueprint(views.blueprint)
    app.register_error_handler(FenqiError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    world.schedule.start()
    return app


def serve() -> Flask:
    """Make the app for gunicorn, out of the environment and the shared database clock."""
    configure_logs()
    settings = Settings.from_env(os.environ)
    database = Database(settings.database_url)

    def move(by: timedelta) -> None:
        with database.write() as session:
            move_clock(session, offset=clock_offset(session) + by)
        time.sleep(_OFFSET_SEEN_S)

    return create_app(settings, MovableClock(database), move=move)


def _refuse(error: FenqiError) -> tuple[Response, int]:
    return jsonify(code=error.code, detail=error.detail), error.status


def _refuse_http(error: HTTPException) -> tuple[Response, int]:
    return jsonify(code=error.name, detail=error.description), error.code or 500
