"""Servicing's staff pages on one blueprint, and what they plug into the workplace.

Who is logged in and how a page looks is desk's business.
"""

from flask import Blueprint

from desk.ports import Site
from servicing.admin import alerts, applications, board, machinery

_PAGES = (board, alerts, applications)


def create_blueprint() -> Blueprint:
    """Make the blueprint of these pages."""
    blueprint = Blueprint("servicing_admin", "servicing", template_folder="templates")
    for pages in _PAGES:
        pages.add_to(blueprint)
    return blueprint


def plug_in(site: Site) -> None:
    """Put servicing's permissions, links, tiles and acts on a site."""
    for pages in (*_PAGES, machinery):
        pages.plug_in(site)
