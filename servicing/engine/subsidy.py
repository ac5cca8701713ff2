"""What the merchant pays in the borrower's place (贴息): interest on what is owed by plan.

It follows the plan and ends with the loan, and never exceeds what the drawings came to as agreed:
longer plans are between lender and borrower.
"""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from servicing.engine.book import Book, Kind, Row, Status
from servicing.engine.events import SubsidyPayment
from servicing.engine.interest import Segment, interest_fen
from servicing.engine.layout import draw
from servicing.engine.payments import EventRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsidy:
    """What the merchant owes for an instalment's period, fen.

    Attributes:
        paid_fen: Of it; on the last instalment also what was paid too much.
        is_final: The loan has ended, so that no day can add to it or take from it.
    """

    fen: int = 0
    paid_fen: int = 0
    is_final: bool = False


NO_SUBSIDY = Subsidy()


def subsidies(book: Book) -> list[Subsidy]:
    """Return the subsidy of each row; what was paid covers the oldest first."""
    if not book.terms.subsidy_rate_annual or not book.disbursed:
        return [NO_SUBSIDY] * len(book.rows)
    ends_on = _ends_on(book)
    left, paid = _agreed_fen(book), book.subsidy_paid_fen
    found = []
    for row in book.rows:
        fen = min(left, 0 if book.is_cost_forgotten else _of_row(book, row, ends_on))
        part = paid if row is book.rows[-1] else min(paid, fen)
        left, paid = left - fen, paid - part
        found.append(Subsidy(fen=fen, paid_fen=part, is_final=ends_on is not None))
    return found


def pay_subsidy(book: Book, event: SubsidyPayment) -> None:
    """Take in what the merchant paid, or give back what it paid too much."""
    if not event.amount_fen or not book.terms.subsidy_rate_annual:
        raise EventRefused("subsidy", "a subsidy is paid by an amount, where one was agreed")
    book.subsidy_paid_fen += event.amount_fen
    if book.subsidy_paid_fen < 0:
        raise EventRefused("subsidy", "no more is given back than was paid")
    book.note(event.id, Kind.SUBSIDY_PAYMENT, event.on, event.amount_fen)


def _ends_on(book: Book) -> date | None:
    """Return the day since which nothing is lent or the claim is lost; None while it runs."""
    ends = [book.ended_on, book.charged_off_on, book.written_off_on]
    if book.status in (Status.CLOSED, Status.OVERPAID):
        ends.append(max(row.settled_on or row.due_on for row in book.rows))
    return min((on for on in ends if on is not None), default=None)


def _agreed_fen(book: Book) -> int:
    """Return what the drawings come to if they are repaid as they were agreed."""
    fresh = Book(terms=book.terms)
    for on, fen in book.disbursed:
        draw(fresh, on, fen)
        fresh.disbursed.append((on, fen))
    return sum(_of_row(fresh, row, None) for row in fresh.rows)


def _of_row(book: Book, row: Row, ends_on: date | None) -> int:
    end = row.due_on if ends_on is None else min(row.due_on, ends_on)
    if row not in book.instalments or end <= row.from_on:
        return 0
    inside = {on for on, _ in book.disbursed if row.from_on < on < end}
    segments = [
        Segment(
            from_on=since,
            to_on=to,
            balance_fen=_planned_fen(book, since),
            rate_annual=book.terms.subsidy_rate_annual,
        )
        for since, to in pairwise([row.from_on, *sorted(inside), end])
    ]
    return interest_fen(book.terms.profile, book.terms.frequency, row.period, segments)


def _planned_fen(book: Book, on: date) -> int:
    """Return the principal that is owed by plan from a day on, fen."""
    drawn = sum(fen for day, fen in book.disbursed if day <= on)
    ended = (row for row in book.rows if row.due_on <= on)
    return max(0, drawn - sum(row.due.principal_fen - row.credited_fen for row in ended))
