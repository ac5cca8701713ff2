"""Tells what a loan looks like on a day, from its terms and everything that happened to it.

Events are replayed in the order of their value dates, those of one day in the order in which they
became known. A reversal takes its event out and everything after it is told anew; what the
reversed event had done stays readable. Nothing that is passed in changes, and the same events give
the same state.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from servicing.engine import changes, charges, endings, events, payments
from servicing.engine.book import Book, Kind, Record, Status
from servicing.engine.closing import close_day
from servicing.engine.events import CloseOfDay, Event, Reversal
from servicing.engine.favours import costs_of, give_back
from servicing.engine.layout import draw, follow_instalments
from servicing.engine.parts import Parts, total
from servicing.engine.payments import EventRefused
from servicing.engine.profile import Draws, Recalculation
from servicing.engine.recalculate import recalculate
from servicing.engine.running import running_penalty
from servicing.engine.state import LoanState, freeze
from servicing.engine.subsidy import pay_subsidy
from servicing.engine.terms import Terms


def replay(terms: Terms, happened: Sequence[Event], as_of: date) -> LoanState:
    """Return the loan as of a day.

    Args:
        terms: What was agreed.
        happened: All events in the order in which they became known; later value dates than
            `as_of` do not count.
        as_of: The day; overdue interest and penalty are brought up to it.

    Raises:
        EventRefused: An event cannot happen to the loan as it stands then.
    """
    known = counted(happened, as_of)
    undone, kept = told_before(terms, known)
    book = opened(terms, recognised(known), kept)
    return state_of(book, known, [*undone, *kept], as_of)


def counted(happened: Sequence[Event], on: date) -> list[Event]:
    """Leave out what counts later than a day, and with it what takes that back."""
    later = {event.id for event in happened if event.counts_on > on}
    for event in happened:
        if isinstance(event, Reversal) and event.of in later:
            later.add(event.id)
    return [event for event in happened if event.id not in later]


def state_of(book: Book, known: Sequence[Event], told: Sequence[Record], as_of: date) -> LoanState:
    """Freeze working papers as of a day; `told` are records of events that they leave out."""
    running = running_penalty(book)
    bring_up_to(book, as_of)
    place = {event.id: index for index, event in enumerate(known)}
    records = [*book.records, *told]
    records.sort(key=lambda record: (record.on, place[record.event_id]))
    return freeze(book, as_of, records, running)


def opened(terms: Terms, happened: Sequence[Event], kept: Sequence[Record] = ()) -> Book:
    """Return the working papers after some events, reversed ones left out.

    Args:
        terms: What was agreed.
        happened: Events in the order in which they became known.
        kept: Income that was recognised before and stays so.
    """
    ordered = in_order(happened)
    book = _new_book(terms, ordered, kept)
    tell(book, ordered)
    return book


def _new_book(terms: Terms, ordered: Sequence[Event], kept: Sequence[Record]) -> Book:
    book = Book(terms=terms, accrued=total(record.parts for record in kept))
    if terms.is_flat and terms.profile.draws is Draws.WHOLE:
        draws = [event for event in ordered if isinstance(event, events.Disbursement)]
        book.coming = [(event.on, event.amount_fen) for event in draws]
    return book


def in_order(happened: Sequence[Event]) -> list[Event]:
    """Put events in the order of their value dates, without those that were reversed."""
    return sorted(in_force(happened), key=lambda event: event.counts_on)


def tell(book: Book, ordered: Sequence[Event]) -> None:
    """Let events happen one after the other."""
    for event in ordered:
        bring_up_to(book, event.counts_on)
        _HANDLERS[type(event)](book, event)
        book.mark_settled(event.counts_on)


def bring_up_to(book: Book, on: date) -> None:
    """Let overdue amounts bear what they do up to a day."""
    if not book.disbursed or book.status in (Status.CLOSED, Status.OVERPAID):
        book.penalised_to = max(book.penalised_to, on)
        return
    # What is overdue bears penalty on what it is by then, so that only days count, not how often
    # somebody looked.
    if book.recalculation is not Recalculation.NONE:
        recalculate(book, on)
        book.mark_settled(on)
    charges.penalise(book, on)


def taken_back(happened: Sequence[Event]) -> set[str]:
    """Return the ids of what was reversed, reversals that were reversed themselves among them."""
    gone: set[str] = set()
    for event in reversed(happened):
        if isinstance(event, Reversal) and event.id not in gone:
            gone.add(event.of)
    return gone


def in_force(happened: Sequence[Event]) -> list[Event]:
    """Leave out what was reversed, and reversals that were reversed themselves."""
    gone = taken_back(happened)
    known = {event.id for event in happened}
    if gone - known:
        raise EventRefused("nothing-to-reverse", f"no event {', '.join(sorted(gone - known))}")
    return [event for event in happened if event.id not in gone and not isinstance(event, Reversal)]


_AFTER_WRITE_OFF: Final = (Kind.WRITE_OFF, Kind.RECOVERY)


def told_before(terms: Terms, happened: Sequence[Event]) -> tuple[list[Record], list[Record]]:
    """Return what reversed events had done before that, and income recognised until then.

    A reversal takes back what its event settled; income that was recognised stays recognised, so
    that it is not recognised twice.
    """
    undone: list[Record] = []
    kept: list[Record] = []
    for index, event in enumerate(happened):
        if isinstance(event, CloseOfDay) and event.earned_to:
            told = opened(terms, [*recognised(happened[:index]), event], kept)
            kept += [record for record in told.records if record.event_id == event.id]
        if not isinstance(event, Reversal):
            continue
        before = opened(terms, recognised(happened[:index]), kept)
        reversed_now = [record for record in before.records if record.event_id == event.of]
        if before.written_off_on and not any(r.kind in _AFTER_WRITE_OFF for r in reversed_now):
            raise EventRefused(
                "only-write-off", "on a loan that is written off, only that is reversed"
            )
        kept += [record for record in before.records if record.kind is Kind.ACCRUAL]
        undone += [
            replace(record, is_reversed=True)
            for record in reversed_now
            if record.kind is not Kind.ACCRUAL
        ]
    return undone, kept


def recognised(happened: Sequence[Event]) -> list[Event]:
    """Let days that were closed recognise nothing a second time, whatever is known by now."""
    return [
        replace(event, earned_to=None) if isinstance(event, CloseOfDay) else event
        for event in happened
    ]


def _disburse(book: Book, event: events.Disbursement) -> None:
    if event.amount_fen <= 0 or book.charged_off_on or book.written_off_on:
        raise EventRefused("not-running", "a disbursement needs an amount and a loan that runs")
    if book.disbursed:
        _require_drawable(book, event)
    book.disbursed.append((event.on, event.amount_fen))
    if book.coming:
        _draw_ahead(book)
    else:
        draw(book, event.on, event.amount_fen)
    if book.terms.profile.draws is Draws.REST:
        payments.settle_overpaid(book, event.on)
    else:
        payments.use_overpayment(book)
    if event.fee_fen:
        fee = Parts(fee_fen=event.fee_fen)
        book.fees_at_disbursement.append((event.on, event.fee_fen))
        book.note(event.id, Kind.REPAYMENT_AT_DISBURSEMENT, event.on, event.fee_fen, fee)
    book.note(event.id, Kind.DISBURSEMENT, event.on, event.amount_fen)


def _draw_ahead(book: Book) -> None:
    """Put all disbursements onto the plan with the first one."""
    if not book.draws:
        for on, fen in book.coming:
            draw(book, on, fen)
    book.coming.pop(0)


def _require_drawable(book: Book, event: events.Disbursement) -> None:
    """A further tranche goes onto instalments to come that can still be planned."""
    until = book.terms.draw_until
    if book.terms.tranches > 1:
        if event.amount_fen > book.undrawn_fen or (until is not None and event.on > until):
            raise EventRefused(
                "beyond-undrawn", "no more is drawn than is left, and no later than was agreed"
            )
        if book.next_due(event.on) is None:
            raise EventRefused("nothing-to-come", "there is no instalment to come that repays it")
    if not book.terms.is_flat and any(
        row.is_fixed for row in book.instalments if row.due_on > event.on
    ):
        raise EventRefused("plan-fixed", "the plan was fixed and takes no more")


def _lapse(book: Book, event: events.UndrawnLapse) -> None:
    if not book.undrawn_fen:
        raise EventRefused("nothing-undrawn", "there is nothing that could be drawn")
    book.lapsed_on = event.on


def _pause_interest(book: Book, event: events.InterestPause) -> None:
    before = costs_of(book, event.first_on)
    asked = {row: row.due for row in book.instalments}
    book.pauses.append((event.first_on, event.last_on))
    recalculate(book, event.on, since=event.first_on)
    give_back(book, event, before, costs_of(book, event.first_on))
    follow_instalments(book, asked, event.on)


def _pause_penalty(book: Book, event: events.PenaltyPause) -> None:
    book.penalty_pauses.append((event.first_on, event.last_on))


def _pause_lateness(book: Book, event: events.LatenessPause) -> None:
    book.lateness_pauses.append((event.first_on, event.last_on))


def _resume_lateness(book: Book, event: events.LatenessResume) -> None:
    book.lateness_pauses = [
        (first, event.on if last is None or last > event.on else last)
        for first, last in book.lateness_pauses
    ]


_HANDLERS: Final[dict[type[Event], Callable[..., None]]] = {
    events.Disbursement: _disburse,
    events.Payment: payments.post_payment,
    events.Prepayment: payments.post_prepayment,
    events.UndrawnLapse: _lapse,
    events.SubsidyPayment: pay_subsidy,
    events.Charge: charges.post_charge,
    events.InstalmentFee: charges.post_instalment_fee,
    events.Waiver: charges.post_waiver,
    events.ChargeBack: endings.charge_back,
    events.CreditBalanceRefund: endings.refund_credit,
    events.MovedDueDate: changes.move_due_date,
    events.ExtraTerms: changes.add_terms,
    events.PrincipalGrace: changes.give_grace,
    events.PaymentHoliday: changes.give_holiday,
    events.RateChange: changes.change_rate,
    events.ReAge: changes.re_age,
    events.ReAmortisation: changes.re_amortise,
    events.InterestPause: _pause_interest,
    events.PenaltyPause: _pause_penalty,
    events.LatenessPause: _pause_lateness,
    events.LatenessResume: _resume_lateness,
    events.ChargeOff: endings.charge_off,
    events.WriteOff: endings.write_off,
    events.Recovery: endings.recover,
    events.Termination: endings.terminate,
    events.Cancellation: endings.cancel,
    events.CloseOfDay: close_day,
}
