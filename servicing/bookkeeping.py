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

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from servicing import chart
from servicing.engine import journal
from servicing.engine.book import Allocation, Kind, Record
from servicing.engine.events import Event
from servicing.engine.parts import NOTHING, Component, Parts
from servicing.engine.retelling import Glimpse, Retold
from servicing.engine.running import penalty_by
from servicing.engine.shares import Shares, in_proportion, merged, total_fen, up_to
from servicing.engine.state import LoanRow, LoanState, with_penalty
from servicing.engine.terms import Terms
from servicing.recognition import NOTHING_EARNED, Earned, all_earned, last_month_end, row_earned


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
# What these come to hangs on the instalments as they stand, not on the record alone.
_BY_ROWS: Final = (*_LEAVES_BOOKS, Kind.CHARGE_ADJUSTMENT)
_CLAIMS: Final = (journal.Account.PRINCIPAL, journal.Account.INCOME_RECEIVABLE)
# Nothing that befalls the borrower's debt changes what these mean.
_NOT_OF_THE_DEBT: Final = (Kind.RECOVERY, Kind.SUBSIDY_PAYMENT)
_REVERSAL: Final = "reversal"
_CORRECTION: Final = "correction"
SUBSIDY: Final = "subsidy"
COLLECTED: Final = "collected-for-others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the ledger sees of a loan once a day is closed.

    Attributes:
        rows: Instalments, with the penalty that is recognised of them.
        to_others: What of all its fees is collected for whom else.
    """

    closed_to: date
    rows: tuple[LoanRow, ...]
    records: tuple[Record, ...]
    to_others: Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A loan as it stands in the books.

    Attributes:
        rows: Its instalments with the penalty that is recognised; in `state` it has run on.
        closed_to: The last business date whose income is recognised.
    """

    state: LoanState
    rows: tuple[LoanRow, ...]
    closed_to: date

    @property
    def seen(self) -> Seen:
        """What the ledger sees of it."""
        return Seen(
            closed_to=self.closed_to,
            rows=self.rows,
            records=self.state.records,
            to_others=merged(row.to_others for row in self.rows),
        )


def standing_of(
    terms: Terms, state: LoanState, events: Sequence[Event], *, closed_to: date
) -> Standing:
    """Say how a loan stands in the books that is closed to a day.

    Penalty that runs is recognised at month ends and when something happens to the loan; what has
    run since is not yet.

    Args:
        terms: What was agreed.
        state: The loan as of that day, or as of the last event if that is later.
        events: All that happened to it by then.
        closed_to: The day.
    """
    rows, running = state.rows, state.running
    happened = max((event.counts_on for event in events), default=date.min)
    by = max(last_month_end(state.on), happened)
    if running is not None and running.rows:
        rows = with_penalty(rows, penalty_by(terms, running, by))
    return Standing(state=state, rows=rows, closed_to=closed_to)


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


def changes(
    before: Standing | None, after: Standing, *, on: date, days: Sequence[Retold] = ()
) -> Iterator[Change]:
    """List the entries that lead from one standing to another: income, others' share, events.

    What comes late changes what the loan was on every day since. Each of those days gets the
    entries by which the ledger as of it becomes what the plan as of it is.

    Args:
        before: None for a loan that was not in the books.
        after: What the books are to say.
        on: The day since which it counts; income is booked on its due date if that comes to be
            recognised by it.
        days: How the two differed since, day by day.
    """
    differences = _Differences()
    for day in days:
        closed_to = min(day.on, after.closed_to)
        one, other = (_seen(glimpse, closed_to) for glimpse in (day.before, day.after))
        yield from differences.changes(one, other, day.on)
    last = days[-1].on if days else on
    yield from differences.changes(None if before is None else before.seen, after.seen, last)


def _seen(glimpse: Glimpse, closed_to: date) -> Seen:
    return Seen(
        closed_to=closed_to,
        rows=glimpse.rows,
        records=glimpse.records,
        to_others=glimpse.to_others,
    )


class _Key(NamedTuple):
    """What entries are about: income or others' share of a due date, or a record of an event."""

    kind: str
    of: str
    due_on: date | None = None


def _place(key: _Key) -> tuple[int, date, int]:
    """Put income first, then others' share, both by due date, then records as they came."""
    if key.due_on is None:
        return 2, date.min, 0
    if key.kind == COLLECTED:
        return 1, key.due_on, 0
    return 0, key.due_on, (*_INCOME, SUBSIDY).index(key.kind)


