"""What a change of a running loan costs: held against the cap, shown as a table, confirmed.

Extension, re-pricing and whatever else makes a plan another one ask here before they are booked.
What is in nothing to the borrower's disadvantage needs no yes of theirs. The table is rendered
from the same replay that posting would store.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.money import plain_yuan
from servicing.archive import kind_of
from servicing.caps import actual_cost, require_allowed
from servicing.engine.cost import ROUNDING_TOLERANCE
from servicing.engine.events import (
    Disbursement,
    Event,
    ExtraTerms,
    MovedDueDate,
    RateChange,
    ReAge,
)
from servicing.engine.parts import Component
from servicing.engine.replay import in_force
from servicing.engine.state import LoanState
from servicing.engine.terms import LENDER, PenaltyRule, Terms, is_for_others
from servicing.operations.disclosures import assert_confirmed, default_charges, measured
from servicing.queries.history import find_loan, read_events, terms_of, with_event
from servicing.tables import Loan

_NAMES: Final[Mapping[Component, str]] = {
    Component.INTEREST: "利息",
    Component.FEE: "费用",
    Component.PENALTY: "罚息",
}
# An extension is never booked without a yes (展期); a re-age marks the borrower as restructured.
_ALWAYS_ASKED: Final = (ExtraTerms, ReAge)


def require_within_cap(session: Session, *, loan_id: int, event: Event) -> None:
    """Let nothing make a loan dearer than the cap, nor ask for more of one that is above it.

    What forgives something may pass even then.

    Raises:
        CostAboveCap: With the event, the loan would cost more a year than its day allows.
    """
    _require_cheaper_or_allowed(*with_event(session, loan_id=loan_id, event=event), event)


def _require_cheaper_or_allowed(before: LoanState, after: LoanState, event: Event) -> None:
    costs = actual_cost(before), actual_cost(after)
    is_dearer = costs[1].nominal > costs[0].nominal + ROUNDING_TOLERANCE
    if is_dearer or _left_fen(after) > _left_fen(before):
        require_allowed(costs[1], on=event.on, lender_type=after.lender_type)


def _left_fen(state: LoanState) -> int:
    """Return what the borrower will still pay in all, fen."""
    return state.outstanding.total_fen - state.overpaid_fen


def needs_consent(before: LoanState, after: LoanState, event: Event) -> bool:
    """Say whether a change needs the borrower's yes: it is in something to their disadvantage.

    They owe more in all, or more a year, or more by some day than before.
    """
    return (
        isinstance(event, _ALWAYS_ASKED)
        or after.outstanding.total_fen > before.outstanding.total_fen
        or actual_cost(after).nominal > actual_cost(before).nominal + ROUNDING_TOLERANCE
        or _falls_due_sooner(before, after)
    )


def _falls_due_sooner(before: LoanState, after: LoanState) -> bool:
    days = {row.due_on for state in (before, after) for row in state.rows}
    return any(_owed_by(after, day) > _owed_by(before, day) for day in days)


def _owed_by(state: LoanState, day: date) -> int:
    return sum(row.outstanding.total_fen for row in state.rows if row.due_on <= day)


def consent_table(
    session: Session, *, loan_id: int, event: Event, closed_to: date | None = None
) -> dict[str, Any] | None:
    """Render the cost table that the borrower must confirm before a change; None if none is needed.

    Arguments and errors are those of `change_table`.
    """
    before, after = with_event(session, loan_id=loan_id, event=event, closed_to=closed_to)
    if not needs_consent(before, after, event):
        return None
    return _table(session, loan_id, before, after, event)


def change_table(
    session: Session, *, loan_id: int, event: Event, closed_to: date | None = None
) -> dict[str, Any]:
    """Render the cost table of a change: what is still to be paid before and after, and the cost.

    Args:
        session: A session.
        loan_id: The loan.
        event: The change.
        closed_to: As of which day the loan is seen; None for that to which it is closed.

    Raises:
        CostAboveCap: With the event, the loan would cost more a year than its day allows.
        EventRefused: It cannot happen to the loan as it stands.
    """
    before, after = with_event(session, loan_id=loan_id, event=event, closed_to=closed_to)
    return _table(session, loan_id, before, after, event)


def _table(
    session: Session, loan_id: int, before: LoanState, after: LoanState, event: Event
) -> dict[str, Any]:
    loan = find_loan(session, loan_id=loan_id)
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
        **_of_event(event, after),
        "charges": list(_charges(terms_of(loan), event, before, after)),
        "default_charges": default_charges(_penalty(session, loan, event)),
        "remaining_before": plain_yuan(owed[0].total_fen),
        "total_payable": plain_yuan(owed[1].total_fen),
        "extra": plain_yuan(owed[1].total_fen - owed[0].total_fen),
        "annual_cost_before": f"{actual_cost(before).nominal:.4f}",
        **measured(actual_cost(after), on=event.on, lender_type=after.lender_type),
    }


def _penalty(session: Session, loan: Loan, event: Event) -> PenaltyRule | None:
    """Say what lateness costs with an event: with a lower contract rate it falls as well."""
    terms = terms_of(loan)
    told = [*in_force(read_events(session, loan_id=loan.id)), event]
    changes = (each for each in told if isinstance(each, RateChange))
    rates = sorted(
        (each for each in changes if each.from_on <= event.on), key=lambda each: each.from_on
    )
    if terms.penalty is None or not rates or not terms.rate_annual:
        return terms.penalty
    return terms.penalty.lowered(rates[-1].rate_annual / terms.rate_annual)


def _of_event(event: Event, after: LoanState) -> dict[str, Any]:
    """Say what is paid out by the event and can be later, and what it costs by itself."""
    if isinstance(event, Disbursement):
        return {
            "disbursed": plain_yuan(event.amount_fen),
            "undrawn": plain_yuan(after.undrawn_fen),
        }
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


def require_consent(
    session: Session,
    *,
    loan: Loan,
    event: Event,
    disclosure_id: int | None,
    closed_to: date | None = None,
) -> None:
    """Refuse a change to the borrower's disadvantage whose cost table they have not confirmed.

    A table that was confirmed without need must be this change's, too.

    Raises:
        CostNotConfirmed: None was confirmed, or not this change's.
        CostAboveCap: With the event, the loan would cost more a year than its day allows.
    """
    seen: dict[str, Any] = {"loan_id": loan.id, "event": event, "closed_to": closed_to}
    render = consent_table if disclosure_id is None else change_table
    expected = render(session, **seen)
    if expected is not None:
        assert_confirmed(
            session,
            disclosure_id=disclosure_id,
            customer_id=loan.customer_id,
            expected=expected,
        )
