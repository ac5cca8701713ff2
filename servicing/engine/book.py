"""The working papers of one replay: rows, draws, payments and records while they are being made.

Only the modules of this package write here, and only inside a call of `plan`, `replay` or `quote`;
what callers get is frozen (`state.py`).
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from enum import StrEnum

from servicing.engine.interest import Period
from servicing.engine.parts import NOTHING, Component, Parts, total
from servicing.engine.profile import Draws, Recalculation, Rest
from servicing.engine.shares import NO_SHARES, Shares, merged
from servicing.engine.terms import FeeRule, Terms
from servicing.engine.waterfall import ACCRUING_DAYS, DebtState, Waterfall


class RowKind(StrEnum):
    """Why a row is in the plan.

    Attributes:
        ADDITIONAL: After maturity, for a charge or a credit that came later.
        PREPAID: The part of a period that ended with a prepayment or another change of plan.
    """

    NORMAL = "normal"
    DOWN_PAYMENT = "down-payment"
    ADDITIONAL = "additional"
    PREPAID = "prepaid"


class Kind(StrEnum):
    """What a record tells."""

    DISBURSEMENT = "disbursement"
    DOWN_PAYMENT = "down-payment"
    REPAYMENT = "repayment"
    REPAYMENT_AT_DISBURSEMENT = "repayment-at-disbursement"
    PREPAYMENT = "prepayment"
    GOODWILL_CREDIT = "goodwill-credit"
    MERCHANT_REFUND = "merchant-refund"
    PAYOUT_REFUND = "payout-refund"
    INTEREST_REFUND = "interest-refund"
    CHARGE_ADJUSTMENT = "charge-adjustment"
    CHARGE_BACK = "charge-back"
    CREDIT_BALANCE_REFUND = "credit-balance-refund"
    INTEREST_WAIVER = "interest-waiver"
    CHARGE_WAIVER = "charge-waiver"
    TOLERANCE_WAIVER = "tolerance-waiver"
    ACCRUAL = "accrual"
    RE_AGE = "re-age"
    RE_AMORTISE = "re-amortise"
    TERMINATION = "termination"
    CHARGE_OFF = "charge-off"
    WRITE_OFF = "write-off"
    RECOVERY = "recovery"
    SUBSIDY_PAYMENT = "subsidy-payment"


class Status(StrEnum):
    """Where a loan stands."""

    APPROVED = "approved"
    ACTIVE = "active"
    CLOSED = "closed"
    OVERPAID = "overpaid"
    WRITTEN_OFF = "written-off"


# After these nothing is said about the balance: they are no movement of principal.
_WITHOUT_BALANCE = {
    Kind.ACCRUAL,
    Kind.RE_AGE,
    Kind.RE_AMORTISE,
    Kind.TERMINATION,
    Kind.CHARGE_OFF,
    Kind.WRITE_OFF,
    Kind.SUBSIDY_PAYMENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """How an instalment stood on the day on which the claim left the books: settled, and not."""

    on: date
    settled: Parts
    owed: Parts


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """One instalment in the making, fen; two are never the same.

    Attributes:
        periods: How many periods of the frequency it is for; 0 if its days count.
        whole: The period that it is a part of, if it is not all of it.
        level_fen: The instalment that it aims at; None if it bears no principal of its own.
        principal_fen: The principal that it aims at, if that is what is agreed.
        waived: Waived or written off.
        credited_fen: Principal that came back onto the loan, part of `due`.
        excess_fen: Principal paid beyond the plan, while its period was open.
        cut_fen: Principal that an earlier excess took off.
        carried_fen: Interest of earlier periods that it bears.
        passed_on_fen: Interest of its period that the next one bears.
        is_fixed: No recalculation changes it.
        is_planned: It was computed at least once.
        is_late_charged: It bears the fees that lateness costs once.
        penalty_exact: What lateness has cost, before rounding; `penalised_fen` of it is due.
        left: How it left the books, once it was charged off or written off.
        to_others: What of its fees is collected for whom else, as far as they stay due.
    """

    from_on: date
    due_on: date
    kind: RowKind = RowKind.NORMAL
    periods: int = 1
    whole: tuple[date, date] | None = None
    due: Parts = NOTHING
    paid: Parts = NOTHING
    waived: Parts = NOTHING
    credited_fen: int = 0
    level_fen: int | None = None
    principal_fen: int | None = None
    excess_fen: int = 0
    cut_fen: int = 0
    carried_fen: int = 0
    passed_on_fen: int = 0
    defers_interest: bool = False
    is_free: bool = False
    is_fixed: bool = False
    is_planned: bool = False
    is_late_charged: bool = False
    penalty_exact: Decimal = Decimal(0)
    penalised_fen: int = 0
    advance_fen: int = 0
    late_fen: int = 0
    settled_on: date | None = None
    left: Left | None = None
    to_others: Shares = NO_SHARES

    @property
    def outstanding(self) -> Parts:
        """What is still owed of it."""
        return self.due - self.paid - self.waived

    def owed_of(self, component: Component) -> int:
        """What of a component is still owed of it."""
        return self.due.of(component) - self.paid.of(component) - self.waived.of(component)

    @property
    def owed_fen(self) -> int:
        """What is still owed of it in all."""
        return sum(self.due) - sum(self.paid) - sum(self.waived)

    @property
    def owed_principal_fen(self) -> int:
        """What principal is still owed of it."""
        return self.due.principal_fen - self.paid.principal_fen - self.waived.principal_fen

    @property
    def period(self) -> Period:
        """The time it is for; a row that is a part of a period counts within the whole."""
        from_on, due_on = self.whole or (self.from_on, self.due_on)
        return Period(from_on=from_on, due_on=due_on, periods=self.periods)

    def cut(self) -> None:
        """Remember the whole period before a part of it is taken away."""
        self.whole = self.whole or (self.from_on, self.due_on)

    def owe(self, component: Component, fen: int) -> None:
        """Set what is due of a component."""
        self.due = self.due.having(component, fen)

    def cover_paid(self) -> None:
        """Let it ask for at least what was paid or waived of it, component by component."""
        for component in Component:
            settled = self.paid.of(component) + self.waived.of(component)
            if settled > self.due.of(component):
                self.owe(component, settled)

    def aim_higher(self, fen: int) -> None:
        """Raise the principal that it aims at, whichever way that is said."""
        if self.principal_fen is not None:
            self.principal_fen += fen
        elif self.level_fen is not None:
            self.level_fen += fen

    def owe_more(self, component: Component, fen: int) -> None:
        """Raise what is due of a component; lower it if negative."""
        self.due += Parts.one(component, fen)

    def collect(self, *shares: tuple[str, int]) -> None:
        """Let so much of its fees be somebody else's."""
        self.to_others = merged((self.to_others, shares))


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What a payment settled of the instalment due on a day."""

    due_on: date
    parts: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that happened, with what it did.

    Attributes:
        event_id: The event that it comes from.
        parts: How the amount was split.
        overpaid_fen: What was left over.
        balance_fen: Principal outstanding after it; 0 where it says nothing about it.
        is_reversed: It was undone later; the figures are those before that.
        after_charge_off: It came when the claim was already off the books.
    """

    event_id: str
    kind: Kind
    on: date
    amount_fen: int
    parts: Parts = NOTHING
    overpaid_fen: int = 0
    balance_fen: int = 0
    allocations: tuple[Allocation, ...] = ()
    is_reversed: bool = False
    after_charge_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A fee or penalty of its own with its day, and who gets it."""

    event_id: str
    component: Component
    fen: int
    due_on: date
    payee: str = ""


Dated = tuple[date, int]


@dataclass(slots=True, kw_only=True)
class Book:
    """Everything about one loan while it is replayed.

    Attributes:
        draws: Principal that bears interest from a day on: disbursements less down payments.
        repaid: Principal that bears no interest from a day on.
        interest_paid: Interest paid, by day.
        instalment_fees: What instalments bear beside the fees that were agreed, once charged.
        rates: From which day's step on which annual rate holds, oldest first.
        pauses: First and last day without interest, the last None if open.
        penalty_pauses: The same without penalty.
        lateness_pauses: The same without counting days.
        overdue: From its due date to another day, principal that was late and is planned anew since
            then; until then lateness costs, not interest.
        recalculated_on: The day as of which interest stands.
        penalised_to: The day up to which lateness has cost what it does.
        accrued: Income recognised so far.
        charged_back: Payments that were taken back, and how much of them.
        subsidy_paid_fen: What the merchant paid of its subsidy.
        coming: Disbursements that are in the plan already, before their day.
        cancelled_on: Since when the purchase is undone.
        is_cost_forgotten: The purchase was undone as if nothing had ever been lent.
        lapsed_on: Since when nothing more can be drawn.
    """

    terms: Terms
    rows: list[Row] = field(default_factory=list)
    draws: list[Dated] = field(default_factory=list)
    repaid: list[Dated] = field(default_factory=list)
    interest_paid: list[Dated] = field(default_factory=list)
    dues: list[Due] = field(default_factory=list)
    instalment_fees: list[FeeRule] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    disbursed: list[Dated] = field(default_factory=list)
    fees_at_disbursement: list[Dated] = field(default_factory=list)
    rates: list[tuple[date, Decimal]] = field(default_factory=list)
    pauses: list[tuple[date, date | None]] = field(default_factory=list)
    penalty_pauses: list[tuple[date, date | None]] = field(default_factory=list)
    lateness_pauses: list[tuple[date, date | None]] = field(default_factory=list)
    recalculated_on: date = date.min
    overdue: list[tuple[date, date, int]] = field(default_factory=list)
    penalised_to: date = date.min
    overpaid_fen: int = 0
    accrued: Parts = NOTHING
    charged_back: list[tuple[str, int]] = field(default_factory=list)
    charged_off_on: date | None = None
    written_off_on: date | None = None
    ended_on: date | None = None
    cancelled_on: date | None = None
    lapsed_on: date | None = None
    coming: list[Dated] = field(default_factory=list)
    is_cost_forgotten: bool = False
    subsidy_paid_fen: int = 0
    allocations: list[Allocation] = field(default_factory=list)

    @property
    def recalculation(self) -> Recalculation:
        """What payments do to interest; nothing, where there is none or it is flat."""
        if not self.bears_interest or self.charged_off_on or self.ended_on:
            return Recalculation.NONE
        return self.terms.profile.recalculation

    @property
    def bears_interest(self) -> bool:
        """Whether it costs interest on its balance, or did since some day."""
        has_rate = self.terms.rate_annual > 0 or any(rate > 0 for _, rate in self.rates)
        return has_rate and not self.terms.is_flat

    @property
    def status(self) -> Status:
        """Where the loan stands."""
        if self.written_off_on:
            return Status.WRITTEN_OFF
        if not self.disbursed:
            return Status.APPROVED
        if any(row.owed_fen for row in reversed(self.rows)):  # the last is paid last, mostly
            return Status.ACTIVE
        return Status.OVERPAID if self.overpaid_fen else Status.CLOSED

    @property
    def undrawn_fen(self) -> int:
        """What may still be drawn of a loan with several tranches that runs."""
        is_over = self.lapsed_on or self.charged_off_on or self.ended_on
        if self.terms.tranches == 1 or is_over or self.status is not Status.ACTIVE:
            return 0
        if len(self.disbursed) >= self.terms.tranches:
            return 0
        return max(0, self.terms.principal_fen - sum(fen for _, fen in self.disbursed))

    @property
    def outstanding(self) -> Parts:
        """What is owed in all by the plan as it stands."""
        return total(row.outstanding for row in self.rows)

    @property
    def paid(self) -> Parts:
        """What was paid in all."""
        return total(row.paid for row in self.rows)

    @property
    def principal_fen(self) -> int:
        """What principal is owed in all by the plan as it stands."""
        return sum(row.owed_principal_fen for row in self.rows)

    @property
    def instalments(self) -> list[Row]:
        """The rows that carry the principal which bears interest."""
        return [row for row in self.rows if row.kind in (RowKind.NORMAL, RowKind.PREPAID)]

    def waterfall_on(self, on: date, *, is_prepayment: bool = False) -> Waterfall:
        """Return the order in which money of a day settles what is owed."""
        by_state = self.terms.waterfalls
        if not by_state:
            return self.terms.waterfall
        state = DebtState.SETTLEMENT if is_prepayment else self._state_on(on)
        return by_state.get(state, self.terms.waterfall)

    def _state_on(self, on: date) -> DebtState:
        if self.charged_off_on:
            return DebtState.WRITTEN_OFF
        late = max(((on - row.due_on).days for row in self.unsettled()), default=0)
        if late > ACCRUING_DAYS:
            return DebtState.NON_ACCRUAL
        return DebtState.LATE if late > 0 else DebtState.CURRENT

    def current(self, on: date) -> Row | None:
        """Return the row whose period a day lies in; its due date belongs to it."""
        return next((row for row in self.instalments if row.from_on < on <= row.due_on), None)

    def next_due(self, on: date) -> Row | None:
        """Return the first instalment that falls due after a day."""
        return next((row for row in self.instalments if row.due_on > on), None)

    def counts_from(self, on: date) -> date:
        """Return from when a payment of a day counts for interest."""
        profile = self.terms.profile
        if profile.rest is Rest.DAILY and not profile.settles_at_due_date:
            return on
        first = self.instalments[:1]
        row = self.current(on) or next((row for row in first if on <= row.from_on), None)
        return row.due_on if row else on

    def pay(self, row: Row, component: Component, fen: int, on: date) -> int:
        """Pay up to so much of a component of a row, and return how much that was."""
        if fen <= 0:
            return 0
        part = Parts.one(component, fen)
        row.paid += part
        self.allocations.append(Allocation(due_on=row.due_on, parts=part))
        row.advance_fen += fen if on < row.due_on else 0
        row.late_fen += fen if on > row.due_on else 0
        if row.kind in (RowKind.NORMAL, RowKind.PREPAID):
            if component is Component.PRINCIPAL:
                self.repaid.append((self.counts_from(on), fen))
            elif component is Component.INTEREST:
                self.interest_paid.append((on, fen))
        return fen

    def give_up(self, row: Row, part: Parts, on: date) -> None:
        """Waive a part of what a row owes; principal of it bears interest no more."""
        row.waived += part
        if part.principal_fen and row.kind in (RowKind.NORMAL, RowKind.PREPAID):
            self.repaid.append((self.counts_from(on), part.principal_fen))

    def leave_books(self, on: date) -> None:
        """Keep how every row stands on the day on which the claim is taken off the books."""
        for row in self.rows:
            row.left = Left(on=on, settled=row.paid + row.waived, owed=row.outstanding)

    def note(
        self,
        event_id: str,
        kind: Kind,
        on: date,
        amount_fen: int,
        parts: Parts = NOTHING,
        overpaid_fen: int = 0,
    ) -> None:
        """Record what an event did, with the allocations made since the last record."""
        balance = 0 if kind in _WITHOUT_BALANCE else self.principal_fen
        if self.coming:
            balance = max(0, balance - sum(fen for _, fen in self.coming))
        self.records.append(
            Record(
                event_id=event_id,
                kind=kind,
                on=on,
                amount_fen=amount_fen,
                parts=parts,
                overpaid_fen=overpaid_fen,
                balance_fen=balance,
                allocations=tuple(self.allocations),
                after_charge_off=self.charged_off_on is not None,
            )
        )
        self.allocations.clear()

    def mark_settled(self, on: date) -> None:
        """Note on which day rows came to owe nothing, and forget it for those that owe again."""
        for row in self.rows:
            if row.owed_fen > 0:
                row.settled_on = None
            elif row.settled_on is None:
                row.settled_on = on

    def unsettled(self) -> Iterator[Row]:
        """List the rows that owe something, oldest first."""
        return (row for row in self.rows if row.owed_fen > 0)

    def copied(self) -> "Book":
        """Return working papers that stand as these do and go their own way."""
        other = copy(self)
        for slot in fields(self):
            value = getattr(self, slot.name)
            if isinstance(value, list):
                setattr(other, slot.name, value.copy())
        other.rows = [copy(row) for row in self.rows]
        return other

    def sort(self) -> None:
        """Put the rows in the order of their due dates.

        A down payment on a day on which an instalment falls due comes before it where the plan is
        made anew by the draw, and after it where only later instalments bear what is drawn.
        """
        first = self.terms.profile.draws is Draws.WHOLE
        self.rows.sort(
            key=lambda row: (row.due_on, (row.kind is RowKind.DOWN_PAYMENT) is not first)
        )
