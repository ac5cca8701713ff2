"""What the loans that were drawn in a quarter cost on average, by what their borrowers were shown.

The cap on averages (`caps.portfolio_cap_of`) is held against it; a single loan is not judged here.
"""

from datetime import date
from decimal import Decimal

from sqlalchemy import Numeric, cast, func, select
from sqlalchemy.orm import Session

from servicing.caps import FUNDERS
from servicing.tables import CostDisclosure, Loan

_QUARTER_MONTHS = 3
_DIGITS = Decimal("0.000001")


def portfolio_cost(
    session: Session,
    *,
    on: date,
    lender_type: str,
    more_fen: int = 0,
    more_cost: Decimal = Decimal(0),
) -> Decimal | None:
    """Return the annual cost of what was drawn from the start of a day's quarter up to the day.

    Args:
        session: A read session.
        on: The day.
        lender_type: Whose loans: a cheap bank's do not let a dear one lend dearer.
        more_fen: Principal of a loan that is about to be drawn as well.
        more_cost: What that one costs.

    Returns:
        The nominal cost weighted by principal; None if nothing was drawn.
    """
    first = date(on.year, (on.month - 1) // _QUARTER_MONTHS * _QUARTER_MONTHS + 1, 1)
    funders = [funder for funder, its_type in FUNDERS.items() if its_type == lender_type]
    cost = cast(CostDisclosure.content["annual_cost_nominal"].as_string(), Numeric(12, 6))
    drawn, weighed = session.execute(
        select(func.sum(Loan.principal_fen), func.sum(Loan.principal_fen * cost))
        .join(CostDisclosure, CostDisclosure.id == Loan.disclosure_id)
        .where(Loan.disbursed_on.between(first, on), Loan.funder.in_(funders))
    ).one()
    total = Decimal(drawn or 0) + more_fen
    if not total:
        return None
    return ((Decimal(weighed or 0) + more_fen * more_cost) / total).quantize(_DIGITS)
