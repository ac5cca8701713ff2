"""What a borrower would have to pay on a day, computed by the very code that posts it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from servicing.engine.book import Book
from servicing.engine.events import Event, Payment, Prepayment
from servicing.engine.parts import Parts, total
from servicing.engine.payments import accrued_cost, owed_of_later
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
    """What is to be paid on a day, fen.

    Attributes:
        is_prepayment: It saves the cost of later periods, so it is posted as a prepayment.
    """

    kind: QuoteKind
    on: date
    parts: Parts
    is_prepayment: bool = False

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
        return Quote(kind=kind, on=on, parts=parts)
    is_planned = book.recalculation is Recalculation.NONE and _runs(book)
    parts = _saves_later_cost(book, on) if is_planned else settlement(book, on)
    return Quote(kind=kind, on=on, parts=parts, is_prepayment=is_planned)


def _runs(book: Book) -> bool:
    ends = (book.charged_off_on, book.written_off_on, book.ended_on)
    return all(day is None for day in ends)


def _saves_later_cost(book: Book, on: date) -> Parts:
    """A loan without recalculation is settled by a prepayment: the cost to the day is enough."""
    row = book.next_due(on)
    owed = _due_and_principal(book, on)
    return owed if row is None else owed + accrued_cost(book, row, on)


def _due_and_principal(book: Book, on: date) -> Parts:
    """All that is due, and of what is not: principal and charges that were posted."""
    return total(
        row.outstanding if row.due_on <= on else owed_of_later(book, row) for row in book.rows
    )


def payment_of(asked: Quote, *, event_id: str) -> Event:
    """Return the event that pays a quote."""
    paid = Prepayment if asked.is_prepayment else Payment
    return paid(id=event_id, on=asked.on, amount_fen=asked.total_fen)


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
