"""What a change of a running loan costs: held against the cap, shown as a table, confirmed.

Extension, re-pricing and whatever else makes a plan another one ask here before they are booked.
The table is rendered from the same replay that posting would store.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.money import plain_yuan
from servicing.archive import kind_of
from servicing.caps import actual_cost, require_allowed
from servicing.engine.cost import ROUNDING_TOLERANCE
from servicing.engine.events import Event
from servicing.engine.parts import Component
from servicing.engine.state import LoanState
from servicing.operations.disclosures import LENDER, assert_confirmed, default_charges, measured
from servicing.queries.history import find_loan, terms_of, with_event
from servicing.tables import Loan

_NAMES: Final[Mapping[Component, str]] = {
    Component.INTEREST: "利息",
    Component.FEE: "费用",
    Component.PENALTY: "罚息",
}


def require_within_cap(session: Session, *, loan_id: int, event: Event) -> None:
    """Let nothing make a loan dearer than the cap; what does not make it dearer may pass.

    Raises:
        CostAboveCap: With the event, the loan would cost more a year than its day allows.
    """
    _require_cheaper_or_allowed(*with_event(session, loan_id=loan_id, event=event), event)


def _require_cheaper_or_allowed(before: LoanState, after: LoanState, event: Event) -> None:
    costs = actual_cost(before), actual_cost(after)
    if costs[1].nominal > costs[0].nominal + ROUNDING_TOLERANCE:
        require_allowed(costs[1], on=event.on)


def change_table(session: Session, *, loan_id: int, event: Event) -> dict[str, Any]:
    """Render the cost table of a change: what is still to be paid before and after, and the cost.

    Raises:
        CostAboveCap: With the event, the loan would cost more a year than its day allows.
        EventRefused: It cannot happen to the loan as it stands.
    """
    loan = find_loan(session, loan_id=loan_id)
    before, after = with_event(session, loan_id=loan_id, event=event)
    _require_cheaper_or_allowed(before, after, event)
    owed = before.outstanding, after.outstanding
    open_rows = [row for row in after.rows if row.outstanding.total_fen]
    return {
        "kind": kind_of(event),
        "loan_no": loan.loan_no,
        "on": event.on.isoformat(),
        "terms": len(open_rows),
        "last_due_on": open_rows[-1].due_on.isoformat() if open_rows else None,
        "principal": plain_yuan(owed[1].principal_fen),
        "charges": [
            {
                "name": name,
                "payee": LENDER,
                "amount": plain_yuan(owed[1].of(component)),
                "before": plain_yuan(owed[0].of(component)),
            }
            for component, name in _NAMES.items()
            if owed[0].of(component) or owed[1].of(component)
        ],
        "default_charges": default_charges(terms_of(loan).penalty),
        "remaining_before": plain_yuan(owed[0].total_fen),
        "total_payable": plain_yuan(owed[1].total_fen),
        "extra": plain_yuan(owed[1].total_fen - owed[0].total_fen),
        "annual_cost_before": f"{actual_cost(before).nominal:.4f}",
        **measured(actual_cost(after), on=event.on),
    }


def require_confirmed_change(
    session: Session, *, loan: Loan, event: Event, disclosure_id: int
) -> None:
    """Refuse a change whose cost table the borrower has not confirmed.

    Raises:
        CostNotConfirmed: The confirmed cost table is not this change's.
        CostAboveCap: With the event, the loan would cost more a year than its day allows.
    """
    assert_confirmed(
        session,
        disclosure_id=disclosure_id,
        customer_id=loan.customer_id,
        expected=change_table(session, loan_id=loan.id, event=event),
    )
