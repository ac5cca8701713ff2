"""Changes of the plan: other due dates, more instalments, grace, another rate, re-age, re-amortise.

Each takes the rows as they are and plans what is still owed anew; what was paid stays paid.
"""

from datetime import date
from decimal import Decimal

from servicing.engine.balance import own_interest_fen
from servicing.engine.book import Book, Kind, Row, RowKind, Status
from servicing.engine.charges import charge_for
from servicing.engine.events import (
    ExtraTerms,
    MovedDueDate,
    PaymentHoliday,
    PrincipalGrace,
    RateChange,
    ReAge,
    ReAgeInterest,
    ReAmortisation,
)
from servicing.engine.favours import costs_of, give_back
from servicing.engine.interest import day_after, day_before
from servicing.engine.layout import (
    flat_component,
    flat_costs,
    follow_instalments,
    plan_draws,
)
from servicing.engine.parts import NOTHING, Component, Parts, total
from servicing.engine.payments import EventRefused, cut_short
from servicing.engine.periods import MonthEnd, dates_after, step
from servicing.engine.profile import Draws, PartBy
from servicing.engine.recalculate import even_out, recalculate, set_levels
from servicing.engine.shares import NO_SHARES, Shares, merged, up_to
from servicing.engine.terms import Method


def move_due_date(book: Book, event: MovedDueDate) -> None:
    """Let an instalment fall due on another day; the following keep their distance to it."""
    rows = _rows_from(book, event.due_on)
    row = rows[0]
    if event.to <= row.from_on:
        raise EventRefused("due-order", "a due date lies after the one before it")
    before = {each: each.due for each in rows}
    profile = book.terms.profile
    is_nominal = profile.day_count.month_days and profile.part_by is PartBy.PROPORTION
    if event.to != row.due_on:
        row.due_on, row.periods, row.whole = event.to, row.periods if is_nominal else 0, None
    _follow(book, rows, event.to)
    book.sort()
    if book.terms.is_flat and book.terms.profile.draws is Draws.WHOLE and book.draws[1:]:
        plan_draws(book)
    recalculate(book, event.on)
    follow_instalments(book, before, event.on)
    charge_for(book, event.id, event.on, event.charges)


def _follow(book: Book, rows: list[Row], since: date) -> None:
    """Give all rows but the first due dates at the usual distance from a day."""
    terms = book.terms
    for n, row in enumerate(rows[1:], start=1):
        row.from_on = rows[n - 1].due_on
        row.due_on = step(since, terms.frequency, n, month_end=terms.profile.month_end)
    for row in book.rows:
        if row.kind is RowKind.ADDITIONAL:
            row.from_on = min(row.due_on, rows[-1].due_on)


def _rows_from(book: Book, due_on: date) -> list[Row]:
    _require_plan(book)
    rows = [row for row in book.instalments if row.due_on >= due_on]
    if not rows:
        raise EventRefused("nothing-to-come", "there is no plan to change from that day on")
    return rows


def _require_plan(book: Book) -> None:
    if book.status is not Status.ACTIVE or book.charged_off_on or book.ended_on:
        raise EventRefused("ended-plan", "only a running loan has a plan to change")


def add_terms(book: Book, event: ExtraTerms) -> None:
    """Give the borrower so many periods more for what is planned from an instalment on.

    It is spread over as many instalments more; what is due at maturity alone is due that later.
    """
    rows = _rows_from(book, event.from_due_on)
    _require_flexible(book, rows)
    if book.terms.method is Method.BULLET:
        _postpone(book, rows, event.extra)
    else:
        _append(book, rows, event.extra)
    _replan(book, rows, event.on)
    charge_for(book, event.id, event.on, event.charges)


def _require_flexible(book: Book, rows: list[Row]) -> None:
    if book.terms.method is Method.FIXED_INSTALMENT:
        raise EventRefused("plan-fixed", "a fixed instalment is paid for as long as it takes")
    if not book.terms.is_flat and any(row.is_fixed for row in rows):
        raise EventRefused(
            "plan-fixed", "the plan was fixed and is not spread over more instalments"
        )


def _append(book: Book, rows: list[Row], count: int) -> None:
    """Add instalments; principal that is due at maturity alone moves to the new last one."""
    last = rows[-1]
    since = last.due_on
    for due_on in _later_days(book, count):
        row = Row(from_on=since, due_on=due_on, level_fen=0, principal_fen=last.principal_fen)
        row.is_fixed = last.is_fixed
        rows.append(row)
        book.rows.append(row)
        since = due_on
    if book.terms.method is Method.INTEREST_FIRST:
        for row in rows[:-1]:
            row.level_fen = None
    book.sort()


def _later_days(book: Book, count: int) -> tuple[date, ...]:
    """Return the due dates that follow the plan; those of prepayments are none of its own."""
    rows = [row for row in book.instalments if row.kind is RowKind.NORMAL]
    known = [book.instalments[0].from_on, *(row.due_on for row in rows)]
    terms = book.terms
    return dates_after(known, count, terms.frequency, month_end=terms.profile.month_end)


