"""Lays out the rows of a plan and puts disbursements on them.

What each row then bears is computed by `recalculate.py`; flat products are computed here, since
nothing about them follows a balance.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from servicing.engine.book import Book, Row, RowKind
from servicing.engine.interest import period_share
from servicing.engine.parts import Component, Parts
from servicing.engine.periods import Anchor, due_dates, step
from servicing.engine.profile import Draws, Profile
from servicing.engine.recalculate import even_out, recalculate, set_levels
from servicing.engine.terms import FeeBase, FeeRule, Method, Terms


def lay_out(book: Book, start: date) -> None:
    """Put the empty rows of a plan into the book, counted from a day of disbursement.

    Where the terms say when the first period begins, they count from then.
    """
    terms = book.terms
    start = since = terms.periods_from or start
    for n, due_on in enumerate(_due_dates(terms, start), start=1):
        row = Row(from_on=since, due_on=due_on, periods=_periods(terms, start, n, due_on))
        row.is_free = n <= terms.interest_free
        row.defers_interest = n <= terms.grace_interest and terms.method is not Method.BULLET
        _aim(terms, row, has_principal=n > _grace(terms))
        book.rows.append(row)
        since = due_on


def _due_dates(terms: Terms, start: date) -> tuple[date, ...]:
    profile = terms.profile
    if terms.method is Method.BULLET:
        end = step(start, terms.frequency, terms.terms, month_end=profile.month_end)
        return (terms.first_due_on or end,)
    return due_dates(
        start=start,
        count=terms.terms,
        frequency=terms.frequency,
        first=terms.first_due_on,
        month_end=profile.month_end,
        anchor=profile.anchor,
    )


def _periods(terms: Terms, start: date, n: int, due_on: date) -> int:
    """A first instalment of another length than usual counts its days; a bullet is all in one."""
    if n > 1:
        return 1
    count = terms.terms if terms.method is Method.BULLET else 1
    usual = step(start, terms.frequency, count, month_end=terms.profile.month_end)
    return count if terms.profile.anchor is Anchor.SAME_DAY and due_on == usual else 0


def _grace(terms: Terms) -> int:
    if terms.method is Method.BULLET:
        return 0
    return terms.terms - 1 if terms.method is Method.INTEREST_FIRST else terms.grace_principal


def _aim(terms: Terms, row: Row, *, has_principal: bool) -> None:
    if terms.method is Method.EQUAL_PRINCIPAL or terms.is_flat:
        row.principal_fen = None if has_principal else 0
        row.level_fen = 0
    else:
        row.level_fen = 0 if has_principal else None


def draw(book: Book, on: date, amount_fen: int) -> None:
    """Put a disbursement on the plan: its down payment on its own day, the rest on the rows."""
    terms = book.terms
    if not book.rows:
        lay_out(book, on)
    down_fen = terms.profile.instalment(amount_fen * terms.down_payment)
    if down_fen:
        book.rows.append(_down_payment_row(on, down_fen))
        book.sort()
    before = {row: row.due for row in book.instalments} if book.draws else {}
    planned = book.instalments
    bearing = _rows_to_bear(book, on)
    book.draws.append((on, amount_fen - down_fen))
    is_whole = terms.is_flat and terms.profile.draws is Draws.WHOLE and bearing[0] in planned
    if is_whole and book.draws[1:]:
        plan_draws(book)
    elif terms.is_flat:
        _add_flat(book, bearing, amount_fen - down_fen)
    else:
        _add_declining(book, bearing, on, amount_fen - down_fen)
    add_instalment_fees(book, fees_of(book), before=before)


def _rows_to_bear(book: Book, on: date) -> list[Row]:
    """Return the rows that repay what is drawn on a day: those to come, at first all of them."""
    rows = book.instalments
    if not book.draws:
        return rows
    following = [row for row in rows if row.due_on > on]
    if rows[-1].due_on < on and book.terms.profile.draws is Draws.WHOLE:
        return [_further_row(book, on)]
    return following or rows[-1:]


def _further_row(book: Book, on: date) -> Row:
    """Go on with the periods of a plan that is over until one ends after a day; return that."""
    terms, last = book.terms, book.instalments[-1]
    n = 1
    while step(last.due_on, terms.frequency, n, month_end=terms.profile.month_end) <= on:
        n += 1
    due_on = step(last.due_on, terms.frequency, n, month_end=terms.profile.month_end)
    row = Row(from_on=last.due_on, due_on=due_on, periods=n)
    _aim(terms, row, has_principal=True)
    book.rows.append(row)
    book.sort()
    return row


def _down_payment_row(on: date, fen: int) -> Row:
    return Row(
        from_on=on,
        due_on=on,
        kind=RowKind.DOWN_PAYMENT,
        due=Parts(principal_fen=fen),
        is_fixed=True,
    )


def _add_declining(book: Book, rows: list[Row], on: date, amount_fen: int) -> None:
    terms = book.terms
    is_first = len(book.draws) == 1
    if terms.method is Method.EQUAL_PRINCIPAL:
        _add_principal(book, rows, amount_fen)
    elif not terms.has_tranches:
        set_levels(book, rows, _balance_to_level(book, rows))
    elif is_first:
        set_levels(book, rows, terms.principal_fen)
    recalculate(book, on)
    even_out(book, rows, on)


def _balance_to_level(book: Book, rows: list[Row]) -> int:
    """Return what the rows have to repay: all that was drawn less what earlier rows do, fen."""
    earlier = [row for row in book.instalments if row not in rows]
    return sum(fen for _, fen in book.draws) - sum(row.due.principal_fen for row in earlier)


def _add_principal(book: Book, rows: list[Row], amount_fen: int) -> None:
    bearing = [row for row in rows if row.principal_fen != 0]
    share_fen = book.terms.profile.fen(Decimal(amount_fen) / len(bearing))
    for row in bearing:
        row.principal_fen = (row.principal_fen or 0) + share_fen


def _add_flat(book: Book, rows: list[Row], amount_fen: int) -> None:
    """Add principal / n and what the period costs on the original principal to each row."""
    bearing = [row for row in rows if row.principal_fen != 0]
    costs = flat_costs(book, rows, amount_fen)
    if book.terms.profile.draws is Draws.REST:
        amount_fen += sum(row.due.principal_fen for row in rows)
        for row in rows:
            row.owe(Component.PRINCIPAL, 0)
    left = amount_fen
    for row, cost in zip(rows, costs, strict=True):
        principal = 0
        if row in bearing:
            principal = _flat_principal(book, amount_fen, len(bearing), cost)
            principal = left if row is bearing[-1] else min(left, principal)
        left -= principal
        row.due += Parts.one(flat_component(book.terms), cost) + Parts(principal_fen=principal)
        row.is_fixed = True


def plan_draws(book: Book) -> None:
    """Let each instalment bear an equal part of all that is drawn by its day, the last the rest."""
    rows, left = book.instalments, sum(fen for _, fen in book.draws)
    bearing = [row for row in rows if row.principal_fen != 0]
    for n, row in enumerate(rows):
        drawn = sum(fen for on, fen in book.draws if on <= row.due_on or row is rows[-1])
        cost = flat_costs(book, rows, drawn)[n]
        principal = _flat_principal(book, drawn, len(bearing), cost) if row in bearing else 0
        principal = left if row is bearing[-1] else min(left, principal)
        row.owe(Component.PRINCIPAL, principal)
        row.owe(flat_component(book.terms), cost)
        left -= principal


def flat_component(terms: Terms) -> Component:
    """Say under what name a flat product's cost stands."""
    return Component.FEE if terms.method is Method.FLAT_FEE else Component.INTEREST


