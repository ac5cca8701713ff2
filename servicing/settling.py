"""What ends a loan: the engine's quote, the product's fee for ending early, and what the cap takes.

Whoever pays early pays interest earlier than planned, which can make a loan dearer than the cap
although its plan is not. The excess is taken off what is asked, as a waiver that is booked before
the payment; a fee gives way first. What was paid beyond the cap long before is given back, and
then nothing more is asked. Nothing is stored here.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from kernel.money import Rounding, round_fen
from servicing.caps import excess_fen, keeps_to_cap
from servicing.engine.book import Kind
from servicing.engine.events import Charge, Event, EventCharge, Payment, Waiver
from servicing.engine.layout import flat_component
from servicing.engine.parts import Component, Parts
from servicing.engine.quote import QuoteKind, quote
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.engine.terms import EventFee, FeeEvent, Terms

# A waiver of fees would not show in what ends a loan early if the running instalment bears a fee
# that is not due yet, so there the credit is taken off the others.
_CREDITED_EARLY: tuple[Component, ...] = (
    *(Component.PENALTY, Component.INTEREST, Component.PRINCIPAL),
)
_CREDITED: tuple[Component, ...] = (Component.FEE, *_CREDITED_EARLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ends a loan on a day, fen.

    Attributes:
        plain_fen: What the engine asks for.
        fee_fen: For ending early, as far as the cap lets it.
        credit_fen: What the cap takes off.
        back_fen: What comes back to the borrower after it, since the cap takes more than could be
            taken off.
        before: What is booked before the payment, in order: the charge, the waivers.
    """

    plain_fen: int
    fee_fen: int
    credit_fen: int
    back_fen: int
    before: tuple[Event, ...]

    @property
    def total_fen(self) -> int:
        """What is to be paid."""
        return self.plain_fen + self.fee_fen - self.credit_fen


def early_ending(terms: Terms, known: Sequence[Event], on: date) -> Ending:
    """Say what ends a loan on a day whose later cost is saved."""
    asked = quote(terms, known, on, QuoteKind.SETTLE)
    state = replay(terms, known, on)
    charges = event_charges(terms, state, FeeEvent.EARLY_SETTLEMENT) if asked.is_prepayment else ()
    wanted = sum(charge.amount_fen for charge in charges)
    excess = excess_fen(state, asked_fen=asked.total_fen + wanted)
    fee = max(0, wanted - excess)
    excess -= wanted - fee
    credited = _credited(excess, asked.parts, _CREDITED_EARLY)
    return _ending(known, on, asked.parts, up_to(charges, fee), credited, excess)


def planned_ending(terms: Terms, known: Sequence[Event], on: date) -> Ending:
    """Say what ends a loan if all of its plan is paid on a day."""
    state = replay(terms, known, on)
    owed = state.outstanding
    excess = excess_fen(state, asked_fen=owed.total_fen) if owed.total_fen else 0
    return _ending(known, on, owed, (), _credited(excess, owed, _CREDITED), excess)


def plan_within_cap(terms: Terms, known: Sequence[Event], on: date) -> tuple[Event, ...]:
    """List what a prepayment makes us waive where it leaves a flat product's plan above the cap.

    What a flat product costs does not fall with what is owed, so that a smaller debt can cost more
    a year than is allowed. The least that brings it back is given up, of what falls due first.
    """
    if not terms.is_flat:
        return ()
    state, component = replay(terms, known, on), flat_component(terms)

    def waiving(fen: int) -> Waiver:
        return Waiver(id=str(len(known) + 1), on=on, component=component, amount_fen=fen)

    def keeps(fen: int) -> bool:
        return keeps_to_cap(replay(terms, [*known, waiving(fen)], on) if fen else state)

    owed_fen = state.outstanding.of(component)
    least = bisect_left(range(owed_fen), True, key=keeps)  # noqa: FBT003 -- what is looked for
    return (waiving(least),) if least else ()


def beyond_cap(terms: Terms, known: Sequence[Event], on: date) -> tuple[Event, ...]:
    """List what is booked when more was paid than the cap allows if not a fen more were asked.

    What is still owed can then never be asked for: it is waived whole, and what was paid too much
    is owed to the borrower, as interest given back as far as interest was paid. Whatever was paid
    only grows dearer with time, so no later day makes it right.
    """
    state = replay(terms, known, on)
    if state.written_off_on or not state.disbursed:
        return ()
    back = excess_fen(state, asked_fen=-state.overpaid_fen)
    if not back:
        return ()
    interest = min(back, state.paid.interest_fen)
    given = ((Kind.INTEREST_REFUND, interest), (Kind.CHARGE_ADJUSTMENT, back - interest))
    events: list[Event] = [*_before(len(known), on, (), state.outstanding)]
    for kind, fen in given:
        if fen:
            number = str(len(known) + len(events) + 1)
            events.append(Payment(id=number, on=on, amount_fen=fen, kind=kind))
    return tuple(events)


def event_charges(terms: Terms, state: LoanState, event: FeeEvent) -> tuple[EventCharge, ...]:
    """Return what the product asks for an event, and for whom, before the cap has its say.

    Nothing where no principal is left that is not due yet: it is what such an event is about.
    """
    later = (state.outstanding - state.due_now).principal_fen
    paid = sum(1 for row in state.rows if row.settled_on is not None)
    asked = [fee for fee in terms.event_fees if fee.event is event and later]
    charges = (
        EventCharge(
            name=fee.name,
            amount_fen=event_fee_fen(fee, base_fen=later, paid_terms=paid),
            payee=fee.payee,
        )
        for fee in asked
    )
    return tuple(charge for charge in charges if charge.amount_fen)


def event_fee_fen(fee: EventFee, *, base_fen: int, paid_terms: int) -> int:
    """Return what a fee on an event is by its tiers, fen."""
    tier = fee.tier(paid_terms)
    return tier.amount_fen + round_fen(base_fen * tier.share, rounding=Rounding.HALF_UP)


def up_to(charges: Sequence[EventCharge], most_fen: int) -> tuple[EventCharge, ...]:
    """Cut charges to what they may come to in all, fen; the last gives way first."""
    kept, left = [], most_fen
    for charge in charges:
        part = min(left, charge.amount_fen)
        left -= part
        if part:
            kept.append(replace(charge, amount_fen=part))
    return tuple(kept)


def _credited(excess: int, asked: Parts, components: tuple[Component, ...]) -> Parts:
    """Take an excess off what is asked, as far as that goes."""
    credited = Parts()
    for component in components:
        part = min(excess - credited.total_fen, asked.of(component))
        credited += Parts.one(component, part)
    return credited


def _ending(
    known: Sequence[Event],
    on: date,
    asked: Parts,
    charges: Sequence[EventCharge],
    credited: Parts,
    excess: int,
) -> Ending:
    return Ending(
        plain_fen=asked.total_fen,
        fee_fen=sum(charge.amount_fen for charge in charges),
        credit_fen=credited.total_fen,
        back_fen=excess - credited.total_fen,
        before=tuple(_before(len(known), on, charges, credited)),
    )


def _before(
    known: int, on: date, charges: Sequence[EventCharge], credited: Parts
) -> Iterator[Event]:
    """List what is booked before the payment; ids go on from what is known."""
    seq = known
    for charge in charges:
        seq += 1
        yield Charge(
            id=str(seq),
            on=on,
            amount_fen=charge.amount_fen,
            due_on=on,
            name=charge.name,
            payee=charge.payee,
        )
    for component in _CREDITED:
        part = credited.of(component)
        if part:
            seq += 1
            yield Waiver(id=str(seq), on=on, component=component, amount_fen=part)
