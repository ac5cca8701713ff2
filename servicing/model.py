"""The pure rules of a loan: its plan, what a payment settles, how late it is, what it costs.

Money in fen, dates are business dates in Asia/Shanghai. Nothing here reads a clock or a database.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from enum import StrEnum

from kernel.errors import Conflict, Invalid
from kernel.money import Fen, Rounding, round_fen

MONTHS_A_YEAR = 12
COST_CAP_ANNUAL = Decimal("0.24")

# A member of staff approves applications up to this amount alone, above it with a second person.
SECOND_PERSON_ABOVE_FEN = 800_000

# Contexts under which the texts of a complaint are encrypted.
COMPLAINT_TEXT = "complaint.text"
COMPLAINT_ANSWER = "complaint.answer"

_BUCKET_DAYS = 30
_LAST_BUCKET = 6
_MAX_TERMS = 60
_IRR_STEPS = 80
# Plans are rounded to the fen, so the rate of the real flows differs a little from the contract's.
_IRR_TOLERANCE = Decimal("0.0005")


class TermsRefused(Invalid):
    """A loan cannot have these terms."""

    code = "loan-terms-refused"
    message_zh = "分期方案不符合规定"


class CostAboveCap(Invalid):
    """The all-in annual cost would exceed the legal cap."""

    code = "cost-above-cap"
    message_zh = "综合年化成本超过规定上限，不能办理"


class InstalmentState(StrEnum):
    """Where an instalment stands on a day."""

    PAID = "paid"
    OVERDUE = "overdue"
    DUE = "due"
    UPCOMING = "upcoming"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInstalment:
    """One row of a repayment plan.

    Attributes:
        n: 1 for the first.
        balance_fen: Principal that remains after it is paid.
    """

    n: int
    due_on: date
    principal_fen: Fen
    interest_fen: Fen
    balance_fen: Fen

    @property
    def total_fen(self) -> int:
        """What is due in all."""
        return self.principal_fen + self.interest_fen


def month_after(start: date, months: int) -> date:
    """Return the same day some months later, or that month's last day if it is shorter."""
    index = start.year * MONTHS_A_YEAR + start.month - 1 + months
    year, month = divmod(index, MONTHS_A_YEAR)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(start.day, last))


def equal_instalment_plan(
    *, principal_fen: int, rate_annual: Decimal, terms: int, disbursed_on: date
) -> tuple[PlannedInstalment, ...]:
    """Plan an annuity loan (等额本息).

    Interest of a period is balance × annual rate / 12, half up to the fen; the last instalment
    takes what is left of the principal. The first is due one month after disbursement.

    Raises:
        TermsRefused: Principal, rate or terms out of range.
    """
    if principal_fen <= 0 or not 1 <= terms <= _MAX_TERMS or rate_annual < 0:
        raise TermsRefused("principal, rate or terms out of range")
    monthly = rate_annual / MONTHS_A_YEAR
    level = _level_instalment(principal_fen, monthly, terms)
    balance = principal_fen
    plan = []
    for n in range(1, terms + 1):
        interest = round_fen(balance * monthly, rounding=Rounding.HALF_UP)
        principal = balance if n == terms else min(balance, level - interest)
        balance -= principal
        plan.append(
            PlannedInstalment(
                n=n,
                due_on=month_after(disbursed_on, n),
                principal_fen=Fen(principal),
                interest_fen=interest,
                balance_fen=Fen(balance),
            )
        )
    return tuple(plan)


def _level_instalment(principal_fen: int, monthly: Decimal, terms: int) -> int:
    if monthly == 0:
        return round_fen(Decimal(principal_fen) / terms, rounding=Rounding.HALF_UP)
    with localcontext() as context:
        context.prec = 40
        growth = (1 + monthly) ** terms
        exact = principal_fen * monthly * growth / (growth - 1)
    return round_fen(exact, rounding=Rounding.HALF_UP)


def nominal_annual_irr(*, principal_fen: int, payments: Sequence[int]) -> Decimal:
    """Return 12 × the monthly internal rate of return of the real cash flows.

    Args:
        principal_fen: What the borrower receives, in full, at the start.
        payments: What the borrower pays at the end of each month, fen.
    """
    low, high = Decimal(0), Decimal(1)
    for _ in range(_IRR_STEPS):
        middle = (low + high) / 2
        discount, present = Decimal(1), Decimal(0)
        for payment in payments:
            discount /= 1 + middle
            present += payment * discount
        low, high = (middle, high) if present > principal_fen else (low, middle)
    return low * MONTHS_A_YEAR


