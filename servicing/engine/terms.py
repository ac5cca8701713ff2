"""What was agreed: amount, price, time, method, fees, penalty and order of allocation.

Frozen data with the checks that make it a loan; the arithmetic is elsewhere.
"""

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from kernel.errors import Invalid
from servicing.engine.parts import Component
from servicing.engine.periods import MONTHLY, Frequency
from servicing.engine.profile import HOUSE, Profile
from servicing.engine.waterfall import HOUSE_WATERFALL, Waterfall

MOST_TERMS = 480
# The payee of whatever names no other, as a cost table says it; and the lender by its other names.
LENDER: Final = "贷款人"
_OURSELVES: Final = ("", LENDER, "本公司")


class TermsRefused(Invalid):
    """A loan cannot have these terms."""

    code = "loan-terms-refused"
    message_zh = "分期方案不符合规定"


class Method(StrEnum):
    """How principal comes back.

    Attributes:
        EQUAL_INSTALMENT: 等额本息.
        EQUAL_PRINCIPAL: 等额本金.
        FLAT_FEE: 等本等息, principal / n and a fee on the original principal each period.
        FLAT_INTEREST: The same with interest by the annual rate.
        INTEREST_FIRST: 先息后本.
        BULLET: 到期一次还本付息, one instalment at maturity.
        FIXED_INSTALMENT: A given instalment for as long as it takes.
    """

    EQUAL_INSTALMENT = "equal-instalment"
    EQUAL_PRINCIPAL = "equal-principal"
    FLAT_FEE = "flat-fee"
    FLAT_INTEREST = "flat-interest"
    INTEREST_FIRST = "interest-first"
    BULLET = "bullet"
    FIXED_INSTALMENT = "fixed-instalment"


class PenaltyBase(StrEnum):
    """On what a penalty runs."""

    PRINCIPAL = "principal"
    INSTALMENT = "instalment"


@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyRule:
    """What lateness costs.

    Attributes:
        rate_annual: Of the base, > 0.
        cap_annual: The penalty never runs above this rate, whatever `rate_annual` says.
        grace_days: Paid within them, nothing is charged; paid later, they count too.
        year_days: A day costs rate / this.
        counts_due_day: Lateness starts on the due date itself.
        stops_after_days: An instalment bears none for later days; None for no end.
    """

    rate_annual: Decimal
    base: PenaltyBase = PenaltyBase.PRINCIPAL
    cap_annual: Decimal | None = None
    grace_days: int = 0
    year_days: int = 360
    counts_due_day: bool = False
    stops_after_days: int | None = None

    @property
    def rate_a_day(self) -> Decimal:
        """Return what a day costs, as a share of the base."""
        rate = self.rate_annual
        return (rate if self.cap_annual is None else min(rate, self.cap_annual)) / self.year_days

    def lowered(self, share: Decimal) -> "PenaltyRule":
        """Return the same rule where the contract rate is only a share of what was agreed.

        A penalty is a multiple of it; it never rises with a rate that is higher.
        """
        return replace(self, rate_annual=self.rate_annual * min(share, Decimal(1)))


class FeeBase(StrEnum):
    """What a fee given as a share is a share of."""

    PRINCIPAL = "principal"
    PRINCIPAL_AND_INTEREST = "principal-and-interest"
    INTEREST = "interest"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRule:
    """A fee that every instalment bears.

    Attributes:
        amount_fen: Fixed, or 0.
        share: Of the base, or 0.
        payee: Who gets it, as the cost table names it.
    """

    name: str
    amount_fen: int = 0
    share: Decimal = Decimal(0)
    base: FeeBase = FeeBase.PRINCIPAL
    component: Component = Component.FEE
    payee: str = ""

    @property
    def is_for_others(self) -> bool:
        """Whether it is collected for somebody else than the lender."""
        return is_for_others(self.payee)


def is_for_others(payee: str) -> bool:
    """Say whether a payee is somebody else than the lender."""
    return payee not in _OURSELVES


