"""On which balances a period bears interest.

Where nothing is recalculated it is the balance by plan. Otherwise it is what was really
outstanding up to the day as of which the loan is looked at; from that day on, what is overdue is
taken to be paid.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise

from servicing.engine.book import Book, Row
from servicing.engine.interest import Segment, day_before, interest_fen
from servicing.engine.profile import Recalculation


def own_interest_fen(book: Book, row: Row, to_on: date | None = None) -> int:
    """Return the interest of a row's period, or of its days up to one, fen."""
    end = row.due_on if to_on is None else min(to_on, row.due_on)
    if row.is_free or end <= row.from_on:
        return 0
    terms = book.terms
    return interest_fen(terms.profile, terms.frequency, row.period, segments(book, row, end))


def accrued_fen(book: Book, row: Row, on: date) -> int:
    """Return what interest a row has earned by a day that a payment of the day cannot save, fen."""
    if on < row.from_on:
        return 0
    return row.carried_fen + own_interest_fen(book, row, book.counts_from(on))


def segments(book: Book, row: Row, end: date) -> list[Segment]:
    """Cut a row's days up to one where the balance or the rate changes."""
    return [
        Segment(
            from_on=since,
            to_on=to,
            balance_fen=balance_fen(book, since),
            rate_annual=rate_on(book, since),
        )
        for since, to in steps(book, row, end)
    ]


def steps(book: Book, row: Row, end: date) -> Iterator[tuple[date, date]]:
    """List from when to when neither the balance nor the rate of a row changes, up to a day."""
    inside = {on for on in _changes(book) if row.from_on < on < end}
    return pairwise([row.from_on, *sorted(inside), end])


def _changes(book: Book) -> list[date]:
    days = [on for on, _ in book.draws] + [on for on, _ in book.rates]
    for first, last in book.pauses:
        days += [day_before(first), *([last] if last else [])]
    days += [until for _, until, _ in book.overdue]
    if book.recalculation is not Recalculation.NONE:
        days += [on for on, _ in book.repaid] + [book.counts_from(book.recalculated_on)]
    return days


def rate_on(book: Book, on: date) -> Decimal:
    """Return the annual rate of the step that begins on a day; 0 while interest is paused."""
    for first, last in book.pauses:
        if day_before(first) <= on and (last is None or on < last):
            return Decimal(0)
    holding = [rate for since, rate in book.rates if since <= on]
    return holding[-1] if holding else book.terms.rate_annual


def balance_fen(book: Book, on: date) -> int:
    """Return the balance that bears interest from a day on, fen, never negative."""
    drawn = sum(fen for day, fen in book.draws if day <= on)
    ended = [row for row in book.instalments if row.due_on <= on]
    if book.recalculation is Recalculation.NONE:
        late = sum(fen for since, until, fen in book.overdue if since <= on < until)
        return max(0, drawn - late - sum(row.due.principal_fen for row in ended))
    balance = drawn - sum(fen for day, fen in book.repaid if day <= on)
    if on >= book.counts_from(book.recalculated_on):
        balance -= sum(max(0, row.owed_principal_fen) for row in ended)
    elif book.terms.profile.is_compounding:
        balance += unpaid_interest_fen(book, on)
    return max(0, balance)


def unpaid_interest_fen(book: Book, on: date) -> int:
    """Return the interest that had fallen due by a day and was not paid by then, fen."""
    fell_due = sum(row.due.interest_fen for row in book.instalments if row.due_on <= on)
    return max(0, fell_due - sum(fen for day, fen in book.interest_paid if day <= on))