class _Differences:
    """Says what two views of a loan make different in the ledger; knows what it said of records.

    A record is the same on many days, so that what it comes to is worked out once.
    """

    def __init__(self) -> None:
        self._of_records: dict[tuple[int, int], tuple[Record | None, Record | None, Sides]] = {}
        self.booked: dict[_Key, Sides] = {}

    def changes(self, before: Seen | None, after: Seen, on: date) -> Iterator[Change]:
        """List what is to be booked on a day beyond what was booked on the days before."""
        old = {} if before is None else _journal(before.records)
        new = _journal(after.records)
        differences = dict(_of_rows(before, after))
        differences |= dict(self._of_journals(old, new, before, after))
        moved = {
            key: sides
            for key in {**differences, **self.booked}
            if (sides := _minus(differences.get(key, {}), self.booked.get(key, {})))
        }
        for key in sorted(moved, key=_place):
            if key.due_on is not None:
                kind = key.kind
                day = income_day(kind, due_on=key.due_on, on=on, closed_to=after.closed_to)
            else:
                is_known = key in old or key in self.booked
                kind = _REVERSAL if key not in new else _CORRECTION if is_known else key.kind
                day = new[key].on if before is None else on
            self.booked[key] = differences.get(key, {})
            yield Change(kind=kind, of=key.of, on=day, sides=moved[key], due_on=key.due_on)

    def _of_journals(
        self,
        old: Mapping[_Key, Record],
        new: Mapping[_Key, Record],
        before: Seen | None,
        after: Seen,
    ) -> Iterator[tuple[_Key, Sides]]:
        for key in {**old, **new}:
            was, is_now = old.get(key), new.get(key)
            if key.kind in _BY_ROWS:
                yield key, _apart(was, is_now, before, after)
            elif was is not is_now:
                ids = (id(was), id(is_now))
                if ids not in self._of_records:
                    sides = _apart(was, is_now, before, after)
                    self._of_records[ids] = (was, is_now, sides)
                yield key, self._of_records[ids][2]


def _of_rows(before: Seen | None, after: Seen) -> Iterator[tuple[_Key, Sides]]:
    """Say what differs of income and of others' share, by due date."""
    old, new = ({} if seen is None else _earned_of(seen) for seen in (before, after))
    for due_on in {**old, **new}:
        was, is_now = old.get(due_on, NOTHING_EARNED), new.get(due_on, NOTHING_EARNED)
        if was != is_now:
            for kind, sides in income_entries(is_now - was, due_on):
                yield _Key(kind, kind, due_on), sides
    owed, owes = ({} if seen is None else _payable(seen) for seen in (before, after))
    for due_on in {**owed, **owes}:
        of = _Key(COLLECTED, COLLECTED, due_on)
        yield of, _minus(owes.get(due_on, {}), owed.get(due_on, {}))


def _apart(
    was: Record | None, is_now: Record | None, before: Seen | None, after: Seen
) -> dict[Side, int]:
    old = {} if was is None or before is None else _sides(was, before)
    return _minus({} if is_now is None else _sides(is_now, after), old)


def _journal(records: Iterable[Record]) -> dict[_Key, Record]:
    """Pick the records that move claims or money; income is recognised by accruals instead."""
    return {
        _Key(record.kind, record.event_id): record
        for record in records
        if not record.is_reversed and record.kind is not Kind.ACCRUAL
    }


def _sides(record: Record, seen: Seen) -> Sides:
    """Write what a record does in our accounts."""
    if record.after_charge_off:
        return _off_books(record)
    if record.kind in _LEAVES_BOOKS:
        return _loss(record, seen)
    sides = _on_books(record)
    if record.kind is Kind.CHARGE_ADJUSTMENT:
        return _back_from_payees(sides, seen.to_others)
    return sides


def _back_from_payees(sides: Sides, others: Shares) -> Sides:
    """Let payees bear what goes back of the fees that were collected for them."""
    income, found = Side(chart.FEE_INCOME), Counter(sides)
    part = min(total_fen(others), found[income])
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


