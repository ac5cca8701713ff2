"""Says what of a loan's cost is recognised as income once a day is closed. Pure, like all of this.

Interest, fees and subsidies are recognised when an instalment falls due, when something of it is
paid or waived, and by the days of the running period at each month end. What that posts is said in
bookkeeping.
"""

import calendar
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from kernel.money import Rounding, round_fen
from servicing.engine.parts import NOTHING, Component, Parts
from servicing.engine.state import LoanRow


class Earned(NamedTuple):
    """What is recognised of instalments, fen; a tuple as `Parts` are, and for their reason.

    Attributes:
        parts: Interest, fees and penalty that the borrower owes.
        to_others_fen: What of the fees belongs to others and is no income.
        subsidy_fen: What the merchant owes.
    """

    parts: Parts = NOTHING
    to_others_fen: int = 0
    subsidy_fen: int = 0

    def __add__(self, other: "Earned") -> "Earned":  # type: ignore[override]  # amounts add up
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


NOTHING_EARNED: Final = Earned()


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


def month_ends(first: date, last: date) -> tuple[date, ...]:
    """List the ends of months from one day to another, both included."""
    ends = []
    end = last_month_end(last)
    while end >= first:
        ends.append(end)
        end = end.replace(day=1) - timedelta(days=1)
    return tuple(reversed(ends))