def assert_within_cap(
    *, principal_fen: int, payments: Sequence[int], cap_annual: Decimal = COST_CAP_ANNUAL
) -> Decimal:
    """Return the all-in annual cost, having checked it.

    Raises:
        CostAboveCap: The nominal annual IRR of the flows exceeds the cap.
    """
    cost = nominal_annual_irr(principal_fen=principal_fen, payments=payments)
    if cost > cap_annual + _IRR_TOLERANCE:
        raise CostAboveCap(f"annual cost {cost:.4f} exceeds {cap_annual}")
    return cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What one instalment still asks for, fen."""

    n: int
    interest_fen: int
    principal_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """What a payment settles of one instalment, fen."""

    n: int
    interest_fen: int
    principal_fen: int


def allocate(amount_fen: int, owed: Sequence[Owed]) -> tuple[tuple[Allocated, ...], int]:
    """Split a payment over instalments, oldest first, interest before principal.

    Returns:
        The parts, and what is left over; together exactly the amount.
    """
    left = amount_fen
    parts = []
    for row in sorted(owed, key=lambda row: row.n):
        interest = min(left, row.interest_fen)
        principal = min(left - interest, row.principal_fen)
        left -= interest + principal
        if interest or principal:
            parts.append(Allocated(n=row.n, interest_fen=interest, principal_fen=principal))
    return tuple(parts), left


def days_past_due(due_on: date, on: date) -> int:
    """Count the days since the due date; 0 on it and before it."""
    return max(0, (on - due_on).days)


def bucket(days: int) -> str:
    """Name the lateness bucket: M0 current, M1 1–30 … M6 151–180, M6+."""
    months = -(-days // _BUCKET_DAYS)
    return f"M{months}" if months <= _LAST_BUCKET else f"M{_LAST_BUCKET}+"


def instalment_state(*, due_on: date, outstanding_fen: int, on: date) -> InstalmentState:
    """Say where an instalment stands on a day."""
    if outstanding_fen == 0:
        return InstalmentState.PAID
    if due_on < on:
        return InstalmentState.OVERDUE
    return InstalmentState.DUE if due_on == on else InstalmentState.UPCOMING


MACHINE = "machine"
# Decided before this book was kept: by whom and why is not known here.
IMPORTED = "import"

# The book's own reasons, beside those of the judge and of people.
APPEALED = "appealed"
LINE_TOO_SMALL = "line-too-small"


class ApplicationState(StrEnum):
    """Where an application stands."""

    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    BOOKED = "booked"


class ApplicationEvent(StrEnum):
    """What can happen to an application."""

    APPROVE = "approve"
    DECLINE = "decline"
    REVIEW = "review"
    CANCEL = "cancel"
    BOOK = "book"
    APPEAL = "appeal"


class ApplicationStateRefused(Conflict):
    """This cannot happen to an application in its present state."""

    code = "application-state-refused"
    message_zh = "申请当前状态不支持此操作"


_APPLICATION_MOVES = {
    (ApplicationState.SUBMITTED, ApplicationEvent.APPROVE): ApplicationState.APPROVED,
    (ApplicationState.SUBMITTED, ApplicationEvent.DECLINE): ApplicationState.DECLINED,
    (ApplicationState.SUBMITTED, ApplicationEvent.REVIEW): ApplicationState.IN_REVIEW,
    (ApplicationState.SUBMITTED, ApplicationEvent.CANCEL): ApplicationState.CANCELLED,
    (ApplicationState.IN_REVIEW, ApplicationEvent.APPROVE): ApplicationState.APPROVED,
    (ApplicationState.IN_REVIEW, ApplicationEvent.DECLINE): ApplicationState.DECLINED,
    (ApplicationState.IN_REVIEW, ApplicationEvent.CANCEL): ApplicationState.CANCELLED,
    (ApplicationState.DECLINED, ApplicationEvent.APPEAL): ApplicationState.IN_REVIEW,
    (ApplicationState.APPROVED, ApplicationEvent.CANCEL): ApplicationState.CANCELLED,
    (ApplicationState.APPROVED, ApplicationEvent.BOOK): ApplicationState.BOOKED,
}


def next_application_state(state: str, event: ApplicationEvent) -> ApplicationState:
    """Say what an application becomes.

    Raises:
        ApplicationStateRefused: The event does not happen in that state.
    """
    try:
        return _APPLICATION_MOVES[ApplicationState(state), event]
    except KeyError:
        raise ApplicationStateRefused(f"{event} does not happen to {state}") from None


def is_by_person(decided_by: str | None) -> bool:
    """Say whether a member of our staff decided, and no machine or former book."""
    return decided_by not in (None, MACHINE, IMPORTED)


def needs_second_person(amount_fen: int) -> bool:
    """Say whether one member of staff may not approve this amount alone."""
    return amount_fen > SECOND_PERSON_ABOVE_FEN


def available_fen(*, state: str, granted_fen: int, held_fen: int, utilised_fen: int) -> int:
    """Return what may still be drawn on a line; never negative, 0 unless the line is active."""
    if state != "active":
        return 0
    return max(0, granted_fen - held_fen - utilised_fen)
