"""What a replay returns: a loan on a day, frozen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from servicing.engine.book import Book, Left, Record, Row, RowKind, Status
from servicing.engine.parts import Component, Parts, total
from servicing.engine.periods import MONTHLY, Frequency
from servicing.engine.plan import row_balances
from servicing.engine.running import RunningPenalty
from servicing.engine.shares import NO_SHARES, Shares, merged, total_fen, up_to
from servicing.engine.subsidy import NO_SUBSIDY, Subsidy, subsidies


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanRow:
    """One instalment of a running loan, fen.

    Attributes:
        n: 1 for the first.
        waived: Waived or written off.
        credited_fen: Principal that came back onto the loan, part of `due`.
        advance_fen: Paid before its due date.
        late_fen: Paid after it.
        settled_on: The day since which nothing of it is owed.
        balance_fen: Principal that remains by plan after it.
        left: How it left the books, if the claim was charged off or written off.
        to_others: What of its fees is collected for whom else.
        subsidy: What the merchant owes for it.
    """

    n: int
    from_on: date
    due_on: date
    kind: RowKind
    due: Parts
    paid: Parts
    waived: Parts
    credited_fen: int
    advance_fen: int
    late_fen: int
    settled_on: date | None
    balance_fen: int
    left: Left | None = None
    to_others: Shares = NO_SHARES
    subsidy: Subsidy = NO_SUBSIDY

    @property
    def outstanding(self) -> Parts:
        """What is still owed of it."""
        return self.due - self.paid - self.waived

    @property
    def to_others_fen(self) -> int:
        """What of its fees is collected for others."""
        return total_fen(self.to_others)

    @property
    def days(self) -> int:
        """How long its period is."""
        return (self.due_on - self.from_on).days


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanState:
    """A loan as of a day.

    Attributes:
        on: The day.
        rows: The plan as it stands, oldest first.
        records: What happened, in the order of value dates; reversed events among them.
        overpaid_fen: What is owed to the borrower.
        disbursed: Day and amount of each disbursement.
        fees_at_disbursement: Day and amount of fees paid beside a disbursement.
        accrued_to: The last day that bore interest.
        lateness_pauses: First and last day of each pause of counting.
        frequency: How far its due dates lie apart by agreement.
        running: How far penalty had run after the last event, for the days that follow.
        undrawn_fen: What may still be drawn of it.
        cancelled_on: Since when its purchase is undone.
        rate_annual: In force on the day.
        rates: Since which day's end which annual rate holds instead of the agreed one, oldest
            first.
        lender_type: Whose caps on the cost of credit hold for it.
    """

    on: date
    status: Status
    rows: tuple[LoanRow, ...]
    records: tuple[Record, ...]
    overpaid_fen: int
    disbursed: tuple[tuple[date, int], ...]
    fees_at_disbursement: tuple[tuple[date, int], ...]
    accrued_to: date
    charged_off_on: date | None
    written_off_on: date | None
    lateness_pauses: tuple[tuple[date, date | None], ...]
    first_day_late: int
    grace_days: int
    frequency: Frequency = MONTHLY
    running: RunningPenalty | None = None
    undrawn_fen: int = 0
    cancelled_on: date | None = None
    rate_annual: Decimal = Decimal(0)
    rates: tuple[tuple[date, Decimal], ...] = ()
    lender_type: str = ""

    @property
    def due(self) -> Parts:
        """All that the plan asks for."""
        return total(row.due for row in self.rows)

    @property
    def paid(self) -> Parts:
        """All that was paid on it."""
        return total(row.paid for row in self.rows)

    @property
    def outstanding(self) -> Parts:
        """All that is still owed."""
        return total(row.outstanding for row in self.rows)

    @property
    def overdue(self) -> Parts:
        """What is owed and should have been paid before the day."""
        return total(row.outstanding for row in self.rows if row.due_on < self.on)

    @property
    def due_now(self) -> Parts:
        """What is owed by now, today included."""
        return total(row.outstanding for row in self.rows if row.due_on <= self.on)


def freeze(
    book: Book, on: date, records: Sequence[Record], running: RunningPenalty | None
) -> LoanState:
    """Make the state of a loan out of its working papers."""
    return LoanState(
        on=on,
        status=book.status,
        rows=frozen_rows(book),
        records=tuple(records),
        overpaid_fen=book.overpaid_fen,
        disbursed=tuple(book.disbursed),
        fees_at_disbursement=tuple(book.fees_at_disbursement),
        accrued_to=_accrued_to(book, on),
        charged_off_on=book.charged_off_on,
        written_off_on=book.written_off_on,
        lateness_pauses=tuple(book.lateness_pauses),
        first_day_late=book.terms.profile.first_day_late,
        grace_days=book.terms.grace_days,
        frequency=book.terms.frequency,
        running=running,
        undrawn_fen=book.undrawn_fen,
        cancelled_on=book.cancelled_on,
        rate_annual=_rate_annual(book, on),
        rates=tuple(book.rates),
        lender_type=book.terms.lender_type,
    )


def frozen_rows(book: Book, is_wanted: Callable[[int], bool] | None = None) -> tuple[LoanRow, ...]:
    """Make the instalments of a loan out of its working papers, or some of them, by place."""
    rows = enumerate(zip(book.rows, row_balances(book), subsidies(book), strict=True))
    return tuple(_frozen(n + 1, *row) for n, row in rows if is_wanted is None or is_wanted(n))


def fees_of_others(book: Book) -> Shares:
    """Add up what of all fees is collected for whom else."""
    return merged(up_to(row.to_others, row.due.fee_fen) for row in book.rows if row.to_others)


def with_penalty(rows: Iterable[LoanRow], penalties: Mapping[int, int]) -> tuple[LoanRow, ...]:
    """Return instalments with another penalty due, by their number."""
    return tuple(
        replace(row, due=row.due.having(Component.PENALTY, penalties[row.n]))
        if row.n in penalties
        else row
        for row in rows
    )


def _rate_annual(book: Book, on: date) -> Decimal:
    holding = [rate for since, rate in book.rates if since < on]
    return holding[-1] if holding else book.terms.rate_annual


def _frozen(n: int, row: Row, balance_fen: int, subsidy: Subsidy) -> LoanRow:
    return LoanRow(
        n=n,
        from_on=row.from_on,
        due_on=row.due_on,
        kind=row.kind,
        due=row.due,
        paid=row.paid,
        waived=row.waived,
        credited_fen=row.credited_fen,
        advance_fen=row.advance_fen,
        late_fen=row.late_fen,
        settled_on=row.settled_on,
        balance_fen=balance_fen,
        left=row.left,
        to_others=up_to(row.to_others, row.due.fee_fen),
        subsidy=subsidy,
    )


def _accrued_to(book: Book, on: date) -> date:
    """Interest runs to the day itself, to the end of the plan, or to the day before a pause."""
    ends = [on, *(row.due_on for row in book.instalments[-1:])]
    for first, last in book.pauses:
        if first <= on and (last is None or on <= last):
            ends.append(first - timedelta(days=1))
    return min(ends)
