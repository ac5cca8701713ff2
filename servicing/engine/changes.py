"""Changes of the plan: other due dates, more instalments, grace, another rate, re-age, re-amortise.

Each takes the rows as they are and plans what is still owed anew; what was paid stays paid.
"""

from datetime import date
from decimal import Decimal

from servicing.engine.balance import own_interest_fen
from servicing.engine.book import Book, Kind, Row, RowKind
from servicing.engine.events import (
    ExtraTerms,
    MovedDueDate,
    PrincipalGrace,
    RateChange,
    ReAge,
    ReAgeInterest,
    ReAmortisation,
)
from servicing.engine.interest import day_before
from servicing.engine.layout import flat_component, flat_costs
from servicing.engine.parts import NOTHING, Component, Parts
from servicing.engine.payments import EventRefused, cut_short
from servicing.engine.periods import step
from servicing.engine.recalculate import even_out, recalculate, set_levels


def move_due_date(book: Book, event: MovedDueDate) -> None:
    """Let an instalment fall due later; the following keep their distance to it."""
    rows = _rows_from(book, event.due_on)
    row = rows[0]
    if event.to <= row.from_on:
        raise EventRefused("a due date lies after the one before it")
    row.due_on, row.periods = event.to, 0
    _follow(book, rows, event.to)
    recalculate(book, event.on)


def _follow(book: Book, rows: list[Row], since: date) -> None:
    """Give all rows but the first due dates at the usual distance from a day."""
    terms = book.terms
    for n, row in enumerate(rows[1:], start=1):
        row.from_on = rows[n - 1].due_on
        row.due_on = step(since, terms.frequency, n, month_end=terms.profile.month_end)


def _rows_from(book: Book, due_on: date) -> list[Row]:
    rows = [row for row in book.instalments if row.due_on >= due_on]
    if not rows or book.charged_off_on or book.written_off_on:
        raise EventRefused("there is no plan to change from that day on")
    return rows


def add_terms(book: Book, event: ExtraTerms) -> None:
    """Spread what is planned from an instalment on over more of them."""
    rows = _rows_from(book, event.from_due_on)
    _append(book, rows, event.extra)
    _replan(book, rows, event.on)


def _append(book: Book, rows: list[Row], count: int) -> None:
    terms, last = book.terms, rows[-1]
    since = last.due_on
    for n in range(1, count + 1):
        due_on = step(last.due_on, terms.frequency, n, month_end=terms.profile.month_end)
        row = Row(from_on=since, due_on=due_on, level_fen=0, principal_fen=last.principal_fen)
        row.is_fixed = last.is_fixed
        rows.append(row)
        book.rows.append(row)
        since = due_on
    book.sort()


def give_grace(book: Book, event: PrincipalGrace) -> None:
    """Let some instalments bear no principal; as many are added at the end."""
    rows = _rows_from(book, event.from_due_on)
    _append(book, rows, event.periods)
    for row in rows[: event.periods]:
        row.level_fen, row.principal_fen = None, 0
    _replan(book, rows, event.on)


def change_rate(book: Book, event: RateChange) -> None:
    """Let another rate hold from a day on, and plan the rest of the loan by it."""
    since = day_before(event.from_on)
    book.rates = sorted([*book.rates, (since, event.rate_annual)])
    rows = [row for row in book.instalments if row.due_on >= event.from_on]
    if rows:
        _replan(book, rows, event.on)


def _replan(book: Book, rows: list[Row], on: date) -> None:
    """Plan what the rows owe by the loan's own method."""
    if book.terms.is_flat:
        _replan_flat(book, rows)
    else:
        paid_before = [row for row in book.instalments if row not in rows]
        drawn = sum(fen for _, fen in book.draws)
        balance = drawn - sum(row.due.principal_fen for row in paid_before)
        bearing = [row for row in rows if row.level_fen is not None]
        set_levels(book, bearing, balance)
        recalculate(book, on)
        even_out(book, bearing, on)
    book.mark_settled(book.disbursed[0][0])


def _replan_flat(book: Book, rows: list[Row]) -> None:
    profile = book.terms.profile
    left = sum(row.due.principal_fen for row in rows)
    bearing = [row for row in rows if row.principal_fen != 0 or row.level_fen is not None]
    each = profile.instalment(Decimal(left) / max(1, len(bearing)))
    drawn = sum(fen for _, fen in book.draws)
    for row, cost in zip(rows, flat_costs(book, rows, drawn), strict=True):
        principal = 0
        if row in bearing:
            principal = left if row is bearing[-1] else min(left, each)
        left -= principal
        row.owe(Component.PRINCIPAL, principal)
        row.owe(flat_component(book.terms), cost)