def give_grace(book: Book, event: PrincipalGrace) -> None:
    """Let some instalments bear no principal; as many are added at the end."""
    rows = _rows_from(book, event.from_due_on)
    _append(book, rows, event.periods)
    for row in rows[: event.periods]:
        row.level_fen, row.principal_fen = None, 0
    _replan(book, rows, event.on)


def give_holiday(book: Book, event: PaymentHoliday) -> None:
    """Let instalments fall due some periods later; what the time costs is spread over them."""
    rows = _rows_from(book, event.from_due_on)
    if event.periods <= 0:
        raise EventRefused("no-period", "a payment holiday lasts at least one period")
    since, until = rows[0].due_on, _postpone(book, rows, event.periods)
    if not event.bears_interest:
        book.pauses.append((day_after(since), until))
    _replan(book, rows, event.on)


def _postpone(book: Book, rows: list[Row], count: int) -> date:
    """Move due dates on; the first period grows by as many. Returns the first new due date."""
    days = [*(row.due_on for row in rows), *_later_days(book, count)]
    is_whole = rows[0].periods > 0 and rows[0].whole is None
    for n, row in enumerate(rows):
        row.from_on = days[n + count - 1] if n else row.from_on
        row.due_on = days[n + count]
    rows[0].periods = rows[0].periods + count if is_whole else 0
    rows[0].whole = None
    return rows[0].due_on


def change_rate(book: Book, event: RateChange) -> None:
    """Let another rate hold from a day on, and plan what is not paid yet of the loan by it."""
    _require_plan(book)
    before = costs_of(book, event.from_on)
    since = day_before(event.from_on)
    book.rates = sorted([*book.rates, (since, event.rate_annual)], key=lambda rate: rate[0])
    rows = [row for row in before if row.owed_fen > 0]
    asked = {row: row.due for row in rows} if book.terms.is_flat else {}
    if book.terms.is_flat:
        after = costs_of(book, event.from_on)
        for row in rows:
            row.owe_more(flat_component(book.terms), max(0, after[row] - before[row]))
    else:
        open_rows = [row for row in rows if not row.is_fixed]
        if open_rows:
            _replan(book, open_rows, event.on)
        after = costs_of(book, event.from_on)
    give_back(book, event, before, after)
    follow_instalments(book, asked, event.on)


def _replan(book: Book, rows: list[Row], on: date) -> None:
    """Plan what the rows owe by the loan's own method."""
    before = {row: row.due for row in rows}
    if book.terms.is_flat:
        _replan_flat(book, rows)
    else:
        paid_before = [row for row in book.instalments if row not in rows]
        drawn = sum(fen for _, fen in book.draws)
        balance = drawn - sum(row.due.principal_fen for row in paid_before)
        bearing = [row for row in rows if row.level_fen is not None]
        set_levels(book, bearing, balance)
        recalculate(book, on, since=rows[0].from_on)
        even_out(book, bearing, on)
    follow_instalments(book, before, on)
    book.mark_settled(book.disbursed[0][0])


def _replan_flat(book: Book, rows: list[Row]) -> None:
    """Spread what is owed over the rows; those that are new cost what a period does."""
    drawn, component = sum(fen for _, fen in book.draws), flat_component(book.terms)
    parts = _flat_parts(book, rows)
    for row, cost in zip(rows, flat_costs(book, rows, drawn), strict=True):
        is_new = row.due == NOTHING and not row.is_free
        settled = row.paid.principal_fen + row.waived.principal_fen
        row.owe(Component.PRINCIPAL, settled + parts[row])
        if is_new:
            row.owe(component, cost)
        row.cover_paid()


def _flat_parts(book: Book, rows: list[Row]) -> dict[Row, int]:
    """Give each row an equal part of what is owed, but none of what is drawn after its day."""
    owed = sum(row.owed_principal_fen for row in rows)
    bearing = [row for row in rows if row.principal_fen != 0]
    parts, given, each, coming = dict.fromkeys(rows, 0), 0, 0, -1
    for n, row in enumerate(bearing):
        later = sum(fen for on, fen in book.draws if on > row.due_on)
        left = owed - given - (0 if row is bearing[-1] else later)
        if later != coming:
            coming = later
            each = book.terms.profile.instalment(Decimal(left) / (len(bearing) - n))
        parts[row] = left if row is bearing[-1] else max(0, min(left, each))
        given += parts[row]
    return parts


def re_amortise(book: Book, event: ReAmortisation) -> None:
    """Spread principal that is past due over the instalments to come, in equal parts.

    It bears interest from now on: for the days until then it cost what lateness does.
    """
    past = [row for row in book.rows if row.due_on <= event.on]
    future = [row for row in book.instalments if row.due_on > event.on]
    _require_plan(book)
    if not future:
        raise EventRefused("nothing-to-come", "there is no instalment to come")
    moved = 0
    for row in past:
        moved += row.owed_principal_fen
        book.overdue.append((row.due_on, event.on, row.owed_principal_fen))
        row.owe_more(Component.PRINCIPAL, -row.owed_principal_fen)
        row.is_fixed = True
    if not moved:
        raise EventRefused("not-late", "nothing is past due")
    _spread(book, future, Component.PRINCIPAL, moved)
    recalculate(book, event.on)
    book.mark_settled(event.on)
    book.note(event.id, Kind.RE_AMORTISE, event.on, moved, Parts(principal_fen=moved))


