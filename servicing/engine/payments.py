"""Posts money that comes in: repayments, credits, prepayments and what is left over.

Where interest is recalculated in the open period, money before a due date repays principal at
once; everywhere else the waterfall decides.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial

from kernel.errors import Conflict, GivesReason
from servicing.engine.allocation import allocate, dues_of, settle
from servicing.engine.balance import own_interest_fen
from servicing.engine.book import Book, Kind, Row, RowKind, Status
from servicing.engine.events import Payment, Prepayment
from servicing.engine.layout import flat_component, follow_instalments
from servicing.engine.parts import NOTHING, Component, Parts, total
from servicing.engine.profile import Excess, Recalculation, Rest
from servicing.engine.recalculate import recalculate, set_levels
from servicing.engine.refusals import REASONS
from servicing.engine.settlement import forgive, settlement
from servicing.engine.shares import (
    NO_SHARES,
    Shares,
    merged,
    total_fen,
    up_to,
    within,
    without,
)
from servicing.engine.terms import is_for_others
from servicing.engine.waterfall import Future, Timing

_MONEY_IN = frozenset(
    {
        Kind.REPAYMENT,
        Kind.PREPAYMENT,
        Kind.DOWN_PAYMENT,
        Kind.GOODWILL_CREDIT,
        Kind.MERCHANT_REFUND,
        Kind.PAYOUT_REFUND,
    }
)
_LATE: tuple[Timing, ...] = (Timing.PAST_DUE,)
_AHEAD: tuple[Timing, ...] = (Timing.IN_ADVANCE,)
_DUE_BY_NOW: tuple[Timing, ...] = (Timing.PAST_DUE, Timing.DUE)


class EventRefused(GivesReason, Conflict):
    """This cannot happen to the loan as it stands; `why` says why."""

    code = "loan-event-refused"
    message_zh = "贷款当前状态不支持此操作"
    reasons = REASONS


def post_payment(book: Book, event: Payment) -> None:
    """Settle what is owed with a payment; what is left over is an overpayment."""
    _require_open(book, event.amount_fen)
    settle_with(book, event.id, event.kind, event.on, event.amount_fen)


def settle_with(book: Book, event_id: str, kind: Kind, on: date, amount_fen: int) -> None:
    """Settle what is owed with money or a credit of a kind, and record it."""
    left = _settle(book, amount_fen, on, book.waterfall_on(on).future_of(kind))
    _finish(book, event_id, kind, on, amount_fen, left)


def _require_open(book: Book, amount_fen: int) -> None:
    if amount_fen <= 0:
        raise EventRefused("no-amount", "money needs an amount")
    if not book.disbursed:
        raise EventRefused("not-disbursed", "money needs a loan that was disbursed")
    if book.status is Status.WRITTEN_OFF:
        raise EventRefused("written-off", "a loan that is written off takes recoveries only")


def _settle(book: Book, amount_fen: int, on: date, future: Future) -> int:
    if book.recalculation is Recalculation.NONE:
        return allocate(book, amount_fen=amount_fen, on=on, future=future)
    if book.recalculation is Recalculation.OPEN_PERIOD and _running(book, on):
        left = allocate(book, amount_fen=amount_fen, on=on, future=future, timings=_LATE)
        left = _pay_open_period(book, left, on)
        recalculate(book, on)
        left = allocate(book, amount_fen=left, on=on, future=future, timings=_AHEAD)
    else:
        left = allocate(book, amount_fen=amount_fen, on=on, future=future)
    recalculate(book, on)
    return left


def _pay_open_period(book: Book, amount_fen: int, on: date) -> int:
    """Pay the running instalment, then principal beyond it; return what is left, fen."""
    row = _running(book, on)
    if row is None or amount_fen <= 0:
        return amount_fen
    left = amount_fen
    is_due = row.due_on == on or book.terms.profile.rest is Rest.PERIOD
    if not is_due and left >= settlement(book, on).total_fen:
        _close_period(book, row, on)
        is_due = True
    for component in book.waterfall_on(on).components(Timing.DUE):
        if component is not Component.INTEREST or is_due:
            left -= settle(book, row, component, left, on)
    most = sum(later.owed_principal_fen for later in book.instalments)
    return left - book.pay(row, Component.PRINCIPAL, min(left, most), on)


def _running(book: Book, on: date) -> Row | None:
    """Return the instalment that money of a day is for, unless the plan cannot change."""
    rows = [row for row in book.instalments if row.due_on >= on and not row.is_fixed]
    return rows[0] if rows else None


def _close_period(book: Book, row: Row, on: date) -> None:
    """End the plan with the running period: everything is due today."""
    gather(book, row)
    cut_short(row, on)
    recalculate(book, on)
    row.cover_paid()


def gather(book: Book, row: Row) -> Parts:
    """Take later instalments out of the plan; return what they asked for.

    Their charges and what was paid on them go to the row that stays; interest of theirs that was
    waived goes with it.
    """
    later = [other for other in book.instalments if other.due_on > row.due_on]
    charges = total(posted_charges(book, other) for other in later)
    row.collect(*(share for other in later for share in _kept_for_others(book, other)))
    book.rows = [other for other in book.rows if other not in later]
    row.due += charges
    for other in later:
        row.paid += other.paid
        row.waived += other.waived.having(Component.INTEREST, 0)
        row.credited_fen += other.credited_fen
        row.advance_fen += other.advance_fen
    return total(other.due for other in later)


def posted_charges(book: Book, row: Row) -> Parts:
    """Return the fees and penalties of a row that were charged by themselves.

    A fee that comes with the instalment goes with it.
    """
    fees = sum(due.fen for due in dues_of(book, row, Component.FEE))
    return Parts(fee_fen=min(fees, row.due.fee_fen), penalty_fen=row.due.penalty_fen)


def posted_for_others(book: Book, row: Row) -> Shares:
    """Return what of the fees of a row that were charged by themselves is for whom else."""
    dues = dues_of(book, row, Component.FEE) if row.to_others else ()
    posted = merged(((due.payee, due.fen),) for due in dues if is_for_others(due.payee))
    return up_to(within(posted, row.to_others), row.due.fee_fen)


def _kept_for_others(book: Book, row: Row) -> Shares:
    """What was paid of a row for others stays theirs, too, when the row goes."""
    posted = posted_for_others(book, row)
    paid = up_to(row.to_others, row.paid.fee_fen)
    return posted if total_fen(posted) >= total_fen(paid) else paid


def cut_short(row: Row, on: date) -> None:
    """Let a row's period end on a day; its interest is then that of its days."""
    if on != row.due_on:
        row.cut()
    row.due_on = on


