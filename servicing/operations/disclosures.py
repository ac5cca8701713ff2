"""The cost table (综合融资成本明示表): what it says, and that the borrower confirmed it.

Without a confirmed one nothing is booked. How it is shown is a page's business.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from kernel.errors import Conflict
from kernel.money import plain_yuan
from servicing.caps import allowed_cost
from servicing.engine.plan import plan
from servicing.engine.terms import PenaltyRule
from servicing.operations.previews import Preview
from servicing.products import STANDARD, Product
from servicing.queries.history import find_loan, terms_of
from servicing.tables import CostDisclosure


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
    """Render the cost table of a loan from its own plan.

    Raises:
        CostAboveCap: The all-in annual cost exceeds the cap.
        TermsRefused: Principal, rate or number of instalments out of range.
    """
    agreed = product.agree(
        principal_fen=principal_fen, rate_annual=rate_annual, terms=terms, start_on=disbursed_on
    )
    planned = plan(agreed)
    cost = allowed_cost(agreed, planned)
    return {
        "principal": plain_yuan(principal_fen),
        "disbursed": plain_yuan(principal_fen),
        "terms": terms,
        "disbursed_on": disbursed_on.isoformat(),
        "charges": [
            {
                "name": "利息",
                "payee": "贷款人",
                "rate_annual": f"{rate_annual:.6f}",
                "amount": plain_yuan(planned.total.interest_fen),
            }
        ],
        "default_charges": _default_charges(agreed.penalty),
        "annual_cost_nominal": f"{cost.nominal:.4f}",
        "total_payable": plain_yuan(planned.total.total_fen),
    }


def changed_cost_table(
    session: Session, *, loan_id: int, on: date, preview: Preview
) -> dict[str, Any]:
    """Render the cost table of what is left of a loan, as a change of its plan would leave it."""
    agreed = terms_of(find_loan(session, loan_id=loan_id))
    left = [row for row in preview.plan_after if row.due_on > on]
    return {
        "principal": plain_yuan(sum(row.principal_fen for row in left)),
        "terms": len(left),
        "changed_on": on.isoformat(),
        "charges": [
            {
                "name": name,
                "payee": "贷款人",
                "amount": plain_yuan(sum(getattr(row, field) for row in left)),
            }
            for name, field in (("利息", "interest_fen"), ("费用", "fee_fen"))
        ],
        "default_charges": _default_charges(agreed.penalty),
        "annual_cost_before": f"{preview.cost_before:.4f}",
        "annual_cost_nominal": f"{preview.cost_after:.4f}",
        "extra": plain_yuan(preview.extra_fen),
        "total_payable": plain_yuan(preview.remaining_after_fen),
    }


def _default_charges(penalty: PenaltyRule | None) -> list[dict[str, Any]]:
    """Say apart what only lateness costs."""
    if penalty is None:
        return []
    return [
        {
            "name": "罚息（逾期本金）",
            "payee": "贷款人",
            "rate_annual": f"{penalty.rate_a_day * penalty.year_days:.6f}",
            "grace_days": penalty.grace_days,
        }
    ]


def content_hash(content: Mapping[str, Any]) -> str:
    """Return the sha256 of a cost table, in hex."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
    session: Session, *, disclosure_id: int, customer_id: int, expected: Mapping[str, Any]
) -> None:
    """Check that the customer confirmed exactly this cost table.

    Raises:
        CostNotConfirmed: Another customer's, another table's, or none.
    """
    shown = session.get(CostDisclosure, disclosure_id)
    if (
        shown is None
        or shown.customer_id != customer_id
        or shown.content_hash != content_hash(expected)
    ):
        raise CostNotConfirmed("the confirmed cost table is not this loan's")
