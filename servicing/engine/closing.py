"""What the close of a day does to one loan: fees for lateness, and income that was earned.

Overdue amounts are brought up to the day by `replay.py` before; how the ledger of the house
recognises income is not here.
"""

from datetime import date

from servicing.engine.allocation import dues_of
from servicing.engine.book import Book, Due, Kind, Row, RowKind
from servicing.engine.events import CloseOfDay
from servicing.engine.layout import fee_of, flat_component
from servicing.engine.parts import NOTHING, Component, Parts
from servicing.engine.payments import cost_by

_CHARGES = (Component.FEE, Component.PENALTY)


def close_day(book: Book, event: CloseOfDay) -> None:
    """Charge what is late by now, and recognise what was earned to the day that is asked for."""
    if not book.disbursed or book.charged_off_on or book.written_off_on:
        return
    _charge_late_fees(book, event.on)
    if event.earned_to is not None:
        _recognise_to(book, event.id, event.earned_to)


def _charge_late_fees(book: Book, on: date) -> None:
    for row in book.instalments:
        if row.is_late_charged or row.due_on >= on or not row.owed_fen:
            continue
        row.is_late_charged = True
        for rule in book.terms.late_fees:
            fee = fee_of(book.terms.profile, rule, row.outstanding)
            name = f"{rule.name}/{row.due_on}"
            due = Due(event_id=name, component=rule.component, fen=fee, due_on=row.due_on)
            book.dues.append(due)
            row.owe_more(rule.component, fee)


def _recognise_to(book: Book, event_id: str, until: date) -> None:
    """Recognise income on the due date of each instalment, that of the running one on the day."""
    earned = NOTHING
    for row in book.rows:
        is_over = row.due_on <= until
        earned += _of_whole(row) if is_over else _of_part(book, row, until)
        income = _beyond(earned, book.accrued)
        if income.total_fen:
            book.accrued += income
            book.note(event_id, Kind.ACCRUAL, min(row.due_on, until), income.total_fen, income)
        if not is_over:
            return


def _of_whole(row: Row) -> Parts:
    """Return the income of a period that is over; what was waived of charges is none."""
    waived = row.waived.having(Component.INTEREST, 0)
    return (row.due - waived).having(Component.PRINCIPAL, 0)


def _of_part(book: Book, row: Row, until: date) -> Parts:
    """Return the income of a running period by a day: its cost so far, and charges of their day."""
    if row.kind is RowKind.ADDITIONAL:
        return NOTHING
    earned = Parts.one(flat_component(book.terms), cost_by(book, row, until))
    for component in _CHARGES:
        come = sum(due.fen for due in dues_of(book, row, component) if due.due_on <= until)
        earned += Parts.one(component, max(0, come - row.waived.of(component)))
    return earned


def _beyond(earned: Parts, recognised: Parts) -> Parts:
    more = NOTHING
    for component in Component:
        more += Parts.one(component, max(0, earned.of(component) - recognised.of(component)))
    return more
