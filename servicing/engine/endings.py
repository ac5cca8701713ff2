"""How a loan ends without being paid: charge-off, write-off, termination, cancellation, recovery.

And what comes back onto it: charge-backs and refunds of what was overpaid.
"""

from datetime import date
from decimal import Decimal

from servicing.engine.balance import own_interest_fen
from servicing.engine.book import Book, Kind, Record, Row, RowKind, Status
from servicing.engine.charges import row_after_maturity
from servicing.engine.events import (
    Cancellation,
    ChargeBack,
    ChargeOff,
    ChargeOffEffect,
    CreditBalanceRefund,
    Recovery,
    Termination,
    WriteOff,
)
from servicing.engine.parts import NOTHING, Component, Parts
from servicing.engine.payments import (
    EventRefused,
    cut_short,
    gather,
    recognise,
    settle_with,
)
from servicing.engine.recalculate import recalculate


def charge_off(book: Book, event: ChargeOff) -> None:
    """Take the claim off the books; it is still owed, and interest stands from now on."""
    if book.status is not Status.ACTIVE or book.charged_off_on:
        raise EventRefused("not-running", "only a running loan is charged off, and once")
    if event.effect is ChargeOffEffect.ACCELERATE:
        accelerate(book, event.on)
        recognise(book, event.id, event.on)
    elif event.effect is ChargeOffEffect.ZERO_INTEREST:
        book.rates.append((event.on, Decimal(0)))
        recalculate(book, event.on)
    owed = book.outstanding
    book.leave_books(event.on)
    book.note(event.id, Kind.CHARGE_OFF, event.on, owed.total_fen, owed)
    book.charged_off_on = event.on


def terminate(book: Book, event: Termination) -> None:
    """End the contract: what is left is due now, with interest to the day."""
    if book.status is not Status.ACTIVE or book.ended_on or book.charged_off_on:
        raise EventRefused("not-running", "only a running loan can be terminated")
    accelerate(book, event.on)
    owed = book.outstanding
    book.note(event.id, Kind.TERMINATION, event.on, owed.total_fen, owed)
    book.ended_on = event.on


def cancel(book: Book, event: Cancellation) -> None:
    """End a contract whose purchase was undone; what is then paid too much is overpaid.

    The seller's money settles what is owed. Unless cost is borne, none is owed and what was paid
    of it comes back: interest first, then fees. Penalty that was paid is not a cost of buying.
    """
    if book.charged_off_on or book.written_off_on or book.ended_on or not book.disbursed:
        raise EventRefused("not-cancellable", "only a contract that runs or was kept can be undone")
    if event.amount_fen <= 0:
        raise EventRefused("no-amount", "the seller gives back an amount")
    if book.status is Status.ACTIVE:
        accelerate(book, event.on)
    book.cancelled_on = event.on
    book.is_cost_forgotten = not event.bears_cost
    back = NOTHING if event.bears_cost else _forget_cost(book)
    book.ended_on = event.on
    for kind, fen in (
        (Kind.INTEREST_REFUND, back.interest_fen),
        (Kind.CHARGE_ADJUSTMENT, back.fee_fen),
        (Kind.MERCHANT_REFUND, event.amount_fen),
    ):
        if fen:
            settle_with(book, event.id, kind, event.on, fen)


def _forget_cost(book: Book) -> Parts:
    """Take what is owed beside principal off every row; return what was paid of it."""
    for row in book.rows:
        settled = row.paid + row.waived
        row.due = settled.having(Component.PRINCIPAL, row.due.principal_fen)
    return book.paid


def accelerate(book: Book, on: date) -> None:
    """Make all principal due on a day; the running period ends there, later ones go.

    Interest of later periods that was waived stays given up, of what the running one costs.
    """
    row = book.current(on) or book.next_due(on)
    if row is None:
        return
    row.from_on = min(row.from_on, on)
    interest = row.carried_fen + own_interest_fen(book, row, on)
    later_rows = [other for other in book.instalments if other.due_on > row.due_on]
    row.waived += Parts(interest_fen=sum(other.waived.interest_fen for other in later_rows))
    later = gather(book, row)
    cut_short(row, on)
    row.owe_more(Component.PRINCIPAL, later.principal_fen)
    if not book.terms.is_flat:
        row.owe(Component.INTEREST, interest)
    row.cover_paid()
    row.is_fixed = True
    book.mark_settled(on)


