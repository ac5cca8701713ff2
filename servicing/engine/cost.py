"""What credit costs a year: the internal rate of return of real cash flows, and legal caps.

The measure is the nominal rate: periods a year × the rate of a period that makes the present value
of all payments equal to what the borrower received. The effective rate compounds it. Days that make
no whole period bear simple interest, as a contract counts them: a month has 30 of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal, localcontext
from enum import StrEnum
from typing import Final

from kernel.errors import Invalid
from servicing.engine.periods import DAYS_A_YEAR, MONTHLY, Frequency, step

_STEPS = 60
_FIRST_GUESS = Decimal("0.02")
_HIGHEST = Decimal(1000)
_DIGITS = 34
_MONTH_DAYS = 30
# A rate computed from amounts in fen differs a little from the contract's own.
ROUNDING_TOLERANCE: Final = Decimal("0.0005")


class CostMeasure(StrEnum):
    """How a cap measures cost."""

    NOMINAL_IRR = "nominal-irr"
    EFFECTIVE_IRR = "effective-irr"
    PORTFOLIO_AVERAGE = "portfolio-average"


class CostAboveCap(Invalid):
    """The all-in annual cost would exceed the legal cap."""

    code = "cost-above-cap"
    message_zh = "综合年化成本将超过规定上限，不能办理；请降低利率、费用或缩短期限"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnualCost:
    """What credit costs a year, as shares of what is owed."""

    nominal: Decimal
    effective: Decimal

    def by(self, measure: CostMeasure) -> Decimal:
        """Return the figure that a cap looks at."""
        return self.effective if measure is CostMeasure.EFFECTIVE_IRR else self.nominal


@dataclass(frozen=True, slots=True, kw_only=True)
class CapRow:
    """One dated row of the table of caps.

    Attributes:
        lender_type: Whom it binds.
        measure: What of the cost it looks at.
        rate_annual: The most that is allowed.
        from_on: Its first day.
        is_active: Rows that only report are kept but never refuse.
    """

    lender_type: str
    rate_annual: Decimal
    from_on: date
    measure: CostMeasure = CostMeasure.NOMINAL_IRR
    is_active: bool = True


def periodic_irr(received_fen: int, payments: Sequence[int]) -> Decimal:
    """Return the rate of a period at which the payments are worth what was received.

    Args:
        received_fen: At the start, > 0.
        payments: At the end of each period, fen; 0 where nothing is paid.
    """

    def worth(rate: Decimal) -> Decimal:
        discount, present = 1 / (1 + rate), Decimal(0)
        for payment in reversed(payments):
            present = (present + payment) * discount
        return present

    return _solve(Decimal(received_fen), worth)


def _solve(target: Decimal, worth: Callable[[Decimal], Decimal]) -> Decimal:
    """Bisect for the rate at which a falling worth meets a target; 0 if it never exceeds it."""
    with localcontext() as context:
        context.prec = _DIGITS
        low, high = Decimal(0), _FIRST_GUESS
        while worth(high) > target and high < _HIGHEST:
            high *= 2
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if worth(middle) > target else (low, middle)
        return low


def annual_cost(
    received_fen: int, payments: Sequence[int], *, periods_a_year: Decimal
) -> AnnualCost:
    """Return the cost of credit that is paid at the end of equal periods."""
    rate = periodic_irr(received_fen, payments)
    return AnnualCost(nominal=rate * periods_a_year, effective=(1 + rate) ** periods_a_year - 1)


Flow = tuple[date, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """What the borrower received and paid, by day, fen, and how long a period of the loan is."""

    received: tuple[Flow, ...]
    paid: tuple[Flow, ...]
    frequency: Frequency = MONTHLY

    @property
    def start_on(self) -> date:
        """The day from which time is counted."""
        return min(day for day, _ in self.received)

    def cost(self) -> AnnualCost:
        """Return what these flows cost a year."""
        with localcontext() as context:
            context.prec = _DIGITS
            dated = [(self._time(day), fen) for day, fen in self.paid]
            dated += [(self._time(day), -fen) for day, fen in self.received]
            rate = _solve(Decimal(0), lambda rate: _worth(dated, rate))
            many = self.frequency.periods_a_year
            return AnnualCost(nominal=rate * many, effective=(1 + rate) ** many - 1)

    def allowed_fen(self, rate_annual: Decimal, on: date) -> int:
        """Return the most that may still be paid on a day for the cost to stay at a rate, fen.

        Negative if more was paid before than that rate allows.
        """
        rate = rate_annual / self.frequency.periods_a_year
        with localcontext() as context:
            context.prec = _DIGITS
            flows = [(self._time(day), fen) for day, fen in self.received if day <= on]
            flows += [(self._time(day), -fen) for day, fen in self.paid]
            grown = _worth(flows, rate) / _discount(self._time(on), rate)
            return int(grown.to_integral_value(rounding=ROUND_FLOOR))

    def _time(self, day: date) -> tuple[int, Decimal]:
        """Count whole periods up to a day, and its share of the next one by days."""
        days = (day - self.start_on).days
        whole = days * int(self.frequency.periods_a_year) // (DAYS_A_YEAR + 1)
        while step(self.start_on, self.frequency, whole + 1) <= day:
            whole += 1
        broken = (day - step(self.start_on, self.frequency, whole)).days
        usual = self.frequency.days or self.frequency.months * _MONTH_DAYS
        return whole, min(Decimal(broken) / usual, Decimal(1))


def _worth(flows: Sequence[tuple[tuple[int, Decimal], int]], rate: Decimal) -> Decimal:
    return sum((fen * _discount(time, rate) for time, fen in flows), Decimal(0))


def _discount(time: tuple[int, Decimal], rate: Decimal) -> Decimal:
    whole, share = time
    return 1 / ((1 + rate) ** whole * (1 + rate * share))


def dated_cost(
    drawn: Sequence[tuple[date, int]], paid: Sequence[tuple[date, int]], *, months: bool = True
) -> AnnualCost:
    """Return the cost of flows on any day, a year of 365 days.

    Args:
        drawn: What the borrower received, by day, fen.
        paid: What the borrower paid, by day, fen.
        months: Whether the nominal rate is 12 × the monthly one, or 365 × the daily one.
    """
    start = min(day for day, _ in drawn)
    flows = [(_years(start, day), fen) for day, fen in paid]
    flows += [(_years(start, day), -fen) for day, fen in drawn]

    def worth(rate: Decimal) -> Decimal:
        return sum((fen / (1 + rate) ** years for years, fen in flows), Decimal(0))

    effective = _solve(Decimal(0), worth)
    parts = Decimal(12 if months else DAYS_A_YEAR)
    nominal = ((1 + effective) ** (1 / parts) - 1) * parts
    return AnnualCost(nominal=nominal, effective=effective)


def _years(start: date, day: date) -> Decimal:
    return Decimal((day - start).days) / DAYS_A_YEAR


def cap_on(caps: Sequence[CapRow], *, lender_type: str, on: date) -> CapRow | None:
    """Return the row that holds for every loan of a lender on a day: the latest that has begun.

    Rows on the average of a portfolio bind no single loan.
    """
    holding = [
        row
        for row in caps
        if row.is_active
        and row.measure is not CostMeasure.PORTFOLIO_AVERAGE
        and row.lender_type == lender_type
        and row.from_on <= on
    ]
    return max(holding, key=lambda row: row.from_on, default=None)


def require_within_cap(cost: AnnualCost, cap: CapRow | None) -> None:
    """Refuse what costs more than a cap allows, and everything where no cap is known.

    Raises:
        CostAboveCap: The cost exceeds the cap, or there is none.
    """
    if cap is None:
        raise CostAboveCap("no cap is known for this lender and day")
    figure = cost.by(cap.measure)
    if figure > cap.rate_annual + ROUNDING_TOLERANCE:
        raise CostAboveCap(f"annual cost {figure:.4f} exceeds {cap.rate_annual}")


def highest_flat_fee(*, terms: int, cap_annual: Decimal, periods_a_year: Decimal) -> Decimal:
    """Return the fee on the original principal a period at which a loan costs the cap.

    With rate r of a period and n instalments of P / n + P × f it is
    f = r / (1 - (1 + r)^-n) - 1 / n.
    """
    rate = cap_annual / periods_a_year
    if rate == 0:
        return Decimal(0)
    return rate / (1 - (1 + rate) ** -terms) - 1 / Decimal(terms)