def re_amortise(book: Book, event: ReAmortisation) -> None:
    """Spread principal that is past due over the instalments to come, in equal parts."""
    past = [row for row in book.rows if row.due_on <= event.on]
    future = [row for row in book.instalments if row.due_on > event.on]
    if not future or book.charged_off_on or book.written_off_on:
        raise EventRefused("there is no instalment to come")
    moved = 0
    for row in past:
        moved += row.outstanding.principal_fen
        row.owe_more(Component.PRINCIPAL, -row.outstanding.principal_fen)
    if not moved:
        raise EventRefused("nothing is past due")
    _spread(book, future, Component.PRINCIPAL, moved)
    recalculate(book, event.on)
    book.mark_settled(event.on)
    book.note(event.id, Kind.RE_AMORTISE, event.on, moved, Parts(principal_fen=moved))


def _spread(book: Book, rows: list[Row], component: Component, fen: int) -> None:
    each = book.terms.profile.instalment(Decimal(fen) / len(rows))
    for row in rows[:-1]:
        row.owe_more(component, each)
        if row.level_fen is not None:
            row.level_fen += each
    rows[-1].owe_more(component, fen - each * (len(rows) - 1))


def re_age(book: Book, event: ReAge) -> None:
    """Plan all that is owed anew, from a first due date on."""
    if book.charged_off_on or book.written_off_on or not book.outstanding.principal_fen:
        raise EventRefused("there is nothing to plan anew")
    bears_interest = book.terms.rate_annual > 0 and not book.terms.is_flat
    handling = event.interest or (ReAgeInterest.NEW_PLAN if bears_interest else None)
    interest = _interest_to_spread(book, event.on, handling)
    principal = book.outstanding.principal_fen
    since = _cut_plan(book, event.on) if handling else _end_of_plan(book)
    _empty(book)
    rows = _new_rows(event, since)
    new_plan = handling is ReAgeInterest.NEW_PLAN
    if not new_plan:
        _spread(book, rows, Component.PRINCIPAL, principal)
    if interest:
        _spread_fen(book, rows, interest)
    for row in rows:
        row.is_fixed = not new_plan
    book.rows += rows
    book.sort()
    if new_plan:
        _plan_by_method(book, rows, principal, event.on)
    book.mark_settled(event.on)
    parts = Parts(principal_fen=principal, interest_fen=interest)
    book.note(event.id, Kind.RE_AGE, event.on, parts.total_fen, parts)


def _plan_by_method(book: Book, rows: list[Row], principal: int, on: date) -> None:
    for row in book.instalments:
        row.is_fixed = row.is_fixed or row not in rows
    carried = [row.due.interest_fen for row in rows]
    for row in rows:
        row.level_fen = 0
    set_levels(book, rows, principal)
    recalculate(book, on)
    for row, fen in zip(rows, carried, strict=True):
        row.owe_more(Component.INTEREST, fen)
        row.is_fixed = True


def _interest_to_spread(book: Book, on: date, handling: ReAgeInterest | None) -> int:
    """Return the interest that the new plan takes over, fen."""
    if handling is None:
        return 0
    if handling is ReAgeInterest.OUTSTANDING:
        return book.outstanding.interest_fen
    late = sum(row.outstanding.interest_fen for row in book.rows if row.due_on <= on)
    row = book.current(on)
    if row is None or row.due_on <= on:
        return late
    return late + max(0, row.carried_fen + own_interest_fen(book, row, on) - row.paid.interest_fen)


def _cut_plan(book: Book, on: date) -> date:
    """End the old plan on a day: the running period stops there, later ones go."""
    row = book.current(on)
    if row is not None and row.due_on > on:
        cut_short(row, on)
    book.rows = [
        row
        for row in book.rows
        if row.due_on <= on or row.kind is RowKind.ADDITIONAL or row.paid != NOTHING
    ]
    return max([on] if row is not None else [_end_of_plan(book)])


def _end_of_plan(book: Book) -> date:
    return max(row.due_on for row in book.instalments)


def _empty(book: Book) -> None:
    """Take principal and interest that is still owed off the old rows; charges stay."""
    for row in book.rows:
        owed = row.outstanding
        row.due -= Parts(principal_fen=owed.principal_fen, interest_fen=owed.interest_fen)
        row.is_fixed = True


def _new_rows(event: ReAge, since: date) -> list[Row]:
    rows = []
    for n in range(event.terms):
        due_on = step(event.first_due_on, event.frequency, n)
        rows.append(Row(from_on=since, due_on=due_on, periods=1 if n else 0))
        since = due_on
    return rows


def _spread_fen(book: Book, rows: list[Row], interest: int) -> None:
    each = book.terms.profile.fen(Decimal(interest) / len(rows))
    for row in rows[:-1]:
        row.owe_more(Component.INTEREST, each)
    rows[-1].owe_more(Component.INTEREST, interest - each * (len(rows) - 1))