def _finish(
    book: Book, event_id: str, kind: Kind, on: date, amount_fen: int, left_fen: int
) -> None:
    """Record a payment, waive a trifle that remains and recognise income when all is paid."""
    parts = total(allocation.parts for allocation in book.allocations)
    book.overpaid_fen += left_fen
    book.mark_settled(on)
    book.note(event_id, kind, on, amount_fen, parts, left_fen)
    _waive_trifle(book, event_id, on)
    if not book.charged_off_on and not any(row.owed_fen for row in book.rows):
        recognise(book, event_id, on)


def _waive_trifle(book: Book, event_id: str, on: date) -> None:
    """A remainder within the tolerance is waived, so that the loan closes."""
    if not book.terms.tolerance_fen:
        return
    owed = settlement(book, on).total_fen
    if 0 < owed <= book.terms.tolerance_fen:
        waived = forgive(book, on)
        book.mark_settled(on)
        book.note(event_id, Kind.TOLERANCE_WAIVER, on, owed, waived)


def recognise(book: Book, event_id: str, on: date) -> None:
    """Recognise as income what is due of interest, fees and penalties and was not before."""
    due = total(row.due for row in book.rows)
    income = (due - book.accrued).having(Component.PRINCIPAL, 0)
    if income.total_fen > 0:
        book.accrued += income
        book.note(event_id, Kind.ACCRUAL, on, income.total_fen, income)


def settle_overpaid(book: Book, on: date) -> None:
    """Let what was overpaid settle what came to be owed on a day."""
    if book.overpaid_fen:
        future = book.waterfall_on(on).future
        book.mark_settled(on)
        book.overpaid_fen = _settle(book, book.overpaid_fen, on, future)
        book.allocations.clear()


