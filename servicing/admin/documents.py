"""Documents of a loan for staff: names masked, or in clear to those who may and say why.

What they say and look like is servicing.documents' business.
"""

from collections.abc import Callable, Mapping
from typing import Final

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from desk.operations import NotPermitted, append_audit
from desk.ports import current_staff, staff_page
from kernel.web import now, runtime, today
from servicing.admin import rights
from servicing.admin.forms import written
from servicing.documents import queries as documents
from servicing.documents.queries import Asked, Document

_LONGEST_REASON: Final = 200
_CERTIFICATE: Final = "certificate.pdf"

_MAKERS: Final[Mapping[str, Callable[[Asked], Document]]] = {
    "plan.pdf": lambda asked: _printed(documents.repayment_plan, asked),
    "plan.csv": lambda asked: _sheet(asked, is_xlsx=False),
    "plan.xlsx": lambda asked: _sheet(asked, is_xlsx=True),
    "statement.pdf": lambda asked: _printed(documents.statement, asked),
    _CERTIFICATE: lambda asked: _printed(documents.settlement_certificate, asked),
}
_NAMING: Final = ("plan.pdf", "statement.pdf", _CERTIFICATE)


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    at = "/admin/customers/<int:customer_id>/loans/<int:loan_id>/documents/<name>"
    add = blueprint.add_url_rule
    add(at, "document", document)
    add(f"{at}/in-clear", "document_form", document_form)
    add(f"{at}/in-clear", "document_in_clear", document_in_clear, methods=["POST"])


@staff_page(rights.VIEW)
def document(customer_id: int, loan_id: int, name: str) -> ResponseReturnValue:
    """Send a document with the borrower's name masked."""
    return _send(name, _asked(customer_id, loan_id, is_masked=True))


@staff_page(rights.UNMASK_NAME)
def document_form(customer_id: int, loan_id: int, name: str) -> ResponseReturnValue:
    """Ask why the borrower is to be named in clear."""
    _require(name)
    to = url_for(
        "servicing_admin.document_in_clear", customer_id=customer_id, loan_id=loan_id, name=name
    )
    return render_template("servicing/admin/document_form.html", to=to, name=name)


@staff_page(rights.UNMASK_NAME)
def document_in_clear(customer_id: int, loan_id: int, name: str) -> ResponseReturnValue:
    """Note who names whom and why, then send the document in clear."""
    _require(name)
    reason, given = written("reason", most=_LONGEST_REASON), runtime()
    made = _make(name, _asked(customer_id, loan_id, is_masked=False))
    with given.database.write() as session:
        append_audit(
            session,
            actor=current_staff().login,
            action="servicing.document.named",
            subject=f"customer:{customer_id}",
            details={"document": name, "loan": loan_id, "reason": reason},
            now=now(),
        )
    return _file(made)


def _require(name: str) -> None:
    """Let those through who may see in clear what stands on a document.

    Raises:
        NotFound: There is no such document, or it names nobody.
        NotPermitted: A certificate shows the end of the id number, which is not for everybody.
    """
    if name not in _NAMING:
        raise NotFound
    if name == _CERTIFICATE and not current_staff().may(rights.UNMASK_ID_NUMBER):
        raise NotPermitted("a certificate in clear shows the end of the id number")


def _asked(customer_id: int, loan_id: int, *, is_masked: bool) -> Asked:
    return Asked(
        customer_id=customer_id, loan_id=loan_id, on=today(), at=now(), is_masked=is_masked
    )


def _send(name: str, asked: Asked) -> Response:
    return _file(_make(name, asked))


def _make(name: str, asked: Asked) -> Document:
    if name not in _MAKERS:
        raise NotFound
    return _MAKERS[name](asked)


def _printed(make: Callable[..., Document], asked: Asked) -> Document:
    given = runtime()
    with given.database.read() as session:
        return make(session, given.cipher, asked=asked)


def _sheet(asked: Asked, *, is_xlsx: bool) -> Document:
    with runtime().database.read() as session:
        return documents.plan_sheet(session, asked=asked, is_xlsx=is_xlsx)


def _file(made: Document) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return Response(made.content, content_type=made.mimetype, headers=headers)