def _flat_principal(book: Book, amount_fen: int, count: int, cost: int) -> int:
    """Return principal / n such that the whole instalment is a multiple of what it should be."""
    profile = book.terms.profile
    principal = profile.instalment(Decimal(amount_fen) / count)
    if profile.instalment_multiple_fen == 1:
        return principal
    return principal + profile.instalment(Decimal(cost)) - cost


def flat_costs(book: Book, rows: list[Row], amount_fen: int) -> list[int]:
    """Return what each row bears of a flat product's cost, fen.

    Interest of all periods is rounded once and split over those that bear it, the last one takes
    the difference; a fee is rounded for each.
    """
    terms, profile = book.terms, book.terms.profile
    if terms.method is Method.FLAT_FEE:
        fee = profile.fen(amount_fen * terms.fee_rate)
        return [0 if row.is_free else fee for row in rows]
    rate = book.rates[-1][1] if book.rates else terms.rate_annual
    charged = [row for row in rows if not row.is_free]
    each_period = period_share(profile, terms.frequency)
    exact = amount_fen * rate * each_period.numerator * len(charged) / each_period.denominator
    whole = profile.fen(exact)
    bearing = [row for row in charged if not row.defers_interest]
    each = profile.fen(Decimal(whole) / max(1, len(bearing)))
    costs = {id(row): each for row in bearing}
    if bearing:
        costs[id(bearing[-1])] = whole - each * (len(bearing) - 1)
    return [costs.get(id(row), 0) for row in rows]


