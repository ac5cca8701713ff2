"""What a loan's state means in the ledger: its journal, the income it has earned, and differences.

The ledger of a loan follows from its events. Posting an event books the difference between the
journal before and after it, so that a reversal, or a payment that comes late, books back what it
changes and everything stays balanced by construction. Storing entries is not done here.

A claim that is charged off or written off leaves the books with what of it was on them: principal,
and income that was recognised. What is charged off is still owed, so it stays in memoranda; money
on it is a recovery, and giving it up later costs nothing a second time.

A fee of somebody else is theirs once it is collected: until then it is to be collected, from then
on payable to its payee. What is not collected, because it was waived or lost, nobody gets.
"""

import calendar
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from kernel.money import Rounding, round_fen
from servicing import chart
from servicing.engine import journal
from servicing.engine.book import Allocation, Kind, Record
from servicing.engine.parts import NOTHING, Component, Parts
from servicing.engine.shares import in_proportion, merged, total_fen, up_to
from servicing.engine.state import LoanRow, LoanState


class Side(NamedTuple):
    """An account, the due date of the instalment that it is about, if one, and whose money."""

    account: str
    due_on: date | None = None
    payee: str = ""


Sides = Mapping[Side, int]

_RECEIVABLE: Final = {
    Component.PENALTY: chart.PENALTY_DUE,
    Component.FEE: chart.FEE_DUE,
    Component.INTEREST: chart.INTEREST_DUE,
    Component.PRINCIPAL: chart.PRINCIPAL,
}
_INCOME: Final = {
    Component.INTEREST: chart.INTEREST_INCOME,
    Component.FEE: chart.FEE_INCOME,
    Component.PENALTY: chart.PENALTY_INCOME,
}
_ACCOUNTS: Final = {
    journal.Account.CLEARING: chart.CLEARING,
    journal.Account.OVERPAID: chart.REFUND_PAYABLE,
    journal.Account.WAIVED: chart.WAIVED,
    journal.Account.GOODWILL: chart.GOODWILL,
    journal.Account.INTEREST_INCOME: chart.INTEREST_INCOME,
    journal.Account.FEE_INCOME: chart.FEE_INCOME,
    journal.Account.RECOVERIES: chart.RECOVERIES,
    journal.Account.SUBSIDY_RECEIVABLE: chart.SUBSIDY_DUE,
}
_LOSS: Final = {
    Component.PENALTY: chart.FEE_LOSS,
    Component.FEE: chart.FEE_LOSS,
    Component.INTEREST: chart.INTEREST_LOSS,
    Component.PRINCIPAL: chart.CREDIT_LOSS,
}
_LEAVES_BOOKS: Final = (Kind.CHARGE_OFF, Kind.WRITE_OFF)
# What the seller gives back or pays is not to be looked for in WeChat Pay's bill.
_CLEARING: Final = {
    Kind.DISBURSEMENT: chart.FUNDING,
    Kind.MERCHANT_REFUND: chart.MERCHANT,
    Kind.PAYOUT_REFUND: chart.MERCHANT,
    Kind.SUBSIDY_PAYMENT: chart.FUNDING,
}
_BRINGS_MONEY: Final = (Kind.REPAYMENT, Kind.MERCHANT_REFUND, Kind.PAYOUT_REFUND)
_PAID_BACK: Final = (Kind.CHARGE_BACK, Kind.CREDIT_BALANCE_REFUND)
_CLAIM_CODES: Final = frozenset(_RECEIVABLE.values())
_CLAIMS: Final = (journal.Account.PRINCIPAL, journal.Account.INCOME_RECEIVABLE)
# Nothing that befalls the borrower's debt changes what these mean.
_NOT_OF_THE_DEBT: Final = (Kind.RECOVERY, Kind.SUBSIDY_PAYMENT)
_REVERSAL: Final = "reversal"
_CORRECTION: Final = "correction"
SUBSIDY: Final = "subsidy"
COLLECTED: Final = "collected-for-others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A loan as it stands in the books.

    Attributes:
        closed_to: The last business date whose income is recognised.
    """

    state: LoanState
    closed_to: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry to be made.

    Attributes:
        kind: What it is about: a kind of record, income, a reversal or a correction.
        of: The event that did it, or the component of income.
        due_on: The instalment, where the entry is about one only.
    """

    kind: str
    of: str
    on: date
    sides: Sides
    due_on: date | None = None


