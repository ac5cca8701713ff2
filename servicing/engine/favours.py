"""Gives back interest that was paid for days which cost less, as it turns out later.

A lower rate or a pause may reach back to days that are paid for. A row keeps what was paid of it;
what is saved there settles what is owed next, and beyond that it is owed to the borrower. Nothing
of this makes anybody owe more, or sooner.
"""

from collections.abc import Mapping
from datetime import date

from servicing.engine.balance import own_interest_fen
from servicing.engine.book import Book, Kind, Row
from servicing.engine.events import Event
from servicing.engine.layout import flat_costs
from servicing.engine.parts import Component
from servicing.engine.payments import settle_with
from servicing.engine.recalculate import stands

Costs = Mapping[Row, int]


def costs_of(book: Book, since: date) -> Costs:
    """Return what instalments from a day on cost, fen, by rates and pauses as they are."""
    rows = [row for row in book.instalments if row.due_on >= since]
    if book.terms.is_flat:
        drawn = sum(fen for _, fen in book.draws)
        return dict(zip(rows, flat_costs(book, rows, drawn), strict=True))
    return {row: own_interest_fen(book, row) for row in rows}


def give_back(book: Book, event: Event, before: Costs, after: Costs) -> None:
    """Credit what was paid of interest that is not owed any more, once the rest is planned anew."""
    if book.charged_off_on or book.written_off_on or book.ended_on:
        return
    less = {row: fen - after.get(row, fen) for row, fen in before.items()}
    saved = sum(_saved_fen(book, row, less[row], event.on) for row in less if less[row] > 0)
    if saved:
        book.mark_settled(event.on)
        settle_with(book, event.id, Kind.INTEREST_REFUND, event.on, saved)


def _saved_fen(book: Book, row: Row, less_fen: int, on: date) -> int:
    """Return what was paid of a row that costs so much less; the rest of it is owed no more."""
    if not book.terms.is_flat and not stands(book, row, on):
        settled = row.paid.interest_fen + row.waived.interest_fen
        beyond = settled - row.carried_fen - own_interest_fen(book, row)
        return max(0, min(less_fen, beyond, row.paid.interest_fen))
    owed = min(less_fen, row.owed_of(Component.INTEREST))
    row.owe_more(Component.INTEREST, -owed)
    return min(less_fen - owed, row.paid.interest_fen)
