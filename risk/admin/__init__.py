"""The staff pages of risk: strategies as analysts write them, and decisions as they were made.

Each module adds its pages to the blueprint and plugs its parts into the workplace. What a strategy
means, and whether it may be published, is decided in risk.strategy and risk.decisions.
"""

from flask import Blueprint

from desk.ports import Site
from risk.admin import (
    cases,
    challenges,
    copying,
    decisions,
    editing,
    files,
    formulas,
    inquiries,
    lists,
    new_lists,
    publishing,
    reports,
    rights,
    rules,
    runs,
    shadows,
    snoozes,
    stages,
    strategies,
    trials,
    trying,
)
from risk.features.catalogue import Catalogue

_PAGES = (
    strategies,
    copying,
    stages,
    rules,
    trying,
    cases,
    runs,
    trials,
    shadows,
    challenges,
    formulas,
    inquiries,
    publishing,
    files,
    snoozes,
    new_lists,
    lists,
    decisions,
)
_PLUGS = (rights, strategies, reports, publishing, challenges, snoozes, lists, decisions)


def create_blueprint(catalogue: Catalogue) -> Blueprint:
    """Make the blueprint of risk's staff pages; they offer the fields of the catalogue."""
    blueprint = Blueprint(
        "risk_admin",
        "risk",
        template_folder="templates",
        static_folder="static",
        static_url_path="/static/risk",
    )
    for pages in _PAGES:
        pages.add_to(blueprint)
    editing.remember(blueprint, catalogue)
    return blueprint


def plug_in(site: Site) -> None:
    """Put risk's permissions, links, searches and acts on a site."""
    for part in _PLUGS:
        part.plug_in(site)