def changes(before: Standing | None, after: Standing, *, on: date) -> Iterator[Change]:
    """List the entries that lead from one standing to another: income, others' share, events.

    Args:
        before: None for a loan that was not in the books.
        after: What the books are to say.
        on: The day of the change; income of an instalment is booked on its due date if earlier.
    """
    yield from _income_changes(before, after, on)
    yield from _payable_changes(before, after, on)
    old = {} if before is None else _journal(before.state)
    new = _journal(after.state)
    for key in [*old, *(key for key in new if key not in old)]:
        record = new.get(key) or old[key]
        was = _sides(old[key], before) if before is not None and key in old else {}
        is_now = _sides(new[key], after) if key in new else {}
        difference = _minus(is_now, was)
        if difference:
            kind = record.kind.value if key not in old else _CORRECTION if key in new else _REVERSAL
            day = record.on if key not in old else on
            yield Change(kind=kind, of=record.event_id, on=day, sides=difference)


def _journal(state: LoanState) -> dict[tuple[str, Kind], Record]:
    """Pick the records that move claims or money; income is recognised by accruals instead."""
    return {
        (record.event_id, record.kind): record
        for record in state.records
        if not record.is_reversed and record.kind is not Kind.ACCRUAL
    }


def _sides(record: Record, standing: Standing) -> Sides:
    """Write what a record does in our accounts."""
    if record.after_charge_off:
        return _off_books(record)
    if record.kind in _LEAVES_BOOKS:
        return _loss(record, standing)
    sides = _on_books(record)
    return _back_from_payees(sides, standing) if record.kind is Kind.CHARGE_ADJUSTMENT else sides


def _back_from_payees(sides: Sides, standing: Standing) -> Sides:
    """Let payees bear what goes back of the fees that were collected for them."""
    others = merged(row.to_others for row in standing.state.rows)
    income, found = Side(chart.FEE_INCOME), Counter(sides)
    part = min(total_fen(others), found[income])
    if part <= 0:
        return sides
    found[income] -= part
    found.update(
        {Side(chart.FEE_PAYABLE, payee=who): fen for who, fen in in_proportion(others, part)}
    )
    return _debits_first(found)


def _on_books(record: Record) -> Sides:
    """Write the engine's entry in our accounts, claims by component and instalment."""
    sides: Counter[Side] = Counter()
    claimed = 0
    postings = [posting for entry in journal.entries((record,)) for posting in entry.postings]
    if not postings:
        return {}
    for posting in postings:
        if posting.account in _CLAIMS:
            claimed += posting.fen
        else:
            sides[Side(_account(record.kind, posting.account))] += posting.fen
    sign = 1 if claimed > 0 else -1
    for allocation in _settled(record):
        for component, account in _RECEIVABLE.items():
            of = Side(account, allocation.due_on)
            sides[of] += sign * allocation.parts.of(component)
    rest = claimed - sum(fen for side, fen in sides.items() if side.account in _CLAIM_CODES)
    sides[Side(chart.PRINCIPAL)] += rest
    return _debits_first(sides)


