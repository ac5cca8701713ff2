"""What would settle a loan on a day: the figure that quotes show and that closes the loan."""

from datetime import date

from servicing.engine.balance import accrued_fen
from servicing.engine.book import Book, Row
from servicing.engine.parts import NOTHING, Component, Parts, total
from servicing.engine.profile import Recalculation


def settlement(book: Book, on: date) -> Parts:
    """Return what settles the loan on a day, if interest follows the balance.

    All that is due, all principal and charges, and of the running period the interest to the day;
    interest of later periods is saved. Where nothing is recalculated, nothing is saved either.
    """
    if book.recalculation is Recalculation.NONE:
        return book.outstanding
    return total(_settles_row(book, row, on) for row in book.rows)


def _settles_row(book: Book, row: Row, on: date) -> Parts:
    owed = row.outstanding
    if row.due_on <= on or row.is_fixed:
        return owed
    accrued = accrued_fen(book, row, on) - row.paid.interest_fen - row.waived.interest_fen
    return owed.having(Component.INTEREST, max(0, accrued))


def forgive(book: Book, on: date) -> Parts:
    """Waive all that is still owed and end the plan with the running period."""
    given_up = settlement(book, on)
    later = [row for row in book.instalments if row.from_on >= on and row.paid == NOTHING]
    book.rows = [row for row in book.rows if row not in later]
    for row in book.rows:
        row.due = row.paid + row.waived
        row.is_fixed = True
    last = book.instalments[-1]
    last.due += given_up
    last.waived += given_up
    return given_up
