"""What a second person sees of a loan before they decide, beside the lines of the proposal.

One place for all acts on a loan's money and all offers: the loan as it stands now, the plan before
and after, and the cost table that the borrower confirmed, or will be asked to.
"""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from kernel.web import runtime, today
from servicing import queries
from servicing.admin.forms import draw


def show(payload: Mapping[str, Any]) -> Markup:
    """Draw the facts of a proposal.

    Args:
        payload: What it would carry out: `shown` and `amount_fen`; `loan_id` if it is about a loan;
            `disclosure_id` or `cost_table` if there is one.
    """
    loan_id, disclosure_id = payload.get("loan_id"), payload.get("disclosure_id")
    loan = confirmed = None
    with runtime().database.read() as session:
        if loan_id is not None:
            whose = payload["customer_id"]
            loan = queries.loan_of(session, loan_id=loan_id, customer_id=whose, on=today())
        if disclosure_id is not None:
            confirmed = queries.confirmed_table(session, disclosure_id=disclosure_id)
    return draw(
        "approval_facts.html",
        loan=loan,
        shown=payload["shown"],
        amount_fen=payload["amount_fen"],
        confirmed=confirmed,
        table=confirmed.content if confirmed else payload.get("cost_table"),
    )
