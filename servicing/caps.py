"""What credit may cost a year in all: the dated table of caps, and the check against it.

How cost is computed is the engine's; who is asked about it, and when, is the operations'.
"""

from datetime import date
from decimal import Decimal
from typing import Final

from servicing.engine.cost import AnnualCost, CapRow, annual_cost, cap_on, require_within_cap
from servicing.engine.plan import Plan
from servicing.engine.terms import Terms

LENDER_TYPE: Final = "micro-loan"
CAP_ANNUAL: Final = Decimal("0.24")

# 小额贷款公司综合融资成本管理工作指引 (December 2025): no new loan above 24 % a year all-in. Read
# in a reprint; loans before it keep to the same figure, which courts had used since 2015.
CAPS: Final = (CapRow(lender_type=LENDER_TYPE, rate_annual=CAP_ANNUAL, from_on=date(2015, 9, 1)),)


def allowed_cost(terms: Terms, plan: Plan) -> AnnualCost:
    """Return what a loan costs a year if it is paid as planned, having checked it.

    Raises:
        CostAboveCap: It is more than the cap of the day of disbursement.
    """
    payments = [row.due.total_fen for row in plan.instalments]
    cost = annual_cost(terms.principal_fen, payments, periods_a_year=terms.frequency.periods_a_year)
    require_within_cap(cost, cap_on(CAPS, lender_type=LENDER_TYPE, on=terms.start_on))
    return cost