def use_overpayment(book: Book) -> None:
    """Let what was overpaid settle what came to be owed later, as part of the same payments."""
    for index, record in enumerate(book.records):
        if not book.overpaid_fen or not record.overpaid_fen or record.kind not in _MONEY_IN:
            continue
        future = book.waterfall_on(record.on).future_of(record.kind)
        most = min(book.overpaid_fen, record.overpaid_fen)
        left = _settle(book, most, record.on, future)
        parts = total(allocation.parts for allocation in book.allocations)
        book.overpaid_fen -= most - left
        book.mark_settled(record.on)
        book.records[index] = replace(
            record,
            parts=record.parts + parts,
            overpaid_fen=record.overpaid_fen - (most - left),
            allocations=(*record.allocations, *book.allocations),
        )
        book.allocations.clear()


def post_prepayment(book: Book, event: Prepayment) -> None:
    """Pay what is due, the interest to the day, then principal; plan what is left anew.

    Raises:
        EventRefused: The loan is not running, or the amount does not cover what comes first.
    """
    _require_open(book, event.amount_fen)
    if book.charged_off_on or book.ended_on:
        raise EventRefused(
            "not-prepayable", "what is charged off or ended is paid, not planned anew"
        )
    on = event.on
    allocated = partial(allocate, book, on=on, future=Future.NEXT, is_prepayment=True)
    left = allocated(amount_fen=event.amount_fen, timings=_DUE_BY_NOW)
    row = book.next_due(on)
    before = {each: each.due for each in book.instalments}
    if left and row is not None:
        left = _split_period(book, row, left, event)
        follow_instalments(book, before, on)
    elif row is not None and _is_over(book, row, on):
        _plan_rest(book, 0, event, 0)
    left = allocated(amount_fen=left, timings=_AHEAD)
    _finish(book, event.id, Kind.PREPAYMENT, on, event.amount_fen, left)


def _is_over(book: Book, row: Row, on: date) -> bool:
    """Whether nothing is left to pay but what later periods would cost."""
    later = total(owed_of_later(book, other) for other in book.rows if other.due_on > on)
    return not (later + accrued_cost(book, row, on)).total_fen


def owed_of_later(book: Book, row: Row) -> Parts:
    """Return what an instalment that is not due owes even if it never comes to cost anything."""
    if row not in book.instalments:
        return row.outstanding
    owed, posted = row.outstanding, posted_charges(book, row)
    return Parts(
        principal_fen=owed.principal_fen,
        fee_fen=min(posted.fee_fen, owed.fee_fen),
        penalty_fen=min(posted.penalty_fen, owed.penalty_fen),
    )


def _split_period(book: Book, row: Row, amount_fen: int, event: Prepayment) -> int:
    """Put what is prepaid on a row of its own; return what is more than the loan owes.

    What was settled before of the interest to the day stands on the running row, which goes on to
    bear it: it settles nothing of what the rest of the period costs.
    """
    on = event.on
    cost = accrued_cost(book, row, on)
    charges, to_others = _take_charges(book, row)
    if amount_fen < cost.total_fen + charges.total_fen:
        raise EventRefused("prepays-too-little", "a prepayment covers the cost to its day first")
    owed = sum(later.owed_principal_fen for later in book.instalments)
    principal = min(owed, amount_fen - cost.total_fen - charges.total_fen)
    part = Row(
        from_on=min(row.from_on, on),
        due_on=on,
        kind=RowKind.PREPAID,
        periods=row.periods,
        whole=row.whole or (row.from_on, row.due_on),
        due=cost + charges + Parts(principal_fen=principal),
        passed_on_fen=0 if book.terms.is_flat else cost_by(book, row, on) - cost.interest_fen,
        is_fixed=True,
        to_others=to_others,
    )
    _shrink(book, row, part)
    book.rows.insert(book.rows.index(row), part)
    for component in Component:
        book.pay(part, component, part.due.of(component), on)
    credited = sum(other.credited_fen for other in book.rows)
    _plan_rest(book, owed - principal, event, principal)
    part.credited_fen = credited - sum(other.credited_fen for other in book.rows)
    return amount_fen - part.due.total_fen


def accrued_cost(book: Book, row: Row, on: date) -> Parts:
    """Return what is still owed of what the running period has cost up to a day."""
    component = flat_component(book.terms)
    settled = row.paid.of(component) + row.waived.of(component)
    return Parts.one(component, max(0, cost_by(book, row, on) - settled))


