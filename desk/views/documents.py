"""Versioned documents to look at: all of them, the versions of one, and what a version changed.

Writing and approving them is done on the pages of the area that gives a body its meaning.
"""

import json

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from desk import queries
from desk.model import DOCUMENTS
from desk.ports import current_site, staff_page
from kernel.web import runtime, today


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/documents", "documents", documents)
    add("/admin/documents/<kind>/<key>", "document", document)
    add("/admin/documents/<kind>/<key>/<int:version>", "document_version", document_version)


@staff_page(DOCUMENTS)
def documents() -> ResponseReturnValue:
    """List documents with what is in force today."""
    with runtime().database.read() as session:
        found = queries.documents(session, on=today())
    return render_template("desk/documents.html", documents=found)


@staff_page(DOCUMENTS)
def document(kind: str, key: str) -> ResponseReturnValue:
    """List the versions of one document."""
    with runtime().database.read() as session:
        versions = queries.document_versions(session, kind=kind, key=key)
        current = queries.document_in_force(session, kind=kind, key=key, on=today())
    return render_template(
        "desk/document.html", kind=kind, key=key, versions=versions, current=current
    )


@staff_page(DOCUMENTS)
def document_version(kind: str, key: str, version: int) -> ResponseReturnValue:
    """Show one version and how it differs from another, by default the one before."""
    against = request.args.get("against", version - 1, type=int)
    with runtime().database.read() as session:
        shown = queries.document_version(session, kind=kind, key=key, version=version)
        versions = queries.document_versions(session, kind=kind, key=key)
    said, report = current_site().documents.get(kind), shown.test_report or {}
    before = next((other for other in versions if other.version == against), None)
    return render_template(
        "desk/document_version.html",
        shown=shown,
        before=before,
        others=[other.version for other in versions if other.version != version],
        changes=queries.changes_between(before, shown),
        report=said.told(report) if said and report else report,
        body=json.dumps(shown.body, ensure_ascii=False, indent=2),
    )