def _loss(record: Record, standing: Standing) -> Sides:
    """Take what is on the books of each instalment off them; income never earned is no loss."""
    sides: Counter[Side] = Counter()
    for row in standing.state.rows:
        if row.left is None:
            continue
        earned = row_earned(row, closed_to=standing.closed_to) - row.left.settled
        lost = earned.having(Component.PRINCIPAL, row.left.owed.principal_fen)
        for component in Component:
            sides[Side(_LOSS[component])] += lost.of(component)
            sides[Side(_RECEIVABLE[component], row.due_on)] -= lost.of(component)
        others = _others_earned(row, standing) - _passed_on_fen(row, standing)
        sides[Side(chart.FEE_LOSS)] -= others
        sides[Side(chart.FEE_TO_COLLECT, row.due_on)] += others
    if record.kind is Kind.CHARGE_OFF:
        sides.update(_memorandum(record.parts.total_fen))
    return _debits_first(sides)


def _off_books(record: Record) -> Sides:
    """Write what happens to a claim that was charged off: money is a recovery, nothing else counts.

    What is still owed of it is kept in memoranda all the same.
    """
    if record.kind in _NOT_OF_THE_DEBT:
        return _on_books(record)
    owed = record.parts.total_fen
    sides: Counter[Side] = Counter(_memorandum(owed if record.kind in _PAID_BACK else -owed))
    account = _account(record.kind, journal.Account.CLEARING)
    if record.kind in _PAID_BACK:
        sides[Side(chart.RECOVERIES)] += owed
        sides[Side(chart.REFUND_PAYABLE)] += record.overpaid_fen
        sides[Side(account)] -= record.amount_fen
    elif record.kind in _BRINGS_MONEY:
        sides[Side(account)] += record.amount_fen
        sides[Side(chart.REFUND_PAYABLE)] -= record.overpaid_fen
        sides[Side(chart.RECOVERIES)] -= owed
    return _debits_first(sides)


def _memorandum(fen: int) -> Sides:
    return {Side(chart.CHARGED_OFF): fen, Side(chart.CHARGED_OFF_CONTRA): -fen}


def _debits_first(sides: Sides) -> dict[Side, int]:
    moved = [(side, fen) for side, fen in sides.items() if fen]
    return dict(sorted(moved, key=lambda leg: leg[1] < 0))


@dataclass(frozen=True, slots=True)
class _Whole:
    """All of a record, where the engine does not say which instalments it settled."""

    parts: Parts
    due_on: date | None = None


def _settled(record: Record) -> tuple[Allocation | _Whole, ...]:
    if record.allocations and record.kind not in _PAID_BACK:
        return record.allocations
    return (_Whole(record.parts),) if record.parts != NOTHING else ()


