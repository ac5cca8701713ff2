"""The staff pages of servicing: the book, its queues, and one customer with what is done for them.

Each module adds its pages to the blueprint and plugs its parts into the workplace. What a click
means is decided in servicing.operations.
"""

from flask import Blueprint

from desk.ports import Site
from servicing.admin import (
    alerts,
    applications,
    assigning,
    board,
    classes,
    complaints,
    counter,
    customer,
    days,
    differences,
    documents,
    holds,
    judgement,
    line_changes,
    lines,
    loan_history,
    machinery,
    missing_bills,
    money_acts,
    offers,
    partner_limits,
    partners,
    payees,
    product_files,
    product_reports,
    products,
    quoting,
    records,
    refunds,
    rights,
    subjects,
    subsidies,
    terms,
    trial_balance,
    words,
)

_PAGES = (
    *(board, alerts, applications, assigning, judgement, customer),
    *(lines, holds, complaints, records, counter, products, product_files),
    *(days, classes, differences, trial_balance, documents),
    *(line_changes, loan_history, money_acts, offers, partners, partner_limits),
    *(missing_bills, payees, quoting, refunds, subsidies, terms),
)
_PLUGS = (
    *(rights, board, products, alerts, applications, assigning, machinery, customer, lines),
    *(records, days, classes, differences, trial_balance, money_acts, offers, partners),
    *(partner_limits, missing_bills, payees, product_reports, refunds, subjects, subsidies),
)


def create_blueprint() -> Blueprint:
    """Make the blueprint of servicing's staff pages."""
    blueprint = Blueprint(
        "servicing_admin",
        "servicing",
        template_folder="templates",
        static_folder="static",
        static_url_path="/static/servicing",
    )
    for pages in _PAGES:
        pages.add_to(blueprint)
    blueprint.add_app_template_filter(words.hide_numbers)
    return blueprint


def plug_in(site: Site) -> None:
    """Put servicing's permissions, links, tiles, panels and acts on a site."""
    for part in _PLUGS:
        part.plug_in(site)
