"""What an offer would say if it were made now: its preview, its cost table, what we would give up.

What becomes of an offer is decided in servicing.operations.offers.

    OfferRefused  422  the sum, the day or the subject is not one that can be offered
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.errors import Invalid
from servicing.engine.events import Event
from servicing.offering import OfferKind
from servicing.operations import plans, tranches
from servicing.operations.change_costs import change_table
from servicing.operations.disclosures import is_same_but_for_the_day
from servicing.operations.lines import LineNotFound, available_fen
from servicing.operations.previews import preview_event
from servicing.queries.history import find_loan, read_events, terms_of
from servicing.settling import early_ending
from servicing.tables import CreditLine, Offer

# What must be as it was shown for the customer's yes to be a yes to this, beside the cost table.
_OF_LOANS: Final = ("plan_after", "remaining_after_fen")
_OF_LINES: Final = ("granted_before_fen", "granted_after_fen")


class OfferRefused(Invalid):
    """The sum is not less than the debt, the raise is none, or the deadline is not near."""

    code = "offer-refused"
    message_zh = "结清金额须少于今天结清所需，新额度须高于现额度，有效期须在今天起 90 天内"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What an offer would say if it were made now.

    Attributes:
        subject_id: The loan, or the line of a raise.
        details: As in OfferView.
        shown: The preview, JSON-able.
        waived_fen: What we would give up, or how much a line would grow.
    """

    kind: OfferKind
    subject_id: int
    details: Mapping[str, Any]
    shown: Mapping[str, Any]
    cost_table: Mapping[str, Any] | None
    waived_fen: int


def propose_offer(
    session: Session, *, kind: OfferKind, subject_id: int, details: Mapping[str, Any], on: date
) -> Proposal:
    """Say what an offer would do; nothing is written.

    Args:
        session: A session.
        kind: What is offered.
        subject_id: The loan, or the line of a raise.
        details: By kind `extra_terms`, `due_day`, `rate_annual` as text, `sum_fen`, `granted_fen`,
            `amount_fen`.
        on: The business date.

    Raises:
        OfferRefused: As said above.
        CostAboveCap: The loan would cost more a year than is allowed.
        DueDayRefused, ExtensionRefused, RepricingRefused, TrancheRefused: The change's own rule
            forbids it.
        LineNotDrawable: The line of a further part is frozen or closed.
    """
    if kind is OfferKind.LINE_RAISE:
        return _raise(session, subject_id, details)
    if kind is OfferKind.SETTLEMENT:
        return _settlement(session, subject_id, details, on)
    event = _event(session, kind, subject_id, details, on)
    preview = preview_event(session, loan_id=subject_id, event=event)
    return Proposal(
        kind=kind,
        subject_id=subject_id,
        details=details,
        shown=preview.shown(),
        cost_table=change_table(session, loan_id=subject_id, event=event),
        waived_fen=max(0, -preview.extra_fen),
    )


def does_as_shown(offer: Offer, proposal: Proposal) -> bool:
    """Say whether an offer would do today just what it showed, on another day at most."""
    if not is_same_but_for_the_day(offer.cost_table, proposal.cost_table):
        return False
    names = _OF_LINES if offer.loan_id is None else _OF_LOANS
    return all(proposal.shown[name] == offer.preview[name] for name in names)


def _event(
    session: Session, kind: str, loan_id: int, details: Mapping[str, Any], on: date
) -> Event:
    if kind == OfferKind.EXTENSION:
        extra = details["extra_terms"]
        return plans.extension(session, loan_id=loan_id, extra_terms=extra, on=on)
    if kind == OfferKind.DUE_DAY:
        return plans.due_day_change(session, loan_id=loan_id, due_day=details["due_day"], on=on)
    if kind == OfferKind.NEXT_PART:
        return tranches.drawing(session, loan_id=loan_id, amount_fen=details["amount_fen"], on=on)
    rate = Decimal(details["rate_annual"])
    return plans.retention(session, loan_id=loan_id, rate_annual=rate, on=on)


def _settlement(session: Session, loan_id: int, details: Mapping[str, Any], on: date) -> Proposal:
    """A sum that is less than what settles the loan today without an offer."""
    terms = terms_of(find_loan(session, loan_id=loan_id))
    full_fen = early_ending(terms, read_events(session, loan_id=loan_id), on).total_fen
    sum_fen = int(details["sum_fen"])
    if not 0 < sum_fen < full_fen:
        raise OfferRefused(f"{sum_fen} fen do not settle {full_fen} fen for less")
    return Proposal(
        kind=OfferKind.SETTLEMENT,
        subject_id=loan_id,
        details=details,
        shown={"full_fen": full_fen, "sum_fen": sum_fen},
        cost_table=None,
        waived_fen=full_fen - sum_fen,
    )


def _raise(session: Session, line_id: int, details: Mapping[str, Any]) -> Proposal:
    line = session.get(CreditLine, line_id)
    if line is None:
        raise LineNotFound(f"no line {line_id}")
    granted_fen = int(details["granted_fen"])
    if line.state != "active" or granted_fen <= line.granted_fen:
        raise OfferRefused(f"line {line_id} is not raised to {granted_fen} fen")
    more_fen = granted_fen - line.granted_fen
    return Proposal(
        kind=OfferKind.LINE_RAISE,
        subject_id=line_id,
        details=details,
        shown={
            "granted_before_fen": line.granted_fen,
            "granted_after_fen": granted_fen,
            "available_before_fen": available_fen(line),
        },
        cost_table=None,
        waived_fen=more_fen,
    )
