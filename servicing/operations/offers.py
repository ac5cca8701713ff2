"""Offers: made by staff, taken by the customer, and fulfilled, lapsed or withdrawn.

One object serves extension, change of due day, a lower rate, settlement and a line's raise. What
each may do to a loan follows the rules of the change itself; who may grant how much is checked
where the request comes in.

    OfferRefused   422  the sum, the day or the subject is not one that can be offered
    OfferWaiting   409  the same is offered already
    OfferChanged   409  the loan is not any more as it was when the offer was made
    OfferNotFound  404  no such offer, or another's
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel import idempotency
from kernel.errors import Conflict, Invalid
from servicing.engine.events import Event
from servicing.offering import (
    OPEN,
    OfferEvent,
    OfferKind,
    OfferState,
    OfferStateRefused,
    consent_purpose,
    consent_text,
    is_alive,
    next_offer_state,
)
from servicing.operations import plans
from servicing.operations.change_costs import change_table
from servicing.operations.customers import record_consent
from servicing.operations.disclosures import confirm_cost
from servicing.operations.line_changes import change_granted
from servicing.operations.lines import LineNotFound, available_fen, lock_line
from servicing.operations.posting import lock_loan
from servicing.operations.previews import preview_event
from servicing.operations.requests import Asked
from servicing.operations.settlements import lapse, take_back
from servicing.queries.history import find_loan, read_events, terms_of
from servicing.queries.offers import OfferNotFound
from servicing.settling import early_ending
from servicing.tables import CreditLine, Loan, Offer

_LONGEST_LIFE: Final = timedelta(days=90)
_BORROWER: Final = "borrower"
# What must be as it was shown for the customer's yes to be a yes to this.
_AGREED: Final = ("plan_after", "remaining_after_fen")


class OfferRefused(Invalid):
    """The sum is not less than the debt, the raise is none, or the deadline is not near."""

    code = "offer-refused"
    message_zh = "方案的金额或有效期不符合规定"


class OfferWaiting(Conflict):
    """An offer of the same kind is open for the same loan or line."""

    code = "offer-waiting"
    message_zh = "同类方案已经发出，请先撤回"


class OfferChanged(Conflict):
    """Something happened to the loan since, so that the offer would not do what it showed."""

    code = "offer-changed"
    message_zh = "分期情况已变化，该方案不再适用，请联系人工客服"


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
        details: By kind `extra_terms`, `due_day`, `rate_annual` as text, `sum_fen`, `granted_fen`.
        on: The business date.

    Raises:
        OfferRefused: As said above.
        CostAboveCap: The loan would cost more a year than is allowed.
        DueDayRefused, ExtensionRefused, RepricingRefused: The change's own rule forbids it.
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


def make_offer(
    session: Session,
    *,
    kind: OfferKind,
    subject_id: int,
    details: Mapping[str, Any],
    valid_until: date,
    reason: str,
    made_by: str,
    on: date,
    key: str,
    now: datetime,
) -> int:
    """Offer something to the customer of a loan or line until a day; returns the offer's id.

    Safe to repeat with the same key. Arguments and errors are those of `propose_offer`; also

    Raises:
        OfferWaiting: The same is offered already.
        KeyReused: The key stands for another offer.
    """
    payload = {"kind": kind, "subject_id": subject_id, "until": str(valid_until), **details}
    claimed = idempotency.claim(session, action="make-offer", key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["offer_id"])
    if not on <= valid_until <= on + _LONGEST_LIFE:
        raise OfferRefused(f"an offer cannot hold until {valid_until}")
    subject = _locked_subject(session, kind, subject_id)
    _refuse_second(session, kind, subject, on)
    proposal = propose_offer(session, kind=kind, subject_id=subject_id, details=details, on=on)
    is_loan = isinstance(subject, Loan)
    offer = Offer(
        kind=kind,
        customer_id=subject.customer_id,
        loan_id=subject_id if is_loan else None,
        line_id=None if is_loan else subject_id,
        details=dict(details),
        preview=dict(proposal.shown),
        cost_table=None if proposal.cost_table is None else dict(proposal.cost_table),
        waived_fen=proposal.waived_fen,
        after_seq=len(read_events(session, loan_id=subject_id)) if is_loan else 0,
        valid_until=valid_until,
        state=OfferState.OFFERED,
        reason=reason,
        made_by=made_by,
        made_at=now,
        effects=[],
    )
    session.add(offer)
    session.flush()
    claimed.keep({"offer_id": offer.id})
    return offer.id


def accept_offer(
    session: Session,
    *,
    offer_id: int,
    customer_id: int,
    channel: str,
    seconds_shown: int,
    on: date,
    now: datetime,
) -> OfferState:
    """Take an offer with the customer's consent; safe to repeat.

    A change of the loan or line happens at once; a settlement waits for its money.

    Args:
        session: A write session.
        offer_id: The offer.
        customer_id: Whose it must be.
        channel: How the consent was given.
        seconds_shown: How long the cost table was on the screen.
        on: The business date.
        now: The instant.

    Raises:
        OfferNotFound: There is none, or it is another's.
        OfferStateRefused: It was withdrawn or its time is over.
        OfferChanged: It would not do any more what it showed.
    """
    offer = lock_offer(session, offer_id=offer_id)
    if offer.customer_id != customer_id:
        raise OfferNotFound(f"no offer {offer_id} of this customer")
    if offer.state in (OfferState.ACCEPTED, OfferState.FULFILLED):
        return OfferState(offer.state)
    if not is_alive(offer.state, offer.valid_until, on):
        raise OfferStateRefused(f"offer {offer_id} is {offer.state}, valid to {offer.valid_until}")
    offer.state = next_offer_state(offer.state, OfferEvent.ACCEPT)
    offer.accepted_at = now
    offer.consent_id = record_consent(
        session,
        customer_id=customer_id,
        purpose=consent_purpose(offer.kind),
        text=consent_text(offer.kind),
        channel=channel,
        now=now,
    )
    if offer.kind != OfferKind.SETTLEMENT:
        _refuse_changed(session, offer, on)
        _confirm_cost(session, offer, seconds_shown, on, now)
        offer.effects = [_fulfil(session, offer, on, now)]
        offer.state = next_offer_state(offer.state, OfferEvent.FULFIL)
        offer.fulfilled_at = now
    return OfferState(offer.state)


def withdraw_offer(session: Session, *, offer_id: int, by: str, now: datetime) -> bool:
    """Take an open offer back; returns whether it was open until now.

    What was paid towards a settlement stays paid.

    Raises:
        OfferNotFound: There is none.
        OfferStateRefused: It was fulfilled or has lapsed.
    """
    offer = lock_offer(session, offer_id=offer_id)
    if offer.state == OfferState.WITHDRAWN:
        return False
    offer.state = next_offer_state(offer.state, OfferEvent.WITHDRAW)
    offer.closed_at, offer.closed_by = now, by
    return True


def undo_offer(session: Session, *, offer_id: int, on: date, by: str, now: datetime) -> None:
    """Take back what a fulfilled offer did, as if it had never been made.

    Raises:
        OfferNotFound: There is none.
        OfferStateRefused: It is not fulfilled.
        EventRefused, LineChangeRefused: What it did cannot be taken back any more.
    """
    offer = lock_offer(session, offer_id=offer_id)
    offer.state = next_offer_state(offer.state, OfferEvent.UNDO)
    offer.closed_at, offer.closed_by = now, by
    if offer.line_id is None:
        take_back(session, offer, on=on, actor=by, now=now)
        return
    before_fen = int(offer.preview["granted_before_fen"])
    change_granted(
        session,
        line_id=offer.line_id,
        granted_fen=before_fen,
        actor=by,
        now=now,
        undoes_id=offer.effects[0],
    )


def end_offer(session: Session, *, offer_id: int, by: str, on: date, now: datetime) -> bool:
    """Withdraw an offer that is open, undo one that is fulfilled; returns whether it ended now.

    Errors are those of `withdraw_offer` and `undo_offer`.
    """
    offer = lock_offer(session, offer_id=offer_id)
    if offer.state != OfferState.FULFILLED:
        return withdraw_offer(session, offer_id=offer_id, by=by, now=now)
    undo_offer(session, offer_id=offer_id, on=on, by=by, now=now)
    return True


def lapse_offers(session: Session, *, on: date, now: datetime, limit: int = 500) -> int:
    """End offers whose last day is over, at most so many; returns how many.

    Nothing else changes: the debt stands as if nothing had been offered.
    """
    offers = session.scalars(
        select(Offer)
        .where(Offer.state.in_(OPEN), Offer.valid_until < on)
        .order_by(Offer.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for offer in offers:
        lapse(offer, now)
    return len(offers)


def lock_offer(session: Session, *, offer_id: int) -> Offer:
    """Lock an offer for writing, after the loan that it is about.

    Raises:
        OfferNotFound: There is none.
    """
    loan_id = session.scalar(select(Offer.loan_id).where(Offer.id == offer_id))
    if loan_id is not None:
        lock_loan(session, loan_id=loan_id)
    offer = session.scalar(
        select(Offer)
        .where(Offer.id == offer_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if offer is None:
        raise OfferNotFound(f"no offer {offer_id}")
    return offer


# -- what each kind means -------------------------------------------------------------------------


def _event(
    session: Session, kind: str, loan_id: int, details: Mapping[str, Any], on: date
) -> Event:
    if kind == OfferKind.EXTENSION:
        extra = details["extra_terms"]
        return plans.extension(session, loan_id=loan_id, extra_terms=extra, on=on)
    if kind == OfferKind.DUE_DAY:
        return plans.due_day_change(session, loan_id=loan_id, due_day=details["due_day"], on=on)
    rate = Decimal(details["rate_annual"])
    return plans.repricing(session, loan_id=loan_id, rate_annual=rate, from_on=on, on=on)


def _fulfil(session: Session, offer: Offer, on: date, now: datetime) -> int:
    """Do what was agreed; returns the number of the event, or of the line's change."""
    if offer.loan_id is None:
        granted_fen = int(offer.details["granted_fen"])
        return change_granted(
            session, line_id=_subject_id(offer), granted_fen=granted_fen, actor=_BORROWER, now=now
        )
    by: Asked = {
        "loan_id": offer.loan_id,
        "on": on,
        "key": f"offer/{offer.id}",
        "actor": _BORROWER,
        "now": now,
    }
    if offer.kind == OfferKind.EXTENSION:
        extra, shown = offer.details["extra_terms"], offer.disclosure_id or 0
        return plans.extend(session, extra_terms=extra, disclosure_id=shown, **by)
    if offer.kind == OfferKind.DUE_DAY:
        return plans.change_due_day(session, due_day=offer.details["due_day"], **by)
    rate = Decimal(offer.details["rate_annual"])
    return plans.reprice(session, rate_annual=rate, from_on=on, **by)


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