def _spread(book: Book, rows: list[Row], component: Component, fen: int) -> None:
    profile = book.terms.profile
    is_principal = component is Component.PRINCIPAL
    exact = Decimal(fen) / len(rows)
    each = profile.instalment(exact) if is_principal else profile.fen(exact)
    if each * (len(rows) - 1) > fen:
        each = fen // len(rows)
    for row in rows[:-1]:
        row.owe_more(component, each)
        if is_principal:
            row.aim_higher(each)
    rows[-1].owe_more(component, fen - each * (len(rows) - 1))


def re_age(book: Book, event: ReAge) -> None:
    """Plan all that is owed anew, from a first due date on."""
    _require_plan(book)
    if event.first_due_on < event.on:
        raise EventRefused("past-plan", "a new plan does not begin in the past")
    handling = _handling(book, event)
    cost = _cost_to_spread(book, event.on, handling)
    owed = cost + Parts(principal_fen=book.outstanding.principal_fen)
    _empty(book)
    is_cut = event.interest is not None or book.bears_interest
    none = NOTHING, NO_SHARES, _end_of_plan(book)
    charges, to_others, since = _cut_plan(book, event.on) if is_cut else none
    rows = _new_rows(event, since, book.terms.profile.month_end)
    new_plan = handling is ReAgeInterest.NEW_PLAN
    for component in Component:
        fen = owed.of(component)
        if fen and not (new_plan and component is Component.PRINCIPAL):
            _spread(book, rows, component, fen)
    rows[0].due += charges
    rows[0].collect(*to_others)
    book.rows += rows
    book.sort()
    if new_plan:
        _plan_by_method(book, rows, owed.principal_fen, event.on)
    for row in rows:
        row.is_fixed = True
        row.is_free = not new_plan
    book.mark_settled(event.on)
    book.note(event.id, Kind.RE_AGE, event.on, owed.total_fen, owed)


def _handling(book: Book, event: ReAge) -> ReAgeInterest:
    """A loan whose cost follows no balance keeps that cost."""
    if not book.bears_interest:
        return ReAgeInterest.OUTSTANDING
    return event.interest or ReAgeInterest.PAYABLE


def _plan_by_method(book: Book, rows: list[Row], principal: int, on: date) -> None:
    taken_over = [row.due for row in rows]
    for row in rows:
        row.due, row.level_fen = NOTHING, 0
    set_levels(book, rows, principal)
    recalculate(book, on)
    even_out(book, rows, on)
    for row, due in zip(rows, taken_over, strict=True):
        row.due += due


def _cost_to_spread(book: Book, on: date, handling: ReAgeInterest) -> Parts:
    """Return the interest, or the flat fees, that the new plan takes over."""
    if handling is ReAgeInterest.OUTSTANDING:
        component = flat_component(book.terms)
        return Parts.one(component, book.outstanding.of(component))
    late = sum(row.outstanding.interest_fen for row in book.rows if row.due_on <= on)
    row = book.current(on)
    if row is None or row.due_on <= on:
        put_off = 0 if row is None else row.passed_on_fen
        return Parts(interest_fen=late + put_off)
    accrued = row.carried_fen + own_interest_fen(book, row, on) - row.paid.interest_fen
    return Parts(interest_fen=late + max(0, accrued))


def _cut_plan(book: Book, on: date) -> tuple[Parts, Shares, date]:
    """End the old plan on a day; return the charges of later rows, and when the new one begins.

    Between them, what of these charges is for whom else.
    """
    row = book.current(on)
    if row is None:
        return NOTHING, NO_SHARES, _end_of_plan(book)
    if row.due_on > on:
        cut_short(row, on)
    later = [
        other
        for other in book.instalments
        if other.due_on > on and other.paid + other.waived == NOTHING
    ]
    book.rows = [other for other in book.rows if other not in later]
    charges = total(other.due for other in later)
    return charges, merged(up_to(other.to_others, other.due.fee_fen) for other in later), on


def _end_of_plan(book: Book) -> date:
    return max(row.due_on for row in book.rows)


def _empty(book: Book) -> None:
    """Take what the new plan takes over off the old rows; charges stay."""
    component = flat_component(book.terms)
    for row in book.rows:
        owed = row.outstanding
        row.due -= Parts(principal_fen=owed.principal_fen)
        row.due -= Parts.one(component, owed.of(component))
        row.passed_on_fen = 0
        row.is_fixed = True


def _new_rows(event: ReAge, since: date, month_end: MonthEnd) -> list[Row]:
    rows = []
    for n in range(event.terms):
        due_on = step(event.first_due_on, event.frequency, n, month_end=month_end)
        rows.append(Row(from_on=since, due_on=due_on, periods=1 if n else 0))
        since = due_on
    return rows
