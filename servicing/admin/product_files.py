"""A whole product as one JSON document: taken out of a version, and brought in as a draft.

What the text says is read by servicing.product_document; the way from a draft to what is sold is
that of every version of a product.
"""

from typing import Any

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.ports import current_staff, staff_page
from desk.queries import document_in_force, document_version
from kernel.web import now, runtime, today
from servicing import operations
from servicing.admin import product_summary, product_words
from servicing.admin.forms import draw
from servicing.admin.products import DRAFT, LONGEST_REASON, VIEW, Tried, source, tried_out
from servicing.product_document import located, read_document, write_document
from servicing.products import ProductRefused
from servicing.queries.products import KIND


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/products/<code>/<int:version>/export", "export_product", export)
    add("/admin/products/import", "product_import", page)
    add("/admin/products/import", "import_product", save, methods=["POST"])
    add("/admin/products/import/check", "check_import", check, methods=["POST"])


@staff_page(VIEW)
def export(code: str, version: int) -> ResponseReturnValue:
    """Hand out a version as a document with every item written out."""
    with runtime().database.read() as session:
        body = document_version(session, kind=KIND, key=code, version=version).body
    name = f'attachment; filename="{code}-v{version}.json"'
    return Response(
        write_document(body),
        mimetype="application/json",
        headers={"Content-Disposition": name},
    )


@staff_page(DRAFT)
def page() -> ResponseReturnValue:
    """Open the page on which a document is pasted, filled from a version if one is named."""
    body = source()
    return draw(
        "product_import.html",
        names=product_words,
        text=write_document(body) if body else "",
        check=Tried(),
    )


@staff_page(DRAFT)
def check() -> ResponseReturnValue:
    """Say what comes of the text, line by line; nothing is kept."""
    return draw("product_tried.html", names=product_words, **_read_and_tried(_text()))


@staff_page(DRAFT)
def save() -> ResponseReturnValue:
    """Keep the text as the next version of the product that it names, a draft."""
    text, note = _text(), request.form.get("note", "").strip()[:LONGEST_REASON]
    try:
        document = read_document(text)
    except ProductRefused as refused:
        return draw(
            "product_import.html",
            names=product_words,
            text=text,
            check=Tried(problems=refused.problems),
        )
    with runtime().database.write() as session:
        version = operations.draft_product(
            session, document=document, author=current_staff().login, note=note, now=now()
        )
    flash(gettext("草稿 v%(version)s 已保存", version=version), "success")
    return redirect(url_for("servicing_admin.product", code=document["code"], version=version))


def _text() -> str:
    return request.form.get("document", "").replace("\r\n", "\n")


def _read_and_tried(text: str) -> dict[str, Any]:
    if not text.strip():
        return {"check": Tried()}
    try:
        document = read_document(text)
    except ProductRefused as refused:
        return {"check": Tried(problems=refused.problems)}
    found = tried_out(document)
    told: Tried = found["check"]
    check = Tried(problems=located(told.problems, text), set_up=told.set_up)
    with runtime().database.read() as session:
        current = document_in_force(session, kind=KIND, key=document["code"], on=today())
    changes = product_summary.changes(current.body, document) if current else ()
    return found | {"check": check, "current": current, "changes": changes}