def write_off(book: Book, event: WriteOff) -> None:
    """Give up what is owed, or so much principal of it."""
    if book.status is not Status.ACTIVE:
        raise EventRefused("not-running", "only a running loan is written off")
    if not book.charged_off_on:
        book.leave_books(event.on)
    given_up = Parts()
    most = event.amount_fen
    for row in book.unsettled():
        part = row.outstanding
        if most is not None:
            part = Parts(principal_fen=min(part.principal_fen, most - given_up.principal_fen))
        book.give_up(row, part, event.on)
        given_up += part
    book.written_off_on = event.on
    book.mark_settled(event.on)
    book.note(event.id, Kind.WRITE_OFF, event.on, given_up.total_fen, given_up)


def recover(book: Book, event: Recovery) -> None:
    """Record money on a claim that was given up; it settles nothing."""
    if not book.written_off_on or event.amount_fen <= 0:
        raise EventRefused(
            "not-written-off", "only what was written off is recovered, by an amount"
        )
    book.note(event.id, Kind.RECOVERY, event.on, event.amount_fen)


def charge_back(book: Book, event: ChargeBack) -> None:
    """Owe a payment again that was taken back, with the next instalment."""
    _require_no_write_off(book)
    payment = _payment(book, event.of)
    taken = sum(fen for of, fen in book.charged_back if of == event.of)
    if event.amount_fen <= 0 or event.amount_fen > payment.amount_fen - taken:
        raise EventRefused("beyond-payment", "no more can be taken back than was paid")
    book.charged_back.append((event.of, event.amount_fen))
    before = _taken_back(event.order, payment.parts, taken)
    costs = _taken_back(event.order, payment.parts, taken + event.amount_fen) - before
    _credit(book, event.id, Kind.CHARGE_BACK, event.on, event.amount_fen, costs)


def _taken_back(order: tuple[Component, ...], settled: Parts, fen: int) -> Parts:
    """Return what of interest, fees and penalties so much of a payment had settled."""
    taken = NOTHING
    for component in order:
        part = min(fen, settled.of(component))
        taken += Parts.one(component, part)
        fen -= part
    return taken.having(Component.PRINCIPAL, 0)


def _require_no_write_off(book: Book) -> None:
    if book.written_off_on:
        raise EventRefused("owed-no-more", "nothing is owed again of a claim that was given up")


def _payment(book: Book, event_id: str) -> Record:
    for record in book.records:
        if record.event_id == event_id and record.kind is not Kind.ACCRUAL:
            return record
    raise EventRefused("no-payment", "there is no such payment")


def refund_credit(book: Book, event: CreditBalanceRefund) -> None:
    """Pay back what was overpaid; what is more than that is owed again as principal."""
    _require_no_write_off(book)
    if event.amount_fen <= 0:
        raise EventRefused("no-amount", "a refund needs an amount")
    _credit(book, event.id, Kind.CREDIT_BALANCE_REFUND, event.on, event.amount_fen)


def _credit(
    book: Book, event_id: str, kind: Kind, on: date, amount_fen: int, costs: Parts = NOTHING
) -> None:
    """Take from what is overpaid first; if that is too little, all of it is owed again.

    It is principal but for what of it had paid `costs`, none of which is earned a second time.
    """
    from_overpaid = min(book.overpaid_fen, amount_fen)
    book.overpaid_fen -= from_overpaid
    owed = Parts(principal_fen=amount_fen - from_overpaid)
    if from_overpaid < amount_fen:
        row = _row_to_credit(book, on)
        costs = NOTHING if from_overpaid else costs
        principal = amount_fen - costs.total_fen
        owed += costs - Parts(principal_fen=costs.total_fen)
        row.due += costs
        book.accrued += costs
        row.owe_more(Component.PRINCIPAL, principal)
        row.credited_fen += principal
        row.aim_higher(principal)
        if row.kind is not RowKind.ADDITIONAL:
            book.draws.append((on, principal))
        book.pay(row, Component.PRINCIPAL, from_overpaid, on)
    recalculate(book, on)
    book.mark_settled(on)
    book.note(event_id, kind, on, amount_fen, owed, from_overpaid)


def _row_to_credit(book: Book, on: date) -> Row:
    rows = [row for row in book.instalments if row.due_on > on]
    if rows:
        return rows[0]
    last = book.instalments[-1]
    return last if last.due_on == on else row_after_maturity(book, on)
