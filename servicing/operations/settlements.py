"""Keeps offers true to their loan: a paid settlement completes by itself, and undoes itself.

Called after every payment, charge-back and reversal, in their transaction, with the loan locked.

    SettlementStands  409  what was given before a settlement stands as long as that does
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import accumulate
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from kernel.errors import Conflict
from servicing.engine.events import (
    ChargeBack,
    CreditBalanceRefund,
    Event,
    Payment,
    Prepayment,
    Recovery,
    Reversal,
    SubsidyPayment,
    Waiver,
)
from servicing.engine.parts import Component
from servicing.engine.replay import in_force, replay
from servicing.engine.terms import Terms
from servicing.offering import (
    GONE,
    OfferEvent,
    OfferKind,
    OfferState,
    consent_purpose,
    consent_text,
    next_offer_state,
)
from servicing.operations.customers import record_consent
from servicing.operations.posting import is_paid_in, post_event
from servicing.queries.history import find_loan, read_events, terms_of
from servicing.queries.offers import counted_payments
from servicing.tables import Offer

_MACHINE: Final = "machine"
# Paying the sum accepts the offer; the consent says how it was given.
_BY_PAYING: Final = "payment"
_OF_MONEY: Final = (ChargeBack, CreditBalanceRefund, Recovery, SubsidyPayment)


class SettlementStands(Conflict):
    """The borrower paid the sum that was to end the loan as it stood; nothing is added to it."""

    code = "settlement-stands"
    message_zh = "该分期已按减免结清方案结清；请先在“方案与冻结”中撤回该方案，再冲正这笔记录"


def refuse_after_settlement(session: Session, *, loan_id: int, event: Event) -> None:
    """Let nothing but money be taken back of a debt that a settlement ended.

    Money that went back is owed again, and what the settlement itself gave up ends it. Anything
    else would ask for more of somebody who paid what was agreed to be all.

    Raises:
        SettlementStands: It is something else, and the settlement was fulfilled and stands.
    """
    if is_paid_in(event) or isinstance(event, _OF_MONEY):
        return
    offers = session.scalars(_alive(loan_id).where(Offer.kind == OfferKind.SETTLEMENT)).all()
    for offer in offers:
        if offer.state == OfferState.FULFILLED and int(event.id) not in offer.effects:
            raise SettlementStands(f"offer {offer.id} settled loan {loan_id} since")


def follow_loan(session: Session, *, loan_id: int, on: date, now: datetime) -> None:
    """Bring the offers of a locked loan to what has happened to it; safe to repeat.

    A settlement whose sum was paid in time waives the rest, also when that becomes known after its
    deadline. One that was fulfilled and whose money was taken back asks for all of the debt again.
    An offer whose event was reversed is withdrawn.
    """
    alive = _alive(loan_id).with_for_update().execution_options(populate_existing=True)
    for offer in session.scalars(alive).all():
        events = read_events(session, loan_id=loan_id)
        if len(_standing(offer, events)) < len(offer.effects):
            take_back(session, offer, loan_id=loan_id, on=on, actor=_MACHINE, now=now)
            offer.state = next_offer_state(offer.state, OfferEvent.UNDO)
            offer.closed_at, offer.closed_by = now, _MACHINE
        elif offer.kind == OfferKind.SETTLEMENT:
            _follow_settlement(session, offer, loan_id, on, now)


def following(
    session: Session, *, loan_id: int, events: Sequence[Event]
) -> Iterator[tuple[Event, ...]]:
    """Say what each offer of a loan would book if these were its events; nothing is written.

    Args:
        session: A session.
        loan_id: The loan.
        events: All that happened to it and would happen; the last one is what is looked at. What is
            added to them meanwhile counts for the offers that come next.
    """
    terms, last_on = terms_of(find_loan(session, loan_id=loan_id)), events[-1].on
    for offer in session.scalars(_alive(loan_id)).all():
        standing, counted = _standing(offer, events), _counted(offer, events)
        is_settlement = offer.kind == OfferKind.SETTLEMENT
        is_fulfilled = offer.state == OfferState.FULFILLED
        is_unpaid = is_settlement and is_fulfilled and not _is_paid(offer, counted)
        if len(standing) < len(offer.effects) or is_unpaid:
            yield tuple(Reversal(id="", on=last_on, of=str(seq)) for seq in reversed(standing))
        elif is_settlement and not is_fulfilled and _is_paid(offer, counted):
            yield _rest(terms, events, _paid_on(counted, offer))


def _alive(loan_id: int) -> Select[Offer]:
    return (
        select(Offer).where(Offer.loan_id == loan_id, Offer.state.not_in(GONE)).order_by(Offer.id)
    )


def take_back(
    session: Session, offer: Offer, *, loan_id: int, on: date, actor: str, now: datetime
) -> None:
    """Reverse what an offer did to its loan, the last first; the offer's state is the caller's."""
    for seq in reversed(_standing(offer, read_events(session, loan_id=loan_id))):
        post_event(
            session,
            loan_id=loan_id,
            event=Reversal(id="", on=on, of=str(seq)),
            key=f"offer/{offer.id}/undo/{seq}",
            actor=actor,
            now=now,
        )
    offer.effects = []


def _follow_settlement(
    session: Session, offer: Offer, loan_id: int, on: date, now: datetime
) -> None:
    counted = _counted(offer, read_events(session, loan_id=loan_id))
    is_paid = _is_paid(offer, counted)
    if offer.state == OfferState.FULFILLED:
        if is_paid:
            return
        take_back(session, offer, loan_id=loan_id, on=on, actor=_MACHINE, now=now)
        offer.state = next_offer_state(offer.state, OfferEvent.UNFULFIL)
        offer.fulfilled_at = None
        if offer.valid_until < on:
            lapse(offer, now)
    elif is_paid:
        _complete(session, offer, loan_id, _paid_on(counted, offer), now)


def lapse(offer: Offer, now: datetime) -> None:
    """Let an offer end without effect."""
    offer.state = next_offer_state(offer.state, OfferEvent.LAPSE)
    offer.closed_at, offer.closed_by = now, _MACHINE


def _complete(session: Session, offer: Offer, loan_id: int, on: date, now: datetime) -> None:
    if offer.state == OfferState.OFFERED:
        offer.state = next_offer_state(offer.state, OfferEvent.ACCEPT)
        offer.accepted_at = now
    if offer.consent_id is None:
        offer.consent_id = record_consent(
            session,
            customer_id=offer.customer_id,
            purpose=consent_purpose(offer.kind),
            text=consent_text(offer.kind),
            channel=_BY_PAYING,
            now=now,
        )
    offer.effects = _waive_rest(session, offer, loan_id, on, now)
    offer.state = next_offer_state(offer.state, OfferEvent.FULFIL)
    offer.fulfilled_at, offer.closed_at, offer.closed_by = now, None, None


def _waive_rest(session: Session, offer: Offer, loan_id: int, on: date, now: datetime) -> list[int]:
    """Give up all that is owed, what only lateness cost first, principal last."""
    known = read_events(session, loan_id=loan_id)
    rest = _rest(terms_of(find_loan(session, loan_id=loan_id)), known, on)
    return [
        post_event(
            session,
            loan_id=loan_id,
            event=event,
            key=f"offer/{offer.id}/waive/{len(known) + n}",
            actor=_MACHINE,
            now=now,
        )
        for n, event in enumerate(rest, 1)
    ]


def _rest(terms: Terms, events: Sequence[Event], on: date) -> tuple[Waiver, ...]:
    """List what gives up all that is owed on a day, what only lateness cost first."""
    owed = replay(terms, events, on).outstanding
    return tuple(
        Waiver(id="", on=on, component=component, amount_fen=owed.of(component))
        for component in Component
        if owed.of(component)
    )


def _counted(offer: Offer, events: Sequence[Event]) -> list[Payment | Prepayment]:
    return counted_payments(events, after_seq=offer.after_seq, valid_until=offer.valid_until)


def _is_paid(offer: Offer, counted: Sequence[Payment | Prepayment]) -> bool:
    return sum(event.amount_fen for event in counted) >= int(offer.details["sum_fen"])


def _paid_on(counted: Sequence[Payment | Prepayment], offer: Offer) -> date:
    """Return the value date of the money that made the sum full."""
    by_day = sorted(counted, key=lambda event: event.on)
    paid = accumulate(event.amount_fen for event in by_day)
    sum_fen = offer.details["sum_fen"]
    return next(event.on for event, fen in zip(by_day, paid, strict=True) if fen >= sum_fen)


def _standing(offer: Offer, events: Sequence[Event]) -> list[int]:
    """Return the numbers of the events of an offer that were not reversed."""
    return sorted({int(event.id) for event in in_force(events)} & set(offer.effects))
