"""Products on their way: drafted, tried out, approved by another person, rolled back, dropped.

The steps and their order are those of every versioned document of the workplace; what is added
here is that a product is read and held against the law before each of them. What a version means
for a loan is decided when the loan is drawn, and never again.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from desk import operations as documents
from desk.queries import DocumentNotFound, document_version, document_versions
from kernel.clock import business_date
from servicing.product_setup import SetUp, set_up
from servicing.products import ProductRefused, house_documents, read_product
from servicing.queries.products import KIND

_HOUSE: Final = "machine:house-products"
_RELEASE: Final = "machine:release"
_SELF_TEST: Final = "machine:cost-guard"


def draft_product(
    session: Session, *, document: Mapping[str, Any], author: str, note: str, now: datetime
) -> int:
    """Store a product document as its next version, a draft; returns the version.

    It must be readable; what it costs is looked at when it is tried out.

    Raises:
        ProductRefused: The document cannot be read.
    """
    code = read_product(document, version=0).code
    _take_over(session, code, now=now)
    return documents.save_draft(
        session, kind=KIND, key=code, body=document, author=author, note=note, now=now
    )


def try_product(session: Session, *, code: str, version: int, by: str, now: datetime) -> SetUp:
    """Try a draft out at every corner; one that passes is tested, and waits for approval.

    Raises:
        DocumentNotFound: No such version.
        DocumentStepRefused: It is past testing.
        ProductRefused: It may not be sold; `problems` say why, and where.
    """
    found = document_version(session, kind=KIND, key=code, version=version)
    tried = set_up(read_product(found.body, version=version), on=business_date(now))
    _require_sound(tried)
    documents.mark_tested(
        session,
        kind=KIND,
        key=code,
        version=version,
        report=tried.report(),
        by=by,
        now=now,
    )
    return tried


def approve_product(
    session: Session, *, code: str, version: int, by: str, effective_on: date, now: datetime
) -> None:
    """Let a tested version be sold from a day on; its author cannot.

    It is tried out again, by the cap of that day.

    Raises:
        DocumentNotFound: No such version.
        DocumentStepRefused: It is not tested, or past approval.
        AuthorApproves: The author tries.
        EffectiveInThePast: The date is before today.
        ProductRefused: It may not be sold on that day.
    """
    found = document_version(session, kind=KIND, key=code, version=version)
    _require_sound(set_up(read_product(found.body, version=version), on=effective_on))
    documents.approve(
        session,
        kind=KIND,
        key=code,
        version=version,
        by=by,
        effective_on=effective_on,
        now=now,
    )


def discard_product(session: Session, *, code: str, version: int, by: str, now: datetime) -> None:
    """Drop a version that never came into force."""
    documents.discard(session, kind=KIND, key=code, version=version, by=by, now=now)


def roll_back_product(session: Session, *, code: str, by: str, reason: str, now: datetime) -> int:
    """Sell again what was sold before, at once, as a new version; returns that.

    Raises:
        DocumentNotFound: Nothing is in force.
        NothingToRestore: Nothing was in force before.
        ProductRefused: What was sold before may not be sold any more.
    """
    version = documents.rollback(session, kind=KIND, key=code, by=by, reason=reason, now=now)
    found = document_version(session, kind=KIND, key=code, version=version)
    _require_sound(set_up(read_product(found.body, version=version), on=business_date(now)))
    return version


def publish_house_products(
    session: Session,
    *,
    now: datetime,
    author: str = _HOUSE,
    approver: str = _RELEASE,
    first_alone: bool = False,
) -> int:
    """Make the house's own products documents, if they are none yet; returns how many.

    They are the first versions, so what was drawn before they were published keeps its version.
    Safe to repeat. A house may open with the `first_alone`, and come to sell the later ones by
    `publish_later_house_products`.
    """
    last = 1 if first_alone else None
    return sum(
        _publish(session, code, bodies[:last], author=author, approver=approver, now=now)
        for code, bodies in house_documents().items()
        if not _is_document(session, code)
    )


def publish_later_house_products(session: Session, *, now: datetime) -> None:
    """Sell what follows the first versions with which a house opened; not to be repeated."""
    for code, bodies in house_documents().items():
        _publish(session, code, bodies[1:], author=_HOUSE, approver=_RELEASE, now=now)


def _take_over(session: Session, code: str, *, now: datetime) -> None:
    """Before anybody writes a version of a house product, its first versions are the house's."""
    bodies = house_documents().get(code, ())
    if bodies and not _is_document(session, code):
        _publish(session, code, bodies, author=_HOUSE, approver=_RELEASE, now=now)


def _is_document(session: Session, code: str) -> bool:
    try:
        document_versions(session, kind=KIND, key=code)
    except DocumentNotFound:
        return False
    return True


def _publish(
    session: Session,
    code: str,
    bodies: Sequence[Mapping[str, Any]],
    *,
    author: str,
    approver: str,
    now: datetime,
) -> bool:
    for body in bodies:
        version = documents.save_draft(
            session, kind=KIND, key=code, body=body, author=author, now=now
        )
        try_product(session, code=code, version=version, by=_SELF_TEST, now=now)
        on = business_date(now)
        approve_product(session, code=code, version=version, by=approver, effective_on=on, now=now)
    return bool(bodies)


def _require_sound(tried: SetUp) -> None:
    if tried.problems:
        first = tried.problems[0]
        raise ProductRefused(f"{first.path}: {len(tried.problems)} problems", tried.problems)
