"""Offers: made by staff, taken by the customer, and fulfilled, lapsed or withdrawn.

One object serves extension, change of due day, a lower rate, settlement, a line's raise and the
next part of a loan that is drawn bit by bit. What
each may do to a loan follows the rules of the change itself; who may grant how much is checked
where the request comes in.

    OfferRefused   422  the sum, the day or the subject is not one that can be offered
    OfferWaiting   409  the same is offered already
    OfferUnwanted  409  the customer declined just this lately
    OfferChanged   409  it would give up more by now than somebody allowed
    OfferNotFound  404  no such offer, or another's
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from kernel import idempotency
from kernel.clock import start_of_day
from kernel.errors import Conflict
from servicing.offering import (
    LEFT_ALONE,
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
from servicing.operations import plans, tranches
from servicing.operations.customers import record_consent
from servicing.operations.disclosures import CostNotConfirmed, confirm_cost, content_hash
from servicing.operations.line_changes import change_granted
from servicing.operations.lines import lock_line
from servicing.operations.posting import lock_loan
from servicing.operations.proposals import OfferRefused, Proposal, does_as_shown, propose_offer
from servicing.operations.requests import Agreed
from servicing.operations.settlements import lapse, take_back
from servicing.queries.history import read_events
from servicing.queries.offers import OfferNotFound
from servicing.tables import CreditLine, Loan, Offer

_LONGEST_LIFE: Final = timedelta(days=90)
_BORROWER: Final = "borrower"
_MACHINE: Final = "machine"


class OfferWaiting(Conflict):
    """An offer of the same kind is open for the same loan or line."""

    code = "offer-waiting"
    message_zh = "同类方案已经发出，请先撤回"


class OfferUnwanted(Conflict):
    """The customer declined just this lately and has not asked for it since."""

    code = "offer-unwanted"
    message_zh = "客户近期已谢绝同样的方案；如客户主动提出，请勾选“客户主动提出”"


class OfferChanged(Conflict):
    """Something happened since, so that by now it would give up more than somebody allowed."""

    code = "offer-changed"
    message_zh = "分期情况已变化，该方案不再适用，请联系人工客服"


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
    is_asked_for: bool = False,
) -> int:
    """Offer something to the customer of a loan or line until a day; returns the offer's id.

    Safe to repeat with the same key. One that the customer asked for may be what they declined
    before. Other arguments and errors are those of `propose_offer`; also

    Raises:
        OfferWaiting: The same is offered already.
        OfferUnwanted: The customer declined just this lately.
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
    if not is_asked_for:
        _refuse_unwanted(session, kind, subject, details, on)
    proposal = propose_offer(session, kind=kind, subject_id=subject_id, details=details, on=on)
    offer = _new(session, proposal, subject.customer_id, valid_until, reason, made_by, now)
    claimed.keep({"offer_id": offer.id})
    return offer.id


def accept_offer(
    session: Session,
    *,
    offer_id: int,
    customer_id: int,
    channel: str,
    table_hash: str | None,
    seconds_shown: int,
    on: date,
    now: datetime,
) -> OfferState:
    """Take an offer with the customer's consent; safe to repeat.

    A change of the loan or line happens at once; a settlement waits for its money. One that would
    not do any more what it showed is not taken: it is replaced by one that says what it does now.

    Args:
        session: A write session.
        offer_id: The offer.
        customer_id: Whose it must be.
        channel: How the consent was given.
        table_hash: The version of the cost table that the customer had before them; None where
            there is none.
        seconds_shown: How long the cost table was on the screen.
        on: The business date.
        now: The instant.

    Raises:
        OfferNotFound: There is none, or it is another's.
        OfferStateRefused: It was declined or withdrawn, or its time is over.
        CostNotConfirmed: The customer read another cost table than the offer's.
        OfferChanged: It would give up more by now than was allowed when it was made.
        DueDayRefused, ExtensionRefused, RepricingRefused, TrancheRefused, OfferRefused: By now the
            change's own rule forbids it.
    """
    offer = _theirs(session, offer_id, customer_id)
    if offer.state in (OfferState.ACCEPTED, OfferState.FULFILLED, OfferState.REPLACED):
        return OfferState(offer.state)
    if not is_alive(offer.state, offer.valid_until, on):
        raise OfferStateRefused(f"offer {offer_id} is {offer.state}, valid to {offer.valid_until}")
    if offer.cost_table_hash != table_hash:
        raise CostNotConfirmed(f"offer {offer_id} has another cost table")
    if offer.kind != OfferKind.SETTLEMENT and _is_replaced(session, offer, on, now):
        return OfferState.REPLACED
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
        _confirm_cost(session, offer, seconds_shown, now)
        offer.effects = [_fulfil(session, offer, on, now)]
        offer.state = next_offer_state(offer.state, OfferEvent.FULFIL)
        offer.fulfilled_at = now
    return OfferState(offer.state)


def decline_offer(
    session: Session,
    *,
    offer_id: int,
    customer_id: int,
    channel: str,
    reason: str = "",
    now: datetime,
) -> bool:
    """Let the customer say no, with a reason or without; returns whether it was open until now.

    Raises:
        OfferNotFound: There is none, or it is another's.
        OfferStateRefused: It was taken, or is over.
    """
    offer = _theirs(session, offer_id, customer_id)
    if offer.state == OfferState.DECLINED:
        return False
    offer.state = next_offer_state(offer.state, OfferEvent.DECLINE)
    offer.closed_at, offer.closed_by = now, _BORROWER
    offer.declined_in, offer.decline_reason = channel, reason or None
    return True


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
        take_back(session, offer, loan_id=_subject_id(offer), on=on, actor=by, now=now)
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


