"""Gives every instalment its principal and interest, and does so again when balances change.

One pass in the order of due dates: interest on the balances of the period, principal up to the
level of the instalment, the last row takes what is left.
"""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import dropwhile, pairwise

from servicing.engine.balance import own_interest_fen, rate_on, steps
from servicing.engine.book import Book, Row
from servicing.engine.interest import level_share, period_share, share
from servicing.engine.parts import Component
from servicing.engine.profile import Excess, LastRow, LevelBy, Recalculation


def recalculate(book: Book, on: date, *, since: date | None = None) -> None:
    """Bring principal and interest of all open instalments to a day.

    A loan that is charged off, written off or ended keeps what it has. What is paid and past
    stands too, unless what is known of the days since an earlier one has changed.
    """
    if book.terms.is_flat or book.charged_off_on or book.written_off_on or book.ended_on:
        return
    book.recalculated_on = max(book.recalculated_on, on)
    rows = [row for row in book.instalments if not stands(book, row, on)]
    if book.recalculation is Recalculation.ACTUAL_BALANCE:
        rows = list(dropwhile(lambda row: _is_past(row, since or on), rows))
    if rows:
        _pass_over(book, rows)


def stands(book: Book, row: Row, on: date) -> bool:
    """Say whether what a row asks for is not computed again on a day."""
    is_past = book.recalculation is Recalculation.OPEN_PERIOD and row.due_on < on
    return row.is_fixed or (is_past and row.is_planned)


def _is_past(row: Row, on: date) -> bool:
    return row.due_on <= on and row.paid.total_fen > 0 and row.owed_fen == 0


def _pass_over(book: Book, rows: list[Row]) -> None:
    open_rows = set(rows)
    others = [row for row in book.instalments if row not in open_rows]
    left = sum(fen for _, fen in book.draws) - sum(row.due.principal_fen for row in others)
    cut = sum(row.excess_fen - row.cut_fen for row in others) if _cuts(book) else 0
    last = _last_unpaid(rows)
    before = {row: earlier for earlier, row in pairwise(book.instalments)}
    for index, row in enumerate(rows):
        later_paid = sum(_paid_principal(later) for later in rows[index + 1 :])
        limit = max(0, left - later_paid)
        row.carried_fen = before[row].passed_on_fen if row in before else 0
        own = own_interest_fen(book, row)
        most = limit if row is last else None
        row.passed_on_fen = _set_interest(book, row, own, most)
        planned = limit if row is last else min(limit, _planned(book, row, own))
        row.cut_fen = min(cut, planned) if row is not last else 0
        planned -= row.cut_fen
        principal = max(planned, _paid_principal(row))
        row.excess_fen = principal - planned
        row.owe(Component.PRINCIPAL, principal)
        row.is_planned = True
        left -= principal
        cut += _after_excess(book, rows[index + 1 :], row, left) - row.cut_fen
    _drop_empty(book, rows)


def _last_unpaid(rows: list[Row]) -> Row:
    """Return the row that takes what is left: the last one that is not paid already."""
    unpaid = [row for row in rows if row.settled_on is None or row.paid.total_fen == 0]
    return (unpaid or rows)[-1]


def _paid_principal(row: Row) -> int:
    return row.paid.principal_fen + row.waived.principal_fen


def _planned(book: Book, row: Row, own: int) -> int:
    """Return the principal that a row aims at, fen.

    Interest that was paid is a part of the instalment, even if by now its days cost less.
    """
    follows = book.recalculation is Recalculation.ACTUAL_BALANCE and not row.defers_interest
    paid = row.paid.interest_fen + row.waived.interest_fen - row.carried_fen
    return _aim(row, row.due.interest_fen if follows else max(own, paid)) or 0


def _set_interest(book: Book, row: Row, own: int, left: int | None) -> int:
    """Set a row's interest, and return what of it the next row has to bear instead.

    Who pays an instalment early pays more principal with it than planned; the interest of the
    days that are left moves on. The last row plans whatever is left.
    """
    calculated = own + row.carried_fen
    due = 0 if row.defers_interest else calculated
    if book.recalculation is Recalculation.ACTUAL_BALANCE:
        planned = _aim(row, calculated) if left is None else left
        if planned is not None and _paid_principal(row) > planned:
            due = row.paid.interest_fen
    due = max(due, row.paid.interest_fen + row.waived.interest_fen)
    row.owe(Component.INTEREST, due)
    return max(0, calculated - due)


