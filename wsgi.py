"""The web side: the app of all areas, as gunicorn serves it (`wsgi:app`).

It wires blueprints and starts nothing by itself. In development it also lets the sandbox's pages
through under /sandbox, and plays what its phone frame lacks: WeChat's name in the User-Agent.
"""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from apiflask import APIFlask
from werkzeug.middleware.http_proxy import ProxyMiddleware

import bot.h5
import bot.views
import contact.admin
import contact.panel
import contact.views
import desk.views
import risk.admin
import servicing.admin
import servicing.api.site
import servicing.payments.views
from assembly import build_runtime
from desk.ports import Site
from kernel.api_keys import ApiKeys
from kernel.logs import configure_logs
from kernel.runtime import Runtime
from kernel.settings import Settings
from kernel.web import create_base_app
from risk.decisions.door import DecisionDoor
from risk.decisions.service import DecisionService
from risk.features.catalogue import Catalogue, read_catalogue

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PROXY_TIMEOUT_S = 30


def create_site() -> Site:
    """Plug the areas' staff pages into the workplace."""
    site = Site()
    servicing.admin.plug_in(site)
    risk.admin.plug_in(site)
    contact.admin.plug_in(site)
    contact.panel.plug_in(site)
    return site


def create_app(runtime: Runtime, *, catalogue: Catalogue | None = None) -> APIFlask:
    """Make the web app out of a runtime; decisions read the house's catalogue unless told."""
    app = create_base_app(runtime)
    catalogue = catalogue or read_catalogue()
    for blueprint in (
        bot.views.blueprint,
        bot.h5.blueprint,
        contact.views.blueprint,
        servicing.payments.views.blueprint,
        servicing.admin.create_blueprint(),
        risk.admin.create_blueprint(catalogue),
        contact.admin.create_blueprint(),
        contact.panel.create_blueprint(),
        desk.views.create_blueprint(create_site()),
    ):
        app.register_blueprint(blueprint)
    app.extensions["csrf"].exempt(bot.views.blueprint)
    keys = ApiKeys(runtime.database, runtime.clock, token_secret=runtime.settings.secret_key)
    servicing.api.site.plug_in(app, keys=keys)
    door = DecisionDoor(app.wsgi_app, keys=keys, service=DecisionService(runtime, catalogue))
    app.wsgi_app = door  # type: ignore[method-assign]
    app.together = door  # type: ignore[attr-defined]
    if runtime.settings.is_development and runtime.settings.sandbox_base:
        target = {"/sandbox": {"target": runtime.settings.sandbox_base, "host": None}}
        app.wsgi_app = ProxyMiddleware(  # type: ignore[method-assign]
            _as_wechat(app.wsgi_app), target, timeout=_PROXY_TIMEOUT_S
        )
    return app


def _as_wechat(inner: "WSGIApplication") -> "WSGIApplication":
    """Show the phone of the chat window to the app as WeChat's own browser."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if "sandbox_openid=" in environ.get("HTTP_COOKIE", ""):
            environ["HTTP_USER_AGENT"] = f"{environ.get('HTTP_USER_AGENT', '')} MicroMessenger/8"
        return inner(environ, start_response)

    return serve


def __getattr__(name: str) -> APIFlask:
    """Build `app` when gunicorn asks for it, so that importing this module starts nothing."""
    if name != "app":
        raise AttributeError(name)
    configure_logs()
    return create_app(build_runtime(Settings.from_env(os.environ)))
