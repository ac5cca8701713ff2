"""What the machine is asked about an application: stated, known in the book, and answered outside.

It says what is known under the catalogue's names. What is missing is an absent name; what it leads
to is said by the strategy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.identity import phone_index
from servicing.caps import FUNDERS
from servicing.model import ApplicationState, EvidenceState
from servicing.queries.customers import customer_view
from servicing.queries.facts import application_snapshot
from servicing.tables import Application, ApplicationEvidence, Customer, Loan

# Who lends, in the catalogue's words, by the type of lender that a funder is (servicing.caps).
_LENDERS: Final[Mapping[str, str]] = {"micro-loan": "small_loan", "bank-assisted": "bank"}

_AS_THE_CATALOGUE_SAYS: Final[Mapping[str, str]] = {
    "amount_fen": "requested_fen",
    "terms": "requested_terms",
    "merchant_name": "merchant_name",
    "is_student": "is_student",
    "days_past_due": "days_past_due_now",
    "worst_dpd_12m": "own_overdue_days_max_12m",
    "on_time_ratio": "on_time_share",
    "months_on_book": "months_on_book",
    "utilisation": "line_utilisation",
    "line_granted_fen": "line_granted_fen",
    "line_used_fen": "line_used_fen",
    "applications_30d": "applications_30d",
    "device_others_30d": "device_others_30d",
    "wifi_others_30d": "wifi_others_30d",
}
_SHARES: Final = frozenset({"on_time_ratio", "utilisation"})
_LINKS: Final = ("device", "wifi", "address", "employer")
_BORN: Final = slice(6, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What `Decide` is asked; its members are that call's arguments."""

    key: str
    subject: str
    product: str
    values: Mapping[str, Any]
    links: Mapping[str, str]


def question_of(
    session: Session, cipher: FieldCipher, *, application_id: int, now: datetime
) -> Question | None:
    """Collect what is known of an application; None while evidence is waited for, or once decided.

    The age is read from the id number because the law wants it asked; nothing else of the number
    is. The number itself goes as its index, and so does the phone: lists hold no other.
    """
    application = _undecided(session, application_id)
    if application is None or still_asked(session, application_id=application_id):
        return None
    return _question(session, cipher, application, now)


def question_so_far(
    session: Session, cipher: FieldCipher, *, application_id: int, now: datetime
) -> Question | None:
    """Collect what is known of an application between two steps; None in the middle of one."""
    application = _undecided(session, application_id)
    left = still_asked(session, application_id=application_id)
    if application is None or not left or EvidenceState.WAITING in left.values():
        return None
    return _question(session, cipher, application, now)


def still_asked(session: Session, *, application_id: int) -> Mapping[str, str]:
    """Return the sub-systems that have still to answer, and whether it is their turn."""
    rows = session.scalars(
        select(ApplicationEvidence).where(
            ApplicationEvidence.application_id == application_id,
            ApplicationEvidence.state.in_((EvidenceState.WAITING, EvidenceState.PLANNED)),
        )
    )
    return {row.subsystem: row.state for row in rows}


def applied_for(session: Session, *, application_id: int) -> tuple[str, str]:
    """Return the product that an application is for, and who applies as risk knows them."""
    application = session.get_one(Application, application_id)
    return application.product_code, subject_of(application.customer_id)


def _undecided(session: Session, application_id: int) -> Application | None:
    application = session.get(Application, application_id)
    is_open = application is not None and application.state == ApplicationState.SUBMITTED
    return application if is_open else None


def _question(
    session: Session, cipher: FieldCipher, application: Application, now: datetime
) -> Question:
    on = business_date(now)
    customer = customer_view(session, cipher, customer_id=application.customer_id)
    values = {
        "product": application.product_code,
        "lender_type": lender_of(application.funder),
        "identity_key": identity_key(session, customer_id=customer.id),
        "phone": phone_index(cipher, customer.phone),
        "age_years": age_of(customer.id_number, on),
        "loans_settled": _loans_settled(session, customer.id),
        "income_monthly_fen": _income(application.attributes),
        **_facts(application_snapshot(session, application_id=application.id, on=on)),
        **_answers(session, application.id),
    }
    return Question(
        key=f"application/{application.id}",
        subject=subject_of(customer.id),
        product=application.product_code,
        values={name: value for name, value in values.items() if value is not None},
        links=links_of(application.attributes, phone=customer.phone),
    )


def lender_of(funder: str) -> str | None:
    """Say what kind of lender a funder is, in the catalogue's words; None if nobody knows."""
    return _LENDERS.get(FUNDERS.get(funder, ""))


def subject_of(customer_id: int) -> str:
    """Name a customer as risk knows them."""
    return f"customer:{customer_id}"


def identity_key(session: Session, *, customer_id: int) -> str:
    """Return what stands for a customer's id number on lists."""
    return session.get_one(Customer, customer_id).id_number_index


def _facts(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    return {
        theirs: Decimal(snapshot[ours]) if ours in _SHARES else snapshot[ours]
        for ours, theirs in _AS_THE_CATALOGUE_SAYS.items()
        if ours in snapshot
    }


def _answers(session: Session, application_id: int) -> dict[str, Any]:
    """Lay the answers together that came in time."""
    rows = session.scalars(
        select(ApplicationEvidence)
        .where(
            ApplicationEvidence.application_id == application_id,
            ApplicationEvidence.state == EvidenceState.ANSWERED,
        )
        .order_by(ApplicationEvidence.subsystem)
    )
    return {name: value for row in rows for name, value in (row.values or {}).items()}


def _income(attributes: Mapping[str, Any]) -> int | None:
    """Return what the applicant states to earn; what is no amount above zero was not stated."""
    stated = attributes.get("income_monthly_fen")
    return stated if type(stated) is int and stated > 0 else None


def links_of(attributes: Mapping[str, Any], *, phone: str) -> dict[str, str]:
    """Return what an applicant may share with others, by kind; personal, so hash or hide it."""
    found = {kind: attributes.get(kind) for kind in _LINKS} | {"phone": phone}
    return {kind: value for kind, value in found.items() if isinstance(value, str) and value}


def age_of(id_number: str, on: date) -> int | None:
    """Read the age in whole years; None where the number names no day before today."""
    try:
        born = date.fromisoformat(id_number[_BORN])
    except ValueError:
        return None
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    return years if years >= 0 else None


def _loans_settled(session: Session, customer_id: int) -> int:
    settled = select(func.count()).where(Loan.customer_id == customer_id, Loan.state == "closed")
    return session.scalar(settled) or 0
