"""The web side: the app of all areas, as gunicorn serves it (`wsgi:app`).

It wires blueprints and starts nothing by itself. In development it also lets the sandbox's pages
through under /sandbox.
"""

import os

from apiflask import APIFlask
from werkzeug.middleware.http_proxy import ProxyMiddleware

import bot.views
from assembly import build_runtime
from kernel.logs import configure_logs
from kernel.runtime import Runtime
from kernel.settings import Settings
from kernel.web import create_base_app

_PROXY_TIMEOUT_S = 30


def create_app(runtime: Runtime) -> APIFlask:
    """Make the web app out of a runtime."""
    app = create_base_app(runtime)
    app.register_blueprint(bot.views.blueprint)
    app.extensions["csrf"].exempt(bot.views.blueprint)
    if runtime.settings.is_development and runtime.settings.sandbox_base:
        target = {"/sandbox": {"target": runtime.settings.sandbox_base, "host": None}}
        app.wsgi_app = ProxyMiddleware(  # type: ignore[method-assign]
            app.wsgi_app, target, timeout=_PROXY_TIMEOUT_S
        )
    return app


def __getattr__(name: str) -> APIFlask:
    """Build `app` when gunicorn asks for it, so that importing this module starts nothing."""
    if name != "app":
        raise AttributeError(name)
    configure_logs()
    return create_app(build_runtime(Settings.from_env(os.environ)))