def _loss(record: Record, seen: Seen) -> Sides:
    """Take what is on the books of each instalment off them; income never earned is no loss."""
    sides: Counter[Side] = Counter()
    for row in seen.rows:
        if row.left is None:
            continue
        earned = row_earned(row, closed_to=seen.closed_to) - row.left.settled
        lost = earned.having(Component.PRINCIPAL, row.left.owed.principal_fen)
        for component in Component:
            sides[Side(_LOSS[component])] += lost.of(component)
            sides[Side(_RECEIVABLE[component], row.due_on)] -= lost.of(component)
        others = _others_earned(row, seen) - _passed_on_fen(row, seen)
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
    debits = {side: fen for side, fen in sides.items() if fen > 0}
    return debits | {side: fen for side, fen in sides.items() if fen < 0}


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


def income_day(kind: str, *, due_on: date, on: date, closed_to: date) -> date:
    """Say on which day income counts that comes to be recognised, or is taken back, on one.

    What falls due after all that is closed counts on its due date, if that is earlier. What was
    recognised before changes on the day itself; others' share and penalty always do.
    """
    if kind in (Component.PENALTY, COLLECTED) or due_on <= closed_to:
        return on
    return min(on, due_on)


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


def _payable(seen: Seen) -> dict[date, Sides]:
    """Pass on to its payees what was collected for them, by due date.

    What is settled of a fee without being collected was given up: it costs us nothing. What comes
    in when the claim is off the books was a recovery at first.
    """
    found: dict[date, Counter[Side]] = {}
    for row in seen.rows:
        if not row.to_others:
            continue
        due_on, ended = row.due_on, _passed_on_fen(row, seen)
        collected = up_to(row.to_others, row.paid.fee_fen)
        of_claim = min(total_fen(collected), ended)
        sides = found.setdefault(due_on, Counter())
        sides[Side(chart.FEE_TO_COLLECT, due_on)] += ended
        sides[Side(chart.WAIVED, due_on)] -= ended - of_claim
        sides[Side(chart.RECOVERIES, due_on)] += total_fen(collected) - of_claim
        for payee, fen in collected:
            sides[Side(chart.FEE_PAYABLE, due_on, payee)] -= fen
    return {due_on: _debits_first(sides) for due_on, sides in found.items()}


def _others_earned(row: LoanRow, seen: Seen) -> int:
    """Return what others' part of a row's fee was recognised as, fen."""
    return min(row.to_others_fen, row_earned(row, closed_to=seen.closed_to).fee_fen)


def _passed_on_fen(row: LoanRow, seen: Seen) -> int:
    """Return what of that is not to be collected any more as long as the claim is on the books.

    Others come first: what is settled of a fee settles their part before ours.
    """
    others = _others_earned(row, seen)
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
    seen = standing.seen
    if not any(row.to_others for row in seen.rows):
        return {}
    got: Counter[str] = Counter()
    back: Counter[str] = Counter()
    for sides in _payable(seen).values():
        got.update({side.payee: -fen for side, fen in sides.items() if side.payee})
    for record in _journal(seen.records).values():
        sides = _sides(record, seen)
        back.update({side.payee: fen for side, fen in sides.items() if side.payee})
    return {
        payee: PayeeShare(collected_fen=got[payee], given_back_fen=back[payee])
        for payee in sorted({*got, *back})
        if got[payee] or back[payee]
    }


def _earned_of(seen: Seen) -> dict[date, Earned]:
    """Return what is recognised, by due date."""
    found: dict[date, Earned] = {}
    for row in seen.rows:
        part = all_earned(row, closed_to=seen.closed_to)
        if part != NOTHING_EARNED:
            found[row.due_on] = found.get(row.due_on, NOTHING_EARNED) + part
    return found


def on_books_fen(standing: Standing) -> int:
    """Return what of a claim is on the books, fen: principal, and income that was recognised."""
    state = standing.state
    if state.charged_off_on or state.written_off_on:
        return 0
    return sum(_on_books_fen(row, standing.closed_to) for row in standing.rows)


def _on_books_fen(row: LoanRow, closed_to: date) -> int:
    settled = (row.paid + row.waived).having(Component.PRINCIPAL, 0)
    earned = row_earned(row, closed_to=closed_to) - settled
    return row.outstanding.principal_fen + earned.total_fen


def _minus(after: Sides, before: Sides) -> dict[Side, int]:
    if after == before:
        return {}
    sides = [*after, *(side for side in before if side not in after)]
    return _debits_first({side: after.get(side, 0) - before.get(side, 0) for side in sides})
