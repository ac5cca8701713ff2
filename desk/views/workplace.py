"""The dashboard, the search over all areas, and the customer page: frames for what areas supply.

It knows neither customers nor what a tile shows.
"""

from typing import Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from desk.model import CUSTOMERS, WORKPLACE
from desk.ports import staff_page
from desk.queries import count_decidable
from desk.views.shell import may, member, site
from kernel.web import now, runtime

_MAX_QUERY: Final = 64


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    blueprint.add_url_rule("/admin/", "dashboard", dashboard)
    blueprint.add_url_rule("/admin/search", "search", search, methods=["GET", "POST"])
    blueprint.add_url_rule("/admin/customers/<int:customer_id>", "customer", customer)


@staff_page(WORKPLACE)
def dashboard() -> ResponseReturnValue:
    """Draw the tiles that the member may see."""
    tiles = sorted(
        (tile for tile in site().tiles if may(tile.permission)), key=lambda tile: tile.order
    )
    drawn = [(tile.width, tile.render()) for tile in tiles]
    decides = [item.action for item in site().approvables if may(item.permission_decide)]
    with runtime().database.read() as session:
        waiting = count_decidable(session, now=now(), actions=decides, by=member().login)
    return render_template("desk/dashboard.html", tiles=drawn, waiting=waiting)


@staff_page(WORKPLACE)
def search() -> ResponseReturnValue:
    """Ask every search that the member may use.

    The form posts, so that a phone number does not end up in an address; a link may still ask.
    """
    text = request.values.get("q", "").strip()[:_MAX_QUERY]
    found = [
        (search.label, search.find(text))
        for search in site().searches
        if text and may(search.permission)
    ]
    return render_template("desk/search.html", text=text, found=found)


@staff_page(CUSTOMERS)
def customer(customer_id: int) -> ResponseReturnValue:
    """Draw a customer's panels in their order."""
    panels = sorted(
        (panel for panel in site().customer_panels if may(panel.permission)),
        key=lambda panel: panel.order,
    )
    drawn = [(panel, panel.render(customer_id)) for panel in panels]
    return render_template("desk/customer.html", customer_id=customer_id, panels=drawn)
