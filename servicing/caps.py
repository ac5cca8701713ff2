"""What credit may cost a year in all: the dated table of caps, and the check against it.

How cost is computed is the engine's; who is asked about it, and when, is the operations'.
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any, Final

from servicing.engine.book import Kind, Record
from servicing.engine.cost import (
    ROUNDING_TOLERANCE,
    AnnualCost,
    CapRow,
    CostAboveCap,
    CostMeasure,
    Flows,
    annual_cost,
    cap_on,
    require_within_cap,
)
from servicing.engine.periods import Anchor, Frequency, step
from servicing.engine.plan import Plan
from servicing.engine.state import LoanState
from servicing.engine.terms import Method, Terms

CAPS_FILE: Final = Path(__file__).with_name("caps.toml")
OWN: Final = "own"

_LONGEST_MONTH_DAYS: Final = 31
_YEAR_DAYS: Final = 360
_RATE_STEP: Final = Decimal("0.0001")
_FROM_BORROWER: Final = frozenset(
    {
        Kind.REPAYMENT,
        Kind.PREPAYMENT,
        Kind.DOWN_PAYMENT,
        Kind.REPAYMENT_AT_DISBURSEMENT,
        Kind.MERCHANT_REFUND,
        Kind.PAYOUT_REFUND,
        Kind.RECOVERY,
    }
)
_TO_BORROWER: Final = frozenset({Kind.CHARGE_BACK, Kind.CREDIT_BALANCE_REFUND})


def read_caps(text: str) -> tuple[CapRow, ...]:
    """Read a table of caps; a multiple of the LPR becomes a row for each LPR that holds in it."""
    table = tomllib.loads(text)
    lprs = [(row["from_on"], Decimal(row["rate_annual"])) for row in table.get("lpr", ())]
    return tuple(row for given in table["cap"] for row in _rows(given, lprs))


def _rows(given: Mapping[str, Any], lprs: list[tuple[date, Decimal]]) -> Iterator[CapRow]:
    def row(rate: Decimal, from_on: date) -> CapRow:
        return CapRow(
            lender_type=given["lender_type"],
            measure=CostMeasure(given["measure"]),
            rate_annual=rate,
            from_on=from_on,
            is_active=given.get("is_active", True),
        )

    if "rate_annual" in given:
        yield row(Decimal(given["rate_annual"]), given["from_on"])
        return
    multiple = Decimal(given["lpr_multiple"])
    earlier = [rate for since, rate in lprs if since <= given["from_on"]]
    if earlier:
        yield row(multiple * earlier[-1], given["from_on"])
    for since, rate in lprs:
        if since > given["from_on"]:
            yield row(multiple * rate, since)


_TEXT: Final = CAPS_FILE.read_text(encoding="utf-8")
CAPS: Final = read_caps(_TEXT)
# The type of lender that each funder is.
FUNDERS: Final[Mapping[str, str]] = {
    row["code"]: row["lender_type"] for row in tomllib.loads(_TEXT)["funder"]
}


def cap_of(on: date, *, lender_type: str) -> CapRow:
    """Return the row that every loan of a type of lender keeps to on a day.

    Raises:
        CostAboveCap: There is none, so nothing may be lent.
    """
    row = cap_on(CAPS, lender_type=lender_type, on=on)
    if row is None:
        raise CostAboveCap("no cap is known for this lender and day")
    return row


def portfolio_cap_of(
    on: date, *, lender_type: str = FUNDERS[OWN], with_inactive: bool = False
) -> CapRow | None:
    """Return the row on the average of what is drawn, if one holds; on demand one that is off."""
    rows = [
        row
        for row in CAPS
        if row.measure is CostMeasure.PORTFOLIO_AVERAGE
        and row.lender_type == lender_type
        and row.from_on <= on
        and (row.is_active or with_inactive)
    ]
    return max(rows, key=lambda row: row.from_on, default=None)


def penalty_cap(frequency: Frequency, on: date, *, lender_type: str) -> Decimal:
    """Return the highest annual rate, a day 1/360 of it, that lateness may cost in all.

    Neither a day may cost more than cap / 360, nor a whole period, however many days it has, more
    than the cap's share of it: a month has up to 31 days and is a twelfth of a year.
    """
    cap = _nominal(cap_of(on, lender_type=lender_type), frequency)
    days = frequency.days or frequency.months * _LONGEST_MONTH_DAYS
    counted = max(Decimal(_YEAR_DAYS), frequency.periods_a_year * days)
    return (cap * _YEAR_DAYS / counted).quantize(_RATE_STEP, rounding=ROUND_FLOOR)


def allowed_cost(terms: Terms, plan: Plan) -> AnnualCost:
    """Return what a loan costs a year if it is paid as planned, having checked it.

    Raises:
        CostAboveCap: It is more than the cap of the day of disbursement.
    """
    cost = plan_cost(terms, plan)
    require_allowed(cost, on=terms.start_on, lender_type=terms.lender_type)
    return cost


def plan_cost(terms: Terms, plan: Plan) -> AnnualCost:
    """Return what a loan that is drawn at once costs a year if it is paid as planned."""
    rows = [(row.due_on, row.due.total_fen) for row in plan.instalments]
    if not _is_regular(terms):
        received = ((terms.start_on, terms.principal_fen),)
        return Flows(received=received, paid=tuple(rows), frequency=terms.frequency).cost()
    payments = [fen for _, fen in rows]
    if terms.method is Method.BULLET:
        payments = [0] * (terms.terms - 1) + payments
    return annual_cost(terms.principal_fen, payments, periods_a_year=terms.frequency.periods_a_year)


def _is_regular(terms: Terms) -> bool:
    """Whether every instalment lies whole periods after the disbursement."""
    usual = step(terms.start_on, terms.frequency, 1, month_end=terms.profile.month_end)
    starts_whole = terms.first_due_on in (None, usual)
    is_clamped = terms.profile.anchor is Anchor.SAME_DAY
    return starts_whole and is_clamped and not terms.down_payment


def require_allowed(cost: AnnualCost, *, on: date, lender_type: str) -> None:
    """Refuse a cost that the cap of a day does not allow.

    Raises:
        CostAboveCap: It is more than the cap, or no cap is known.
    """
    require_within_cap(cost, cap_of(on, lender_type=lender_type))


def actual_cost(state: LoanState) -> AnnualCost:
    """Return what a loan costs a year by what was paid and when, the rest paid as planned.

    What was paid too much goes back at once.
    """
    return _whole_flows(state).cost()


def keeps_to_cap(state: LoanState) -> bool:
    """Say whether a loan keeps to the cap of its first day if the rest is paid as planned.

    What rounding alone makes dearer is not more.
    """
    flows = _whole_flows(state)
    cap = cap_of(flows.start_on, lender_type=state.lender_type)
    return flows.cost().by(cap.measure) <= cap.rate_annual + ROUNDING_TOLERANCE


def room_fen(state: LoanState, on: date) -> int:
    """Return how much more may be paid on a day for a loan to cost no more than its caps, fen.

    The rest is paid as planned; those are the caps of the day and of the first day.
    """
    flows = _whole_flows(state)
    caps = (cap_of(day, lender_type=state.lender_type) for day in (flows.start_on, on))
    rate = min(_nominal(cap, flows.frequency) for cap in caps)
    return max(0, flows.allowed_fen(rate, on))


def _whole_flows(state: LoanState) -> Flows:
    """Collect what was received and paid, and what will be paid if the rest goes as planned."""
    rest = [(max(row.due_on, state.on), row.outstanding.total_fen) for row in state.rows]
    rest.append((state.on, -state.overpaid_fen))
    flows = _flows(state)
    return Flows(
        received=flows.received,
        paid=(*flows.paid, *((day, fen) for day, fen in rest if fen)),
        frequency=flows.frequency,
    )


def excess_fen(state: LoanState, *, asked_fen: int) -> int:
    """Return how much of what would end a loan on its day is above the cap of its first day, fen.

    More than is asked for if what was paid before was too much already. What rounding alone makes
    dearer is no excess.
    """
    flows = _flows(state)
    cap = cap_of(flows.start_on, lender_type=state.lender_type)
    ending = Flows(
        received=flows.received,
        paid=(*flows.paid, (state.on, asked_fen)),
        frequency=flows.frequency,
    )
    if ending.cost().by(cap.measure) <= cap.rate_annual + ROUNDING_TOLERANCE:
        return 0
    allowed = flows.allowed_fen(_nominal(cap, flows.frequency), state.on)
    return max(0, asked_fen - allowed)


def _flows(state: LoanState) -> Flows:
    """Collect what the borrower received and paid up to the day of a state."""
    standing = [record for record in state.records if not record.is_reversed]
    paid = (*((on, fen) for on, fen in map(_paid, standing) if fen),)
    return Flows(received=state.disbursed, paid=paid, frequency=state.frequency)


def _paid(record: Record) -> tuple[date, int]:
    if record.kind in _FROM_BORROWER:
        return record.on, record.amount_fen
    return record.on, -record.amount_fen if record.kind in _TO_BORROWER else 0


def _nominal(cap: CapRow, frequency: Frequency) -> Decimal:
    """Return a cap as a nominal annual rate of a loan's own periods."""
    if cap.measure is not CostMeasure.EFFECTIVE_IRR:
        return cap.rate_annual
    many = frequency.periods_a_year
    return ((1 + cap.rate_annual) ** (1 / many) - 1) * many
