"""Splits money over what is owed, by a waterfall, to the fen.

Horizontally it finishes an instalment's components before the next instalment, vertically it
finishes a component over all instalments before the next component. What nothing is left for
comes back.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import islice

from servicing.engine.balance import accrued_fen
from servicing.engine.book import Book, Due, Row
from servicing.engine.parts import Component
from servicing.engine.profile import Recalculation
from servicing.engine.waterfall import Direction, Future, Timing, Waterfall

_CHARGES = (Component.PENALTY, Component.FEE)


def timing_of(row: Row, on: date) -> Timing:
    """Say how a row stands to a day."""
    if row.due_on < on:
        return Timing.PAST_DUE
    return Timing.DUE if row.due_on == on else Timing.IN_ADVANCE


def allocate(
    book: Book,
    *,
    amount_fen: int,
    on: date,
    future: Future,
    timings: tuple[Timing, ...] = tuple(Timing),
    is_prepayment: bool = False,
) -> int:
    """Settle what is owed with an amount, and return what is left over, fen.

    What is paid in advance goes to the instalments that `future` names; only what has one of the
    `timings` is settled at all.
    """
    waterfall = book.waterfall_on(on, is_prepayment=is_prepayment)
    left = amount_fen
    if waterfall.direction is Direction.VERTICAL:
        for timing, component in waterfall.rules:
            if timing in timings:
                left = _pass(book, (component,), timing, left, on, future)
        return left
    for timing in waterfall.timings:
        if timing in timings:
            if timing is Timing.IN_ADVANCE and waterfall.has_due_charges_first:
                left = _due_charges(book, waterfall, left, on)
            left = _pass(book, waterfall.components(timing), timing, left, on, future)
    return left


def _pass(
    book: Book,
    components: tuple[Component, ...],
    timing: Timing,
    amount_fen: int,
    on: date,
    future: Future,
) -> int:
    """Go round until the money or the debt of that timing is used up."""
    left, before = amount_fen, -1
    while left > 0 and left != before:
        before = left
        rows = _targets(book, timing, on, future, components)
        for component in components:
            left -= _over(book, rows, component, left, on) if left else 0
    return left


def _targets(
    book: Book, timing: Timing, on: date, future: Future, components: tuple[Component, ...]
) -> list[Row]:
    """Return the rows that take the next money of one timing."""
    takers = (
        row
        for row in book.rows
        if timing_of(row, on) is timing
        and row.owed_fen > 0
        and any(payable_fen(book, row, component, on) > 0 for component in components)
    )
    if timing is Timing.IN_ADVANCE and future is Future.REAMORTISE:
        return list(takers)
    if timing is Timing.IN_ADVANCE and future is Future.LAST:
        return list(takers)[-1:]
    return list(islice(takers, 1))


def _over(book: Book, rows: list[Row], component: Component, amount_fen: int, on: date) -> int:
    """Give each row an equal part, the last one the difference; return what they took."""
    taken = 0
    portions = _equal(book, amount_fen, len(rows)) if rows else []
    for row, portion in zip(rows, portions, strict=True):
        taken += settle(book, row, component, portion, on)
    return taken


def _equal(book: Book, amount_fen: int, count: int) -> list[int]:
    if count == 1:
        return [amount_fen]
    each = book.terms.profile.fen(Decimal(amount_fen) / count)
    if each * (count - 1) > amount_fen:
        each = amount_fen // count
    return [each] * (count - 1) + [amount_fen - each * (count - 1)]


def settle(book: Book, row: Row, component: Component, amount_fen: int, on: date) -> int:
    """Pay a component of a row with up to an amount; return what it took, fen."""
    most = payable_fen(book, row, component, on)
    return book.pay(row, component, min(amount_fen, most), on)


def payable_fen(book: Book, row: Row, component: Component, on: date) -> int:
    """Return what of a component can be paid on a day, fen.

    Where interest follows the actual balance, paying an instalment early costs the interest of the
    days until then only; the rest of the instalment is principal.
    """
    is_early = component not in _CHARGES and row.due_on > on and not row.is_fixed
    if not is_early or book.recalculation is not Recalculation.ACTUAL_BALANCE:
        return max(0, row.owed_of(component))
    has_level = row.level_fen is not None and row.principal_fen is None
    if component is Component.PRINCIPAL and not has_level:
        return max(0, row.owed_principal_fen)
    settled = row.paid + row.waived
    interest = max(settled.interest_fen, accrued_fen(book, row, on))
    if component is Component.INTEREST:
        return interest - settled.interest_fen
    aim = max(row.level_fen or 0, row.due.principal_fen + row.due.interest_fen)
    return max(0, min(_principal_left(book), aim - interest - settled.principal_fen))


def _principal_left(book: Book) -> int:
    return sum(row.owed_principal_fen for row in book.instalments)


def _due_charges(book: Book, waterfall: Waterfall, amount_fen: int, on: date) -> int:
    """Pay fees and penalties whose own day has come although their instalment is not due."""
    left = amount_fen
    components = [part for part in waterfall.components(Timing.DUE) if part in _CHARGES]
    for row in [row for row in book.unsettled() if row.due_on > on]:
        for component in components:
            come = sum(due.fen for due in dues_of(book, row, component) if due.due_on <= on)
            open_fen = come - row.paid.of(component) - row.waived.of(component)
            left -= settle(book, row, component, min(left, max(0, open_fen)), on)
    return left


def dues_of(book: Book, row: Row, component: Component) -> Iterator[Due]:
    """List the charges of a row that were posted by themselves."""
    return (
        due for due in book.dues if due.component is component and row_for(book, due.due_on) is row
    )


def row_for(book: Book, due_on: date) -> Row | None:
    """Return the instalment that a charge of a day belongs to: the one whose period it is in."""
    rows = book.instalments
    if rows and due_on <= rows[0].from_on:
        return rows[0]
    return next((row for row in rows if row.from_on < due_on <= row.due_on), None)