class FeeEvent(StrEnum):
    """What the borrower asks for that may cost a fee of its own."""

    EARLY_SETTLEMENT = "early-settlement"
    EXTENSION = "extension"
    DUE_DAY_CHANGE = "due-day-change"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTier:
    """What a fee on an event is from so many paid instalments on.

    Attributes:
        share: Of the principal that the event is about.
    """

    from_paid: int = 0
    amount_fen: int = 0
    share: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFee:
    """A fee on an event, in tiers by how many instalments are paid; none below the first."""

    name: str
    event: FeeEvent
    tiers: tuple[FeeTier, ...]
    payee: str = ""

    def tier(self, paid_terms: int) -> FeeTier:
        """Return the tier that so many paid instalments have reached."""
        reached = [tier for tier in self.tiers if tier.from_paid <= paid_terms]
        return max(reached, key=lambda tier: tier.from_paid, default=FeeTier())


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One loan as agreed.

    Attributes:
        principal_fen: What is lent in all, > 0.
        rate_annual: Contract interest, >= 0.
        terms: Instalments, 1–480; how many periods to maturity for `BULLET`; the most there may be
            for `FIXED_INSTALMENT`.
        start_on: The agreed day of disbursement.
        first_due_on: If it is not one period after disbursement.
        periods_from: When the first period begins if money may come later in it.
        fee_rate: Share of the original principal that each instalment of `FLAT_FEE` bears.
        instalment_fen: Of `FIXED_INSTALMENT`.
        grace_principal: First instalments without principal.
        grace_interest: First instalments whose interest is put off to the one after them.
        interest_free: First periods that bear no interest.
        waterfalls: The order of allocation where it is another than `waterfall`, by the state of
            the debt.
        down_payment: Share of each disbursement that is due on its own day.
        grace_days: Lateness that has no consequence yet.
        tolerance_fen: A remainder up to this is waived when the borrower settles.
        has_tranches: The equal instalment is that of the whole principal although it is drawn bit
            by bit.
        tranches: In how many parts at most it is drawn; if in one, others decide what more is.
        draw_until: The last day on which a part may be drawn; None for no end.
        late_fees: Charged once on every instalment that is not paid when due.
        subsidy_rate_annual: What the merchant pays the lender beside the borrower (贴息), on what
            the borrower owes by plan.
        lender_type: Whose caps on the cost of credit hold for it.
    """

    principal_fen: int
    start_on: date
    rate_annual: Decimal = Decimal(0)
    terms: int = 1
    method: Method = Method.EQUAL_INSTALMENT
    frequency: Frequency = MONTHLY
    profile: Profile = HOUSE
    first_due_on: date | None = None
    periods_from: date | None = None
    fee_rate: Decimal = Decimal(0)
    instalment_fen: int = 0
    grace_principal: int = 0
    grace_interest: int = 0
    interest_free: int = 0
    down_payment: Decimal = Decimal(0)
    fees: tuple[FeeRule, ...] = ()
    penalty: PenaltyRule | None = None
    event_fees: tuple[EventFee, ...] = ()
    late_fees: tuple[FeeRule, ...] = ()
    waterfall: Waterfall = field(default_factory=lambda: HOUSE_WATERFALL)
    waterfalls: dict[str, Waterfall] = field(default_factory=dict)
    grace_days: int = 0
    tolerance_fen: int = 0
    has_tranches: bool = False
    tranches: int = 1
    draw_until: date | None = None
    subsidy_rate_annual: Decimal = Decimal(0)
    lender_type: str = "micro-loan"

    def __post_init__(self) -> None:
        if self.principal_fen <= 0 or not 1 <= self.terms <= MOST_TERMS:
            raise TermsRefused("principal or number of instalments out of range")
        rates = (self.rate_annual, self.fee_rate, self.subsidy_rate_annual)
        if min(rates) < 0 or not 0 <= self.down_payment < 1 or self.tranches < 1:
            raise TermsRefused("rate, fee or down payment out of range")
        if self.method is Method.FIXED_INSTALMENT and self.instalment_fen <= 0:
            raise TermsRefused("a fixed instalment needs its amount")
        graces = (self.grace_principal, self.grace_interest, self.interest_free)
        if min(graces) < 0 or max(self.grace_principal, self.grace_interest) >= self.terms:
            raise TermsRefused("grace leaves no instalment to pay")

    @property
    def is_flat(self) -> bool:
        """Whether what the loan costs does not follow what is still owed."""
        return self.method in (Method.FLAT_FEE, Method.FLAT_INTEREST)