def add_instalment_fees(
    book: Book,
    rules: tuple[FeeRule, ...],
    *,
    since: date = date.min,
    before: Mapping[Row, Parts] = MappingProxyType({}),
) -> None:
    """Charge a fee on every instalment, of what the instalment is; each rounded by itself.

    Args:
        book: The loan.
        rules: The fees.
        since: Instalments that were due by then bear none.
        before: What instalments asked for when the same fees were charged on them already, so that
            only the difference is charged now.
    """
    profile = book.terms.profile
    for rule in rules:
        for row in book.instalments:
            if row.due_on > since:
                fee = fee_of(profile, rule, row.due)
                fee -= fee_of(profile, rule, before[row]) if row in before else 0
                _charge_more(row, rule, fee)


def follow_instalments(book: Book, before: Mapping[Row, Parts], on: date) -> None:
    """Let fees that are shares of an instalment follow what the instalments to come are by now.

    What was paid or waived of them stays. A fixed fee stays with the instalments that bore it.

    Args:
        book: The loan.
        before: What each instalment asked for, with the fees as they are.
        on: Instalments that were due by then keep theirs.
    """
    profile = book.terms.profile
    rows = [row for row in book.instalments if row in before and row.due_on > on]
    for rule in fees_of(book):
        share = replace(rule, amount_fen=0)
        for row in rows:
            more = fee_of(profile, share, row.due) - fee_of(profile, share, before[row])
            _charge_more(row, rule, max(more, -row.owed_of(rule.component)))


def fees_of(book: Book) -> tuple[FeeRule, ...]:
    """List the fees that instalments bear by agreement or by a later event."""
    return (*book.terms.fees, *book.instalment_fees)


def _charge_more(row: Row, rule: FeeRule, fen: int) -> None:
    row.owe_more(rule.component, fen)
    if rule.is_for_others and rule.component is Component.FEE:
        row.collect((rule.payee, fen))


def fee_of(profile: Profile, rule: FeeRule, due: Parts) -> int:
    """Return the fee on an instalment that asks for so much, fen."""
    bases = {
        FeeBase.PRINCIPAL: due.principal_fen,
        FeeBase.INTEREST: due.interest_fen,
        FeeBase.PRINCIPAL_AND_INTEREST: due.principal_fen + due.interest_fen,
    }
    return rule.amount_fen + profile.fen(bases[rule.base] * rule.share)
