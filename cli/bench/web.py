"""The app that benches load (`cli.bench.web:app`): the real one, and beside it a no-op to compare.

Decisions read a made-up catalogue of 3,000 dimensions, as large as the real one shall be. The no-op
parses a JSON object and answers one. It exists nowhere else.
"""

import os
from typing import Any

from apiflask import APIFlask
from flask import request

from assembly import build_runtime
from cli.bench.stage import production_settings
from cli.bench.wrk import NOOP_PATH
from kernel.logs import configure_logs
from risk.features.synthetic import synthetic_catalogue
from wsgi import create_app


def build_app() -> APIFlask:
    """Make the app out of the environment."""
    runtime = build_runtime(production_settings(os.environ))
    app = create_app(runtime, catalogue=synthetic_catalogue())

    @app.post(NOOP_PATH)
    def noop() -> dict[str, Any]:
        return {"fields": len(request.get_json())}

    app.extensions["csrf"].exempt(noop)
    return app


def __getattr__(name: str) -> APIFlask:
    """Build `app` when gunicorn asks for it."""
    if name != "app":
        raise AttributeError(name)
    configure_logs()
    return build_app()