def _account(kind: Kind, account: journal.Account) -> str:
    """A disbursement leaves the funding bank; most that comes in waits for WeChat Pay's bill."""
    if account is journal.Account.CLEARING:
        return _CLEARING.get(kind, chart.CLEARING)
    return _ACCOUNTS[account]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What is recognised of instalments, fen.

    Attributes:
        parts: Interest, fees and penalty that the borrower owes.
        to_others_fen: What of the fees belongs to others and is no income.
        subsidy_fen: What the merchant owes.
    """

    parts: Parts = NOTHING
    to_others_fen: int = 0
    subsidy_fen: int = 0

    def __add__(self, other: "Earned") -> "Earned":
        return Earned(
            parts=self.parts + other.parts,
            to_others_fen=self.to_others_fen + other.to_others_fen,
            subsidy_fen=self.subsidy_fen + other.subsidy_fen,
        )

    def __sub__(self, other: "Earned") -> "Earned":
        return Earned(
            parts=self.parts - other.parts,
            to_others_fen=self.to_others_fen - other.to_others_fen,
            subsidy_fen=self.subsidy_fen - other.subsidy_fen,
        )


def _income_changes(before: Standing | None, after: Standing, on: date) -> Iterator[Change]:
    old = {} if before is None else earned(before)
    new = earned(after)
    for due_on in sorted({*old, *new}):
        difference = new.get(due_on, Earned()) - old.get(due_on, Earned())
        for kind, sides in income_entries(difference, due_on):
            day = income_day(kind, due_on=due_on, on=on)
            yield Change(kind=kind, of=kind, on=day, sides=sides, due_on=due_on)


def income_day(kind: str, *, due_on: date, on: date) -> date:
    """Say on which day income counts that becomes known on one: penalty runs by the day."""
    return on if kind == Component.PENALTY else min(on, due_on)


def income_entries(earned: Earned, due_on: date) -> Iterator[tuple[str, Sides]]:
    """List the entries of what is earned of an instalment, by kind; negative takes it back."""
    for component in _INCOME:
        fen = earned.parts.of(component)
        others = earned.to_others_fen if component is Component.FEE else 0
        if fen or others:
            yield component, income_sides(component, fen, due_on, to_others_fen=others)
    if earned.subsidy_fen:
        yield (
            SUBSIDY,
            _debits_first(
                {
                    Side(chart.SUBSIDY_DUE, due_on): earned.subsidy_fen,
                    Side(chart.SUBSIDY_INCOME, due_on): -earned.subsidy_fen,
                }
            ),
        )


def income_sides(
    component: Component, fen: int, due_on: date, *, to_others_fen: int = 0
) -> dict[Side, int]:
    """Say what the income of an instalment posts when it is earned; negative takes it back."""
    return _debits_first(
        {
            Side(_RECEIVABLE[component], due_on): fen,
            Side(_INCOME[component], due_on): to_others_fen - fen,
            Side(chart.FEE_TO_COLLECT, due_on): -to_others_fen,
        }
    )


def _payable_changes(before: Standing | None, after: Standing, on: date) -> Iterator[Change]:
    """What others are owed follows what was collected of an instalment, and goes back with it."""
    old = {} if before is None else _payable(before)
    new = _payable(after)
    for due_on in sorted({*old, *new}):
        difference = _minus(new.get(due_on, {}), old.get(due_on, {}))
        if difference:
            yield Change(kind=COLLECTED, of=COLLECTED, on=on, sides=difference, due_on=due_on)


def _payable(standing: Standing) -> dict[date, Sides]:
    """Pass on to its payees what was collected for them, by due date.

    What is settled of a fee without being collected was given up: it costs us nothing. What comes
    in when the claim is off the books was a recovery at first.
    """
    found: dict[date, Counter[Side]] = {}
    for row in standing.state.rows:
        if not row.to_others:
            continue
        due_on, ended = row.due_on, _passed_on_fen(row, standing)
        collected = up_to(row.to_others, row.paid.fee_fen)
        of_claim = min(total_fen(collected), ended)
        sides = found.setdefault(due_on, Counter())
        sides[Side(chart.FEE_TO_COLLECT, due_on)] += ended
        sides[Side(chart.WAIVED, due_on)] -= ended - of_claim
        sides[Side(chart.RECOVERIES, due_on)] += total_fen(collected) - of_claim
        for payee, fen in collected:
            sides[Side(chart.FEE_PAYABLE, due_on, payee)] -= fen
    return {due_on: _debits_first(sides) for due_on, sides in found.items()}


def _others_earned(row: LoanRow, standing: Standing) -> int:
    """Return what others' part of a row's fee was recognised as, fen."""
    return min(row.to_others_fen, row_earned(row, closed_to=standing.closed_to).fee_fen)


def _passed_on_fen(row: LoanRow, standing: Standing) -> int:
    """Return what of that is not to be collected any more as long as the claim is on the books.

    Others come first: what is settled of a fee settles their part before ours.
    """
    others = _others_earned(row, standing)
    if row.left is not None:
        return min(others, row.left.settled.fee_fen)
    uncollected = others - min(others, row.paid.fee_fen)
    return others - min(uncollected, row.outstanding.fee_fen)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeShare:
    """What a loan came to for a payee: collected, and of that given back to the borrower, fen."""

    collected_fen: int = 0
    given_back_fen: int = 0


def payee_shares(standing: Standing) -> dict[str, PayeeShare]:
    """Say what of a loan's fees was collected for whom else, and what of it went back."""
    if not any(row.to_others for row in standing.state.rows):
        return {}
    got: Counter[str] = Counter()
    back: Counter[str] = Counter()
    for sides in _payable(standing).values():
        got.update({side.payee: -fen for side, fen in sides.items() if side.payee})
    for record in _journal(standing.state).values():
        sides = _sides(record, standing)
        back.update({side.payee: fen for side, fen in sides.items() if side.payee})
    return {
        payee: PayeeShare(collected_fen=got[payee], given_back_fen=back[payee])
        for payee in sorted({*got, *back})
        if got[payee] or back[payee]
    }


