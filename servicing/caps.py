"""What credit may cost a year in all: the dated table of caps, and the check against it.

How cost is computed is the engine's; who is asked about it, and when, is the operations'.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from servicing.engine.book import Kind, Record
from servicing.engine.cost import (
    AnnualCost,
    CapRow,
    annual_cost,
    cap_on,
    dated_cost,
    require_within_cap,
)
from servicing.engine.plan import Plan
from servicing.engine.state import LoanState
from servicing.engine.terms import Terms

LENDER_TYPE: Final = "micro-loan"
CAP_ANNUAL: Final = Decimal("0.24")

# 小额贷款公司综合融资成本管理工作指引 (December 2025): no new loan above 24 % a year all-in. Read
# in a reprint; loans before it keep to the same figure, which courts had used since 2015.
CAPS: Final = (CapRow(lender_type=LENDER_TYPE, rate_annual=CAP_ANNUAL, from_on=date(2015, 9, 1)),)


_SIGNS: Final = {
    **dict.fromkeys(
        (
            Kind.REPAYMENT,
            Kind.PREPAYMENT,
            Kind.MERCHANT_REFUND,
            Kind.PAYOUT_REFUND,
            Kind.RECOVERY,
        ),
        1,
    ),
    **dict.fromkeys((Kind.CHARGE_BACK, Kind.CREDIT_BALANCE_REFUND), -1),
}


def allowed_cost(terms: Terms, plan: Plan) -> AnnualCost:
    """Return what a loan costs a year if it is paid as planned, having checked it.

    Raises:
        CostAboveCap: It is more than the cap of the day of disbursement.
    """
    payments = [row.due.total_fen for row in plan.instalments]
    cost = annual_cost(terms.principal_fen, payments, periods_a_year=terms.frequency.periods_a_year)
    require_allowed(cost, on=terms.start_on)
    return cost


def require_allowed(cost: AnnualCost, *, on: date) -> None:
    """Refuse a cost that the cap of a day does not allow.

    Raises:
        CostAboveCap: It is more than the cap, or no cap is known.
    """
    require_within_cap(cost, cap_on(CAPS, lender_type=LENDER_TYPE, on=on))


def actual_cost(state: LoanState) -> AnnualCost:
    """Return what a loan costs a year by what was paid and when, the rest paid as planned.

    What was paid too much goes back at once.

    A day counts 1/365 of a year, so it differs a little from the cost by equal months.
    """
    paid = [(record.on, sign * record.amount_fen) for record, sign in _flows(state)]
    rest = [(max(row.due_on, state.on), row.outstanding.total_fen) for row in state.rows]
    rest.append((state.on, -state.overpaid_fen))
    return dated_cost(state.disbursed, [*paid, *((day, fen) for day, fen in rest if fen)])


def _flows(state: LoanState) -> Iterator[tuple[Record, int]]:
    """List what the borrower paid, or gave back with the goods; negative what came back to them."""
    for record in state.records:
        if not record.is_reversed and record.kind in _SIGNS:
            yield record, _SIGNS[record.kind]
