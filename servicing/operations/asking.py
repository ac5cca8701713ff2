"""What a borrower asks for about their own loan: at once as an offer, or of staff.

Another due day costs what the days between cost, so it is offered with its cost table and counts
when the borrower says yes; so is the next part of a loan that is drawn bit by bit. Whether a loan
is extended is for staff to say: they are alerted.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from servicing.offering import OfferKind, OfferState
from servicing.operations import plans
from servicing.operations.alerts import raise_alert
from servicing.operations.offers import make_offer, withdraw_offer
from servicing.operations.posting import lock_loan
from servicing.operations.proposals import OfferRefused
from servicing.queries.history import LoanNotFound
from servicing.tables import Loan, Offer

EXTENSION_ASKED: Final = "extension-asked"

_BORROWER: Final = "borrower"
_HOLDS: Final = timedelta(days=7)
# What a borrower may have without asking anybody, if the rules of the change allow it.
_WITHOUT_ASKING: Final = (OfferKind.DUE_DAY, OfferKind.NEXT_PART)


def ask_for_offer(
    session: Session,
    *,
    kind: OfferKind,
    loan_id: int,
    customer_id: int,
    details: Mapping[str, Any],
    on: date,
    now: datetime,
) -> int:
    """Make the offer that a borrower asks for, valid for a week; returns its number.

    One that they asked for before gives way to it.

    Raises:
        LoanNotFound: There is no such loan, or it is another's.
        OfferRefused: This is not had without asking, or we would give something up by it.
        OfferWaiting: Staff have offered the same kind already.
        DueDayRefused, TrancheRefused: The change's own rule forbids it.
    """
    _their_loan(session, loan_id, customer_id)
    if kind not in _WITHOUT_ASKING:
        raise OfferRefused(f"nobody has a {kind} without asking")
    earlier = session.scalars(select(Offer).where(Offer.loan_id == loan_id)).all()
    for offer in earlier:
        is_theirs = offer.kind == kind and offer.made_by == _BORROWER
        if is_theirs and offer.state == OfferState.OFFERED:
            withdraw_offer(session, offer_id=offer.id, by=_BORROWER, now=now)
    offer_id = make_offer(
        session,
        kind=kind,
        subject_id=loan_id,
        details=details,
        valid_until=on + _HOLDS,
        reason="asked-for",
        made_by=_BORROWER,
        on=on,
        key=f"asked/{loan_id}/{len(earlier)}",
        now=now,
        is_asked_for=True,
    )
    if session.get_one(Offer, offer_id).waived_fen:
        raise OfferRefused(f"the {kind} of loan {loan_id} would give something up")
    return offer_id


def ask_for_extension(
    session: Session, *, loan_id: int, customer_id: int, extra_terms: int, on: date, now: datetime
) -> bool:
    """Ask staff for more instalments; returns whether they were not asked for it today already.

    Raises:
        LoanNotFound: There is no such loan, or it is another's.
        ExtensionRefused: The rules do not allow it, so that there is nothing to ask.
    """
    loan = _their_loan(session, loan_id, customer_id)
    plans.extension(session, loan_id=loan_id, extra_terms=extra_terms, on=on)
    return raise_alert(
        session,
        key=f"{EXTENSION_ASKED}/{loan_id}/{on.isoformat()}",
        kind=EXTENSION_ASKED,
        severity="medium",
        customer_id=customer_id,
        loan_id=loan_id,
        details={"loan_no": loan.loan_no, "extra_terms": extra_terms},
        now=now,
    )


def _their_loan(session: Session, loan_id: int, customer_id: int) -> Loan:
    loan = lock_loan(session, loan_id=loan_id)
    if loan.customer_id != customer_id:
        raise LoanNotFound(f"no loan {loan_id} of this customer")
    return loan
