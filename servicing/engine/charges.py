"""Puts fees, penalties and waivers on the instalments, and lets lateness cost what was agreed."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from servicing.engine.allocation import row_for
from servicing.engine.book import Book, Due, Kind, Row, RowKind
from servicing.engine.events import Charge, EventCharge, InstalmentFee, Waiver
from servicing.engine.interest import day_before
from servicing.engine.layout import add_instalment_fees
from servicing.engine.parts import Component, Parts
from servicing.engine.payments import EventRefused, use_overpayment
from servicing.engine.profile import Recalculation
from servicing.engine.recalculate import recalculate
from servicing.engine.terms import FeeBase, FeeRule, PenaltyBase, PenaltyRule, is_for_others


def post_charge(book: Book, event: Charge) -> None:
    """Add a charge to the instalment in whose period it falls, or to a row after maturity."""
    if event.amount_fen <= 0:
        raise EventRefused("no-amount", "a charge needs an amount")
    _require_claim(book)
    due = Due(
        event_id=event.id,
        component=event.component,
        fen=event.amount_fen,
        due_on=event.due_on,
        payee=event.payee if event.component is Component.FEE else "",
    )
    _fall_due(book, due)
    use_overpayment(book)


def charge_for(book: Book, event_id: str, on: date, charges: tuple[EventCharge, ...]) -> None:
    """Let what an event costs by itself fall due with the running instalment."""
    for charge in charges:
        if charge.amount_fen <= 0:
            raise EventRefused("no-amount", "a charge needs an amount")
        due = Due(
            event_id=event_id,
            component=Component.FEE,
            fen=charge.amount_fen,
            due_on=on,
            payee=charge.payee,
        )
        _fall_due(book, due)


def _fall_due(book: Book, due: Due) -> None:
    book.dues.append(due)
    row = row_for(book, due.due_on) or row_after_maturity(book, due.due_on)
    row.owe_more(due.component, due.fen)
    if is_for_others(due.payee):
        row.collect((due.payee, due.fen))


def _require_claim(book: Book) -> None:
    if book.charged_off_on or book.written_off_on:
        raise EventRefused("charged-off", "nothing is charged on a claim that is off the books")


def row_after_maturity(book: Book, on: date) -> Row:
    """Return the one row that follows maturity, reaching at least to a day."""
    found = next((row for row in book.rows if row.kind is RowKind.ADDITIONAL), None)
    if found is None:
        found = Row(from_on=book.rows[-1].due_on, due_on=on, kind=RowKind.ADDITIONAL, is_fixed=True)
        book.rows.append(found)
    found.due_on = max(found.due_on, on)
    return found


def post_instalment_fee(book: Book, event: InstalmentFee) -> None:
    """Charge every instalment to come a fee."""
    _require_claim(book)
    rule = FeeRule(
        name=event.name or event.id,
        amount_fen=event.amount_fen,
        share=event.share,
        base=FeeBase.PRINCIPAL_AND_INTEREST,
        component=event.component,
        payee=event.payee,
    )
    add_instalment_fees(book, (rule,), since=event.on)
    book.instalment_fees.append(rule)


def post_waiver(book: Book, event: Waiver) -> None:
    """Give up a charge whole, or an amount of a component, oldest instalment first."""
    component, left, rows = event.component, event.amount_fen, list(book.unsettled())
    if event.charge_id:
        due = _charge(book, event.charge_id)
        component, left = due.component, due.fen
        rows = [row for row in rows if due.due_on <= row.due_on][:1]
    waived = 0
    for row in rows:
        part = min(left - waived, max(0, row.outstanding.of(component)))
        book.give_up(row, Parts.one(component, part), event.on)
        waived += part
    if waived <= 0:
        raise EventRefused("nothing-of-this", "nothing of this is owed")
    if book.recalculation is not Recalculation.NONE:
        recalculate(book, event.on)
    is_interest = component is Component.INTEREST
    kind = Kind.INTEREST_WAIVER if is_interest else Kind.CHARGE_WAIVER
    book.note(event.id, kind, event.on, waived, Parts.one(component, waived))


def _charge(book: Book, event_id: str) -> Due:
    for due in book.dues:
        if due.event_id == event_id:
            return due
    raise EventRefused("nothing-of-this", "there is no such charge")


def penalise(book: Book, on: date) -> None:
    """Let every overdue instalment bear penalty up to a day.

    What is paid within the days of grace bears none; what is paid later bears it from its due
    date. The exact amount is kept and rounded once.
    """
    rule = book.terms.penalty
    if rule is None or book.charged_off_on or book.written_off_on:
        return
    for row in book.rows:
        if _was_in_time(rule, row):
            row.penalty_exact = Decimal(0)
        row.penalty_exact += _penalty(book, rule, row, on)
        if (on - row.due_on).days > rule.grace_days and row.penalty_exact:
            penalty = book.terms.profile.fen(row.penalty_exact)
            row.owe_more(Component.PENALTY, penalty - row.penalised_fen)
            row.penalised_fen = penalty
    book.penalised_to = max(book.penalised_to, on)


def _was_in_time(rule: PenaltyRule, row: Row) -> bool:
    return row.settled_on is not None and (row.settled_on - row.due_on).days <= rule.grace_days


def _penalty(book: Book, rule: PenaltyRule, row: Row, on: date) -> Decimal:
    start = day_before(row.due_on) if rule.counts_due_day else row.due_on
    since = max(start, book.penalised_to)
    if rule.stops_after_days is not None:
        on = min(on, row.due_on + timedelta(days=rule.stops_after_days))
    base = penalty_base_fen(rule, row)
    if row.due_on >= on or since >= on or base <= 0:
        return Decimal(0)
    if not book.rates:
        return base * rule.rate_a_day * _penalised_days(book, since, on)
    cuts = sorted({since, on, *(day for day, _ in book.rates if since < day < on)})
    return base * sum(
        (
            rule.lowered(rate_share(book, start)).rate_a_day * _penalised_days(book, start, end)
            for start, end in pairwise(cuts)
        ),
        Decimal(0),
    )


def rate_share(book: Book, on: date) -> Decimal:
    """Return the contract rate of the step that begins on a day as a share of what was agreed.

    A penalty is a multiple of it; a pause of interest is none of penalty's.
    """
    agreed, holding = book.terms.rate_annual, [rate for since, rate in book.rates if since <= on]
    return holding[-1] / agreed if holding and agreed else Decimal(1)


def _penalised_days(book: Book, since: date, on: date) -> int:
    return (on - since).days - _paused_days(book, since, on)


def penalty_base_fen(rule: PenaltyRule, row: Row) -> int:
    """Return what of a row bears penalty, fen."""
    owed = row.outstanding
    if rule.base is PenaltyBase.PRINCIPAL:
        return owed.principal_fen
    return owed.principal_fen + owed.interest_fen


def _paused_days(book: Book, since: date, on: date) -> int:
    """Count the steps after one day up to another that lie in a pause; overlaps count once."""
    if not book.penalty_pauses:
        return 0
    days = range(since.toordinal() + 1, on.toordinal() + 1)
    return sum(1 for day in days if _is_paused(book, date.fromordinal(day)))


def _is_paused(book: Book, on: date) -> bool:
    return any(first <= on and (last is None or on <= last) for first, last in book.penalty_pauses)