def _fulfil(session: Session, offer: Offer, on: date, now: datetime) -> int:
    """Do what was agreed; returns the number of the event, or of the line's change."""
    if offer.loan_id is None:
        granted_fen = int(offer.details["granted_fen"])
        return change_granted(
            session, line_id=_subject_id(offer), granted_fen=granted_fen, actor=_BORROWER, now=now
        )
    by: Agreed = {
        "loan_id": offer.loan_id,
        "on": on,
        "key": f"offer/{offer.id}",
        "actor": _BORROWER,
        "now": now,
        "disclosure_id": offer.disclosure_id,
    }
    if offer.kind == OfferKind.EXTENSION:
        return plans.extend(session, extra_terms=offer.details["extra_terms"], **by)
    if offer.kind == OfferKind.DUE_DAY:
        return plans.change_due_day(session, due_day=offer.details["due_day"], **by)
    if offer.kind == OfferKind.NEXT_PART:
        return tranches.draw_tranche(session, amount_fen=offer.details["amount_fen"], **by)
    rate = Decimal(offer.details["rate_annual"])
    return plans.reprice(session, rate_annual=rate, from_on=on, **by)


# -- how it is kept, and kept true -----------------------------------------------------------------


def _new(
    session: Session,
    proposal: Proposal,
    customer_id: int,
    valid_until: date,
    reason: str,
    made_by: str,
    now: datetime,
    replaces_id: int | None = None,
) -> Offer:
    """Keep a proposal as an offer, with the cost table as it is shown from now on."""
    is_line = proposal.kind is OfferKind.LINE_RAISE
    subject_id, table = proposal.subject_id, proposal.cost_table
    offer = Offer(
        kind=proposal.kind,
        customer_id=customer_id,
        loan_id=None if is_line else subject_id,
        line_id=subject_id if is_line else None,
        details=dict(proposal.details),
        preview=dict(proposal.shown),
        cost_table=None if table is None else dict(table),
        cost_table_hash=None if table is None else content_hash(table),
        waived_fen=proposal.waived_fen,
        after_seq=0 if is_line else len(read_events(session, loan_id=subject_id)),
        valid_until=valid_until,
        state=OfferState.OFFERED,
        reason=reason,
        made_by=made_by,
        made_at=now,
        effects=[],
        replaces_id=replaces_id,
    )
    session.add(offer)
    session.flush()
    return offer


def _is_replaced(session: Session, offer: Offer, on: date, now: datetime) -> bool:
    """Replace an offer that would do something else by now; says whether it was.

    Raises:
        OfferChanged: It would give up more than whoever made it was allowed to.
    """
    proposal = propose_offer(
        session,
        kind=OfferKind(offer.kind),
        subject_id=_subject_id(offer),
        details=offer.details,
        on=on,
    )
    if does_as_shown(offer, proposal):
        return False
    if proposal.waived_fen > offer.waived_fen:
        raise OfferChanged(f"offer {offer.id} would give up {proposal.waived_fen} fen by now")
    offer.state = next_offer_state(offer.state, OfferEvent.REPLACE)
    offer.closed_at, offer.closed_by = now, _MACHINE
    _new(
        session,
        proposal,
        offer.customer_id,
        offer.valid_until,
        offer.reason,
        offer.made_by,
        now,
        replaces_id=offer.id,
    )
    return True


def _confirm_cost(session: Session, offer: Offer, seconds_shown: int, now: datetime) -> None:
    """Record that the cost table was confirmed just as it was shown."""
    if offer.cost_table is None:
        return
    offer.disclosure_id = confirm_cost(
        session,
        customer_id=offer.customer_id,
        content=offer.cost_table,
        seconds_shown=seconds_shown,
        now=now,
    )


def _theirs(session: Session, offer_id: int, customer_id: int) -> Offer:
    offer = lock_offer(session, offer_id=offer_id)
    if offer.customer_id != customer_id:
        raise OfferNotFound(f"no offer {offer_id} of this customer")
    return offer


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
    known = session.scalar(
        select(Offer.id).where(
            _about(subject),
            Offer.kind == kind,
            Offer.state.in_(OPEN),
            Offer.valid_until >= on,
        )
    )
    if known is not None:
        raise OfferWaiting(f"offer {known} is open")


def _refuse_unwanted(
    session: Session,
    kind: OfferKind,
    subject: Loan | CreditLine,
    details: Mapping[str, Any],
    on: date,
) -> None:
    """Ask nobody again for what they declined lately."""
    declined = session.scalars(
        select(Offer).where(
            _about(subject),
            Offer.kind == kind,
            Offer.state == OfferState.DECLINED,
            Offer.closed_at > start_of_day(on - LEFT_ALONE),
        )
    )
    if any(offer.details == dict(details) for offer in declined):
        raise OfferUnwanted(f"the {kind} of {subject.id} was declined lately")


def _about(subject: Loan | CreditLine) -> ColumnElement[bool]:
    return (Offer.loan_id if isinstance(subject, Loan) else Offer.line_id) == subject.id