def _aim(row: Row, interest: int) -> int | None:
    """Return the principal that a row aims at beside so much interest; None if at none."""
    if row.principal_fen is not None:
        return row.principal_fen
    return None if row.level_fen is None else max(0, row.level_fen - interest)


def _after_excess(book: Book, following: list[Row], row: Row, left: int) -> int:
    """Apply what the product says about paying more than an instalment; return what to cut."""
    if book.recalculation is not Recalculation.OPEN_PERIOD or row.excess_fen <= 0:
        return 0
    reduces = book.terms.profile.excess is Excess.REDUCE_INSTALMENT
    if reduces and following and left > 0:
        set_levels(book, following, left)
    return row.excess_fen if _cuts(book) else 0


def _cuts(book: Book) -> bool:
    """Whether what was paid in excess comes off the next instalments."""
    is_open = book.recalculation is Recalculation.OPEN_PERIOD
    return is_open and book.terms.profile.excess is Excess.RESCHEDULE_NEXT


def _drop_empty(book: Book, rows: list[Row]) -> None:
    """Remove rows at the end that nothing is left for, where the term may shrink."""
    shrinks = book.terms.instalment_fen or (
        book.recalculation is Recalculation.OPEN_PERIOD
        and book.terms.profile.excess is Excess.REDUCE_TERM
    )
    while shrinks and len(rows) > 1 and rows[-1].due.total_fen == 0:
        book.rows.remove(rows.pop())


def set_levels(book: Book, rows: list[Row], balance_fen: int) -> None:
    """Give rows the equal instalment that repays a balance; those without principal get none."""
    if any(row.principal_fen is not None for row in rows):
        _set_equal_principal(book, rows, balance_fen)
        return
    level = book.terms.instalment_fen or level_fen(book, rows, balance_fen)
    for row in rows:
        row.level_fen = None if row.level_fen is None else level


def _set_equal_principal(book: Book, rows: list[Row], balance_fen: int) -> None:
    bearing = [row for row in rows if row.principal_fen != 0]
    for row in bearing:
        row.principal_fen = book.terms.profile.fen(Decimal(balance_fen) / len(bearing))


def level_fen(book: Book, rows: list[Row], balance_fen: int) -> int:
    """Return the equal instalment that repays a balance over some rows, fen.

    With factors f of the periods it is balance × Π(1 + f) / Fn, where F1 = 1 and
    Fk = 1 + Fk-1 × (1 + fk); with equal factors this is the annuity formula.
    """
    growth, divisor = Decimal(1), Decimal(0)
    for row in rows:
        if row.level_fen is None:
            continue
        factor = 1 + _factor(book, row)
        growth *= factor
        divisor = 1 + divisor * factor
    return book.terms.profile.instalment(balance_fen * growth / divisor) if divisor else 0


def _factor(book: Book, row: Row) -> Decimal:
    terms = book.terms
    profile, frequency = terms.profile, terms.frequency
    rate = rate_on(book, row.from_on)
    if profile.level_by is LevelBy.PERIODS:
        nominal = period_share(profile, frequency)
        return rate * nominal.numerator / nominal.denominator
    if profile.level_by is LevelBy.MONTHS_OF_30:
        return rate * level_share(profile, frequency)
    if row.is_free:
        return Decimal(0)
    exact = sum(
        Fraction(rate_on(book, since)) * share(profile, frequency, row.period, since, to)
        for since, to in steps(book, row, row.due_on)
    )
    return Decimal(exact.numerator) / exact.denominator


def even_out(book: Book, rows: list[Row], on: date) -> None:
    """Spread the difference of the last instalment over all, where that makes it smaller.

    Done if it is more fen than half the number of instalments.
    """
    if book.terms.profile.last_row is not LastRow.LEVELLED or not rows[1:]:
        return
    difference = _last_difference(rows)
    level = rows[-2].level_fen
    if level is None or abs(difference) <= len(rows) // 2 or book.terms.instalment_fen:
        return
    profile = book.terms.profile
    better = profile.instalment(level + Decimal(profile.fen(Decimal(difference) / len(rows))))
    _try_level(book, rows, better, on)
    if abs(_last_difference(rows)) >= abs(difference):
        _try_level(book, rows, level, on)


def _try_level(book: Book, rows: list[Row], level: int, on: date) -> None:
    for row in rows:
        row.level_fen = None if row.level_fen is None else level
    recalculate(book, on)


def _last_difference(rows: list[Row]) -> int:
    ends = [row.due.principal_fen + row.due.interest_fen for row in rows[-2:]]
    return ends[1] - ends[0]
