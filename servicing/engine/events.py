"""What can happen to a loan, as frozen facts with their value date.

An event says what was decided or received, never what it does: that is `replay.py`'s.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from servicing.engine.book import Kind
from servicing.engine.interest import day_before
from servicing.engine.parts import Component
from servicing.engine.periods import MONTHLY, Frequency
from servicing.engine.profile import Excess


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a loan.

    Attributes:
        id: Unique in the loan's life.
        on: The value date: from when it counts.
    """

    id: str
    on: date

    @property
    def counts_on(self) -> date:
        """The day in whose order it is replayed."""
        return self.on


@dataclass(frozen=True, slots=True, kw_only=True)
class Disbursement(Event):
    """Money was paid out, fen > 0.

    Attributes:
        fee_fen: Paid by the borrower beside it, of their own money; never netted from it.
    """

    amount_fen: int
    fee_fen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment(Event):
    """Money or a credit that settles what is owed, fen > 0.

    Attributes:
        kind: Which of the kinds of record that settle: repayment, refund by a merchant, goodwill …
    """

    amount_fen: int
    kind: Kind = Kind.REPAYMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepayment(Event):
    """A repayment that ends the running period and re-plans what is left, fen > 0.

    Attributes:
        effect: What becomes smaller.
    """

    amount_fen: int
    effect: Excess = Excess.REDUCE_INSTALMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class UndrawnLapse(Event):
    """What was not drawn of a loan with several tranches will not be drawn any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsidyPayment(Event):
    """The merchant paid of its subsidy, fen; below 0, it got back what was paid too much."""

    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(Event):
    """A fee or penalty fell due by itself, fen > 0."""

    amount_fen: int
    due_on: date
    component: Component = Component.FEE
    name: str = ""
    payee: str = ""

    @property
    def counts_on(self) -> date:
        """A charge that is entered late counts from its own day."""
        return min(self.on, self.due_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalmentFee(Event):
    """Every instalment to come bears a fee: an amount, or a share of principal + interest."""

    amount_fen: int = 0
    share: Decimal = Decimal(0)
    component: Component = Component.FEE
    name: str = ""
    payee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCharge:
    """What an event costs by itself, fen > 0, to whom; it is due with the running instalment."""

    name: str
    amount_fen: int
    payee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver(Event):
    """The lender gives up a part of what is owed, oldest first.

    Attributes:
        charge_id: Of the charge that is waived whole; then the rest is not looked at.
        amount_fen: Up to so much, > 0.
    """

    component: Component = Component.PENALTY
    amount_fen: int = 0
    charge_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal(Event):
    """Another event never happened; everything after it is replayed without it."""

    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeBack(Event):
    """A payment was taken back by the payer's bank, fen > 0: it is owed again.

    Attributes:
        order: In which order what the payment settled is owed again; without one, and whatever is
            left, all of it is principal.
    """

    of: str
    amount_fen: int
    order: tuple[Component, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditBalanceRefund(Event):
    """What was overpaid went back to the borrower, fen > 0."""

    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedDueDate(Event):
    """An instalment falls due on another day, and those after it follow at the usual distance."""

    due_on: date
    to: date
    charges: tuple[EventCharge, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraTerms(Event):
    """What is owed from an instalment on is spread over more instalments."""

    from_due_on: date
    extra: int
    charges: tuple[EventCharge, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalGrace(Event):
    """From an instalment on, some bear no principal; the plan grows by as many."""

    from_due_on: date
    periods: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentHoliday(Event):
    """From an instalment on, all fall due some periods later.

    Attributes:
        bears_interest: Whether the time without instalments costs interest.
    """

    from_due_on: date
    periods: int
    bears_interest: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RateChange(Event):
    """Another annual rate from a day on; its first day bears the new rate."""

    from_on: date
    rate_annual: Decimal


class ReAgeInterest(StrEnum):
    """What happens to interest at a re-age.

    Attributes:
        NEW_PLAN: A new plan by the loan's own method, unpaid interest in equal parts.
        PAYABLE: Interest to the day in equal parts, none after it.
        OUTSTANDING: Interest of the old plan in equal parts.
    """

    NEW_PLAN = "new-plan"
    PAYABLE = "payable"
    OUTSTANDING = "outstanding"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReAge(Event):
    """What is owed is planned anew from a first due date on."""

    first_due_on: date
    terms: int
    frequency: Frequency = MONTHLY
    interest: ReAgeInterest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReAmortisation(Event):
    """What is past due is spread over the instalments to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestPause(Event):
    """No interest from a first to a last day, both included; open if there is no last."""

    first_on: date
    last_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyPause(Event):
    """No penalty from a first to a last day, both included; open if there is no last."""

    first_on: date
    last_on: date | None = None

    @property
    def counts_on(self) -> date:
        """It is known before its first day costs anything, however late it is entered."""
        return min(self.on, day_before(self.first_on))


@dataclass(frozen=True, slots=True, kw_only=True)
class LatenessPause(Event):
    """Days past due are not counted from a first to a last day."""

    first_on: date
    last_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatenessResume(Event):
    """Days past due are counted again from now on, whatever was planned."""


class ChargeOffEffect(StrEnum):
    """What a charge-off does to the plan."""

    NONE = "none"
    ZERO_INTEREST = "zero-interest"
    ACCELERATE = "accelerate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOff(Event):
    """The claim is taken off the books as lost; it is still owed."""

    effect: ChargeOffEffect = ChargeOffEffect.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOff(Event):
    """The claim is given up, in all or up to an amount of principal."""

    amount_fen: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery(Event):
    """Money came in on a claim that was written off, fen > 0."""

    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination(Event):
    """The contract ends: all principal is due now, with interest to the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation(Event):
    """The purchase was undone: the seller gave back its price, fen > 0, and the contract ends.

    Attributes:
        bears_cost: The interest and fees until then stay owed; else what was paid of them goes
            back too, as if the money had never been lent.
    """

    amount_fen: int
    bears_cost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOfDay(Event):
    """A day was closed: overdue interest and penalty are brought up to it.

    Attributes:
        earned_to: The day up to which income is recognised with it; None if that is done elsewhere.
    """

    earned_to: date | None = None
