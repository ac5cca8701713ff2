"""What a change of a running loan costs: held against the cap, shown as a table, confirmed.

Extension, re-pricing and whatever else makes a plan another one ask here before they are booked.
The table is rendered from the same replay that posting would store.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.money import plain_yuan
from servicing.archive import kind_of
from servicing.caps import actual_cost, require_allowed
from servicing.engine.cost import ROUNDING_TOLERANCE
from servicing.engine.events import Disbursement, Event, ExtraTerms, MovedDueDate
from servicing.engine.parts import Component
from servicing.engine.state import LoanState
from servicing.engine.terms import LENDER, Terms, is_for_others
from servicing.operations.disclosures import assert_confirmed, default_charges, measured
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
        **_of_event(event),
        "charges": list(_charges(terms_of(loan), event, before, after)),
        "default_charges": default_charges(terms_of(loan).penalty),
        "remaining_before": plain_yuan(owed[0].total_fen),
        "total_payable": plain_yuan(owed[1].total_fen),
        "extra": plain_yuan(owed[1].total_fen - owed[0].total_fen),
        "annual_cost_before": f"{actual_cost(before).nominal:.4f}",
        **measured(actual_cost(after), on=event.on),
    }


def _of_event(event: Event) -> dict[str, Any]:
    """Say what is paid out by the event, and what it costs by itself."""
    if isinstance(event, Disbursement):
        return {"disbursed": plain_yuan(event.amount_fen)}
    if not isinstance(event, (ExtraTerms, MovedDueDate)) or not event.charges:
        return {}
    return {
        "event_charges": [
            {
                "name": charge.name,
                "payee": charge.payee or LENDER,
                "amount": plain_yuan(charge.amount_fen),
            }
            for charge in event.charges
        ]
    }


def _charges(
    terms: Terms, event: Event, before: LoanState, after: LoanState
) -> Iterator[dict[str, str]]:
    """List what is still to be paid beside principal, before and after, each with its payee."""
    others = _to_others(before), _to_others(after)
    for component, name in _NAMES.items():
        was_fen = before.outstanding.of(component) - _less(component, others[0])
        is_fen = after.outstanding.of(component) - _less(component, others[1])
        if was_fen or is_fen:
            yield _charge(name, LENDER, was_fen, is_fen)
    if any(others):
        yield _charge("代收费用", _payees(terms, event), *others)


def _charge(name: str, payee: str, was_fen: int, is_fen: int) -> dict[str, str]:
    return {
        "name": name,
        "payee": payee,
        "amount": plain_yuan(is_fen),
        "before": plain_yuan(was_fen),
    }


def _less(component: Component, others_fen: int) -> int:
    return others_fen if component is Component.FEE else 0


def _to_others(state: LoanState) -> int:
    """Return what of the fees that are still owed is collected for others, fen."""
    return sum(min(row.to_others_fen, row.outstanding.fee_fen) for row in state.rows)


def _payees(terms: Terms, event: Event) -> str:
    """Name those for whom fees are collected, as far as the product and the event say."""
    named = [fee.payee for fee in terms.fees] + [fee.payee for fee in terms.event_fees]
    named += [charge.payee for charge in getattr(event, "charges", ())]
    named.append(getattr(event, "payee", ""))
    others = dict.fromkeys(payee for payee in named if is_for_others(payee))
    return "、".join(others) or "其他收款方"


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