def cost_by(book: Book, row: Row, on: date) -> int:
    """Return the interest, or the flat fee, that a period has cost up to a day, fen."""
    if not book.terms.is_flat:
        return row.carried_fen + own_interest_fen(book, row, on)
    component = flat_component(book.terms)
    cost = row.due.of(component) - posted_charges(book, row).of(component)
    days, of = (on - row.from_on).days, (row.due_on - row.from_on).days
    return book.terms.profile.fen(Decimal(cost) * max(0, days) / of)


def _take_charges(book: Book, row: Row) -> tuple[Parts, Shares]:
    """Take what is owed of charges off the instalments to come; it is paid first.

    Returns what was taken, and what of its fees is for whom else.
    """
    taken, for_others = NOTHING, NO_SHARES
    for other in book.instalments:
        if other.due_on >= row.due_on:
            posted = posted_charges(book, other)
            owed = other.outstanding
            part = Parts(
                fee_fen=min(posted.fee_fen, owed.fee_fen),
                penalty_fen=min(posted.penalty_fen, owed.penalty_fen),
            )
            others = up_to(posted_for_others(book, other), part.fee_fen)
            other.to_others = without(other.to_others, others)
            other.due -= part
            for_others = merged((for_others, others))
            taken += part
    return taken, for_others


def _shrink(book: Book, row: Row, part: Row) -> None:
    """Leave the rest of the period to the row, with what it still bears."""
    if book.terms.is_flat:
        component = flat_component(book.terms)
        row.owe_more(component, -part.due.of(component))
    if row.from_on < part.due_on:
        row.cut()
        row.from_on = part.due_on


def _plan_rest(book: Book, left_fen: int, event: Prepayment, principal: int) -> None:
    rows = [row for row in book.instalments if row.due_on > event.on]
    if left_fen and book.terms.is_flat and event.effect is Excess.REDUCE_TERM:
        _shorten(book, rows, left_fen)
        return
    if left_fen and book.terms.is_flat and event.effect is Excess.RESCHEDULE_NEXT:
        _skip(rows, principal)
        return
    if book.terms.is_flat or left_fen == 0 or any(row.is_fixed for row in rows):
        _spread_rest(book, rows, left_fen)
        return
    if event.effect is Excess.REDUCE_INSTALMENT:
        set_levels(book, rows, left_fen)
    cut = principal if event.effect is Excess.RESCHEDULE_NEXT else 0
    for row in rows[:-1]:
        planned = row.due.principal_fen
        taken = min(cut, planned)
        cut -= taken
        if event.effect is Excess.RESCHEDULE_NEXT:
            row.principal_fen = planned - taken
    recalculate(book, event.on)
    rows = [row for row in book.instalments if row.due_on > event.on]
    while len(rows) > 1 and rows[-1].due.total_fen == 0:
        book.rows.remove(rows.pop())


def _shorten(book: Book, rows: list[Row], left_fen: int) -> None:
    """Let rows that follow no balance ask for what they did, as many as what is left needs.

    Those after them go, and what they would have cost.
    """
    for row in rows:
        over = row.owed_principal_fen - min(row.owed_principal_fen, left_fen)
        left_fen -= row.owed_principal_fen - over
        row.owe_more(Component.PRINCIPAL, -over)
    needed = max(n for n, row in enumerate(rows) if row.owed_principal_fen)
    _drop(book, rows[needed + 1 :])


def _skip(rows: list[Row], cut_fen: int) -> None:
    """Take what was prepaid of the principal off the rows that come next."""
    for row in rows:
        taken = min(cut_fen, row.owed_principal_fen)
        row.owe_more(Component.PRINCIPAL, -taken)
        cut_fen -= taken


def _drop(book: Book, rows: list[Row]) -> None:
    """Let rows go that nothing is left for; they stay as far as they were paid."""
    keep = [row for row in rows if row.paid + row.waived != NOTHING]
    book.rows = [row for row in book.rows if row not in rows or row in keep]
    for row in keep:
        row.due = row.paid + row.waived


def _spread_rest(book: Book, rows: list[Row], left_fen: int) -> None:
    """Spread what is left over rows that follow no balance; nothing left is nothing to pay."""
    if left_fen == 0:
        _drop(book, rows)
        return
    rows = [row for row in rows if row.owed_principal_fen > 0]
    each = book.terms.profile.fen(Decimal(left_fen) / len(rows))
    for row in rows:
        principal = min(each, left_fen) if row is not rows[-1] else left_fen
        row.owe(Component.PRINCIPAL, row.paid.principal_fen + row.waived.principal_fen + principal)
        left_fen -= principal
