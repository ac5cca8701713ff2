"""Prints a repayment plan with what it costs a year, for `fenqi schedule`."""

from datetime import date
from decimal import Decimal
from typing import Any

from kernel.money import plain_yuan
from servicing.engine.cost import annual_cost
from servicing.engine.parts import Parts
from servicing.engine.periods import MONTHS_A_YEAR
from servicing.engine.plan import Instalment, Plan, plan
from servicing.engine.terms import Method, Terms

METHODS = (
    Method.EQUAL_INSTALMENT,
    Method.EQUAL_PRINCIPAL,
    Method.FLAT_FEE,
    Method.INTEREST_FIRST,
    Method.BULLET,
)


def schedule(
    *,
    principal_fen: int,
    rate_annual: Decimal,
    rate_monthly: Decimal,
    terms: int,
    method: Method,
    start: date,
) -> dict[str, Any]:
    """Return the plan of a monthly loan as JSON: instalments, totals and annual cost.

    Args:
        principal_fen: Fen, > 0.
        rate_annual: Contract interest; of a flat fee, twelve times the monthly fee.
        rate_monthly: The fee on the original principal a month; 0 unless the method is flat-fee.
        terms: Months.
        method: One of `METHODS`.
        start: The day of disbursement.
    """
    is_flat = method is Method.FLAT_FEE
    agreed = Terms(
        principal_fen=principal_fen,
        start_on=start,
        rate_annual=Decimal(0) if is_flat else rate_annual,
        terms=terms,
        method=method,
        fee_rate=(rate_monthly or rate_annual / MONTHS_A_YEAR) if is_flat else Decimal(0),
    )
    planned = plan(agreed)
    return {
        "instalments": [_row(row) for row in planned.instalments],
        "totals": _amounts(planned.total),
        "annual_cost": _cost(principal_fen, planned, terms),
    }


def _row(row: Instalment) -> dict[str, Any]:
    when = {"n": row.n, "due_on": row.due_on.isoformat()}
    return {**when, **_amounts(row.due), "balance": plain_yuan(row.balance_fen)}


def _amounts(due: Parts) -> dict[str, str]:
    return {
        "principal": plain_yuan(due.principal_fen),
        "interest": plain_yuan(due.interest_fen),
        "fee": plain_yuan(due.fee_fen),
        "total": plain_yuan(due.total_fen),
    }


def _cost(principal_fen: int, planned: Plan, terms: int) -> dict[str, str]:
    """A month without an instalment is a payment of nothing."""
    payments = [row.due.total_fen for row in planned.instalments]
    silent = [0] * (terms - len(payments))
    cost = annual_cost(principal_fen, [*silent, *payments], periods_a_year=Decimal(MONTHS_A_YEAR))
    return {"nominal": f"{cost.nominal:.6f}", "effective": f"{cost.effective:.6f}"}
