"""The staff pages of servicing: one customer with everything about them, and what is done there.

Each module adds its pages to the blueprint and plugs its parts into the workplace. What a click
means is decided in servicing.operations.
"""

from flask import Blueprint

from desk.ports import Site
from servicing.admin import complaints, counter, customer, holds, lines, records, rights, words

_PAGES = (customer, lines, holds, complaints, records, counter)


def create_blueprint() -> Blueprint:
    """Make the blueprint of these pages."""
    blueprint = Blueprint("servicing_admin", "servicing", template_folder="templates")
    for pages in _PAGES:
        pages.add_to(blueprint)
    blueprint.add_app_template_filter(words.hide_numbers)
    return blueprint


def plug_in(site: Site) -> None:
    """Put these pages, their rights and their parts of the customer page on a site."""
    rights.declare(site)
    customer.plug_in(site)
    lines.plug_in(site)
    records.plug_in(site)