def earned(standing: Standing) -> dict[date, Earned]:
    """Return what is recognised, by due date."""
    found: dict[date, Earned] = {}
    for row in standing.state.rows:
        part = all_earned(row, closed_to=standing.closed_to)
        if part != Earned():
            found[row.due_on] = found.get(row.due_on, Earned()) + part
    return found


def all_earned(row: LoanRow, *, closed_to: date) -> Earned:
    """Return what is recognised of an instalment once a day is closed: the borrower's and more."""
    parts = row_earned(row, closed_to=closed_to)
    return Earned(
        parts=parts,
        to_others_fen=min(row.to_others_fen, parts.fee_fen),
        subsidy_fen=_subsidy_earned(row, closed_to),
    )


def _subsidy_earned(row: LoanRow, closed_to: date) -> int:
    """A subsidy is earned as interest is, and all of it when the loan has ended."""
    settled = row.paid + row.waived
    if row.subsidy.is_final or row.due_on <= closed_to or settled != NOTHING:
        return row.subsidy.fen
    return earned_by_month_end(
        row.subsidy.fen, from_on=row.from_on, due_on=row.due_on, closed_to=closed_to
    )


def row_earned(row: LoanRow, *, closed_to: date) -> Parts:
    """Return what of an instalment's cost is recognised as income once a day is closed.

    All of it when it has fallen due, or when something of it was paid or waived; else, of the
    running period, the interest of its days up to the last month end. Nothing is recognised any
    more of a claim that has left the books.
    """
    income, settled = row.due.having(Component.PRINCIPAL, 0), row.paid + row.waived
    if row.left is not None:
        closed_to, settled = row.left.on, row.left.settled
    if row.due_on <= closed_to or settled != NOTHING:
        return income
    interest = earned_by_month_end(
        income.interest_fen, from_on=row.from_on, due_on=row.due_on, closed_to=closed_to
    )
    return Parts(interest_fen=interest)


def on_books_fen(standing: Standing) -> int:
    """Return what of a claim is on the books, fen: principal, and income that was recognised."""
    state = standing.state
    if state.charged_off_on or state.written_off_on:
        return 0
    return sum(_on_books_fen(row, standing.closed_to) for row in state.rows)


def _on_books_fen(row: LoanRow, closed_to: date) -> int:
    settled = (row.paid + row.waived).having(Component.PRINCIPAL, 0)
    earned = row_earned(row, closed_to=closed_to) - settled
    return row.outstanding.principal_fen + earned.total_fen


def earned_by_month_end(interest_fen: int, *, from_on: date, due_on: date, closed_to: date) -> int:
    """Return the interest of a running period up to the last month end that is closed, fen."""
    end = last_month_end(closed_to)
    if end <= from_on:
        return 0
    share = Decimal((end - from_on).days) / (due_on - from_on).days
    return round_fen(interest_fen * share, rounding=Rounding.HALF_UP)


def last_month_end(on: date) -> date:
    """Return the last end of a month up to a day."""
    if on.day == calendar.monthrange(on.year, on.month)[1]:
        return on
    return on.replace(day=1) - timedelta(days=1)


def _minus(after: Sides, before: Sides) -> dict[Side, int]:
    sides = [*after, *(side for side in before if side not in after)]
    return _debits_first({side: after.get(side, 0) - before.get(side, 0) for side in sides})
