"""The workplace's own pages as one blueprint, and the gate before every page under /admin.

It renders what areas registered on the Site and asks nothing about it.
"""

from typing import cast

from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState

from desk import identity
from desk.ports import Site
from desk.views import (
    approvals,
    audit,
    documents,
    entrance,
    gate,
    language,
    shell,
    staff,
    unmasking,
    workplace,
)

_PAGES = (entrance, workplace, approvals, documents, audit, staff, unmasking)


def create_blueprint(site: Site) -> Blueprint:
    """Make the blueprint of a site; registering it closes /admin of the whole app by default."""
    blueprint = Blueprint(
        "desk",
        "desk",
        template_folder="templates",
        static_folder="static",
        static_url_path="/static/desk",
    )
    for pages in _PAGES:
        pages.add_to(blueprint)
    shell.plug_in(site)
    blueprint.before_app_request(gate.guard)

    def install(state: BlueprintSetupState) -> None:
        app = cast("Flask", state.app)
        app.extensions["desk"] = site
        identity.install(app, site.permissions)
        shell.install(app)
        gate.install_error_pages(app)
        language.compile_catalogues(app)

    blueprint.record_once(install)
    return blueprint