def _refuse_changed(session: Session, offer: Offer, on: date) -> None:
    kind, details = OfferKind(offer.kind), offer.details
    now_shown = propose_offer(
        session, kind=kind, subject_id=_subject_id(offer), details=details, on=on
    ).shown
    agreed = ("granted_before_fen",) if offer.loan_id is None else _AGREED
    if any(now_shown[name] != offer.preview[name] for name in agreed):
        raise OfferChanged(f"offer {offer.id} would do something else by now")


def _confirm_cost(
    session: Session, offer: Offer, seconds_shown: int, on: date, now: datetime
) -> None:
    """Record the cost table of today; but for the day it says what was shown."""
    if offer.loan_id is None:
        return
    event = _event(session, offer.kind, offer.loan_id, offer.details, on)
    offer.disclosure_id = confirm_cost(
        session,
        customer_id=offer.customer_id,
        content=change_table(session, loan_id=offer.loan_id, event=event),
        seconds_shown=seconds_shown,
        now=now,
    )


def _locked_subject(session: Session, kind: OfferKind, subject_id: int) -> Loan | CreditLine:
    if kind is OfferKind.LINE_RAISE:
        return lock_line(session, line_id=subject_id)
    return lock_loan(session, loan_id=subject_id)


def _subject_id(offer: Offer) -> int:
    found = offer.line_id if offer.loan_id is None else offer.loan_id
    if found is None:  # pragma: no cover -- the table's own constraint
        message = f"offer {offer.id} is about nothing"
        raise LookupError(message)
    return found


def _refuse_second(session: Session, kind: OfferKind, subject: Loan | CreditLine, on: date) -> None:
    about = Offer.loan_id if isinstance(subject, Loan) else Offer.line_id
    known = session.scalar(
        select(Offer.id).where(
            about == subject.id,
            Offer.kind == kind,
            Offer.state.in_(OPEN),
            Offer.valid_until >= on,
        )
    )
    if known is not None:
        raise OfferWaiting(f"offer {known} is open")
