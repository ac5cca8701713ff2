"""The cost table (综合融资成本明示表): what it says, and that the borrower confirmed it.

Without a confirmed one nothing is booked. How it is shown is a page's business.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.errors import Conflict
from kernel.money import plain_yuan
from servicing.caps import allowed_cost, cap_of
from servicing.engine.book import RowKind
from servicing.engine.cost import AnnualCost
from servicing.engine.layout import fee_of
from servicing.engine.plan import Plan, plan
from servicing.engine.terms import LENDER, EventFee, FeeRule, PenaltyBase, PenaltyRule, Terms
from servicing.products import STANDARD, Product
from servicing.tables import CostDisclosure

_PENALTY_BASES: Final[Mapping[PenaltyBase, str]] = {
    PenaltyBase.PRINCIPAL: "逾期本金",
    PenaltyBase.INSTALMENT: "逾期本金和利息",
}


class CostNotConfirmed(Conflict):
    """The borrower has not confirmed the cost table of exactly this loan."""

    code = "cost-not-confirmed"
    message_zh = "请先阅读并确认综合融资成本明示表"


def cost_table(
    *,
    principal_fen: int,
    rate_annual: Decimal,
    terms: int,
    disbursed_on: date,
    product: Product = STANDARD,
) -> dict[str, Any]:
    """Render the cost table of a loan from its own plan: every charge with its rate and payee.

    Of several tranches it is that of the first; each later one has its own.

    Raises:
        CostAboveCap: The all-in annual cost exceeds the cap.
        TermsRefused: Principal, rate or number of instalments out of range.
    """
    agreed = product.agree(
        principal_fen=principal_fen, rate_annual=rate_annual, terms=terms, start_on=disbursed_on
    )
    first_fen = product.first_part_fen(principal_fen)
    agreed = replace(agreed, principal_fen=first_fen)
    planned = plan(agreed)
    cost = allowed_cost(agreed, planned)
    return {
        "kind": "drawing",
        "product": product.code,
        "product_version": product.version,
        "principal": plain_yuan(principal_fen),
        "disbursed": plain_yuan(first_fen),
        **_later_parts(agreed, principal_fen - first_fen),
        "terms": terms,
        "disbursed_on": disbursed_on.isoformat(),
        "charges": list(_charges(agreed, planned)),
        "subsidies": _subsidies(agreed, planned),
        "event_charges": [_event_charge(fee) for fee in agreed.event_fees],
        "default_charges": default_charges(agreed.penalty),
        "total_payable": plain_yuan(planned.total.total_fen),
        **measured(cost, on=disbursed_on, lender_type=agreed.lender_type),
    }


def measured(cost: AnnualCost, *, on: date, lender_type: str) -> dict[str, str]:
    """Say what credit costs a year, by both measures, and what is allowed on a day."""
    cap = cap_of(on, lender_type=lender_type)
    return {
        "annual_cost_nominal": f"{cost.nominal:.4f}",
        "annual_cost_effective": f"{cost.effective:.4f}",
        "cap_annual": f"{cap.rate_annual:.4f}",
        "cap_measure": cap.measure.value,
    }


def _charges(agreed: Terms, planned: Plan) -> Iterator[dict[str, Any]]:
    """List what is paid beside principal: interest, the flat fee, fees with every instalment."""
    yield {
        "name": "利息",
        "payee": LENDER,
        "rate_annual": f"{agreed.rate_annual:.6f}",
        "amount": plain_yuan(planned.total.interest_fen),
    }
    named = [(rule, _total(agreed, rule, planned)) for rule in agreed.fees]
    flat_fen = planned.total.fee_fen - sum(fen for _, fen in named)
    if flat_fen:
        yield {
            "name": "分期手续费",
            "payee": LENDER,
            "rate_a_period": f"{agreed.fee_rate:.6f}",
            "base": "original-principal",
            "amount": plain_yuan(flat_fen),
        }
    for rule, fen in named:
        yield {
            "name": rule.name,
            "payee": rule.payee or LENDER,
            "rate_a_period": f"{rule.share:.6f}",
            "base": rule.base.value,
            "fixed_a_period": plain_yuan(rule.amount_fen),
            "amount": plain_yuan(fen),
        }


def _total(agreed: Terms, rule: FeeRule, planned: Plan) -> int:
    rows = (row for row in planned.instalments if row.kind is RowKind.NORMAL)
    return sum(fee_of(agreed.profile, rule, row.due) for row in rows)


def _later_parts(agreed: Terms, left_fen: int) -> dict[str, Any]:
    """Say what may be drawn later, in how many parts and until when."""
    if not left_fen or agreed.draw_until is None:
        return {}
    return {
        "undrawn": plain_yuan(left_fen),
        "tranches": agreed.tranches,
        "draw_until": agreed.draw_until.isoformat(),
    }


def _subsidies(agreed: Terms, planned: Plan) -> list[dict[str, Any]]:
    """Say what somebody else pays in the borrower's place (贴息)."""
    fen = planned.subsidy_fen
    if not fen:
        return []
    return [
        {
            "name": "贴息",
            "payer": "商户",
            "payee": LENDER,
            "rate_annual": f"{agreed.subsidy_rate_annual:.6f}",
            "amount": plain_yuan(fen),
        }
    ]


def _event_charge(fee: EventFee) -> dict[str, Any]:
    """Say what something that the borrower may ask for costs."""
    return {
        "name": fee.name,
        "payee": fee.payee or LENDER,
        "event": fee.event.value,
        "tiers": [
            {
                "from_paid": tier.from_paid,
                "fixed": plain_yuan(tier.amount_fen),
                "share": f"{tier.share:.6f}",
            }
            for tier in fee.tiers
        ],
    }


def default_charges(penalty: PenaltyRule | None) -> list[dict[str, Any]]:
    """Say apart what only lateness costs."""
    if penalty is None:
        return []
    return [
        {
            "name": f"罚息（{_PENALTY_BASES[penalty.base]}）",
            "payee": LENDER,
            "rate_annual": f"{penalty.rate_a_day * penalty.year_days:.6f}",
            "grace_days": penalty.grace_days,
            "stops_after_days": penalty.stops_after_days,
        }
    ]


def content_hash(content: Mapping[str, Any]) -> str:
    """Return the sha256 of a cost table, in hex."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def is_same_but_for_the_day(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Say whether two cost tables agree in all that they cost.

    The day on which somebody says yes is no term of what they say it to.
    """
    return _undated(one) == _undated(other)


def _undated(content: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (content or {}).items() if name != "on"}


def confirm_cost(
    session: Session,
    *,
    customer_id: int,
    content: Mapping[str, Any],
    seconds_shown: int,
    now: datetime,
) -> int:
    """Record that the borrower confirmed a cost table, and return the record's id."""
    disclosure = CostDisclosure(
        customer_id=customer_id,
        content=dict(content),
        content_hash=content_hash(content),
        seconds_shown=seconds_shown,
        confirmed_at=now,
    )
    session.add(disclosure)
    session.flush()
    return disclosure.id


def assert_confirmed(
    session: Session, *, disclosure_id: int | None, customer_id: int, expected: Mapping[str, Any]
) -> None:
    """Check that the customer confirmed this cost table, on this day or on an earlier one.

    Raises:
        CostNotConfirmed: Another customer's, another table's, or none.
    """
    shown = None if disclosure_id is None else session.get(CostDisclosure, disclosure_id)
    if (
        shown is None
        or shown.customer_id != customer_id
        or not is_same_but_for_the_day(shown.content, expected)
    ):
        raise CostNotConfirmed("the confirmed cost table is not this loan's")
