"""What a borrower would have to pay on a day, computed by the very code that posts it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from servicing.engine.book import Book
from servicing.engine.events import Event, Payment, Prepayment
from servicing.engine.parts import Component, Parts, total
from servicing.engine.payments import accrued_cost
from servicing.engine.profile import Excess, Recalculation
from servicing.engine.replay import bring_up_to, opened, replay
from servicing.engine.settlement import settlement
from servicing.engine.state import LoanState
from servicing.engine.terms import Terms


class QuoteKind(StrEnum):
    """What is asked for.

    Attributes:
        DUE: All that is due by the day.
        SETTLE: What ends the loan.
    """

    DUE = "due"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What is to be paid on a day, fen."""

    kind: QuoteKind
    on: date
    parts: Parts

    @property
    def total_fen(self) -> int:
        """All of it."""
        return self.parts.total_fen


def quote(terms: Terms, happened: Sequence[Event], on: date, kind: QuoteKind) -> Quote:
    """Return what is to be paid on a day after some events.

    Posting exactly this as `payment_of` says leaves nothing due, or ends the loan.
    """
    book = opened(terms, [event for event in happened if event.counts_on <= on])
    bring_up_to(book, on)
    if kind is QuoteKind.DUE:
        parts = total(row.outstanding for row in book.unsettled() if row.due_on <= on)
    else:
        parts = _settles(book, on)
    return Quote(kind=kind, on=on, parts=parts)


def _settles(book: Book, on: date) -> Parts:
    """A loan without recalculation is settled by a prepayment: the cost to the day is enough."""
    if book.recalculation is not Recalculation.NONE:
        return settlement(book, on)
    row = book.current(on)
    if row is None or row.due_on == on:
        return _due_and_principal(book, on)
    return _due_and_principal(book, on) + accrued_cost(book, row, on)


def _due_and_principal(book: Book, on: date) -> Parts:
    """All that is due, and of what is not: principal and penalties."""
    due = [row.outstanding for row in book.rows if row.due_on <= on]
    later = [row.outstanding for row in book.rows if row.due_on > on]
    kept = [
        Parts(principal_fen=owed.principal_fen, penalty_fen=owed.of(Component.PENALTY))
        for owed in later
    ]
    return total([*due, *kept])


def payment_of(asked: Quote, *, event_id: str, terms: Terms) -> Event:
    """Return the event that pays a quote."""
    is_plain = terms.profile.recalculation is not Recalculation.NONE
    if asked.kind is QuoteKind.DUE or is_plain:
        return Payment(id=event_id, on=asked.on, amount_fen=asked.total_fen)
    return Prepayment(id=event_id, on=asked.on, amount_fen=asked.total_fen)


def preview(
    terms: Terms,
    happened: Sequence[Event],
    on: date,
    amount_fen: int,
    effect: Excess = Excess.REDUCE_INSTALMENT,
) -> LoanState:
    """Return the loan as it would be after prepaying an amount on a day."""
    event = Prepayment(id="preview", on=on, amount_fen=amount_fen, effect=effect)
    return replay(terms, [*happened, event], on)
